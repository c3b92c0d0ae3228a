"""The page Release engineering: what is broken first, nothing green that is not done, made of what plugins publish."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from render.test_pages import Elements, words
from samples import NOON, Site, line
from statscache import layout, resources, testing
from statscache.message import Message
from statscache.render import boards
from statscache.render.boards import Board, Group, board
from statscache.render.page_model import Link, PluginView
from statscache.render.pages import Pages
from statscache.timeline import DAY, HOUR
from statscache_plugins.dashboard import ReleaseDashboard
from statscache_plugins.volume import Volume

PROD = "org.fedoraproject.prod."


@pytest.fixture(scope="module")
def pages() -> Pages:
    """The pages of an installation with a board."""
    return Pages(resources.sources(), title="statscache", base_url=None, has_board=True, entities=["release"])


def sent(topic: str, timestamp: int = NOON, **body: Any) -> Message:
    """Return a message."""
    return testing.message(PROD + topic, body, timestamp=timestamp)


def compose(status: str, timestamp: int, product: str = "Rawhide", number: int = 0) -> Message:
    """Return what pungi says of a compose."""
    identity = f"Fedora-{product}-20150808.n.{number}"
    return sent("pungi.compose.status.change", timestamp, compose_id=identity, status=status)


def ami(timestamp: int, verb: str = "publish", **more: Any) -> Message:
    """Return what fedimg says of an image in us-east-1."""
    name = f"Fedora-Cloud-Base-Rawhide-{timestamp}.x86_64"
    return sent(
        f"fedimg.image.{verb}",
        timestamp,
        image_name=name,
        destination="us-east-1",
        extra={"id": f"ami-{timestamp}"},
        **more,
    )


def view_of(*messages: Message, document: Any = None) -> PluginView:
    """Return the dashboard's view after these messages, or with another document."""
    plugin = ReleaseDashboard()
    made = testing.run(plugin, messages)
    return PluginView(
        info=plugin.info(),
        kind=plugin.kind,
        state="ok",
        last_event=NOON,
        since=None,
        through=NOON,
        latest=made["latest.json"],
        series=(),
        links=(),
        board=made["dashboard.json"] if document is None else document,
        feed=tuple(made["latest.json"]["rows"]),
    )


def shown(*messages: Message, through: int = NOON) -> Board:
    """Return the board after these messages."""
    return board([view_of(*messages)], through)


def group_of(found: Board, identity: str) -> Group:
    """Return a group of a board."""
    (group,) = [group for group in found.groups if group.id == identity]
    return group


@pytest.mark.parametrize(
    ("status", "ago", "level", "summary"),
    [
        ("FINISHED", HOUR, "good", "done"),
        ("FINISHED_INCOMPLETE", HOUR, "warn", "done, but incomplete"),
        ("DOOMED", HOUR, "bad", "doomed"),
        ("TERMINATED", HOUR, "bad", "canceled"),
        ("STARTED", HOUR, "progress", "in progress"),
        ("STARTED", 13 * HOUR, "bad", "in progress for longer than expected"),
        ("FINISHED", 21 * HOUR, "old", "older than expected"),
        ("FINISHED_INCOMPLETE", 21 * HOUR, "warn", "done, but incomplete"),
        ("DOOMED", 15 * DAY, "old", "nothing for two weeks"),
    ],
)
def test_only_what_is_done_in_full_and_of_late_is_good(status: str, ago: int, level: str, summary: str) -> None:
    """Incomplete, old, stuck and ended things are told apart; what is of long ago is called neither."""
    group = group_of(shown(compose(status, NOON - ago)), "rawhide")
    assert (group.level, group.summary) == (level, summary)


def test_what_is_broken_stands_first_and_the_newest_before_the_others() -> None:
    """On the whole page, and in each group, whatever the order of messages."""
    messages = [
        compose("FINISHED", NOON - HOUR, "Rawhide"),
        compose("DOOMED", NOON - 5 * HOUR, "45"),
        compose("FINISHED_INCOMPLETE", NOON - 3 * HOUR, "46"),
        compose("FINISHED", NOON - 2 * HOUR, "44"),
    ]
    for order in (messages, messages[::-1]):
        found = shown(*order)
        assert [row.name for _, row in found.broken] == ["Fedora-45 nightly", "Fedora-46 nightly"]
        assert [row.name for row in group_of(found, "branched").rows] == [
            "Fedora-45 nightly",
            "Fedora-46 nightly",
            "Fedora-44 nightly",
        ]
        assert (found.verdict, found.level) == ("1 broken, 1 incomplete", "bad")
        assert group_of(found, "branched").share == "1 of 3"


def test_a_step_that_fails_after_the_whole_is_what_is_reported() -> None:
    """A push that is done and whose sync hangs is not done; a step of before the end is history."""
    done = sent("bodhi.compose.complete", NOON - 20 * HOUR, repo="f45-updates", success=True)
    hangs = sent("bodhi.compose.sync.wait", NOON - 19 * HOUR, repo="f45-updates")
    group = group_of(shown(done, hangs), "updates-fedora")
    assert (group.level, group.summary) == ("bad", "sync: in progress for longer than expected")
    before = sent("bodhi.compose.sync.wait", NOON - 21 * HOUR, repo="f45-updates")
    assert group_of(shown(done, before), "updates-fedora").level == "good"


def test_an_image_that_is_not_public_or_failed_its_test_is_not_good() -> None:
    """The newest one that can be launched is shown, with its id by region."""
    group = group_of(shown(ami(NOON - HOUR)), "cloud")
    (row,) = group.rows
    assert (row.level, [place[:2] for place in row.places]) == ("good", [("us-east-1", f"ami-{NOON - HOUR}")])
    assert row.places[0].link.startswith("https://console.aws.amazon.com/")
    assert group_of(shown(ami(NOON, verb="upload")), "cloud").level == "progress"
    assert group_of(shown(ami(NOON), ami(NOON, verb="test", status="failed")), "cloud").summary == "failed its test"


def test_a_malformed_board_costs_its_rows_alone() -> None:
    """Whatever a document holds, the page is made; what makes no sense is counted as left out."""
    good = view_of(compose("FINISHED", NOON - HOUR))
    assert good.board is not None
    columns = good.board["columns"]
    (item,) = next(group["items"] for group in good.board["groups"] if group["id"] == "rawhide")
    wrong: list[Any] = [
        None,
        5,
        {},
        {"steps": []},
        {**item, "steps": [[None, "done", "now", None, None, None, None]]},
        {**item, "steps": [[None, "done", 10**15, None, None, None, None]]},
        {**item, "steps": [[None, ["done"], 5, 6, None, None, None]]},
        {**item, "component": None, "release": None},
        {"regions": [], "timestamp": 5},
    ]
    document = {
        "columns": columns,
        "groups": [7, {"id": "no"}, {"id": "rawhide", "items": [*wrong, item], "omitted": "x"}],
    }
    (group,) = board([view_of(document=document)], NOON).groups
    assert ([row.name for row in group.rows], group.omitted) == (["Fedora-Rawhide nightly"], len(wrong))
    for nonsense in ({}, {"groups": None}, {"groups": [], "columns": 5}):
        assert board([view_of(document=nonsense)], NOON).groups == []


def test_an_unknown_status_is_unknown_and_hostile_text_is_text(pages: Pages) -> None:
    """Neither is green, and nothing of it becomes markup or an address."""
    text = "<img src=x onerror=alert(1)>"
    steps = [[None, text, NOON, None, None, text, f"javascript:{text}"], [text, text, NOON, None, None, None, None]]
    item = {"component": text, "release": text, "architecture": None, "steps": steps}
    document = {
        "columns": ["step", "status", "start", "stop", "last_done", "run", "link"],
        "groups": [{"id": "rawhide", "items": [item], "omitted": 0}],
    }
    view = view_of(document=document)
    assert board([view], NOON).level == "unknown"
    html = dict(pages.index([view], NOON))[layout.BOARD_PAGE].decode()
    elements = Elements(html)
    assert text in elements.text
    assert "img" not in [tag for tag, _ in elements.found]
    assert not [target for target in elements.values("href") if target.startswith("javascript")]


def test_the_page_leads_to_its_files(pages: Pages) -> None:
    """For readers and for programs: what it shows as JSON, as CSV, and as a feed."""
    root = f"v1/plugins/{ReleaseDashboard.name}/latest"
    files = tuple(Link(f"{root}.{form}", f"latest.{form}", 1) for form in ("csv", "json"))
    view = replace(view_of(compose("FINISHED", NOON)), links=files)
    html = dict(pages.index([view], NOON))[layout.BOARD_PAGE].decode()
    for form, kind in (("csv", "text/csv"), ("json", "application/json")):
        assert f'<link rel="alternate" type="{kind}" title="Release engineering" href="../{root}.{form}">' in html
        assert f'<a href="../{root}.{form}">{form.upper()}</a>' in html
    assert f'href="../{layout.feed(ReleaseDashboard.name)}"' in html


def test_the_page_changes_with_the_data_and_the_hour_alone(pages: Pages) -> None:
    """A publication in between gives the same bytes (law 1), whatever gets old meanwhile; the next hour tells it."""
    view = view_of(compose("FINISHED", NOON - 20 * HOUR + HOUR // 2))
    moments = (NOON, NOON + HOUR - 1, NOON + HOUR)
    made = [dict(pages.index([view], through))[layout.BOARD_PAGE] for through in moments]
    assert made[0] == made[1] != made[2]
    assert "older than expected" in words(made[2].decode())


def test_nothing_of_the_page_needs_a_script(pages: Pages) -> None:
    """Names, states, ids and links are in the page; what only scripts serve is marked as such."""
    view = view_of(compose("DOOMED", NOON - HOUR), ami(NOON - HOUR))
    html = dict(pages.index([view], NOON))[layout.BOARD_PAGE].decode()
    said = words(html)
    assert html.count('href="../releases/index.html?rawhide"') == 2, "of the compose and of the image"
    for wanted in ("1 broken", "Fedora-Rawhide nightly", "doomed", f"ami-{NOON - HOUR}", "us-east-1"):
        assert wanted in said
    elements = Elements(html)
    scripted = [tag for tag, attributes in elements.found if "data-scripted" in attributes]
    assert [tag for tag in scripted if tag != "small"] == ["p", "div"], "ages, whose place is kept, are small"


def test_without_a_board_there_is_no_page_and_no_link(tmp_path: Path) -> None:
    """The page is there with the plugin, goes with it, and comes back; so does its feed."""
    sites = f"sqlite:///{tmp_path / 'db'}", tmp_path
    site = Site(*sites, (Volume, ReleaseDashboard))
    site.feed(
        [
            line(
                "1",
                NOON,
                PROD + "pungi.compose.status.change",
                {"compose_id": "Fedora-Rawhide-20150808.n.0", "status": "DOOMED"},
            )
        ]
    )
    site.publish()
    pages = (layout.BOARD_PAGE, layout.feed(ReleaseDashboard.name))
    assert [page in site.aliases() for page in pages] == [True, True]
    front = site.aliases()[layout.FRONT_PAGE].decode()
    assert front.count(f'href="{layout.BOARD_PAGE}"') == 2
    assert "doomed" in front
    site = site.reopened((Volume,))
    site.publish()
    assert [page in site.aliases() for page in pages] == [False, False]
    assert not [
        path
        for path, data in site.aliases().items()
        if b"release-engineering/index.html" in data and not path.startswith(("docs/", "v1/"))
    ]
    site = site.reopened((Volume, ReleaseDashboard))
    site.catch_up()
    site.publish()
    assert [page in site.aliases() for page in pages] == [True, True]
    site.close()


def test_two_boards_share_the_page(pages: Pages) -> None:
    """Groups of the same name keep apart."""
    view = view_of(compose("FINISHED", NOON - HOUR))
    other = replace(view, info=replace(view.info, name="other"))
    assert [group.id for group in board([view, other], NOON).groups] == ["rawhide", "rawhide-other"]
    assert boards.LEVELS.index("good") == len(boards.LEVELS) - 1
    html = dict(pages.index([view, other], NOON))[layout.BOARD_PAGE].decode()
    ids = Elements(html).values("id")
    assert len(ids) == len(set(ids))

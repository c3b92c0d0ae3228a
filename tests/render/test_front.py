"""The front page: numbers, a year, what changed in the last week, statistics by subject; nothing from unknown time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from render.test_pages import THROUGH, WINDOWS, plugin, words
from statscache import resources
from statscache.exceptions import PluginError
from statscache.plugins import Counter
from statscache.render import front
from statscache.render.page_model import Leaderboard, PluginView, SeriesView
from statscache.render.pages import Pages
from statscache.timeline import DAY
from statscache.windows import trailing_days

TODAY = THROUGH // DAY * DAY


@pytest.fixture(scope="module")
def pages() -> Pages:
    """The pages of an installation on which people have a page."""
    return Pages(resources.sources(), title="statscache", base_url=None, entities=("person",))


def days(count: Callable[[int], int], shown: int = 100, **changes: Any) -> SeriesView:
    """Return a series by day that ends with the last whole day; `count` is called with the age of a day in days."""
    series = SeriesView(
        resolution="1d",
        seconds=DAY,
        columns=("timestamp", "value"),
        rows=[[TODAY - ago * DAY, count(ago)] for ago in range(shown, -1, -1)],
        start=TODAY - shown * DAY,
        end=TODAY + DAY,
        complete_through=TODAY,
        gaps=[],
        periods=(),
    )
    return replace(series, **changes)


def busy(name: str, count: Callable[[int], int], **changes: Any) -> PluginView:
    """Return a plugin with a series by day."""
    known = {"series": (days(count),), "since": TODAY - 100 * DAY, **changes}
    return plugin(name, **known)


def test_the_numbers_are_those_of_featured_plugins_and_say_how_they_changed() -> None:
    """Of the last seven days, in the order of subjects, four at most; a gap in either week leaves the change out."""
    made = busy("made", lambda ago: 8 if ago <= 7 else 10, featured=True, subject="packages", unit="builds")
    said = busy("said", lambda ago: 10, featured=True, subject="bus")
    gap = [(TODAY - 9 * DAY, TODAY - 8 * DAY)]
    holed = replace(said, series=(days(lambda ago: 10, gaps=gap),))
    numbers = front.numbers([said, busy("other", lambda ago: 1), made, holed])
    assert [(number.view.info.name, number.amount, number.caption, number.change) for number in numbers] == [
        ("made", "5,678", "builds in the last 7 full days", "\u221220% on the 7 days before"),
        ("said", "5,678", "messages in the last 7 full days", "as in the 7 days before"),
        ("said", "5,678", "messages in the last 7 full days", ""),
    ]
    assert len(front.numbers([said] * 9)) == 4


def test_a_number_of_a_week_that_is_not_wholly_known_is_left_out() -> None:
    """What is known of a shorter window is there, else nothing does."""
    rows = [{**WINDOWS}]
    partial = {"last_7d": TODAY - DAY, "last_30d": TODAY - DAY}
    young = busy("young", lambda ago: 1, featured=True, latest={"rows": rows, "partial": partial})
    (number,) = front.numbers([young])
    assert (number.amount, number.caption) == ("1,234", "messages in the last 24 full hours")
    assert front.numbers([replace(young, latest=None)]) == []


def test_a_year_is_drawn_of_what_has_no_keys_in_one_curve() -> None:
    """It may be featured first or not; where no featured plugin is plotted by day, none is."""
    keyed = busy("keyed", lambda ago: 1, featured=True, dimensions=("a",), subject="people")
    plain = busy("plain", lambda ago: 1, featured=True, subject="bus")
    found = front.year([keyed, plain])
    assert found is not None
    assert found[0] is plain
    (panel,) = found[1].figure.panels
    assert len(panel.layers) == 1
    assert front.year([busy("other", lambda ago: 1)]) is None


def news(*views: PluginView) -> list[tuple[str, str, str]]:
    """Return what is new of plugins: the kind, the name, and what is said of it."""
    items = front.news(views, THROUGH)
    return [(item.kind, item.name, f"{item.after} {item.other}" if item.other else item.after) for item in items]


def test_a_record_is_a_day_busier_than_all_that_are_known() -> None:
    """Of the last seven; a tie, a short history, and a variant are none."""
    record = busy("volume", lambda ago: 99 if ago == 3 else 10)
    assert news(record) == [("Record", "Messages", "had 99 messages on one day, the most in 100 days")]
    for two in ((3, 50), (3, 5)):
        assert news(busy("volume", lambda ago, two=two: 99 if ago in two else 10)) == []  # type: ignore[misc]
    assert news(busy("volume", lambda ago: 99 if ago == 8 else 10)) == []
    assert news(replace(record, series=(days(lambda ago: 99 if ago == 3 else 10, shown=59),))) == []
    assert news(busy("volume-by-x", lambda ago: 99 if ago == 3 else 10)) == []


def test_a_record_is_claimed_only_as_far_back_as_all_days_are_known() -> None:
    """A day of a gap may have been busier: the days after it must be enough for a record."""
    before = days(lambda ago: 99 if ago == 3 else 10)
    for ago, more in (
        (2, []),
        (20, []),
        (90, [("Record", "Messages", "had 99 messages on one day, the most in 89 days")]),
    ):
        series = replace(
            before, gaps=[(TODAY - 95 * DAY, TODAY - 94 * DAY), (TODAY - ago * DAY, TODAY - (ago - 1) * DAY)]
        )
        assert news(busy("volume", lambda ago: 1, series=(series,))) == more


def leaderboard(*names: str, width: int = 7) -> Leaderboard:
    """Return a ranking of these names."""
    rows = [{"user": name, "value": 9 - place} for place, name in enumerate(names)]
    return Leaderboard(trailing_days(width), rows)


def test_a_leader_of_the_week_who_does_not_lead_the_month_is_new(pages: Pages) -> None:
    """With a link to their page; neither who leads both, nor the first of equals, nor one of an unknown week."""
    shown: dict[str, Any] = {
        "dimensions": ("user",),
        "entities": {"user": "person"},
        "people": True,
        "unbounded": True,
        "series": (),
    }
    latest = {"rows": [{"user": "bob", **WINDOWS}]}
    boards = (leaderboard("bob", "ann", width=30), leaderboard("ann", "bob"))
    view = plugin("karma", **shown, latest=latest, leaderboards=boards)
    assert news(view) == [("Leader", "ann", "leads messages of the last 7 days, ahead of bob")]
    html = dict(pages.index([view], THROUGH))["index.html"].decode()
    for name in ("ann", "bob"):
        assert f'<a href="people/index.html?{name}"><bdi>{name}</bdi></a>' in html
    assert news(replace(view, leaderboards=(boards[0], leaderboard("bob", "ann")))) == []
    tie = Leaderboard(trailing_days(7), [{"user": "ann", "value": 3}, {"user": "bob", "value": 3}])
    assert news(replace(view, leaderboards=(boards[0], tie))) == []
    unknown = replace(boards[1], partial={"last_7d": TODAY - DAY})
    assert news(replace(view, leaderboards=(boards[0], unknown))) == []
    # Who led the month may be unknown too, and so may who led ever: then no one is new.
    unknown = replace(boards[0], partial={"last_30d": TODAY - DAY})
    assert news(replace(view, leaderboards=(unknown, boards[1]))) == []
    ever = replace(view, leaderboards=(boards[1],), since=TODAY - 100 * DAY)
    assert news(ever) == [("Leader", "ann", "leads messages of the last 7 days, ahead of bob")]
    assert news(replace(ever, days=((TODAY - 50 * DAY, TODAY - 49 * DAY),))) == []
    for since in (None, TODAY - DAY, TODAY - 7 * DAY):
        assert news(replace(ever, since=since)) == []


def test_newcomers_of_a_week_are_compared_with_those_of_the_week_before() -> None:
    """Where the service is as new as they are, everybody would be one; a day that is unknown is not of zero."""
    counted = tuple((TODAY - ago * DAY, 2 if ago <= 7 else 1) for ago in range(30, 0, -1))
    view = busy("people", lambda ago: 1, newcomers=counted)
    assert news(view) == [("New", "14 new messages", "in the last 7 full days, 7 in those before")]
    assert news(replace(view, since=TODAY - 10 * DAY)) == []
    assert news(replace(view, newcomers=tuple(each for each in counted if each[0] != TODAY - 10 * DAY))) == []


def test_a_number_that_was_tiny_before_is_said_in_times() -> None:
    """Per cent of next to nothing say little."""
    view = busy("volume", lambda ago: 48 if ago <= 7 else 1, featured=True)
    assert front.numbers([view])[0].change == "48 times the 7 days before"


def test_failures_are_those_of_the_last_week(pages: Pages) -> None:
    """One line for a plugin, the newest first, which leads to its rows; what ended well, and what is old, is none."""
    rows = [
        {"branch": name, "state": state, "timestamp": THROUGH - ago * DAY}
        for name, state, ago in (("a", "failed", 2), ("b", "done", 1), ("c", "doomed", 1), ("d", "failed", 8))
    ]
    shown: dict[str, Any] = {"dimensions": ("branch",), "unit": "composes", "series": (), "latest": {"rows": rows}}
    view = plugin("composes", "Latest", **shown, failures={"state": ("failed", "doomed")})
    assert news(view) == [("Failed", "c", "doomed, and 1 more")]
    html = dict(pages.index([view], THROUGH))["index.html"].decode()
    assert '<a href="plugins/composes/index.html?filter=doomed"><bdi>c</bdi></a>' in html
    assert news(plugin("composes", "Latest", **shown)) == []


def test_variants_share_a_card_and_subjects_have_an_order(pages: Pages) -> None:
    """The plain one is shown first; a variant of nothing has a card of its own."""
    views = [
        plugin("volume-by-user", title="Messages by person", subject="bus"),
        plugin("volume", subject="bus"),
        plugin("builds-by-package", title="Builds by package", subject="packages"),
        plugin("weather"),
    ]
    groups = front.groups(views)
    assert [(group.title, [[view.info.name for view in of] for of in group.clusters]) for group in groups] == [
        ("Packages and builds", [["builds-by-package"]]),
        ("The bus", [["volume", "volume-by-user"]]),
        ("More", [["weather"]]),
    ]
    html = dict(pages.index(views, THROUGH))["index.html"].decode()
    assert html.count('<article class="card"') == 3
    assert 'All</span></label><label><input type="radio" name="of-volume"><span>Person</span>' in html


def test_cards_name_no_files_and_the_data_tab_names_all(pages: Pages) -> None:
    """Who wants files finds them in one place."""
    html = dict(pages.index([plugin()], THROUGH))["index.html"].decode()
    cards, _, data = html.partition('id="fetch"')
    assert "latest.json" not in cards
    assert 'href="v1/plugins/volume/latest.json"' in data
    assert "Messages JSON all files" in words(data)


def test_a_subject_is_one_of_those_that_there_are() -> None:
    """A misspelt one is refused when the class is defined."""
    with pytest.raises(PluginError, match="`subject` is 'wether'; give one of people, packages"):

        class Weather(Counter):
            """Rain."""

            name = "weather"
            title = "Weather"
            subject = "wether"

            def observe(self, message: object) -> Any:
                """Count nothing."""

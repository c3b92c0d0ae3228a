"""Atom feeds: valid by RFC 4287, the same bytes for the same data, and without whoever was forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import orjson
import pytest

import example_sites
from plugin_class import define
from samples import NOON, Site, line
from statscache import layout, testing
from statscache.exceptions import PluginError
from statscache.message import Message
from statscache.plugins import Counter, Feed, State
from statscache.plugins.registry import load
from statscache.privacy.forget import forget
from statscache.store import coverage
from statscache.timeline import DAY, parse_time
from statscache_plugins.composes import Composes
from statscache_plugins.contributors import Contributors

ATOM = "{http://www.w3.org/2005/Atom}"
TOPIC = "org.fedoraproject.prod.pungi.compose.status.change"


class Newcomers(Counter):
    """Who came of late."""

    name = "newcomers"
    title = "Newcomers"
    dimensions = ("user",)
    entities = {"user": "person"}  # noqa: RUF012 - as authors write it
    people = True
    unbounded = True
    feed = Feed("New people", ("user",), document="newest")

    def observe(self, message: Message) -> Iterator[Any]:
        """Count everybody who is involved."""
        for name in message.usernames:
            yield (name,)

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish who came since the first day, besides."""
        yield from super().documents(state)
        yield "newest", {"rows": self.newest(state, since=NOON)}


def parsed(data: bytes) -> ElementTree.Element:
    """Return a feed, after a look at what RFC 4287 asks of each."""
    feed = ElementTree.fromstring(data)
    assert feed.tag == f"{ATOM}feed"
    assert data.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    ids = [node.text or "" for node in feed.iter(f"{ATOM}id")]
    assert len(ids) == len(set(ids))
    for identity in ids:
        assert UUID(identity.removeprefix("urn:uuid:")).urn == identity
    for part in (feed, *feed.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            (node,) = part.findall(f"{ATOM}{name}")
            assert node.text
            assert name != "updated" or parse_time(node.text) >= 0
        alternates = [link for link in part.findall(f"{ATOM}link") if link.get("rel", "alternate") == "alternate"]
        assert len(alternates) == 1
    assert len(feed.findall(f"{ATOM}author/{ATOM}name")) == 1
    (own,) = [link.get("href") for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]
    assert own
    updated = [node.text or "" for node in feed.iter(f"{ATOM}updated")]
    assert updated == sorted(updated, reverse=True)
    assert len(feed.findall(f"{ATOM}entry")) <= 50
    return feed


def titles(data: bytes) -> list[str]:
    """Return the titles of the entries of a feed."""
    return [node.text or "" for node in parsed(data).findall(f"{ATOM}entry/{ATOM}title")]


def links(data: bytes, rel: str = "alternate") -> list[str]:
    """Return where the entries of a feed lead."""
    found = parsed(data).findall(f"{ATOM}entry/{ATOM}link")
    return [link.get("href", "") for link in found if link.get("rel") == rel]


def said(number: int, status: str, **body: Any) -> dict[str, Any]:
    """Return the body of what pungi says of a compose."""
    return {"compose_id": f"Fedora-Rawhide-20150808.n.{number}", "status": status, **body}


def fed(directory: Path, *plugins: Any, **publish: Any) -> Site:
    """Return a site with the plugins."""
    return Site(f"sqlite:///{directory / 'db'}", directory, plugins, publish=publish)


def test_every_feed_of_a_busy_site_is_valid(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each bundled one, and that of the snapshots; a page of the site names each of them."""
    tree = example_sites.shared(tmp_path_factory, "demo")
    feeds = {path.name: path.read_bytes() for path in (tree / layout.FEEDS).glob("*.xml")}
    names = ("changes", "cloud-images", "composes", "contributors", "image-tasks", "release-dashboard", "update-pushes")
    assert sorted(feeds) == [f"{name}.xml" for name in names]
    for name, data in feeds.items():
        assert (len(titles(data)) > 0) == (name != "contributors.xml")
        assert len(data) < 60_000
    front = (tree / layout.FRONT_PAGE).read_text()
    assert all(f'href="feeds/{name}"' in front for name in feeds)
    for name in names[1:]:
        assert f'href="../../feeds/{name}.xml"' in (tree / layout.page(name)).read_text()
    assert 'href="../feeds/release-dashboard.xml"' in (tree / layout.BOARD_PAGE).read_text()


def test_an_entry_keeps_its_id_until_its_state_is_another(tmp_path: Path) -> None:
    """A compose that ends is a new entry; the others stay as they are, byte by byte."""
    site = fed(tmp_path, Composes)
    path = layout.feed("composes")
    site.feed([line("1", NOON, TOPIC, said(0, "STARTED")), line("2", NOON + 5, TOPIC, said(1, "STARTED"))])
    site.publish()
    before = parsed(site.aliases()[path]).findall(f"{ATOM}entry")
    site.feed([line("3", NOON + 9, TOPIC, said(0, "DOOMED", location="https://kojipkgs.example/x?a=b&c"))])
    site.publish()
    data = site.aliases()[path]
    after = parsed(data).findall(f"{ATOM}entry")
    assert titles(data) == ["Fedora-Rawhide-20150808.n.0: doomed", "Fedora-Rawhide-20150808.n.1: in-progress"]
    assert ElementTree.tostring(after[1]) == ElementTree.tostring(before[0])
    assert after[0][0].text not in [entry[0].text for entry in before]
    assert links(data, "related") == ["https://kojipkgs.example/x?a=b&c"]
    site.publish(force=True)
    assert site.aliases()[path] == data
    site.close()


def test_links_are_relative_where_the_address_is_not_known(tmp_path: Path) -> None:
    """With an address, they and the ids of feeds and entries are the site's own."""
    found = {}
    for name, base in (
        ("unknown", None),
        ("known", "https://stats.example.org/s"),
        ("other", "https://other.example/"),
    ):
        site = fed(tmp_path / name, Composes, base_url=base)
        site.feed([line("1", NOON, TOPIC, said(0, "STARTED"))])
        site.publish()
        found[name] = site.aliases()[layout.feed("composes")]
        changes = (site.public / layout.CHANGES_FEED).read_bytes()
        assert titles(changes)[0].startswith("Generation 1: ")
        root = "../" if base is None else base.rstrip("/") + "/"
        assert links(changes)[0].startswith(f"{root}v1/snapshots/")
        assert parsed(changes).find(f"{ATOM}link[@rel='self']").get("href") == f"{root}feeds/changes.xml"  # type: ignore[union-attr]
        site.close()
    page = "plugins/composes/index.html"
    assert links(found["unknown"]) == [f"../{page}"]
    assert links(found["known"]) == [f"https://stats.example.org/s/{page}"]
    assert 'href="../feeds/composes.xml"' in found["unknown"].decode()
    assert 'href="https://stats.example.org/s/feeds/composes.xml"' in found["known"].decode()
    ids = {node.text for data in found.values() for node in parsed(data).iter(f"{ATOM}id")}
    assert len(ids) == 6


def test_a_feed_has_the_newest_entries_alone(tmp_path: Path) -> None:
    """However many there are."""
    site = fed(tmp_path, Composes)
    site.feed([line(str(number), NOON + number, TOPIC, said(number, "STARTED")) for number in range(80)])
    site.publish()
    found = titles(site.aliases()[layout.feed("composes")])
    assert found == [f"Fedora-Rawhide-20150808.n.{number}: in-progress" for number in range(79, 29, -1)]
    site.close()


def test_hostile_names_are_text(tmp_path: Path) -> None:
    """Markup is escaped, and what XML forbids is replaced; nothing but the entry is lost."""
    site = fed(tmp_path, Newcomers, title="\x01A & <b>")
    names = [text[:60] for text in example_sites.HOSTILE]
    site.feed([line(str(at), NOON + at, users=[name]) for at, name in enumerate(names)])
    site.publish()
    data = site.aliases()[layout.feed("newcomers")]
    assert "<script>alert(1)</script>" in titles(data)
    assert parsed(data).findtext(f"{ATOM}title") == "New people · \ufffdA & <b>"
    assert b"<script" not in data
    parsed((site.public / layout.CHANGES_FEED).read_bytes())
    site.close()


def test_a_person_is_an_entry_until_they_are_forgotten(tmp_path: Path) -> None:
    """With a link to their page; then no published byte has the name."""
    site = fed(tmp_path, Newcomers)
    site.feed([line(name, NOON + at, users=[name]) for at, name in enumerate(("ralph", "zaphod"))])
    site.publish()
    path = layout.feed("newcomers")
    assert titles(site.aliases()[path]) == ["zaphod", "ralph"]
    assert links(site.aliases()[path]) == ["../people/index.html?zaphod", "../people/index.html?ralph"]
    forget(site.installation, "zaphod", lambda *_: None)
    assert titles(site.aliases()[path]) == ["ralph"]
    assert not [file for file in site.public.rglob("*") if file.is_file() and b"zaphod" in file.read_bytes()]
    # Neither is it kept where the plugin itself is gone.
    site = site.reopened((Composes,))
    site.publish()
    assert path not in site.aliases()
    site.close()


def test_newcomers_are_those_of_whom_a_month_says_nothing() -> None:
    """Who is first seen soon after the data begin may only be new to us."""
    days = [("ann", 0), ("bob", 20), ("cec", 35), ("ann", 36), ("dan", 40)]
    messages = [
        testing.message("org.fedoraproject.prod.wiki.article.edit", {"user": name}, timestamp=NOON + day * DAY)
        for name, day in days
    ]
    for order in (messages, messages[::-1]):
        document = testing.run(Contributors, order)["newest.json"]
        rows = document["rows"]
        assert (document["since"], "partial" in document) == (NOON + DAY // 2 + 30 * DAY, False)
        assert [(row["user"], row["timestamp"]) for row in rows] == [("dan", NOON + 40 * DAY), ("cec", NOON + 35 * DAY)]


def test_no_one_is_known_to_be_new_in_the_first_month(tmp_path: Path) -> None:
    """Then the document says since when it is known, and behind a gap it does too: an empty list is not none."""
    site = fed(tmp_path, Contributors)

    def said(day: int) -> tuple[Any, Any, list[str]]:
        site.feed([line(f"n{day}", NOON + day * DAY, "org.fedoraproject.prod.wiki.article.edit", {"user": f"n{day}"})])
        site.publish()
        document = orjson.loads(site.aliases()["v1/plugins/contributors/newest.json"])
        return document["since"], document.get("partial"), [row["user"] for row in document["rows"]]

    site.publish()
    document = orjson.loads(site.aliases()["v1/plugins/contributors/newest.json"])
    assert (document["since"], document["partial"], document["rows"]) == (None, {"newcomers": None}, [])
    known = NOON + DAY // 2 + 30 * DAY
    assert said(0) == (known, {"newcomers": known}, [])
    assert said(20) == (known, {"newcomers": known}, [])
    assert site.aliases()["v1/plugins/contributors/newest.csv"] == b"user,timestamp\r\n"
    assert said(40) == (known, None, ["n40"])
    with site.database.writing() as connection:
        coverage.record(connection, NOON + 41 * DAY, NOON + 41 * DAY + 60, complete=False)
    assert said(50) == (known, {"newcomers": NOON + 41 * DAY + 60}, ["n50", "n40"])
    site.close()


def test_the_feed_of_snapshots_is_written_with_the_slow_documents(tmp_path: Path) -> None:
    """A minute's publication leaves it as it is: it would be noise, and cost a file each time."""
    site = fed(tmp_path, Composes, slow_interval=1_000)
    for number in range(3):
        site.feed([line(str(number), NOON + number, TOPIC, said(number, "STARTED"))])
        site.publishing.publish(slow=number == 2)
        if number < 2:
            first = (site.public / layout.CHANGES_FEED).read_bytes()
            assert titles(first)[0].startswith("Generation 1: ")
    found = titles((site.public / layout.CHANGES_FEED).read_bytes())
    assert [title.partition(":")[0] for title in found] == ["Generation 3", "Generation 1"]
    site.close()


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"board": "board"}, "`board` needs a `layout` with `groups`"),
        ({"board": "board", "layout": {"groups": [{"id": "a"}], "statuses": {}, "stuck": {}}}, "`board` needs"),
        ({"feed": Feed("X", ())}, "`feed` has the names (); give a tuple"),
        ({"name": "changes", "feed": Feed("X", ("key",))}, "choose another `name`"),
    ],
)
def test_a_wrong_declaration_is_refused(changes: dict[str, Any], fix: str) -> None:
    """When the class is defined, with the fix."""
    with pytest.raises(PluginError) as refused:
        define(**changes)
    assert fix in str(refused.value)


def test_where_people_are_not_wanted_no_feed_names_them() -> None:
    """Every feed that names people is of a plugin that is turned off then."""
    assert "contributors" in [plugin.name for plugin in load() if plugin.feed is not None]
    assert [plugin.name for plugin in load(people=False) if plugin.feed is not None and plugin.people] == []
    named = [plugin.name for plugin in load(people=False) if plugin.feed and {"user", "agent"} & {*plugin.feed.names}]
    assert named == []

"""What a sender chooses is bounded: keys, names, sizes of documents, and the time that a message takes."""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import Mock

import orjson
import pytest

from bundled import BUNDLED
from commands import Home
from samples import KINDS, NOON, TOPIC, Site, line
from statscache.derivation.table import TABLE
from statscache.derivation.values import without_addresses
from statscache.ingest import judge
from statscache.ingest.observe import shown
from statscache.kinds import keys
from statscache.kinds.counter import CounterKind
from statscache.kinds.keys import OTHER
from statscache.message import Message
from statscache.parsing import parse
from statscache.plugins import Counter, Distinct, Latest, Plugin
from statscache.plugins.registry import Registry
from statscache.render import custom_documents
from statscache.store import Database, positions, quarantine
from statscache.store.copying import copy
from statscache.store.journal import removed
from statscache.timeline import DAY
from statscache.verify.recount import recount
from statscache_plugins.activity import RecentActivity
from statscache_plugins.contributors import Contributors
from statscache_plugins.volume import VolumeByCategory, VolumeByUser
from verify.test_damage import findings


class Colours(Counter):
    """Things, by colour: a bounded counter."""

    name = "colours"
    title = "Colours"
    dimensions = ("colour",)

    def observe(self, message: Message) -> list[Any]:
        """Yield what the body lists."""
        return [((colour,), amount) for colour, amount in message.body.get("colours", [])]


class Painters(Distinct):
    """Different painters, by colour."""

    name = "painters"
    title = "Painters"
    dimensions = ("colour",)

    def observe(self, message: Message) -> list[Any]:
        """Yield the id as the painter of each colour."""
        return [((colour,), message.id) for colour, _ in message.body.get("colours", [])]


class Newest(Latest):
    """The newest of each colour."""

    name = "newest-colours"
    title = "Newest colours"
    dimensions = ("colour",)

    def observe(self, message: Message) -> list[Any]:
        """Yield a long value for each colour."""
        return [((colour,), {"text": "x" * 1_000}) for colour, _ in message.body.get("colours", [])]


def painted(id: str, *colours: Any, at: float = NOON) -> bytes:
    """Return a message with these colours, each once or with its amount."""
    listed = [colour if isinstance(colour, tuple) else (colour, 1) for colour in colours]
    return line(id, at, body={"colours": listed})


def failures(site: Site) -> list[str]:
    """Return the reasons of all that is quarantined."""
    with site.database.reading() as connection:
        return [item.reason for item in quarantine.listed(connection)]


# Keys.


@pytest.mark.parametrize(
    ("dimension", "good", "bad"),
    [
        ("category", ("bodhi", "fedora_elections", "a-b+c", ""), ("x" * 65, "a b", "b\u00f6dhi", "\u0661")),
        ("topic", ("org.fedoraproject.prod.git.receive.c++.master", "t" * 255), ("t" * 256, "a b", "\u00fc")),
        ("release", ("f45", "epel10.1", "rawhide"), ("f\u0664\u0665", "x" * 33, "f 45")),
        ("user", ("ralph", "J\u00f6rg M", "u" * 200), ("u" * 201, "a\tb", "a\u202eb")),
    ],
)
def test_each_dimension_admits_an_alphabet_and_a_length(dimension: str, good: Any, bad: Any) -> None:
    """What it does not admit is counted under one key."""
    assert [keys.admitted(dimension, part) for part in good] == [*good]
    assert {keys.admitted(dimension, part) for part in bad} == {OTHER}


def test_hostile_categories_are_one_row(tmp_path: Path) -> None:
    """Long categories do not fill a statistic, and every message counts."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (VolumeByCategory, Contributors))
    hostile = [
        line(f"m{number}", NOON + number, f"org.fedoraproject.prod.{number:05d}{'x' * 960}.e") for number in range(50)
    ]
    site.feed([*hostile, line("fine", topic="org.fedoraproject.prod.wiki.article.edit", body={"user": "ann"})])
    site.publish()
    rows = site.document("v1/plugins/volume-by-category/latest.json")["rows"]
    assert [(row["category"], row["total"]) for row in rows] == [(OTHER, 50), ("wiki", 1)]
    assert not failures(site)
    site.close()


def test_a_message_that_names_very_many_counts_for_a_hundred_and_others(tmp_path: Path) -> None:
    """One message makes at most so many keys, the same ones in whatever order its sender wrote the names."""
    names = [f"u{number:05d}" for number in range(20_000)]
    Random(1).shuffle(names)
    topic = "org.fedoraproject.prod.meetbot.meeting.complete"
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (VolumeByUser,))
    site.feed([line("a", topic=topic, body={"owner": "eve", "attendees": dict.fromkeys(names, 1)})])
    assert (keys := [row[1][0] for row in site.state()["volume-by-user"] if row[0] == "key"])
    # The first by name, and one that stands for all others.
    assert sorted(keys) == sorted([OTHER, "eve", *sorted(names)[:99]])
    state = site.state()
    site.ingest.plugins.rebuild(["volume-by-user"])
    site.catch_up()
    assert site.state() == state
    site.close()


def test_what_a_message_yields_beyond_the_limit_is_summed_or_left_out(tmp_path: Path) -> None:
    """A counter adds it up under one key; other kinds keep the first."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Colours, Painters))
    site.feed([painted("a", *((f"c{number:03d}", 2) for number in range(150))), painted("b", "c149")])
    site.publish()
    rows = {row["colour"]: row["total"] for row in site.document("v1/plugins/colours/latest.json")["rows"]}
    assert rows == {**{f"c{number:03d}": 2 for number in range(100)}, OTHER: 100, "c149": 1}
    assert len([row for row in site.state()["painters"] if row[0] == "key"]) == 101
    site.close()


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_counter_of_too_many_keys_shows_the_greatest_and_the_sum_of_the_rest(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shuffled: bool
) -> None:
    """In `latest` and in each period of a series, whatever the order of messages; nothing is lost from the sums."""
    monkeypatch.setattr("statscache.kinds.counter.MOST_KEYS", 3)
    monkeypatch.setattr("statscache.kinds.buckets.MOST_IN_SERIES", 2)
    monkeypatch.setattr("statscache.kinds.distinct.MOST_IN_SERIES", 2)
    lines = [
        *(painted(f"a{number}", "red") for number in range(5)),
        *(painted(f"b{number}", "blue", at=NOON + DAY) for number in range(4)),
        *(painted(f"c{number}", "green", at=NOON + DAY * number) for number in range(3)),
        *(painted(f"d{number}", colour) for number, colour in enumerate(("pink", "grey", "sp\tiked"))),
        painted("e", at=NOON + 3 * DAY),
    ]
    if shuffled:
        Random(2).shuffle(lines)
    site = Site(database_url, tmp_path / "site", (Colours, Painters))
    for each in lines if shuffled else [lines]:
        site.feed([each] if isinstance(each, bytes) else each)
    site.publish()
    rows = site.document("v1/plugins/colours/latest.json")["rows"]
    shown = [(row["colour"], row["total"]) for row in rows]
    assert shown == [(OTHER, 3), ("blue", 4), ("green", 3), ("red", 5)]
    series = site.document("v1/plugins/colours/series/1d/2015.json")
    day = NOON - NOON % DAY
    assert series["rows"] == [
        [day, OTHER, 4],
        [day, "red", 5],
        [day + DAY, OTHER, 1],
        [day + DAY, "blue", 4],
        [day + 2 * DAY, OTHER, 1],
    ]
    uniques = site.document("v1/plugins/painters/series/1d/2015.json")
    assert [row[1:] for row in uniques["rows"]] == [["red", 5], ["blue", 4]]
    # Green, pink and grey.
    assert uniques["omitted"] == 3
    site.close()


# Documents.


def test_a_document_that_is_too_large_has_fewer_rows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest rows go; the rest is published, and so are the other documents."""
    monkeypatch.setattr(custom_documents, "LARGEST", 20_000)
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Newest,))
    site.feed([painted(f"m{number}", f"c{40 - number:02d}", at=NOON + number) for number in range(40)])
    site.publish()
    document = site.document("v1/plugins/newest-colours/latest.json")
    kept = len(document["rows"])
    assert 15 <= kept < 20
    assert document["omitted"] == 40 - kept
    assert [row["colour"] for row in document["rows"]] == [f"c{number:02d}" for number in range(1, kept + 1)]
    path = site.public / "v1/plugins/newest-colours/latest.json"
    assert path.stat().st_size <= 20_000
    assert len(path.with_suffix(".csv").read_bytes().splitlines()) == kept + 1
    assert site.document("v1/index.json")["plugins"][0]["state"] == "ok"
    site.close()


def test_an_entry_of_the_activity_wall_is_shortened(tmp_path: Path) -> None:
    """A topic of a thousand emoji and a link of two kilobytes do not quarantine a message."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (RecentActivity,))
    topic = f"org.fedoraproject.prod.{chr(0x1F600) * 960}"
    site.feed(line(f"m{n}", NOON + n, topic, body={"url": "https://e.org/" + "a" * 1_900}) for n in range(3))
    site.publish()
    rows = site.document("v1/plugins/recent-activity/latest.json")["rows"]
    assert len(rows) == 3
    assert rows[0]["topic"].endswith("\u2026")
    assert not failures(site)
    site.close()


# Suspension.


class Slow(Colours):
    """Takes its time, with some messages or with all."""

    name = "slow"
    always: ClassVar[bool] = False

    def observe(self, message: Message) -> list[Any]:
        """Wait a while for messages that say so."""
        if self.always or message.body.get("slow"):
            time.sleep(0.02)
        return super().observe(message)


@pytest.mark.parametrize("always", [False, True])
def test_slow_messages_suspend_only_a_plugin_that_is_slow_with_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, always: bool
) -> None:
    """One that is quick with what it counted before goes on."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Slow,))
    monkeypatch.setattr(site.ingest, "_budget", 0.1)
    site.feed([painted("quick", "red")])
    monkeypatch.setattr(Slow, "always", always)
    site.feed(line(f"m{n}", NOON + n, body={"colours": [["red", 1]], "slow": True}) for n in range(10))
    with site.database.reading() as connection:
        suspended = positions.load(connection)["slow"].suspended
    assert (suspended is not None) == always
    monkeypatch.setattr(site.ingest, "_budget", 30.0)
    if always:
        site.ingest.resume("slow")
        site.catch_up()
    assert [row[2] for row in site.state()["slow"] if row[0] == "key"] == [11]
    site.close()


def test_a_pause_of_the_machine_suspends_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message that a plugin is measured by takes long once, for no fault of the plugin's."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Slow,))
    monkeypatch.setattr(site.ingest, "_budget", 0.1)
    site.feed([painted("quick", "red")])
    calls = itertools.count()
    # The clock leaps between the first two looks at it, which are those of the first run.
    clock = SimpleNamespace(
        monotonic=time.monotonic, perf_counter=lambda: time.perf_counter() + 0.5 * (next(calls) > 0)
    )
    monkeypatch.setattr(judge, "time", clock)
    site.feed(line(f"m{n}", NOON + n, body={"colours": [["red", 1]], "slow": True}) for n in range(10))
    assert next(calls) > 2
    with site.database.reading() as connection:
        assert positions.load(connection)["slow"].suspended is None
    site.close()


def test_a_plugin_of_which_all_is_refused_is_suspended(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried message by message forever, and folds all of it when it is fixed."""
    site = Site(database_url, tmp_path / "site", (Colours, VolumeByCategory))
    merges = Mock(side_effect=ValueError("no room"))
    with monkeypatch.context() as patch:
        patch.setattr("statscache.kinds.counter.CounterKind.merge", only_of("colours", merges))
        site.feed(painted(f"m{n}", "red", at=NOON + n) for n in range(3_000))
        assert merges.call_count < 4_000
        for part in range(3):
            site.feed(painted(f"{part}-{n}", "red", at=NOON + n) for n in range(400))
    with site.database.reading() as connection:
        assert "refused" in str(positions.load(connection)["colours"].suspended)
    assert not failures(site)
    site.ingest.resume("colours")
    site.catch_up()
    assert [row[2] for row in site.state()["colours"] if row[0] == "key"] == [4_200]
    site.close()


def only_of(name: str, instead: Callable[..., Any]) -> Callable[..., Any]:
    """Return a merge that is another one for one plugin."""
    merge = CounterKind.merge

    def chosen(kind: CounterKind, state: Any, new: Any) -> Any:
        return instead() if kind.plugin.name == name else merge(kind, state, new)

    return chosen


# Time.

UNITS = 400
"""Length in units of the shortest text of a series; the others have twice and four times as many."""

TEXTS: dict[str, Callable[[int], str]] = {
    "letters before an at": lambda n: "a" * n + "@",
    "no domain": lambda n: "http://" + "a" * n + "@_,x@y.zz",
    "ats": lambda n: "@" * n,
    "colons": lambda n: ":" * n,
    "hex": lambda n: "a" * n + ":",
    "numbers": lambda n: "1." * n,
    "dots": lambda n: "." * n,
    "hyphens": lambda n: "a-" * n,
    "mentions": lambda n: "@a " * n,
    "spaces": lambda n: " " * n,
    "commas": lambda n: "a-1-1," * n,
    "braces": lambda n: "{[" * n,
    "hosts": lambda n: "a.b@c." * n,
}

FIELDS = (
    *("agent", "user", "username", "usernames", "owner", "name", "title", "text", "url", "link", "html_url", "subject"),
    *("update", "comment", "builds", "packages", "package", "attendees", "chairs", "regions", "architectures", "tags"),
    *("repository", "registries", "body", "msg", "bug", "commit", "project", "fas_usernames", "differences", "info"),
    *("image_name", "image_definition_name", "image_version_name", "compose_id", "destination", "status", "branch"),
    *("release", "tag", "badge", "item", "data", "task", "trigger", "message", "sender", "cc", "recipient", "topic"),
)


def bodies(text: Callable[[int], str], units: int) -> Iterator[Any]:
    """Yield bodies with the text, or many short ones, wherever something is read."""
    yield dict.fromkeys(FIELDS, text(units))
    short = text(60)[:480]
    yield {name: [short] * (units // 8) for name in FIELDS}
    yield {name: {f"{short}{number}": short for number in range(units // 40)} for name in FIELDS}
    yield {name: {"name": text(units), "title": text(units), "username": text(units)} for name in FIELDS}


def cost(work: Callable[[], object], runs: int) -> float:
    """Return the least processor time of some runs, in seconds."""
    found = []
    for _ in range(runs):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def assert_linear(what: str, work: Callable[[int], Callable[[], object]]) -> None:
    """Check that four times the length costs about four times as much; a square would be sixteen times."""
    gc.disable()
    try:
        # What takes no time at all has no shape. A machine at other work makes a figure larger, never smaller.
        for runs in (1, 3, 3, 3):
            least, twice, most = (cost(work(UNITS * factor), runs) for factor in (1, 2, 4))
            if most < 0.002 or (most < 9 * least and most < 3.5 * twice):
                return
    finally:
        gc.enable()
    pytest.fail(f"{what}: {least * 1e3:.1f}, {twice * 1e3:.1f} and {most * 1e3:.1f} ms for 1, 2 and 4 times the length")


@pytest.mark.parametrize("name", TEXTS)
def test_masking_addresses_takes_linear_time(name: str) -> None:
    """Of any text, however long."""
    assert_linear(name, lambda units: lambda: without_addresses(TEXTS[name](5 * units)))


def _message(topic: str, body: Any) -> bytes:
    return orjson.dumps({"topic": f"org.fedoraproject.prod.{topic}", "id": "x", "timestamp": NOON, "msg": body})


@lru_cache(maxsize=3)
def _parsed(name: str, units: int) -> list[Any]:
    """Return the bodies as they are read of messages, whatever their topic: one test needs those of three lengths."""
    return [parse(_message("wiki.article.edit", body)).body for body in bodies(TEXTS[name], units)]


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_reading_a_message_takes_linear_time(name: str) -> None:
    """Its record, who acted, the subtitle and the link, under every rule."""
    for topic in sorted(TABLE):

        def read(units: int, topic: str = topic) -> Callable[[], object]:
            read = _parsed(name, units)

            def work() -> object:
                return [(m.subtitle, m.link) for m in _messages(topic, read)]

            return work

        assert_linear(f"{topic} {name}", read)


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_every_bundled_statistic_takes_linear_time(name: str) -> None:
    """Observing, and checking what it yields, of any text anywhere."""
    for cls in BUNDLED:
        plugin = cls()
        wants = Registry([plugin]).interested
        topics = [pattern.replace("*", "x").removesuffix(".#") for pattern in cls.topics] or ["wiki.article.edit"]
        for topic in topics:
            assert wants(topic)

            def observe(units: int, plugin: Plugin = plugin, topic: str = topic) -> Callable[[], object]:
                read = _parsed(name, units)

                def work() -> object:
                    seen = (shown(plugin, message) for message in _messages(topic, read))
                    return [[plugin.kind.check(item) for item in plugin.observe(each) or ()] for each in seen]

                return work

            assert_linear(f"{cls.name} {topic} {name}", observe)


def _messages(topic: str, read: list[Any]) -> list[Message]:
    """Return messages of which nothing was derived yet."""
    return [Message("x", f"org.fedoraproject.prod.{topic}", NOON, body) for body in read]


@pytest.mark.parametrize("depth", [1, 90])
def test_a_number_beyond_64_bits_is_looked_for_in_linear_time(depth: int) -> None:
    """The way to each value is reported, and does not grow with the depth."""

    def work(units: int) -> Callable[[], object]:
        body: Any = [1e20, *range(units)]
        for _ in range(depth):
            body = {"k" * 40: body}
        raw = orjson.dumps({"topic": TOPIC, "timestamp": NOON, "body": body})
        return lambda: parse(raw)

    assert_linear("numbers", work)


def test_keys_of_an_attack_are_listed_by_pattern_and_dropped(tmp_path: Path) -> None:
    """A pattern of one plugin removes what was done, at once and from then on; it can be taken back."""
    home = Home(tmp_path / "home")
    attack = [line(f"x{number}", NOON + 9 + number, f"org.fedoraproject.prod.x-{number}.y") for number in range(51)]
    genuine = [line(f"g{number}", NOON + number, "org.fedoraproject.prod.git.receive") for number in range(7)]
    (home.directory / "archive").write_bytes(b"\n".join(attack[1:] + genuine))
    (home.directory / "later").write_bytes(attack[0])
    home.run("backfill", "archive")
    listed = home.json("keys", "list", "volume-by-category", "x-*")
    assert (listed["keys"], listed["matching"], len(listed["newest"])) == (51, 50, 20)
    assert listed["newest"][0] == {"key": ["x-50"], "total": 1, "first": NOON + 59}
    assert "50 of 51 keys of volume-by-category match" in home.run("keys", "list", "volume-by-category", "x-*").stdout
    assert home.json("keys", "list", "volume-by-category", "X-*")["matching"] == 0
    home.run("publish")
    assert "dropped 50 keys" in home.run("keys", "drop", "volume-by-category", "x-*").stdout
    home.run("backfill", "later")
    home.run("publish")
    latest = home.directory / "public/v1/plugins/volume-by-category/latest.json"
    assert {row["category"]: row["total"] for row in orjson.loads(latest.read_bytes())["rows"]} == {"git": 7}
    assert home.json("keys", "list", "volume-by-category")["dropped"] == ["x-*"]
    assert "dropped: x-*" in home.run("keys", "list", "volume-by-category").stdout
    home.run("verify", "--journal")
    home.run("db", "check")
    assert "no active plugin" in home.run("keys", "drop", "nothing", "x-*", status=2).stderr
    assert "has no keys" in home.run("keys", "drop", "recent-activity", "x-*", status=1).stderr
    assert "see `statscache keys list" in home.run("keys", "restore", "volume-by-category", "y", status=1).stderr
    home.run("keys", "restore", "volume-by-category", "x-*")
    assert home.json("keys", "list", "volume-by-category", "x-*")["matching"] == 51


class People(Distinct):
    """Who bought what."""

    name = "people"
    title = "People"
    dimensions = ("thing",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count the buyer."""
        yield (message.body.get("thing"),), str(message.body.get("buyer"))


@pytest.mark.parametrize("keep", [None, 1])
def test_dropped_keys_need_no_history_and_leave_what_a_rebuild_would(
    keep: int | None, database_url: str, tmp_path: Path
) -> None:
    """In every kind: dropped before, between or behind the messages, and in a copy; also what the journal has lost."""
    plugins: tuple[type[Plugin], ...] = (*KINDS, People)
    dimensions = {plugin.name: plugin.dimensions for plugin in plugins}

    def sales(start: int, days: int = 0) -> list[bytes]:
        return [
            line(
                f"{start}.{number}",
                NOON + days * DAY + number,
                body={
                    "thing": f"{'evil' if number % 3 else 'hat'}{number % 7}",
                    "buyer": f"{'foe' if number % 4 else 'b'}{number % 5}",
                    "amount": 1,
                },
            )
            for number in range(start, start + 40)
        ]

    def drop(site: Site) -> None:
        for name, dims in dimensions.items():
            if dims and site.installation.registry.get(name).kind.follows_from_yields:
                site.ingest.plugins.drop_keys(name, "evil*")
                site.ingest.plugins.drop_keys(name, "foe*")

    def states(site: Site) -> Any:
        through = NOON + 40 * DAY
        with site.database.reading() as connection:
            rows = positions.load(connection)
            return {
                plugin.name: (
                    [*plugin.kind.dump(connection, rows[plugin.name].id, through)],
                    rows[plugin.name].oldest,
                    rows[plugin.name].newest,
                )
                for plugin in site.installation.registry
                if plugin.kind.follows_from_yields
            }

    journal = {"keep": keep}
    site = Site(database_url, tmp_path / "site", plugins, journal=journal)
    site.feed(sales(0))
    site.publish()
    if keep:
        site.feed(sales(100, 30))
        site.catch_up()
        with site.database.reading() as connection:
            assert removed(connection).messages
    else:
        site.feed(sales(100, 30))
    drop(site)
    site.publish()
    site.feed(sales(200, 35))
    site.publish()
    latest = site.tree()["v1/plugins/sales/latest.json"]
    assert b"evil" not in latest
    assert b"foe" not in latest
    assert b"hat0" in latest
    assert not [path for path in site.tree() if "/by/foe" in path]
    assert findings(site) == []
    assert all(not each.differences for each in recount(site.installation, lambda done, total: None))
    before = Site(f"sqlite:///{tmp_path}/before.db", tmp_path / "before", plugins)
    drop(before)
    for lines in (sales(200, 35), sales(0), sales(100, 30)):
        before.feed(lines)
    assert states(before) == states(site)
    before.publish()
    tree = {path: data for path, data in site.tree().items() if path.startswith("v1/plugins/")}
    site.build(force=True)
    assert {path: data for path, data in site.tree().items() if path.startswith("v1/plugins/")} == tree
    before.close()
    target = Database(f"sqlite:///{tmp_path}/copy.db")
    [*copy(site.database, target)]
    target.close()
    copied = Site(f"sqlite:///{tmp_path}/copy.db", tmp_path / "copy", plugins)
    for each in (site, copied):
        each.feed(sales(300, 36))
    assert states(copied) == states(site)
    if not keep:
        after = states(site)
        site.ingest.plugins.rebuild([*after])
        site.catch_up()
        assert states(site) == after
    copied.close()
    site.close()

"""Distinct, Span, divided counters and documents of one's own, each against numbers that are told here."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from samples import NOON, Baskets, Customers, Deliveries, Prices, Site, fresh_site, line
from statscache import layout, testing
from statscache.exceptions import DocumentError, PluginError, YieldError
from statscache.plugins import Counter, Distinct, Latest, Log, Message, Plugin, Span, State
from statscache.store import coverage
from statscache.timeline import DAILY, HOUR, MONTHLY, RESOLUTIONS, WEEKLY, parse_time

DAY = 86400
TOPIC = "org.fedoraproject.prod.shop.sale"
MIDNIGHT = NOON - NOON % DAY

ISO: dict[str, Callable[[datetime], str]] = {
    "1d": lambda moment: moment.strftime("%Y-%m-%d"),
    "1w": lambda moment: "{}-{}".format(*moment.isocalendar()),
    "1mo": lambda moment: moment.strftime("%Y-%m"),
}


def sale(buyer: str | None, thing: str | None = "hat", timestamp: int = NOON, amount: int = 1, **more: Any) -> Message:
    """Return the message of a sale."""
    return testing.message(TOPIC, {"buyer": buyer, "thing": thing, "amount": amount, **more}, timestamp=timestamp)


@pytest.fixture
def publishing(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Opens a site with these plugins, and closes it after the test."""
    opened: list[Site] = []

    def open_site(*plugins: type[Plugin]) -> Site:
        opened.append(Site(database_url, tmp_path, plugins))
        return opened[-1]

    yield open_site
    for site in opened:
        site.close()


# Time.


@pytest.mark.parametrize(
    ("resolution", "moment", "start", "end", "period"),
    [
        ("1w", "2015-08-08T13:00", "2015-08-03", "2015-08-10", ("2014-12-29", "2016-01-04", "2015")),
        ("1w", "2016-01-03T23:59:59", "2015-12-28", "2016-01-04", ("2014-12-29", "2016-01-04", "2015")),
        ("1w", "2016-01-04", "2016-01-04", "2016-01-11", ("2016-01-04", "2017-01-02", "2016")),
        ("1w", "1970-01-01", "1969-12-29", "1970-01-05", ("1969-12-29", "1971-01-04", "1970")),
        ("1mo", "2016-02-29T12:00", "2016-02-01", "2016-03-01", ("2016-01-01", "2017-01-01", "2016")),
        ("1mo", "2015-12-31T23:59:59", "2015-12-01", "2016-01-01", ("2015-01-01", "2016-01-01", "2015")),
    ],
)
def test_weeks_and_months_are_those_of_the_calendar(
    resolution: str, moment: str, start: str, end: str, period: tuple[str, str, str]
) -> None:
    """Weeks start on Mondays and belong to ISO years; months are as long as they are."""
    cut, time = RESOLUTIONS[resolution], parse_time(moment)
    assert cut.buckets(time) == (parse_time(start), parse_time(end))
    assert (cut.floor(time), cut.ceil(time)) == (parse_time(start), time if moment == start else parse_time(end))
    found = cut.period(time)
    assert (found.start, found.end, found.label) == (parse_time(period[0]), parse_time(period[1]), period[2])


# Distinct.


def test_uniques_are_those_of_plain_sets(publishing: Callable[..., Site]) -> None:
    """Over 500 days, by day, week and month, what is published are the sizes of sets, in batches and out of order."""
    rng = random.Random(4)
    sales = [(f"b{rng.randrange(30)}", rng.choice("xy"), MIDNIGHT + rng.randrange(500 * DAY)) for _ in range(600)]
    site = publishing(Customers)
    for at in range(0, 600, 150):
        batch = sales[at : at + 150]
        bodies = [{"buyer": buyer, "thing": thing, "nonce": rng.random()} for buyer, thing, _ in batch]
        site.feed(line("", time, body=body) for (_, _, time), body in zip(batch, bodies, strict=True))
        site.publish()
    for resolution, name_of in ISO.items():
        sets: dict[tuple[str, str], set[str]] = defaultdict(set)
        for buyer, thing, time in sales:
            sets[name_of(datetime.fromtimestamp(time, UTC)), thing].add(buyer)
        expected = {key: len(members) for key, members in sets.items()}
        found = {}
        for path, data in site.aliases().items():
            if f"/series/{resolution}/" in path and path.endswith(".json") and not path.endswith("index.json"):
                for start, thing, value in orjson.loads(data)["rows"]:
                    found[name_of(datetime.fromtimestamp(start, UTC)), thing] = value
        assert found == expected


def test_the_last_whole_day_week_and_month_are_those_before_through() -> None:
    """`latest` tells uniques of whole days, weeks and months; the unfinished ones are in none."""
    times = "2015-07-31", "2015-08-02T23:59:59", "2015-08-03", "2015-08-08", "2015-08-09"
    sales = [sale(f"b{number}", timestamp=parse_time(time)) for number, time in enumerate(times)]
    assert testing.run(Customers, sales)["latest.json"]["rows"] == [
        {"thing": "hat", "last_day": 1, "last_week": 2, "last_month": 1}
    ]
    documents = testing.run(Customers, [*sales, sale("late", timestamp=parse_time("2015-08-10"))])
    assert documents["latest.json"]["rows"] == [{"thing": "hat", "last_day": 1, "last_week": 3, "last_month": 1}]
    assert documents["latest.json"]["through"] == parse_time("2015-08-10")


def test_a_member_that_is_seen_again_moves_the_time_of_the_documents(publishing: Callable[..., Site]) -> None:
    """What is published incrementally says through when it is, though no number has changed; so does a full render."""
    site = publishing(Customers)
    for second in range(3):
        site.feed([line(f"again{second}", NOON + second, body={"buyer": "ralph", "thing": "hat"})])
        incremental = site.build().id
        tree = site.tree()
        for resolution in ("1d", "1w", "1mo"):
            series = orjson.loads(tree[f"v1/plugins/customers/series/{resolution}/2015.json"])
            assert (series["through"], series["rows"][0][-1]) == (NOON + second, 1)
        assert site.build(force=True).id == incremental


def test_members_are_kept_without_their_names(publishing: Callable[..., Site]) -> None:
    """No published byte names a member."""
    site = publishing(Customers)
    site.feed([line("a", body={"buyer": "zaphod", "thing": "hat"})])
    site.publish()
    assert not [path for path, data in site.aliases().items() if b"zaphod" in data]
    assert not [row for row in site.state()["customers"] if "zaphod" in repr(row)]


def test_widths_tell_resolutions_apart() -> None:
    """No two resolutions of a kind have the same number in the database."""
    assert len({resolution.width for resolution in (DAILY, WEEKLY, MONTHLY)}) == 3
    assert MONTHLY.fixed_width is None


# Span.


class Trips(Span):
    """Trips that start and stop."""

    name = "trips"
    title = "Trips"
    dimensions = ("trip",)
    shown = 3

    def observe(self, message: Message) -> Iterator[Any]:
        """Do what the body says."""
        does, fields = message.body["does"], message.body.get("fields")
        yield ((message.body["trip"],), does) if fields is None else ((message.body["trip"],), does, fields)


def trip(name: str, does: str, timestamp: int, **fields: Any) -> Message:
    """Return the message of a trip."""
    body = {"trip": name, "does": does, "fields": fields or None}
    return testing.message("org.fedoraproject.prod.trip", body, timestamp=timestamp)


def trips(*messages: Message) -> list[dict[str, Any]]:
    """Return the rows that are published, in whatever order messages come."""
    rows: list[dict[str, Any]] = testing.run(Trips, messages)["latest.json"]["rows"]
    assert testing.run(Trips, reversed(messages))["latest.json"]["rows"] == rows
    return rows


def test_a_span_is_from_the_first_start_to_the_last_stop() -> None:
    """Starts and stops may be several; the fields are those of the newest yield that had any."""
    assert trips(
        trip("a", "start", NOON, by="car"),
        trip("a", "start", NOON + 5, by="train"),
        trip("a", "stop", NOON + 60),
        trip("a", "stop", NOON + 90),
    ) == [{"trip": "a", "start": NOON, "stop": NOON + 90, "duration": 90, "in_progress": False, "by": "train"}]


def test_what_is_unknown_is_null() -> None:
    """A span in progress has no stop; one whose start was missed no start; one that stopped first no duration."""
    backwards = trip("c", "start", NOON), trip("c", "stop", NOON - 1)
    assert trips(trip("a", "start", NOON), trip("b", "stop", NOON), *backwards) == [
        {"trip": "a", "start": NOON, "stop": None, "duration": None, "in_progress": True},
        {"trip": "b", "start": None, "stop": NOON, "duration": None, "in_progress": False},
        {"trip": "c", "start": NOON, "stop": NOON - 1, "duration": None, "in_progress": False},
    ]


def test_the_spans_that_moved_last_are_shown() -> None:
    """The newest by the later of start and stop, ties by key, and in order of the key; all are kept."""
    messages = [trip(name, "start", NOON + number) for number, name in enumerate("dbca")]
    assert [row["trip"] for row in trips(*messages)] == ["a", "b", "c"]
    assert [row["trip"] for row in trips(*messages, trip("d", "stop", NOON + 9))] == ["a", "c", "d"]
    assert [row["trip"] for row in trips(*(trip(name, "start", NOON) for name in "abcd"))] == ["b", "c", "d"]
    early = trip("a", "start", NOON - 100)
    assert [row["trip"] for row in trips(*messages, early)] == ["b", "c", "d"], "an earlier start moves it back"


def as_line(identity: str, message: Message) -> bytes:
    """Return a message as it is sent."""
    return line(identity, message.timestamp, message.topic, message.body)


class Short(Trips):
    """Trips that take a day at most."""

    name = "short"
    shown = 10
    longest = DAY


def test_whether_something_goes_on_is_unknown_where_its_stop_may_have_been_missed(tmp_path: Path) -> None:
    """Behind a gap at once, and after the declared time; what stopped, and what began since, is known."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Trips, Short))
    begun = [trip("a", "start", NOON), trip("b", "start", NOON + 60), trip("b", "stop", NOON + 2 * HOUR)]
    site.feed(as_line(f"{at}", each) for at, each in enumerate(begun))

    def going(name: str) -> dict[str, bool | None]:
        """Return what the plugin says after a publication."""
        site.publish()
        document = site.document(f"v1/plugins/{name}/latest.json")
        return {row["trip"]: row["in_progress"] for row in document["rows"]}

    assert going("trips") == going("short") == {"a": True, "b": False}
    with site.database.writing() as connection:
        coverage.record(connection, NOON + HOUR, NOON + 90 * 60, complete=False)
    assert going("trips") == going("short") == {"a": None, "b": False}
    with site.database.writing() as connection:
        coverage.record(connection, NOON + HOUR, NOON + 90 * 60, complete=True)
    assert going("trips") == {"a": True, "b": False}
    site.feed([as_line("c", trip("c", "start", NOON + DAY - 1))])
    assert going("short") == {"a": True, "b": False, "c": True}
    site.feed([as_line("d", trip("d", "start", NOON + DAY + 5))])
    assert going("short") == {"a": None, "b": False, "c": True, "d": True}
    assert going("trips") == {"b": False, "c": True, "d": True}
    site.close()


# Divided counters and their queries.


def test_the_parts_of_a_key_add_up_to_it() -> None:
    """Each part has its total and weeks, null first; the key has their sums by day."""
    documents = testing.run(
        Baskets,
        [
            sale("ann", "hat", NOON, 2), sale("ann", "hat", NOON + DAY, 3), sale("ann", None, NOON, 5),
            sale("ann", "", NOON, 1), sale("bob", "hat", NOON, 9),
        ],
    )  # fmt: skip
    document = documents["by/ann.json"]
    assert document["parts"] == [
        {"thing": None, "total": 5, "weeks": {"2015": [[MIDNIGHT - 5 * DAY, 5]]}},
        {"thing": "", "total": 1, "weeks": {"2015": [[MIDNIGHT - 5 * DAY, 1]]}},
        {"thing": "hat", "total": 5, "weeks": {"2015": [[MIDNIGHT - 5 * DAY, 5]]}},
    ]
    assert document["days"] == {"2015": [[MIDNIGHT, 8], [MIDNIGHT + DAY, 3]]}
    assert document["total"] == 11
    assert [(row["buyer"], row["total"]) for row in documents["latest.json"]["rows"]] == [("ann", 11), ("bob", 9)]


class Board(Baskets):
    """What the queries of a divided counter give."""

    name = "board"

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ask everything."""
        yield "latest", {"rows": self.latest(state)}
        yield "all", {"rows": self.leaders(state, limit=2)}
        yield "two-days", {"rows": self.leaders(state, days=2)}
        yield "hats", {"rows": self.leaders(state, part="hat"), "recent": self.leaders(state, days=1, part="hat")}
        yield "new", {"all": self.newcomers(state, days=3), "hats": self.newcomers(state, part="hat")}
        yield "parts", {"rows": self.newcomers_by_part(state, days=1)}


class Simple(Counter):
    """The same of a counter that is neither unbounded nor divided."""

    name = "simple"
    title = "Simple"
    dimensions = ("buyer",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count the amount."""
        yield (message.body["buyer"],), message.body["amount"]

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ask what it can be asked."""
        yield "latest", {"rows": self.latest(state)}
        yield "all", {"rows": self.leaders(state, limit=2)}
        yield "two-days", {"rows": self.leaders(state, days=2)}
        yield "new", {"all": self.newcomers(state, days=3)}


SALES = [
    sale("ann", "hat", NOON - 2 * DAY, 1),
    sale("bob", "hat", NOON - DAY, 4),
    sale("cid", "pie", NOON - DAY, 4),
    sale("cid", "hat", NOON - DAY - 1, 1),
    sale("dan", "hat", NOON - 3 * DAY, 9),
    sale("eve", "pie", NOON, 9),
]


@pytest.mark.parametrize("plugin", [Board, Simple])
def test_leaders_and_newcomers(plugin: type[Plugin]) -> None:
    """Leaders are by sum and then by key, over everything or over whole days; newcomers by the day first seen."""
    documents = testing.run(plugin, SALES)
    assert documents["all.json"]["rows"] == [{"buyer": "dan", "value": 9}, {"buyer": "eve", "value": 9}]
    assert documents["two-days.json"]["rows"] == [
        {"buyer": "cid", "value": 5}, {"buyer": "bob", "value": 4}, {"buyer": "ann", "value": 1},
    ]  # fmt: skip
    assert documents["new.json"]["all"] == [[MIDNIGHT - day * DAY, number] for day, number in ((3, 1), (2, 1), (1, 2))]
    late = testing.run(plugin, [*SALES, sale("bob", "hat", NOON - 3 * DAY)])
    assert late["new.json"]["all"] == [[MIDNIGHT - day * DAY, number] for day, number in ((3, 2), (2, 1), (1, 1))]


def test_queries_by_part() -> None:
    """With a part, only that part counts, and a key is new when it is first seen in it."""
    documents = testing.run(Board, SALES)
    assert [(row["buyer"], row["value"]) for row in documents["hats.json"]["rows"]] == [
        ("dan", 9), ("bob", 4), ("ann", 1), ("cid", 1),
    ]  # fmt: skip
    assert [(row["buyer"], row["value"]) for row in documents["hats.json"]["recent"]] == [("bob", 4), ("cid", 1)]
    assert documents["new.json"]["hats"] == [[MIDNIGHT - 3 * DAY, 1], [MIDNIGHT - 2 * DAY, 1], [MIDNIGHT - DAY, 2]]
    assert documents["parts.json"]["rows"] == [[MIDNIGHT - DAY, "hat", 2], [MIDNIGHT - DAY, "pie", 1]]


def test_a_part_of_what_is_not_divided_is_an_error(publishing: Callable[..., Site]) -> None:
    """The text names the plugin and what it lacks."""
    with (
        publishing(Simple).database.reading() as connection,
        pytest.raises(ValueError, match="plugin simple was asked for the part 'hat', but declares no `breakdown`"),
    ):
        Simple().leaders(State(connection, 1, NOON), part="hat")


def test_newcomers_by_part_of_what_is_not_divided_are_an_error(publishing: Callable[..., Site]) -> None:
    """They have no part to be in."""
    with (
        publishing(Simple).database.reading() as connection,
        pytest.raises(ValueError, match="plugin simple was asked for newcomers by part, but declares no `breakdown`"),
    ):
        Simple().newcomers_by_part(State(connection, 1, NOON))


def test_a_window_that_moved_renders_and_passes_the_gate(publishing: Callable[..., Site]) -> None:
    """A day that ends empties a leaderboard without an event of its plugin, and nothing holds that back."""
    site = publishing(Baskets)
    site.feed([line(f"m{n}", NOON - DAY, body={"buyer": f"b{n}", "thing": "hat"}) for n in range(3)])
    site.feed([line("now", NOON, body={"buyer": "b", "thing": "hat"})])
    site.publish()
    assert len(site.document("v1/plugins/baskets/leaders.json")["rows"]) == 3
    site.feed([line("later", NOON + 40 * DAY, topic="org.fedoraproject.prod.other")])
    site.publish()
    document = site.document("v1/plugins/baskets/leaders.json")
    assert (document["rows"], document["through"]) == ([], MIDNIGHT + 40 * DAY)
    before = site.aliases()
    assert site.publish(force=True).id == site.document("v1/index.json")["snapshot"]
    assert site.aliases() == before


# Values.


class Wall(Log):
    """What was said, and values of it."""

    name = "wall"
    title = "Wall"
    clocks = (DAY,)

    def observe(self, message: Message) -> Iterator[Any]:
        """Quote the message."""
        yield (), {"said": message.body["said"]}

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish how many whole days ago each was said."""
        yield from super().documents(state)
        today = (state.through or 0) // DAY
        ages = [{"said": value["said"], "days": today - time // DAY} for _, time, value in self.values(state)]
        yield "ages", {"rows": ages}


def test_a_document_that_depends_on_the_day_is_made_again_each_day(publishing: Callable[..., Site]) -> None:
    """`clocks` makes documents of any kind dirty when a bucket ends; within a day nothing changes."""
    site = publishing(Wall)
    site.feed([line("a", NOON, topic="a.b.prod.wall", body={"said": "</script>"})])
    site.publish()
    # A message on which the plugin raises moves the clock, and nothing else.
    site.feed([line("b", NOON + DAY - 3600, topic="a.b.prod.wall")])
    site.publish()
    assert site.document("v1/plugins/wall/ages.json")["rows"] == [{"said": "</script>", "days": 1}]
    assert site.document("v1/plugins/wall/ages.json")["through"] == MIDNIGHT + DAY
    before = site.aliases()
    site.publish(force=True)
    assert site.aliases() == before


def test_a_value_of_over_four_kilobytes_is_shortened() -> None:
    """The bus decides how long texts are: the largest are cut, and what cannot be cut is left out."""

    def kept(**fields: Any) -> Any:
        return orjson.loads(Wall().kind.check(((), fields))[1])

    whole = {"said": "x" * 4_085}
    assert kept(**whole) == whole
    assert kept(said="x" * 4_086) == {"said": "x" * 100 + "\u2026"}
    long = {"topic": "t" * 1_000, "said": "\U0001f600" * 700, "link": "https://example.org/" + "a" * 1_900, "n": 1}
    assert kept(**long) == {**long, "said": "\U0001f600" * 100 + "\u2026"}
    assert kept(a="https://" + "a" * 4_000, b="b" * 600) == {"a": None, "b": "b" * 600}
    assert kept(a=["a"] * 2_000, b={"b": "b" * 2_000}, c=1) == {"a": None, "b": {"b": "b" * 2_000}, "c": 1}
    with pytest.raises(YieldError, match="at most 4096 are kept"):
        kept(**{f"field{number}": number for number in range(1_000)})


@pytest.mark.parametrize(
    ("plugin", "item", "said"),
    [
        (Customers, ("hat",), "takes a key and a member"),
        (Customers, (("hat",), 5), "must be a string; got 5"),
        (Customers, (("hat",), "\ud800"), "lone surrogate"),
        (Customers, (("hat", "b"), "ann"), "has 2 parts"),
        (Trips, (("a",), "begin"), "must 'start' or 'stop'"),
        (Trips, (("a",), "start", {"start": 1}), "has the fields ['start']"),
        (Trips, (("a",), "start", {}, 1), "takes a key"),
        (Trips, "start", "takes a key"),
        (Baskets, ("ann",), "has 1 parts; the dimensions are ('buyer', 'thing')"),
    ],
)
def test_what_a_kind_cannot_count_is_reported(plugin: type[Plugin], item: Any, said: str) -> None:
    """The error shows what was yielded and what was expected."""
    with pytest.raises(YieldError) as caught:
        plugin().kind.check(item)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("base", "attributes", "fix"),
    [
        (Counter, {"breakdown": "thing", "dimensions": ("a",)}, "only `unbounded` counters have"),
        (Counter, {"breakdown": "a", "dimensions": ("a",), "unbounded": True}, "and none of theirs"),
        (Counter, {"breakdown": "total", "dimensions": ("a",), "unbounded": True}, "give it a name as dimensions have"),
        (Counter, {"dimensions": ("last_week",)}, "give a tuple of names"),
        (Counter, {"clocks": 5}, "give a tuple of seconds, such as (86400,)"),
        *(
            (
                base,
                {"unbounded": True, "dimensions": ("a",)},
                f"`unbounded` is for Counter; it is a {base.__name__};",
            )
            for base in (Distinct, Latest, Log, Span)
        ),
        (Span, {"shown": 0}, "give a whole number from 1"),
        (Span, {"longest": 0}, "`longest` is 0; give seconds, such as 86400, or None"),
        (Counter, {"listed": {"colour": ("red",)}}, "`listed` names ['colour']; give names of `dimensions`"),
    ],
)
def test_a_class_that_breaks_the_contract_of_its_kind_is_refused(
    base: type[Plugin], attributes: dict[str, Any], fix: str
) -> None:
    """The error names the fix."""
    basis = {"__doc__": "Wrong.", "name": "wrong", "title": "Wrong", "observe": lambda self, message: ()}
    with pytest.raises(PluginError) as caught:
        type("Wrong", (base,), {**basis, **attributes})
    assert fix in str(caught.value)


# Documents of one's own.


class Author(Latest):
    """Publishes what the test says."""

    name = "author"
    title = "Author"
    yields: ClassVar[list[tuple[Any, Any]]] = []

    def observe(self, message: Message) -> Iterator[Any]:
        """Keep something."""
        yield (), {"a": 1}

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what is wanted, or raise it."""
        yield from super().documents(state)
        for name, content in self.yields:
            if isinstance(content, Exception):
                raise content
            yield name, content


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("Leaders", {}, "a document named 'Leaders'; name it with lowercase letters"),
        ("../x", {}, "a document named '../x'"),
        (5, {}, "a document named 5"),
        ("latest", {}, "two documents named 'latest'"),
        ("series-index", {}, "has a name that the format uses"),
        ("layout", {}, "has a name that the format uses"),
        ("x", [1], "must be a dict of fields; got list"),
        ("x", {"through": 5}, "has the fields ['through'], which every document has"),
        ("x", {"a": {1, 2}}, "is not JSON: "),
        ("x", {"a": {1: 2}}, "is not JSON: "),
        ("x", {"a": 2**64}, "is not JSON: "),
        ("x", {"a": "\ud800"}, "is not JSON: "),
        ("x", {"a": "y" * 1_000_000}, "at most 1000000 are published"),
    ],
)
def test_what_cannot_be_published_is_reported(
    name: Any, content: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the plugin, what is wrong and the fix."""
    monkeypatch.setattr(Author, "yields", [(name, content)])
    with pytest.raises(DocumentError, match="plugin author: ") as caught:
        testing.run(Author, [testing.message(TOPIC)])
    assert said in str(caught.value)


@pytest.mark.parametrize("wrong", [("Wrong", {}), ("x", KeyError("ralph")), ("x", {"a": object()})])
def test_a_plugin_that_fails_to_document_keeps_its_last_good_output(
    publishing: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    """The others are published, it is stale, and what was there stays, byte by byte; a fix brings it back."""
    monkeypatch.setattr(Author, "yields", [("x", {"rows": [{"b": 1, "a": [2]}]})])
    site = publishing(Author, Prices)
    site.feed([line("a", NOON, body={"thing": "hat"})])
    site.publish()
    before = {path: data for path, data in site.aliases().items() if path.startswith("v1/plugins/author/")}
    assert before["v1/plugins/author/x.csv"] == b"a,b\r\n[2],1\r\n"
    monkeypatch.setattr(Author, "yields", [("fine", {}), wrong])
    site.feed([line("b", NOON + 60, body={"thing": "pie"})])
    site.publish()
    states = {plugin["name"]: plugin["state"] for plugin in site.document("v1/index.json")["plugins"]}
    assert states == {"author": "stale", "prices": "ok"}
    assert {path: data for path, data in site.aliases().items() if path.startswith("v1/plugins/author/")} == before
    assert b"ralph" not in (site.public / "v1/status.json").read_bytes()
    monkeypatch.setattr(Author, "yields", [("fine", {"n": 1})])
    site.publish()
    files = {path.rpartition("/")[2] for path in site.aliases() if path.startswith("v1/plugins/author/")}
    assert files == {"latest.json", "latest.csv", "fine.json"}, "what is yielded no more is gone"


def test_a_layout_is_published_as_it_is(publishing: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no header; when it changes it is published again, and when it is gone its file is."""
    layout = {"schema": "mine", "groups": [1, None]}
    monkeypatch.setattr(Author, "layout", layout)
    site = publishing(Author)
    site.feed([line("a", NOON)])
    site.publish()
    assert site.document("v1/plugins/author/layout.json") == layout
    assert "v1/plugins/author/layout.json" in {
        document["path"] for document in site.document("v1/index.json")["plugins"][0]["documents"]
    }
    monkeypatch.setattr(Author, "layout", [])
    site.publish()
    assert site.document("v1/plugins/author/layout.json") == []
    monkeypatch.setattr(Author, "layout", None)
    site.publish()
    assert not (site.public / "v1/plugins/author/layout.json").exists()


# Keys.

HOSTILE = (
    *("..", ".", "/", "../../etc/passwd", "%", "%2e%2e", "a/b", "Ralph", "ralph", "RALPH", "ü", "Ü", "\U0001d538"),
    *(
        "x" * 200,
        "x" * 201,
        "X" * 201,
        "ü" * 201,
        "X" * 200,
        "",
        "_",
        "__",
        "con",
        "a b",
        "\n",
        "~",
        'a"b',
        "a\\b",
        "nul.json",
        None,
    ),
)


def test_hostile_keys_have_files_of_their_own(tmp_path: Path) -> None:
    """Each key has one file in its directory, also where case makes no difference; no name is long or hostile."""
    site = fresh_site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Baskets,))
    site.feed(line(f"m{number}", NOON, body={"buyer": key, "thing": key}) for number, key in enumerate(HOSTILE))
    site.publish()
    directory = site.public / "v1/plugins/baskets/by"
    files = {path.name: orjson.loads(path.read_bytes()) for path in directory.glob("*.json")}
    own = {(key,) for key in HOSTILE if key is None or (len(key) <= 200 and key.isprintable())}
    assert {tuple(document["key"]) for document in files.values()} == own | {("(other)",)}
    assert len({name.lower() for name in files}) == len(own) + 1 == len(files)
    for name, document in files.items():
        assert name == f"{layout.key_name(tuple(document['key']))}.json"
        assert len(name) <= 120 + len(".json")
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.~")
        assert not name.startswith(".")
        assert [part["thing"] for part in document["parts"]] == document["key"]
    # Three are too long, and one is a line break.
    assert next(d["total"] for d in files.values() if d["key"] == ["(other)"]) == len(HOSTILE) - len(own) == 4
    site.close()


def test_every_kind_has_a_page(tmp_path: Path) -> None:
    """The pages of the new kinds show their rows, and plots by day and week where there is a series."""
    site = fresh_site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Customers, Deliveries))
    bodies = [{"buyer": f"b{n % 7}", "thing": f"t{n % 12}", "amount": n} for n in range(60)]
    site.feed(line(f"m{n}", NOON + n * DAY, body=body) for n, body in enumerate(bodies))
    site.publish()
    files = site.aliases()
    customers = files["plugins/customers/index.html"].decode()
    assert [path for path in files if path.endswith(".svg") and "/customers/" in path] == [
        "v1/plugins/customers/chart-1d.svg", "v1/plugins/customers/chart-1w.svg", "v1/plugins/customers/chart.svg",
    ]  # fmt: skip
    assert "Last week" in customers
    assert "Series by month" in customers
    assert "other (" not in customers, "uniques of keys were added up"
    assert "Duration" not in customers
    deliveries = files["plugins/deliveries/index.html"].decode()
    assert "Start" in deliveries
    assert "Stop" in deliveries
    assert "No data yet" not in deliveries + customers + files["index.html"].decode()
    site.close()

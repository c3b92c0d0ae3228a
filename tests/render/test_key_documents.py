"""Documents of keys: recent years in one, each older year in one of its own, and what changes which of them."""

import random
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from sqlalchemy import event

from samples import TOPIC, Baskets, Buyers, Line, Site, follow, line
from statscache.kinds.keys import digest
from statscache.plugins import State
from statscache.plugins.registry import load
from statscache.privacy.forget import forget
from statscache.publish import atomic
from statscache.simulator import Traffic, simulate
from statscache.store import Database, journal, positions
from statscache.store.changed_keys import pack, unpack
from statscache.timeline import DAY, WEEKLY, parse_time

NAME = "zaphod"
NEW_YEAR = parse_time("2020-01-01")
PLUGINS = (Buyers, Baskets)
ROOT = "v1/plugins/baskets/by"


def sale(number: int, when: str | int, buyer: str = NAME, thing: str = "hat", amount: int = 1) -> Line:
    """Return a message that a buyer bought something."""
    time = when if isinstance(when, int) else parse_time(when)
    return line(f"m{number}", time, TOPIC, {"buyer": buyer, "thing": thing, "amount": amount})


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site of two unbounded counters, one of which divides its numbers."""
    made = Site(database_url, tmp_path, PLUGINS)
    yield made
    made.close()


def of_keys(site: Site) -> dict[str, bytes]:
    """Return the published documents of keys by path."""
    return {path: data for path, data in site.aliases().items() if "/by/" in path}


def test_latest_says_how_many_keys_there_are(site: Site) -> None:
    """Those of all keys, not of the rows that are listed; who was forgotten is not one."""
    site.feed([sale(number, NEW_YEAR, buyer=f"b{number:03}") for number in range(120)])
    site.publish()
    latest = site.document("v1/plugins/baskets/latest.json")
    assert (latest["keys"], len(latest["rows"])) == (120, 100)
    forget(site.installation, "b007", lambda *_: None)
    site.publish()
    assert site.document("v1/plugins/baskets/latest.json")["keys"] == 119


def changed_by(site: Site, *lines: Line) -> set[str]:
    """Feed, publish, and return the paths of documents of the divided counter's keys that have other bytes then."""
    before = of_keys(site)
    site.feed(lines)
    site.publish()
    after = of_keys(site)
    assert before.keys() <= after.keys()
    return {path for path, data in after.items() if before.get(path) != data and path.startswith(ROOT)}


def test_older_years_have_documents_of_their_own(site: Site) -> None:
    """The key's own document has the last two years with their days, the weeks of parts, and a total for each year."""
    site.feed(
        [
            sale(1, "2013-05-06", amount=3),
            sale(2, "2013-05-08", thing="shoe", amount=4),
            sale(3, "2013-05-06T12:00"),
            sale(4, "2017-12-31", amount=5),
            sale(5, "2018-01-01T10:00", thing="shoe", amount=6),
        ]
    )
    site.publish()
    assert {path for path in of_keys(site) if path.startswith(ROOT)} == {
        f"{ROOT}/{NAME}.json",
        f"{ROOT}/{NAME}/2013.json",
    }
    monday, wednesday = parse_time("2013-05-06"), parse_time("2013-05-08")
    sunday, first = parse_time("2017-12-31"), parse_time("2018-01-01")
    assert site.document(f"{ROOT}/{NAME}.json") == {
        "schema": "statscache/key/1",
        "plugin": "baskets",
        "key": [NAME],
        "total": 19,
        "first": monday,
        "last": first + 36_000,
        "through": first + 36_000,
        "years": [[2013, 8], [2017, 5], [2018, 6]],
        "days": {"2017": [[sunday, 5]], "2018": [[first, 6]]},
        "gaps": [],
        "parts": [
            {"thing": "hat", "total": 9, "weeks": {"2017": [[sunday - 6 * DAY, 5]]}},
            {"thing": "shoe", "total": 10, "weeks": {"2018": [[first, 6]]}},
        ],
    }
    assert site.document(f"{ROOT}/{NAME}/2013.json") == {
        "schema": "statscache/key-year/1",
        "plugin": "baskets",
        "key": [NAME],
        "year": 2013,
        "total": 8,
        "through": wednesday,
        "days": {"2013": [[monday, 4], [wednesday, 4]]},
        "gaps": [[parse_time("2013-01-01"), monday]],
        "parts": [
            {"thing": "hat", "total": 4, "weeks": {"2013": [[monday, 4]]}},
            {"thing": "shoe", "total": 4, "weeks": {"2013": [[monday, 4]]}},
        ],
    }
    buyer = site.document(f"v1/plugins/buyers/by/{NAME}/2013.json")
    assert (buyer["total"], "parts" in buyer) == (3, False)


def test_a_week_that_two_years_share_is_in_both(site: Site) -> None:
    """Each has the days of its own, under the same Monday, so that their sum is the week."""
    site.feed([sale(1, "2019-12-31", amount=2), sale(2, "2020-01-01", amount=3)])
    site.publish()
    monday = WEEKLY.floor(NEW_YEAR)
    (part,) = site.document(f"{ROOT}/{NAME}.json")["parts"]
    assert part["weeks"] == {"2019": [[monday, 2]], "2020": [[monday, 3]]}


def test_a_late_message_changes_its_year_and_the_totals_and_nothing_else(site: Site) -> None:
    """Neither another year nor another key."""
    site.feed(sale(n, f"{2016 + n % 8}-03-0{1 + n % 5}", f"buyer{n % 3}") for n in range(120))
    site.publish()
    before = site.document(f"{ROOT}/buyer1.json")
    assert changed_by(site, sale(999, "2019-07-01", "buyer1")) == {f"{ROOT}/buyer1.json", f"{ROOT}/buyer1/2019.json"}
    after = site.document(f"{ROOT}/buyer1.json")
    assert {name for name, value in after.items() if before[name] != value} == {"total", "years", "parts"}
    assert after["total"] == before["total"] + 1
    assert [part["weeks"] for part in after["parts"]] == [part["weeks"] for part in before["parts"]]


BECOME_OLD = [
    (("2014-05-01", "2015-05-01", "2016-05-01"), {2014}),
    (("2014-05-01", "2015-05-01", "2017-05-01"), {2014, 2015}),
    (("2014-05-01", "2019-05-01"), {2014}),
    (("2014-05-01", "2015-05-01"), set[int]()),
    (("2014-05-01", "2014-06-01"), set[int]()),
    (("2014-05-01", "2013-06-01"), set[int]()),
    (("2014-05-01", "2012-06-01"), {2012}),
]
"""When somebody bought something, and the years that the last time makes old."""


def test_a_year_that_is_not_recent_any_more_gets_its_document(site: Site) -> None:
    """At once, with the message that made it so; a forced render gives the same."""
    earlier, last, changed = list[Line](), list[Line](), set[str]()
    for number, (times, left) in enumerate(BECOME_OLD):
        buyer = f"{NAME}{number}"
        *some, newest = (sale(10 * number + each, when, buyer) for each, when in enumerate(times))
        earlier += some
        last.append(newest)
        changed |= {f"{ROOT}/{buyer}.json", *(f"{ROOT}/{buyer}/{year}.json" for year in left)}
    site.feed(earlier)
    site.publish()
    assert not [path for path in of_keys(site) if path.count("/") > 4]
    assert changed_by(site, *last) == changed
    incremental = site.aliases()
    site.publish(force=True)
    assert site.aliases() == incremental


def test_any_history_is_published_as_a_plain_count_has_it(site: Site) -> None:
    """In whatever order the years come, after each publication; publishing piece by piece gives what a force does."""
    rng = random.Random(9)
    days: dict[tuple[str, str], Counts[int]] = defaultdict(Counts)
    for turn in range(12):
        lines = []
        for number in range(rng.choice([1, 3, 30])):
            buyer, thing, amount = f"b{rng.randrange(6)}", rng.choice("xyz"), rng.choice([1, 2, -1])
            time = parse_time(f"{rng.choice([1999, 2012, 2019, 2020, 2021, 2024])}-01-01") + rng.randrange(366 * DAY)
            lines.append(sale(turn * 100 + number, time, buyer, thing, amount))
            days[buyer, thing][time - time % DAY] += amount
        site.feed(lines)
        site.publish()
        found = {path: orjson.loads(data) for path, data in of_keys(site).items() if path.startswith(ROOT)}
        assert found.keys() == expected_paths(days)
        for (buyer, thing), values in days.items():
            years = {year_of(day) for (name, _), of in days.items() if name == buyer for day in of}
            for year in years:
                recent = year >= max(years) - 1
                document = found[f"{ROOT}/{buyer}.json" if recent else f"{ROOT}/{buyer}/{year}.json"]
                weeks = Counts[int]()
                for day, value in values.items():
                    if year_of(day) == year:
                        weeks[WEEKLY.floor(day)] += value
                part = {part["thing"]: part for part in document["parts"]}.get(thing, {"weeks": {}, "total": 0})
                assert part["weeks"].get(str(year), []) == [[*pair] for pair in sorted(weeks.items())]
                assert part["total"] == sum((values if recent else weeks).values())
    incremental = site.aliases()
    site.publish(force=True)
    assert site.aliases() == incremental


def year_of(time: int) -> int:
    """Return the calendar year of a time."""
    return datetime.fromtimestamp(time, UTC).year


def expected_paths(days: dict[tuple[str, str], Counts[int]]) -> set[str]:
    """Return the documents that buyers with these days have."""
    years: dict[str, set[int]] = defaultdict(set)
    for (buyer, _), of in days.items():
        years[buyer] |= {year_of(day) for day in of}
    older = {f"{ROOT}/{buyer}/{year}.json" for buyer, of in years.items() for year in of if year < max(of) - 1}
    return {f"{ROOT}/{buyer}.json" for buyer in years} | older


def test_a_forgotten_person_leaves_no_year_behind(site: Site) -> None:
    """Neither in the current snapshot, nor in any that is retained, nor in the tree."""
    for number, when in enumerate(("2012-03-04", "2014-03-04", "2019-03-04", "2020-03-04")):
        site.feed([sale(number, when), sale(100 + number, when, "ford")])
        site.publish()
    assert f"{ROOT}/{NAME}/2012.json" in of_keys(site)
    others = {path: data for path, data in of_keys(site).items() if "ford" in path}
    assert len(others) == 6
    forget(site.installation, NAME, lambda *_: None)
    assert {path: data for path, data in of_keys(site).items() if "ford" in path} == others
    assert not [path for path in follow(site.public) if NAME in path]
    files = [path for path in site.public.rglob("*") if path.is_file()]
    assert not [path for path in files if NAME in path.as_posix() or NAME.encode() in path.read_bytes()]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Yield a list of the statements that the database executes."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", ["buyers", "baskets"])
def test_many_keys_are_read_with_few_statements(site: Site, name: str) -> None:
    """A thousand keys with one older year changed each: the keys, the quarters of three years, the names of parts."""
    site.feed(sale(n, f"{2012 + n // 1_000 * 3}-02-01", f"b{n % 1_000}") for n in range(4_000))
    plugin = next(each for each in site.installation.registry if each.name == name)
    late = pack([digest((f"b{n}",)) for n in range(1_000)], [2012] * 1_000)
    with site.database.reading() as connection:
        row = positions.load(connection)[name]
        state = State(connection, row.id, journal.head(connection).through, row.newest)
        with statements(site.database) as seen:
            documents = [*plugin.kind.key_documents(state, unpack([late]))]
        everything = [*plugin.kind.key_documents(state, None)]
    assert [(len(document.days), [year.year for year in document.older]) for document in documents] == [
        (1, [2012])
    ] * 1_000
    assert {tuple(year.year for year in document.older) for document in everything} == {(2012, 2015, 2018)}
    assert len(seen) <= 1 + 2 * 4 + 1


def test_a_person_has_at_most_eight_files_and_a_package_three(tmp_path: Path) -> None:
    """Over all bundled plugins, with two recent years in view; older years add few, for most have none."""
    plugins = [type(plugin) for plugin in load()]
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, plugins)
    new_year = parse_time("2020-01-01")
    for start, end in ((new_year - DAY, new_year + DAY), (new_year - 800 * DAY, new_year - 799 * DAY)):
        site.feed(simulate(Traffic(start, end, per_day=1_500, people=60, packages=80)))
    site.build()
    tree = site.tree()
    site.close()
    recent, older = {"person": Counts[str](), "package": Counts[str]()}, Counts[str]()
    for plugin in plugins:
        kind = "person" if plugin.people else "package"
        wanted = plugin.dimensions[:1] if plugin.people else {"package", "project"}
        at = next((n for n, name in enumerate(plugin.dimensions) if name in wanted), None)
        if at is None:
            continue
        for path in (path for path in tree if path.startswith(f"v1/plugins/{plugin.name}/by/")):
            parts = path.split("/")
            # A project is a package in a namespace.
            key = parts[4].split(".")[at].removeprefix("rpms_2f")
            if len(parts) > 5:
                older[key] += 1
            else:
                recent[kind][key] += 1
    assert 5 <= max(recent["person"].values()) <= 8
    assert 2 <= max(recent["package"].values()) <= 3
    assert older
    assert not [path for path in tree if path.endswith(".svg") and "/by/" in path and "/contributors/" not in path]


@pytest.mark.parametrize("killed_after", [0, 7, 25, 45])
def test_a_document_never_names_a_year_that_is_not_there(tmp_path: Path, killed_after: int) -> None:
    """When a year gets old, its documents are there before those of the keys name them, wherever a publisher dies."""
    site = Site(f"sqlite:///{tmp_path}/site.db", tmp_path, (Buyers,))

    def bought(year: int) -> list[bytes]:
        at = datetime(year, 5, 1, tzinfo=UTC).timestamp()
        return [line(f"{year}-{n}", at, body={"buyer": f"b{n}"}) for n in range(30)]

    site.feed([*bought(2018), *bought(2019)])
    site.publish()
    site.feed(bought(2020))
    put, replace = [0], atomic.replace

    def dying(path: Path, unfinished: Path, root: Path) -> None:
        if "/by/" in path.as_posix():
            put[0] += 1
            if put[0] > killed_after:
                raise KeyboardInterrupt
        replace(path, unfinished, root)

    with patch.object(atomic, "replace", dying), pytest.raises(KeyboardInterrupt):
        site.publish()
    for n in range(30):
        path = f"v1/plugins/buyers/by/b{n}"
        document = orjson.loads((site.public / f"{path}.json").read_bytes())
        old = [year for year, _ in document["years"] if str(year) not in document["days"]]
        assert all((site.public / path / f"{year}.json").exists() for year in old), path
    site.publish()
    site.close()

"""The published format, v1: paths, fields, order, bytes, and what time means in them."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from samples import ALL, NOON, Buyers, Line, Prices, Receipts, Sales, Site, follow, fresh_site, line
from statscache import canonical, layout
from statscache.kinds import keys
from statscache.kinds.keys import Key
from statscache.render import csv
from statscache.store import coverage, journal

DAY, HOUR, MINUTE = 86400, 3600, 60
MIDNIGHT = NOON - 12 * HOUR
AUGUST, YEAR = MIDNIGHT - 7 * DAY, MIDNIGHT - 219 * DAY


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site on SQLite; that both databases publish the same is another test's business."""
    made = fresh_site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Sales, Buyers, Prices, Receipts))
    yield made
    made.close()


def sale(number: int, at: int, buyer: str | None = "a", thing: str | None = "hat", amount: int = 1) -> Line:
    """Return a message."""
    return line(f"s{number}", at, body={"buyer": buyer, "thing": thing, "amount": amount})


def record(site: Site, start: int, end: int, *, complete: bool) -> None:
    """Record coverage."""
    with site.database.writing() as connection:
        journal.lock(connection)
        coverage.record(connection, start, end, complete=complete)


def documents(site: Site) -> dict[str, Any]:
    """Build, and return each JSON document of the current snapshot by path behind `v1/plugins/`."""
    site.build()
    prefix = "v1/plugins/"
    files = {path.removeprefix(prefix): data for path, data in site.tree().items() if path.startswith(prefix)}
    return {path: orjson.loads(data) for path, data in files.items() if path.endswith(".json")}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (("copr",), "copr"),
        (("rawhide", "x86_64"), "rawhide.x86_5f64"),
        ((None,), "__"),
        (("",), "_"),
        (("_",), "_5f"),
        (("__",), "_5f_5f"),
        ((None, "", None), "__._.__"),
        (("..",), "_2e_2e"),
        (("../../etc/passwd",), "_2e_2e_2f_2e_2e_2fetc_2fpasswd"),
        (("a/b",), "a_2fb"),
        (("100%",), "100_25"),
        (("%2f",), "_252f"),
        (("Ralph",), "_52alph"),
        (("ralph",), "ralph"),
        (("ü",), "_c3_bc"),
        (("\U0001d538",), "_f0_9d_94_b8"),
        (("a b\n",), "a_20b_0a"),
        (("a.b", "c"), "a_2eb.c"),
        (("a", "b.c"), "a.b_2ec"),
        (("~",), "_7e"),
        (("x" * 120,), "x" * 120),
        (("x" * 300,), "x" * 80 + "~" + canonical.digest(b"x" * 300)[:32]),
        (("Ü" * 40,), ("_c3_9c" * 40)[:80] + "~" + canonical.digest(b"_c3_9c" * 40)[:32]),
    ],
)
def test_keys_are_encoded_in_paths(key: Key, path: str) -> None:
    """Each key has a path of its own, of lowercase letters, digits and `-_.~`, at most 120 characters long."""
    assert layout.key_name(key) == path
    assert keys.load(keys.stored(key)) == key


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", '""'),
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        ("two\r\nlines", '"two\r\nlines"'),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ("=a,b", '"\'=a,b"'),
        ("'x", "'x"),
        (-5, "-5"),
        (1.5, "1.5"),
        (True, "true"),
        ([1, "a"], '"[1,""a""]"'),
    ],
)
def test_csv_cells(value: Any, text: str) -> None:
    """Null is an empty cell, the empty string is quoted; text that looks like a formula is defused, a number is not."""
    assert csv.dumps(["a", "b"], [[value, 1]]) == f"a,b\r\n{text},1\r\n".encode()


def test_every_document_is_canonical_and_complete(tmp_path: Path) -> None:
    """The bytes are those of canonical JSON with a final newline; schema, plugin and through are always there."""
    rng = random.Random(3)
    site = fresh_site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", ALL)
    names = (None, "", "ü", "=1", "B", "a", "\U0001d538", "ｶ")
    site.feed(sale(n, NOON + rng.randrange(3 * DAY), rng.choice(names), rng.choice(names), n) for n in range(60))
    site.publish()
    files = follow(site.public)
    required = {
        "latest": {"rows"},
        "series": {"resolution", "period", "start", "end", "columns", "rows", "complete_through", "gaps"},
        "series-index": {"resolution", "width", "keep", "complete_through", "periods"},
        "key": {"key", "total", "first", "last", "days"},
        "leaders": {"rows", "hats"},
        "newcomers": {"days", "none"},
    }
    seen = set()
    for path, data in files.items():
        if not path.endswith(".json"):
            continue
        document = orjson.loads(data)
        assert canonical.dumps(document) == data, path
        if path.startswith("v1/schema/") or path.endswith("/badge.json"):
            continue  # Their form is another standard's.
        prefix, name, version = document["schema"].split("/")
        assert (prefix, version) == ("statscache", "1")
        if name in ("entities", "entity-names"):
            continue  # They are of several plugins, and of no time.
        assert document["plugin"] == path.split("/")[2]
        assert type(document["through"]) is int
        assert required[name] <= document.keys(), path
        seen.add(name)
    assert seen == required.keys()
    for path in (*(path for path in files if path.endswith(".csv")),):
        assert files[path].endswith(b"\r\n")
        assert b"\n" not in files[path].replace(b"\r\n", b"")
    for name in ("index", "status", "changes"):
        data = (site.public / f"v1/{name}.json").read_bytes()
        assert canonical.dumps(orjson.loads(data)) == data
    index = site.document("v1/index.json")
    assert {
        "schema",
        "generation",
        "snapshot",
        "parent",
        "generated_at",
        "expires_at",
        "through",
        "signatures",
    } <= index.keys()
    assert index["expires_at"] == index["generated_at"] + 3 * 60
    fields = {"name", "title", "summary", "kind", "unit", "dimensions", "state", "last_event", "documents"}
    assert all(fields <= plugin.keys() for plugin in index["plugins"])
    site.close()


def test_rows_are_sorted_by_key_with_null_first_and_by_code_point(site: Site) -> None:
    """Null first, then by code point, not by UTF-16 and not by language; the top by total."""
    names = (None, "", "A", "a", "ab", "ü", "ｶ", "\U0001d538")
    shuffled = [*names]
    random.Random(2).shuffle(shuffled)
    site.feed(sale(n, NOON, name, None if n % 2 else "x") for n, name in enumerate(shuffled))
    site.feed([sale(100, NOON, "ü", "y")])
    found = documents(site)
    rows = [(row["buyer"], row["thing"]) for row in found["sales/latest.json"]["rows"]]
    assert [buyer for buyer, _ in dict.fromkeys(rows)] == [*names[:5], "ü", "ü", *names[6:]]
    assert [row[1] for row in found["sales/series/1h/2015-08.json"]["rows"]] == [buyer for buyer, _ in rows]
    assert found["sales/series/1h/2015-08.json"]["columns"] == ["timestamp", "buyer", "thing", "value"]
    top = [(row["buyer"], row["total"]) for row in found["buyers/latest.json"]["rows"]]
    assert top == [("ü", 2), *((name, 1) for name in names if name != "ü")]


def test_the_top_is_cut_at_100_by_total_then_key(site: Site) -> None:
    """Of 130 keys the 100 greatest have a row in `latest`, and all have a document."""
    site.feed(sale(n, NOON, f"k{n % 130:03}") for n in range(150))
    found = documents(site)
    rows = found["buyers/latest.json"]["rows"]
    assert [row["buyer"] for row in rows] == [f"k{n:03}" for n in range(100)]
    assert [row["total"] for row in rows] == [2] * 20 + [1] * 80
    assert "last_24h" not in rows[0]
    assert len([path for path in found if path.startswith("buyers/by/")]) == 130


def test_latest_and_log_show_the_newest_by_time_then_id_then_yield(site: Site) -> None:
    """Of one second the greater id wins as bytes; of one message the later yield; a log lists greatest first."""
    bodies = {"B": 1, "a": 2, "é": 3, "z": 4}
    site.feed(line(id, NOON, body={"thing": "hat", "buyer": "x", "amount": n}) for id, n in bodies.items())
    site.feed([line("zz", NOON - 1, body={"thing": "hat", "buyer": "x", "amount": 9})])
    found = documents(site)
    assert found["prices/latest.json"]["rows"] == [{"thing": "hat", "timestamp": NOON, "price": 3, "asked": False}]
    assert [row["amount"] for row in found["receipts/latest.json"]["rows"]] == [3, 4, 2]


def test_windows_end_at_whole_buckets_of_the_global_clock(site: Site) -> None:
    """`last_24h` ends with the hour, `last_7d` and `last_30d` with the day of the journal's `through`."""
    hour = NOON + 5 * HOUR
    times = {
        1: hour - DAY - 1,
        2: hour - DAY,
        4: hour - 1,
        8: hour,
        16: MIDNIGHT - 7 * DAY - 1,
        32: MIDNIGHT - 7 * DAY,
        64: MIDNIGHT,
    }
    times |= {128: MIDNIGHT - 30 * DAY, 256: MIDNIGHT - 30 * DAY - 1}
    site.feed(sale(n, at, amount=n) for n, at in times.items())
    site.feed([line("clock", hour + 60, topic="a.b.prod.other")])
    found = documents(site)
    (row,) = found["sales/latest.json"]["rows"]
    assert row == {
        "buyer": "a", "thing": "hat", "total": 511, "last_24h": 2 + 4 + 64,
        "last_7d": 1 + 2 + 32, "last_30d": 1 + 2 + 16 + 32 + 128,
    }  # fmt: skip
    assert found["sales/latest.json"]["through"] == hour
    assert found["buyers/latest.json"]["through"] == hour
    assert found["buyers/by/a.json"]["through"] == hour
    assert found["prices/latest.json"]["through"] == hour


def test_complete_through_is_the_end_of_the_period_or_of_the_last_whole_bucket(site: Site) -> None:
    """A past period is complete to its end, the present one to the floored clock, which others may move."""
    site.feed([sale(1, NOON - HOUR), sale(2, NOON + 90)])
    found = documents(site)
    past, present = found["sales/series/1m/2015-08-08T11.json"], found["sales/series/1m/2015-08-08T12.json"]
    assert (past["start"], past["end"], past["complete_through"], past["through"]) == (NOON - HOUR, NOON, NOON, NOON)
    assert (present["complete_through"], present["through"]) == (NOON + 60, NOON + 90)
    site.feed([line("clock", NOON + 2 * HOUR + 5, topic="a.b.prod.other")])
    found = documents(site)
    present = found["sales/series/1m/2015-08-08T12.json"]
    assert (present["complete_through"], present["through"]) == (NOON + HOUR, NOON + HOUR)
    assert found["sales/series/1d/2015.json"]["complete_through"] == MIDNIGHT
    assert found["sales/series/1d/2015.json"]["through"] == NOON + 90
    assert found["sales/series/1m/index.json"]["complete_through"] == NOON + HOUR
    assert [period["period"] for period in found["sales/series/1m/index.json"]["periods"]] == [
        "2015-08-08T11",
        "2015-08-08T12",
    ]


def test_gaps_are_rounded_outward_and_clipped(site: Site) -> None:
    """A gap covers every bucket that it touches, from the plugin's first message to the clock, in its period."""
    site.feed([sale(1, NOON), sale(2, NOON + 3 * HOUR + 30)])
    record(site, NOON - 5 * HOUR, NOON - 4 * HOUR, complete=False)
    record(site, NOON - 60, NOON + 10, complete=False)
    record(site, NOON + HOUR - 1, NOON + 2 * HOUR + 61, complete=False)
    record(site, NOON + 3 * HOUR + 20, NOON + 9 * HOUR, complete=False)
    found = documents(site)
    minutes = {path[-18:-5]: document["gaps"] for path, document in found.items() if "sales/series/1m/2015" in path}
    assert minutes == {
        "2015-08-08T12": [[NOON, NOON + 60], [NOON + HOUR - 60, NOON + HOUR]],
        "2015-08-08T13": [[NOON + HOUR, NOON + 2 * HOUR]],
        "2015-08-08T14": [[NOON + 2 * HOUR, NOON + 2 * HOUR + 120]],
        "2015-08-08T15": [[NOON + 3 * HOUR, NOON + 3 * HOUR + 60]],
    }
    assert found["sales/series/1m/2015-08-08T13.json"]["rows"] == []
    assert found["sales/series/1h/2015-08.json"]["gaps"] == [[AUGUST, NOON + 4 * HOUR]]
    assert found["sales/series/1d/2015.json"]["gaps"] == [[YEAR, MIDNIGHT + DAY]], "before the first data, too"
    assert found["sales/series/1m/2015-08-08T12.json"]["rows"] == [[NOON, "a", "hat", 1]], "partial rows stay"
    record(site, NOON + HOUR, NOON + 10 * HOUR, complete=True)
    found = documents(site)
    assert "sales/series/1m/2015-08-08T13.json" not in found
    assert found["sales/series/1h/2015-08.json"]["gaps"] == [[AUGUST, NOON + HOUR]]


@pytest.mark.parametrize(
    ("resolution", "period", "keep", "width"),
    [("1m", "2015-08-08T12", 2 * DAY, MINUTE), ("1h", "2015-08", 90 * DAY, HOUR)],
)
def test_retention_removes_whole_periods(site: Site, resolution: str, period: str, keep: int, width: int) -> None:
    """A period goes when its end is at or before the floored clock minus retention; no late message revives it."""
    site.feed([sale(1, NOON)])
    end = documents(site)[f"sales/series/{resolution}/{period}.json"]["end"]
    site.feed([line("almost", end + keep - 1, topic="a.b.prod.other")])
    found = documents(site)
    assert found[f"sales/series/{resolution}/{period}.json"]["rows"]
    site.feed([line("over", end + keep + width - 1, topic="a.b.prod.other")])
    found = documents(site)
    assert not [path for path in found if path.startswith(f"sales/series/{resolution}/")]
    site.feed([sale(2, NOON)])
    found = documents(site)
    assert not [path for path in found if path.startswith(f"sales/series/{resolution}/")]
    assert found["sales/latest.json"]["rows"][0]["total"] == 2
    assert found["sales/series/1d/2015.json"]["rows"] == [[MIDNIGHT, "a", "hat", 2]]
    assert f"v1/plugins/sales/chart-{resolution}.svg" not in site.tree()


def test_a_late_message_revises_its_own_bucket(site: Site) -> None:
    """And no other."""
    site.feed([sale(1, NOON), sale(2, NOON + 3 * HOUR)])
    before = documents(site)
    site.feed([sale(3, NOON + 59)])
    after = documents(site)
    assert after["sales/series/1m/2015-08-08T12.json"]["rows"] == [[NOON, "a", "hat", 2]]
    assert after["sales/series/1m/2015-08-08T15.json"] == before["sales/series/1m/2015-08-08T15.json"]


def test_hours_sum_to_the_day(site: Site) -> None:
    """The three resolutions tell one story."""
    rng = random.Random(4)
    site.feed(sale(n, MIDNIGHT + rng.randrange(DAY), amount=rng.randrange(9)) for n in range(80))
    found = documents(site)
    (day,) = found["sales/series/1d/2015.json"]["rows"]
    hours = found["sales/series/1h/2015-08.json"]["rows"]
    minutes = [row for path, item in found.items() if "sales/series/1m/2015" in path for row in item["rows"]]
    assert day[3] == sum(row[3] for row in hours) == sum(row[3] for row in minutes)

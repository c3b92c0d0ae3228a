"""Compact rows: days, parts, members and marks against plain dictionaries, on both databases."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from conftest import Databases
from statscache.exceptions import DamagedStatistics
from statscache.kinds import days, member_sets, parts, tables
from statscache.kinds.days import Days
from statscache.kinds.packed import LARGEST, SEAL, Packing, bounded, opened, sealed, starts, sums
from statscache.kinds.parts import Parts
from statscache.store import Database, changed_keys, positions, schema
from statscache.timeline import DAILY, DAY, parse_time

PLUGIN = 7

# Edges of days, quarters and leap years; keys at the ends of 64 bits; values in both forms.
TIMES = st.sampled_from(
    [-DAY, 0, 89 * DAY, 90 * DAY, *(parse_time(f"2024-{end}") for end in ("02-29", "03-31", "04-01", "12-31"))]
)
KEYS = st.sampled_from([-(2**63), -1, 0, 5, 2**63 - 1])
VALUES = st.sampled_from([0, 1, 255, 65_535, 65_536, -1, -(2**40), 2**52])
PARTS = st.sampled_from([0, 1, 255, 256, 70_000])
MEMBERS = st.integers(0, 60) | st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def database(databases: Databases) -> Iterator[Database]:
    """A database of each kind."""
    url = databases.create()
    made = Database(url)
    made.prepare()
    yield made
    made.close()
    databases.drop(url)


def empty(database: Database) -> None:
    """Remove what an example before has left."""
    with database.writing() as connection:
        for table in (tables.key, tables.key_quarter, tables.part, tables.member, tables.member_set):
            connection.execute(delete(table))


def columns(rows: Any, width: int) -> list[Any]:
    """Return rows as columns of whole numbers."""
    return list(np.array(sorted(rows), np.int64).reshape(-1, width).T)


def listed(found: Any) -> list[tuple[int, ...]]:
    """Return columns as sorted rows."""
    return sorted(zip(*(column.tolist() for column in found), strict=True))


ENTRIES = st.dictionaries(st.tuples(KEYS, TIMES, PARTS), VALUES, max_size=12)


@given(st.lists(ENTRIES, max_size=4), TIMES, TIMES, st.lists(KEYS, unique=True))
def test_days_are_sums(
    database: Database, batches: list[dict[tuple[int, int, int], int]], start: int, end: int, some: list[int]
) -> None:
    """In whatever batches they come, of all keys and of some, within a window of time."""
    empty(database)
    expected: dict[tuple[int, int, int], int] = defaultdict(int)
    with database.writing() as connection:
        for batch in batches:
            days.add(connection, PLUGIN, Days(*columns([(*place, value) for place, value in batch.items()], 4)))
            days.add(connection, PLUGIN + 1, Days(*columns([(*place, 3) for place in batch], 4)))
            for place, value in batch.items():
                expected[place] += value
    rows = sorted((*place, value) for place, value in expected.items())
    inside = [row for row in rows if start <= row[1] < end]
    with database.reading() as connection:
        everything = days.in_window(connection, PLUGIN, -2 * DAY, 2**40)
        assert sorted(row for portion in everything for row in listed(portion)) == rows
        window = [row for portion in days.in_window(connection, PLUGIN, start, end) for row in listed(portion)]
        assert sorted(window) == inside
        of_keys = days.of_keys(connection, PLUGIN, some, start, end)
        assert listed(of_keys) == [row for row in inside if row[0] in some]
        key, total = days.by_key(of_keys)
        assert dict(zip(key.tolist(), total, strict=True)) == summed(row for row in inside if row[0] in some)


def summed(rows: Any) -> dict[int, int]:
    """Return the sum of the last column by the first."""
    found: dict[int, int] = defaultdict(int)
    for row in rows:
        found[row[0]] += row[-1]
    return dict(found)


@given(st.integers(-(10**10), 10**11))
def test_quarters_are_those_of_the_calendar(timestamp: int) -> None:
    """A quarter begins on the first day of January, April, July or October, and lies in the year of its days."""
    start = timestamp - timestamp % DAY
    (quarter,) = days.quarter_of(np.array([start])).tolist()
    first, following = days.quarter_start(quarter), days.quarter_start(quarter + 1)
    assert first <= start < following <= first + 92 * DAY
    assert str(days.year_of(np.array([quarter]))[0]).zfill(4) == DAILY.period(start).label.zfill(4)


def test_a_quarter_of_few_days_takes_four_bytes_a_day(database: Database) -> None:
    """And one that holds a number beyond two bytes takes the wider form."""
    empty(database)
    for value, size in ((1, 1 + 3 * 4), (65_535, 1 + 3 * 13)):
        with database.writing() as connection:
            days.add(connection, PLUGIN, Days(*columns([(1, day * DAY, 3, value) for day in range(3)], 4)))
            assert connection.scalar(select(func.length(tables.key_quarter.c.data))) == SEAL + size


def test_a_day_beyond_64_bits_is_refused(database: Database) -> None:
    """A sum of the greatest numbers is exact up to the limit, on either side of zero."""
    empty(database)
    for part, sign in ((1, 1), (2, -1)):
        with database.writing() as connection:
            days.add(connection, PLUGIN, Days(*columns([(1, 0, part, sign * (LARGEST - 1))], 4)))
            days.add(connection, PLUGIN, Days(*columns([(1, 0, part, sign)], 4)))
        with database.writing() as connection, pytest.raises(OverflowError, match="beyond 64 bits"):
            days.add(connection, PLUGIN, Days(*columns([(1, 0, part, sign)], 4)))
    with database.reading() as connection:
        assert listed(days.of_keys(connection, PLUGIN, [1], 0, DAY)) == [(1, 0, 1, LARGEST), (1, 0, 2, -LARGEST)]


PART_TOTALS = st.dictionaries(
    st.tuples(KEYS, PARTS), st.tuples(st.sampled_from([-5, 0, 7, 2**31, 2**33]), VALUES), max_size=8
)


@given(st.lists(PART_TOTALS, max_size=4))
def test_parts_are_totals_and_first_times(
    database: Database, batches: list[dict[tuple[int, int], tuple[int, int]]]
) -> None:
    """Each batch adds to what the rows of its keys hold."""
    empty(database)
    expected: dict[tuple[int, int], tuple[int, int]] = {}
    with database.writing() as connection:
        for batch in batches:
            new = Parts(*columns([(*place, *numbers) for place, numbers in batch.items()], 4))
            keys = np.unique(new.key)
            stored = connection.execute(select(tables.key.c.key, tables.key.c.parts)).all()
            known = [row for row in stored if row.key in keys]
            blobs = parts.added(keys, [row.key for row in known], [row.parts for row in known], new)
            for key, blob in zip(keys.tolist(), blobs, strict=True):
                connection.execute(tables.key.delete().where(tables.key.c.key == key))
                connection.execute(
                    tables.key.insert().values(
                        plugin=PLUGIN, key=key, dimensions=b"", total=0, first=0, last=0, parts=blob, checksum=0
                    )
                )
            for place, (first, total) in batch.items():
                before = expected.get(place, (first, 0))
                expected[place] = min(before[0], first), before[1] + total
        found = [row for portion in parts.of_all_keys(connection, PLUGIN) for row in listed(portion)]
    assert sorted(found) == sorted((*place, *numbers) for place, numbers in expected.items())


def test_names_of_parts_keep_their_numbers(database: Database) -> None:
    """Those of other plugins are counted apart."""
    empty(database)
    with database.writing() as connection:
        assert parts.numbered(connection, PLUGIN, [b"a", b""]).tolist() == [1, 2]
        assert parts.numbered(connection, PLUGIN + 1, [b""]).tolist() == [1]
        assert parts.numbered(connection, PLUGIN, [b"c", b"a", b"d"]).tolist() == [3, 1, 4]
        assert parts.names(connection, PLUGIN) == {1: b"a", 2: b"", 3: b"c", 4: b"d"}


SIGHTINGS = st.sets(st.tuples(TIMES, KEYS, MEMBERS), max_size=80)


@given(st.lists(SIGHTINGS, max_size=4))
def test_sets_are_unions(database: Database, batches: list[set[tuple[int, int, int]]]) -> None:
    """A member is new once in each set, whether the set is an array or a bitmap; the dump has their digests."""
    empty(database)
    expected: set[tuple[int, int, int]] = set()
    with database.writing() as connection:
        for batch in batches:
            start, key, digest = columns(batch, 3)
            numbers = member_sets.numbered(connection, PLUGIN, digest)
            member_sets.numbered(connection, PLUGIN + 1, digest)
            new = member_sets.add(connection, PLUGIN, DAY, start, key, numbers)
            assert set(listed([start[new], key[new], digest[new]])) == batch - expected
            expected |= batch
        found = [*member_sets.dump(connection, PLUGIN)]
        counted = [*member_sets.counts(connection, PLUGIN)]
    assert [(start, key, one) for _, start, key, digests in found for one in digests] == sorted(expected)
    assert counted == [(width, start, key, len(digests)) for width, start, key, digests in found]


@pytest.mark.parametrize(("members", "size"), [([0], 2), ([5, 999], 5), ([5, 70_000], 9), ([*range(1000)], 126)])
def test_a_set_is_as_small_as_it_can_be(database: Database, members: list[int], size: int) -> None:
    """Two or four bytes for each member, or a bit for each number up to the greatest."""
    empty(database)
    numbers = np.array(members)
    zeros = np.zeros(len(members), np.int64)
    with database.writing() as connection:
        assert member_sets.add(connection, PLUGIN, DAY, zeros, zeros, numbers).all()
        assert not member_sets.add(connection, PLUGIN, DAY, zeros, zeros, numbers).any()
        assert connection.scalar(select(func.length(tables.member_set.c.data))) == SEAL + size


def test_marks_of_keys_go_when_a_render_has_seen_them(database: Database) -> None:
    """Many of them become one row, which no render clears that began before the last of them."""
    with database.writing() as connection:
        row = positions.register(connection, {"sales": "1"})["sales"]
        for revision in range(1, 40):
            row.revision = revision
            positions.mark(connection, row, [("latest", 0)], changed_keys.pack([revision, 0, 0], [2024, 2023, 2023]))
            assert len(connection.execute(select(schema.dirty_keys)).all()) <= 16
        expected = [(0, 2023), *((number, 2024) for number in range(1, 40))]
        assert positions.marked_keys(connection, row).tolist() == expected
        assert positions.marked(connection, row) == [("latest", 0, 39)]
        row.revision = 38
        positions.clear_marks(connection, row)
        left = positions.marked_keys(connection, row).tolist()
        assert (39, 2024) in left
        assert (38, 2024) not in left
        row.revision = 39
        positions.clear_marks(connection, row)
        assert positions.marked_keys(connection, row).tolist() == []
        assert positions.marked(connection, row) == []


def test_sums_are_exact_beyond_64_bits() -> None:
    """A reader gets Python's numbers; what is stored is refused."""
    values, at = np.array([LARGEST, LARGEST, -5, 1]), np.array([0, 2])
    assert sums(values, at).tolist() == [2 * LARGEST, -4]
    with pytest.raises(OverflowError, match="a sum is beyond 64 bits"):
        bounded(sums(values, at))
    assert bounded(sums(values[1:], np.array([0, 1]))).tolist() == [LARGEST, -4]
    assert sums(values[:0], starts(values[:0])).tolist() == []


def test_a_damaged_row_is_reported() -> None:
    """A blob that is empty, cut off, of no form, of another place, or has a flipped bit anywhere."""
    packing = Packing([("a", "u1"), ("b", "<u2")], [("a", "<i8"), ("b", "<i8")])
    (blob,) = packing.pack(np.array([0]), {"a": np.array([3]), "b": np.array([4])}, 1)
    data = opened(blob)
    assert data == b"\0\3\4\0"
    for damaged, what in ((b"", "is empty"), (data[:-1], "is cut off"), (b"\7" + data[1:], "has the form 7")):
        with pytest.raises(ValueError, match=what):
            packing.unpack([blob, sealed(damaged)])
    for at in range(8 * len(blob)):
        flipped = bytearray(blob)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(DamagedStatistics, match="a packed row of statistics is damaged"):
            packing.unpack([blob, bytes(flipped)])
    with pytest.raises(DamagedStatistics):
        packing.unpack(packing.pack(np.array([0]), {"a": np.array([3]), "b": np.array([4])}, 1, place=5), place=6)

"""Days of unbounded counters: one compact row for each key and calendar quarter.

The rows of a quarter lie together, so a stride of history touches few pages, while a key's document reads a few small
rows. A row's entries are the day within its quarter, the number of the part (0 where numbers are not divided), and the
value; each day and part once, sorted.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, func, select

from statscache.kinds.packed import Entries, Packing, Whole, bounded, starts, sums
from statscache.kinds.tables import key_quarter
from statscache.store.bulk import Lookup, Upsert, among
from statscache.timeline import DAY

UNDIVIDED = 0
"""The number of the part where numbers are not divided."""

_PACKING = Packing(
    [("day", "u1"), ("part", "u1"), ("value", "<u2")],
    [("day", "u1"), ("part", "<u4"), ("value", "<i8")],
)
BEGINNING, END = -(2**40), 2**40
"""Seconds since 1970 UTC that no timestamp reaches, on either side."""

_NEXT = select(func.min(key_quarter.c.quarter)).where(
    key_quarter.c.plugin == bindparam("plugin"), key_quarter.c.quarter >= bindparam("first")
)
_PLACES = 2**32
_MONTHS = 3
_QUARTERS = 4
_ROWS_AT_ONCE = 5_000

_lookup = Lookup(key_quarter, "key", "data")
_write = Upsert(key_quarter, lambda table, new: {"data": new.data})


class Days(NamedTuple):
    """Values of keys by day and part, as columns of one length.

    Attributes:
        key: Digest of the key.
        start: Start of the day in seconds since 1970 UTC.
        part: Number of the part.
        value: The sum of that day.
    """

    key: Whole
    start: Whole
    part: Whole
    value: Whole

    def taken(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> "Days":
        """Return those that `which` chooses, by index or by condition."""
        return Days(*(column[which] for column in self))


def quarter_of(start: Whole) -> Whole:
    """Return the number of whole calendar quarters from 1970 to each time in seconds."""
    months = (start // DAY).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months // _MONTHS


def quarter_start(quarter: int) -> int:
    """Return the start of a calendar quarter in seconds since 1970 UTC."""
    return int(np.datetime64(quarter * _MONTHS, "M").astype("datetime64[D]").astype(np.int64)) * DAY


def year_of(quarter: Whole) -> Whole:
    """Return the calendar years in which quarters lie."""
    return quarter // _QUARTERS + 1970


def add(connection: Connection, plugin: int, new: Days) -> tuple[Whole, Whole]:
    """Add values to days, and return the keys and years that this changed, as columns; pairs may occur more than once.

    Raises:
        OverflowError: A day's sum would be beyond 64 bits; the transaction must not commit.
    """
    quarters = quarter_of(new.start)
    changed = [np.zeros(0, np.int64)]
    years = [np.zeros(0, np.int64)]
    for quarter in np.unique(quarters).tolist():
        keys = _add_in_quarter(connection, plugin, quarter, new.taken(quarters == quarter))
        changed.append(keys)
        years.append(year_of(np.full(len(keys), quarter)))
    return np.concatenate(changed), np.concatenate(years)


def _add_in_quarter(connection: Connection, plugin: int, quarter: int, new: Days) -> Whole:
    """Add values to the days of one quarter, and return the keys."""
    keys, row = np.unique(new.key, return_inverse=True)
    stored, data = _lookup.columns(connection, (plugin, quarter), keys.tolist())
    known, entries = _PACKING.unpack(data, quarter % _PLACES)
    known = np.searchsorted(keys, np.array(stored, np.int64))[known]
    row = np.concatenate([known, row])
    day = np.concatenate([entries["day"], (new.start - quarter_start(quarter)) // DAY])
    part = np.concatenate([entries["part"], new.part])
    value = np.concatenate([entries["value"], new.value])
    # One number is an entry's place: the row, 7 bits of the day, and 32 bits of the part.
    place = (row << 39) | (day << 32) | part
    order = np.argsort(place, kind="stable")
    at = starts(place[order])
    first = order[at]
    added = {"day": day[first], "part": part[first], "value": bounded(sums(value[order], at))}
    blobs = _PACKING.pack(row[first], added, len(keys), quarter % _PLACES)
    _write(connection, [(plugin, quarter, key, blob) for key, blob in zip(keys.tolist(), blobs, strict=True)])
    return keys


def of_keys(connection: Connection, plugin: int, keys: Sequence[int], start: int, end: int) -> Days:
    """Return the days in `[start, end)` of some keys, in no order; it reads the quarters that this touches alone."""
    found = [_none()]
    for quarter in quarters(connection, plugin, start, end):
        rows = _lookup.columns(connection, (plugin, quarter), keys)
        found.append(_unpacked(quarter, start, end, *rows))
    return _joined(found)


def of_years(connection: Connection, plugin: int, keys: Whole, years: Whole) -> Days:
    """Return the days of keys in calendar years, in no order; it reads the quarters of these years alone.

    Args:
        connection: The transaction.
        plugin: The number of the plugin.
        keys: Digests of keys, one for each year.
        years: The calendar years.
    """
    found = [_none()]
    for year in np.unique(years).tolist():
        wanted = np.sort(keys[years == year]).tolist()
        first = (year - 1970) * _QUARTERS
        for quarter in range(first, first + _QUARTERS):
            found.append(_unpacked(quarter, BEGINNING, END, *_lookup.columns(connection, (plugin, quarter), wanted)))
    return _joined(found)


def in_window(connection: Connection, plugin: int, start: int, end: int) -> Iterator[Days]:
    """Yield the days in `[start, end)` of all keys, in portions; all days of a key and quarter are adjacent."""
    for quarter in quarters(connection, plugin, start, end):
        query = select(key_quarter.c.key, key_quarter.c.data).where(
            key_quarter.c.plugin == plugin, key_quarter.c.quarter == quarter
        )
        result = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))
        for rows in result.partitions():
            yield _unpacked(quarter, start, end, *zip(*rows, strict=True))


def remove(connection: Connection, plugin: int, keys: Collection[int]) -> None:
    """Remove all days of some keys."""
    for quarter in quarters(connection, plugin, BEGINNING, END):
        mine = key_quarter.c.plugin == plugin, key_quarter.c.quarter == quarter
        connection.execute(delete(key_quarter).where(*mine, among(key_quarter.c.key, [*keys])))


def touched(start: int, end: int) -> range:
    """Return the quarters that `[start, end)` touches."""
    first, last = quarter_of(np.array([start, end - 1])).tolist()
    return range(first, last + 1)


def quarters(connection: Connection, plugin: int, start: int, end: int) -> list[int]:
    """Return the quarters that `[start, end)` touches and that have a row, oldest first."""
    between = touched(start, end)
    found: list[int] = []
    # One seek for each quarter, instead of a scan of all its keys.
    quarter = connection.scalar(_NEXT, {"plugin": plugin, "first": between.start})
    # A range looks through all of its numbers for what is not one.
    while quarter is not None and quarter in between:
        found.append(quarter)
        quarter = connection.scalar(_NEXT, {"plugin": plugin, "first": quarter + 1})
    return found


def by_key(days: Days) -> tuple[Whole, list[int]]:
    """Return the keys of days, ascending, and the sum of each."""
    order = np.argsort(days.key, kind="stable")
    key, value = days.key[order], days.value[order]
    at = starts(key)
    return key[at], sums(value, at).tolist()


def _unpacked(quarter: int, start: int, end: int, keys: Sequence[int], data: Sequence[bytes]) -> Days:
    row, entries = _PACKING.unpack(data, quarter % _PLACES)
    days = Days(np.array(keys, np.int64)[row], *_columns(entries, quarter))
    first = quarter_start(quarter)
    if start <= first and quarter_start(quarter + 1) <= end:
        return days
    return days.taken((days.start >= start) & (days.start < end))


def _columns(entries: Entries, quarter: int) -> tuple[Whole, Whole, Whole]:
    return quarter_start(quarter) + entries["day"] * DAY, entries["part"], entries["value"]


def _none() -> Days:
    return Days(*(np.zeros(0, np.int64) for _ in Days._fields))


def _joined(portions: Sequence[Days]) -> Days:
    return Days(*(np.concatenate(columns) for columns in zip(*portions, strict=True)))

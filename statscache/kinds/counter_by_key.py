"""`Counter`, unbounded: numbers by key and day, so that the document of one key is read without touching the others."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, select

from statscache.kinds import buckets, days, keys, parts
from statscache.kinds.base import Days as DaysByYear
from statscache.kinds.base import Dirty, KeyDocument, KeyPart, State
from statscache.kinds.counter import TOTAL, CounterKind
from statscache.kinds.days import UNDIVIDED
from statscache.kinds.packed import Whole, starts, sums
from statscache.kinds.presentation import Column, Row
from statscache.kinds.reduced import PartSums, Sums
from statscache.kinds.sums import sum_up
from statscache.kinds.tables import key
from statscache.kinds.yields import Yields
from statscache.store import changed_keys
from statscache.store.bulk import Lookup
from statscache.timeline import DAILY, DAY, Resolution
from statscache.windows import LAST_7D, LAST_30D, Window

LEADERS = 100
"""Rows of `latest`."""

_KEYS_AT_ONCE = 1_000

_lookup = Lookup(key, "key", "dimensions", "total", "first", "last", "parts")


class CounterByKeyKind(CounterKind):
    """Sums of amounts; of an unbounded counter, each of whose keys has a document."""

    columns = (TOTAL, *map(Column.of, (LAST_7D, LAST_30D)))

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        return ()

    @property
    def windows(self) -> tuple[int, ...]:
        return (DAY,)

    def reduce(self, yields: Yields) -> Sums:
        divided = self.plugin.breakdown is not None
        return sum_up(yields, () if divided else (DAILY,), divided=divided)

    def merge(self, state: State, new: Sums) -> set[Dirty]:
        return {Dirty("latest"), Dirty("keys", keys=_add(state, new))}

    def _take_out_days(self, state: State, digests: Collection[int]) -> None:
        days.remove(state.connection, state.plugin, digests)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from super().dump(connection, plugin, through)
        yield from _dump(connection, plugin)

    def _shown(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(key.c.total.desc(), key.c.dimensions).limit(LEADERS)

    def _sums(self, state: State, window: Window, through: int, digests: Sequence[int]) -> dict[int, int]:
        return _in_window(state, *window.bounds(through), digests)

    def main_column(self, rows: Sequence[Row]) -> Column:
        # Rows are the greatest by total, which are not the greatest of a window.
        return TOTAL

    @property
    def adds_up(self) -> bool:
        return False

    @property
    def badge_window(self) -> None:
        return None

    def key_documents(self, state: State, digests: Sequence[int]) -> Iterator[KeyDocument]:
        return _documents(state, digests, self.plugin.breakdown)

    def all_keys(self, state: State) -> list[int]:
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))


def _add(state: State, new: Sums) -> bytes:
    """Add the sums of a batch to keys, their days and their parts, and return the keys that changed, packed.

    Raises:
        OverflowError: A sum would be beyond 64 bits; the transaction must not commit.
    """
    if new.parts is None:
        columns: list[bytes] | None = None
        key_index, start, value = new.buckets[DAY]
        part = np.full(len(start), UNDIVIDED)
    else:
        numbers = parts.numbered(state.connection, state.plugin, new.parts.names)
        columns = _parts(state, new, new.parts, numbers)
        key_index, start, value = new.parts.day_key, new.parts.day_start, new.parts.day_value
        part = numbers[new.parts.day_part]
    buckets.add_keys(state, new, new.totals.tolist(), columns)
    digests = new.keys[key_index]
    return changed_keys.pack(*days.add(state.connection, state.plugin, days.Days(digests, start, part, value)))


def _parts(state: State, new: Sums, of: PartSums, numbers: Whole) -> list[bytes]:
    """Return the column `parts` of each key of a batch, with the batch in it."""
    order = np.argsort(new.keys)
    added = parts.Parts(new.keys[of.key], numbers[of.part], of.first, of.total)
    blobs = parts.added(state.connection, state.plugin, new.keys[order], added)
    columns = [b""] * len(blobs)
    for index, blob in zip(order.tolist(), blobs, strict=True):
        columns[index] = blob
    return columns


def _in_window(state: State, start: int, end: int, digests: Sequence[int]) -> dict[int, int]:
    """Return the sum of the days in `[start, end)` of each of these keys that has any, by digest."""
    key_of, total = days.by_key(days.of_keys(state.connection, state.plugin, digests, start, end))
    return dict(zip(key_of.tolist(), total, strict=True))


def _documents(state: State, digests: Sequence[int], breakdown: str | None) -> Iterator[KeyDocument]:
    """Yield what is published of each of these keys that exists.

    Args:
        state: Of the plugin.
        digests: Of the keys.
        breakdown: The field of a part's name; None where numbers are not divided.
    """
    rows = _lookup(state.connection, (state.plugin,), digests)
    if not rows:
        return
    # No key has a day outside the times of its first and last message.
    start, end = DAILY.floor(min(row.first for row in rows)), max(row.last for row in rows) + 1
    found = days.of_keys(state.connection, state.plugin, [row.key for row in rows], start, end)
    whole = _by_year(found.key, np.zeros_like(found.key), found.start, found.value)
    divided = _by_year(found.key, found.part, found.start, found.value) if breakdown else {}
    names = parts.names(state.connection, state.plugin) if breakdown else {}
    part_totals = _totals([(row.key, row.parts) for row in rows], names) if breakdown else {}
    for row in rows:
        name = keys.load(row.dimensions)
        divided_into = None
        if breakdown is not None:
            divided_into = [
                KeyPart(keys.load(names[number])[0], total, divided[row.key, number])
                for number, total in part_totals[row.key]
            ]
        yield KeyDocument(name, row.total, row.first, row.last, whole[row.key, 0], breakdown, divided_into)


def _totals(rows: Sequence[tuple[int, bytes]], names: Mapping[int, bytes]) -> dict[int, list[tuple[int, int]]]:
    """Return number and total of the parts of each key, in order of the parts' names."""
    of = parts.unpacked(rows)
    order = np.lexsort((_ranks(names)[of.part], of.key))
    found: dict[int, list[tuple[int, int]]] = {digest: [] for digest, _ in rows}
    for digest, number, total in zip(*(c[order].tolist() for c in (of.key, of.part, of.total)), strict=True):
        found[digest].append((number, total))
    return found


def _ranks(names: Mapping[int, bytes]) -> Whole:
    """Return the rank of each part's name, by the part's number."""
    ranks = np.zeros(max(names) + 1, np.int64)
    ranks[sorted(names, key=names.__getitem__)] = np.arange(len(names))
    return ranks


def _by_year(key_of: Whole, part: Whole, start: Whole, value: Whole) -> dict[tuple[int, int], DaysByYear]:
    """Return the days of each key and part by year; values of one day are added up."""
    order = np.lexsort((start, part, key_of))
    key_of, part, start, value = key_of[order], part[order], start[order], value[order]
    day = starts(key_of, part, start)
    values: list[int] = sums(value, day).tolist()
    key_of, part, start = key_of[day], part[day], start[day]
    year = days.year_of(days.quarter_of(start))
    at = starts(key_of, part, year)
    days_of = start.tolist()
    found: dict[tuple[int, int], DaysByYear] = {}
    years, first_of = np.unique(year, return_index=True)
    labels = {each: DAILY.period(days_of[at]).label for each, at in zip(years.tolist(), first_of.tolist(), strict=True)}
    owners = zip(key_of[at].tolist(), part[at].tolist(), year[at].tolist(), strict=True)
    for (digest, number, of), (first, end) in zip(owners, pairwise([*at.tolist(), len(days_of)]), strict=True):
        found.setdefault((digest, number), {})[labels[of]] = [*zip(days_of[first:end], values[first:end], strict=True)]
    return found


def _dump(connection: Connection, plugin: int) -> Iterator[tuple[Any, ...]]:
    """Yield days and parts, row by row in a declared order, for a recount to compare with."""
    names = buckets.names(connection, plugin)
    part_names = {UNDIVIDED: b""} | parts.names(connection, plugin)
    ranks = _ranks(part_names)
    digests = sorted(names)
    for at in range(0, len(digests), _KEYS_AT_ONCE):
        found = days.of_keys(connection, plugin, digests[at : at + _KEYS_AT_ONCE], days.BEGINNING, days.END)
        order = np.lexsort((ranks[found.part], found.start, found.key))
        for digest, start, part, value in zip(*(column[order].tolist() for column in found), strict=True):
            yield ("1d", start, names[digest], part_names[part], value)
    for portion in parts.of_all_keys(connection, plugin):
        order = np.lexsort((ranks[portion.part], portion.key))
        for digest, part, first, total in zip(*(column[order].tolist() for column in portion), strict=True):
            yield ("part", names[digest], part_names[part], total, first)

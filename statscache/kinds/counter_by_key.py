"""`Counter`, unbounded: numbers by key and day, so that the document of one key is read without touching the others."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, func, select

from statscache.exceptions import YieldError
from statscache.kinds import buckets, days, key_documents, key_entries, keys, lost_rows, parts, years
from statscache.kinds.counter import TOTAL, CounterKind
from statscache.kinds.days import UNDIVIDED
from statscache.kinds.latest import check_fields
from statscache.kinds.packed import starts
from statscache.kinds.presentation import Column, Headline, Partial, Row, noun_of, ranked
from statscache.kinds.state import Dirty, KeyDocument, State
from statscache.kinds.sums import Counted, Sums, sum_up
from statscache.kinds.tables import key
from statscache.kinds.yields import Yields
from statscache.scrubbing import NOBODY
from statscache.store import changed_keys
from statscache.store.bulk import Lookup
from statscache.store.changed_keys import Keys
from statscache.store.intervals import Interval
from statscache.timeline import DAILY, DAY, Resolution
from statscache.windows import LAST_7D, LAST_30D, Window

LEADERS = 100
"""Rows of `latest`."""

_KEYS_AT_ONCE = 1_000
_ROWS_AT_ONCE = 5_000

_TAKEN = frozenset({"timestamp"})
"""The names that fields of an entry cannot have."""

_lookup = Lookup(key, "key", "parts", "years", "entries")


class CounterByKeyKind(CounterKind):
    """Sums of amounts; of an unbounded counter, each of whose keys has a document."""

    columns = (TOTAL, *map(Column.of, (LAST_7D, LAST_30D)))

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        return ()

    @property
    def windows(self) -> tuple[int, ...]:
        return (DAY,)

    def _check_new(self, item: Any) -> Counted:
        if not self.plugin.entries:
            return super()._check_new(item)
        if type(item) is not tuple or len(item) != 2 or type(item[0]) is not tuple:
            example = "(('bash',), {'state': 'complete'})"
            raise YieldError(f"a counter with `entries` takes a key and fields, such as {example}; got {item!r:.200}")
        name, fields = item
        digest, stored, amount, part, _ = self._checked_key(name)
        return digest, stored, amount, part, check_fields(name, fields, _TAKEN, key_entries.LARGEST)

    def reduce(self, yields: Yields) -> Sums:
        divided = self.plugin.breakdown is not None
        sums = sum_up(yields, () if divided else (DAILY,), divided=divided)
        most = self.plugin.entries
        return replace(sums, entries=key_entries.newest(yields, most)) if most else sums

    def merge(self, state: State, new: Sums) -> set[Dirty]:
        return {Dirty("latest"), Dirty("keys", keys=_add(state, new, self.plugin.entries))}

    def has_lost_rows(self, state: State, since: Mapping[int, int]) -> bool:
        if DAY not in since or state.newest is None:
            return False
        connection, plugin = state.connection, state.plugin
        listed = self._shown(select(key.c.key, key.c.total, key.c.years).where(key.c.plugin == plugin))
        return lost_rows.keys_lack_days(connection, plugin, since[DAY], state.newest) or lost_rows.years_lack_days(
            connection, plugin, connection.execute(listed).all(), since[DAY]
        )

    def _take_out_days(self, state: State, digests: Collection[int]) -> None:
        days.remove(state.connection, state.plugin, digests)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from super().dump(connection, plugin, through)
        yield from _dump(connection, plugin)

    def _shown(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(key.c.total.desc(), key.c.dimensions).limit(LEADERS)

    def _sums(self, state: State, window: Window, through: int, digests: Sequence[int]) -> dict[int, int]:
        return _in_window(state, *window.bounds(through), digests)

    def main_column(self, rows: Sequence[Row], partial: Partial) -> Column:
        # Rows are the greatest by total, which are not the greatest of a window.
        return TOTAL

    @property
    def adds_up(self) -> bool:
        return False

    def count_keys(self, state: State) -> int:
        # Not those that stand for many, or for somebody who was forgotten.
        dimensions = len(self.plugin.dimensions)
        aside = [keys.digest((name,) * dimensions) for name in (keys.OTHER, NOBODY)]
        query = select(func.count()).where(key.c.plugin == state.plugin, key.c.key.not_in(aside))
        return int(state.connection.execute(query).scalar_one())

    def headline(
        self, rows: Sequence[Row], label: Callable[[Row], str], partial: Partial, keys: int | None = None
    ) -> Headline | None:
        # A sum of the greatest keys is one of nothing, and a number of one key is not the site's.
        if keys is None or not rows:
            return super().headline(rows, label, partial)
        top, value = ranked(rows, TOTAL.name, label)[0]
        names = noun_of(self.plugin.dimensions[-1], self.plugin.entities, keys)
        return Headline(keys, f"{names}; the most {self.plugin.unit}: {top}, {value:,}", top=top)

    @property
    def badge_window(self) -> None:
        return None

    def key_documents(self, state: State, changed: Keys | None) -> Iterator[KeyDocument]:
        wanted = years.pairs(state.connection, state.plugin) if changed is None else changed
        of = self.plugin
        return key_documents.documents(state, wanted, of.breakdown, of.name, has_entries=of.entries > 0)

    def keys_showing(self, state: State, days: Sequence[Interval]) -> Keys:
        shown = [key.c.plugin == state.plugin, key.c.last >= min(start for start, _ in days)]
        query = select(key.c.key, key.c.years, key.c.last).where(*shown, key.c.years.is_not(None))
        found = [changed_keys.pack((), ())]
        for rows in state.connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)).partitions():
            found.append(_showing(days, *zip(*rows, strict=True)))
        return changed_keys.unpack(found)


def _showing(
    days: Sequence[Interval], stored: Sequence[int], stored_years: Sequence[bytes], last: Sequence[int]
) -> bytes:
    """Return the keys whose own documents or older years show any of these days, packed.

    Args:
        days: Whole days.
        stored: Digest of each key.
        stored_years: Its column `years`.
        last: The time of its newest event.
    """
    digests, newest_event = (np.array(column, np.int64) for column in (stored, last))
    of = years.unpacked(stored, stored_years)
    row = np.repeat(np.arange(len(digests)), np.diff([*starts(of.key).tolist(), len(of.key)]))
    newest = years.newest(row, of.year, len(digests))
    is_shown = np.zeros(len(of.year), bool)
    for start, end in days:
        first_year, last_year = (datetime.fromtimestamp(at, UTC).year for at in (start, end - 1))
        is_recent = of.year > newest[row] - years.RECENT
        within = newest_event[row] >= start
        # The document of a key shows the year before its newest even where it has no day of that year.
        of_recent = (of.year == newest[row]) & within & (last_year > newest[row] - years.RECENT)
        is_shown |= of_recent | (~is_recent & (first_year <= of.year) & (of.year <= last_year))
    return changed_keys.pack(of.key[is_shown], of.year[is_shown])


def _add(state: State, new: Sums, most: int) -> bytes:
    """Add the sums of a batch to keys, their days, years, parts and entries, and return the keys that changed, packed.

    Args:
        state: State of the plugin.
        new: What the batch adds.
        most: How many entries of a key are kept.

    Raises:
        OverflowError: A sum would be beyond 64 bits; the transaction must not commit.
    """
    connection, plugin = state.connection, state.plugin
    known, known_parts, known_years, known_entries = _lookup.columns(connection, (plugin,), new.keys.tolist())
    part_column: list[bytes] | None = None
    if new.parts is None:
        key_index, start, value = new.buckets[DAY]
        part = np.full(len(start), UNDIVIDED)
    else:
        numbers = parts.numbered(connection, plugin, new.parts.names)
        key_index, start, value = new.parts.day_key, new.parts.day_start, new.parts.day_value
        part = numbers[new.parts.day_part]
        of_parts = parts.Parts(new.keys[new.parts.key], numbers[new.parts.part], new.parts.first, new.parts.total)
        part_column = parts.added(new.keys, known, known_parts, of_parts)
    of_days = days.Days(new.keys[key_index], start, part, value)
    of_years = years.Years(of_days.key, days.year_of(days.quarter_of(start)), value)
    year_column, left, year_left = years.added(new.keys, known, known_years, of_years)
    entry_column = None
    if new.entries is not None:
        stored = dict(zip(known, known_entries, strict=True))
        entry_column = key_entries.added(new.keys.tolist(), stored, new.entries, most)
    buckets.add_keys(state, new, new.totals.tolist(), part_column, year_column, entry_column)
    changed, year_changed = days.add(connection, plugin, of_days)
    # A year that is not recent any more gets a document of its own.
    return changed_keys.pack(np.concatenate([changed, left]), np.concatenate([year_changed, year_left]))


def _in_window(state: State, start: int, end: int, digests: Sequence[int]) -> dict[int, int]:
    """Return the sum of the days in `[start, end)` of each of these keys that has any, by digest."""
    key_of, total = days.by_key(days.of_keys(state.connection, state.plugin, digests, start, end))
    return dict(zip(key_of.tolist(), total, strict=True))


def _dump(connection: Connection, plugin: int) -> Iterator[tuple[Any, ...]]:
    """Yield days, years, parts and entries, row by row in a declared order, for a recount to compare with."""
    names = buckets.names(connection, plugin)
    part_names = {UNDIVIDED: b""} | parts.names(connection, plugin)
    ranks = parts.ranks(part_names)
    digests = sorted(names)
    for at in range(0, len(digests), _KEYS_AT_ONCE):
        found = days.of_keys(connection, plugin, digests[at : at + _KEYS_AT_ONCE], days.BEGINNING, days.END)
        order = np.lexsort((ranks[found.part], found.start, found.key))
        for digest, start, part, value in zip(*(column[order].tolist() for column in found), strict=True):
            yield ("1d", start, names[digest], part_names[part], value)
    for of in years.of_all_keys(connection, plugin):
        for digest, year, total in zip(*(column.tolist() for column in of), strict=True):
            yield ("year", names[digest], year, total)
    for portion in parts.of_all_keys(connection, plugin):
        order = np.lexsort((ranks[portion.part], portion.key))
        for digest, part, first, total in zip(*(column[order].tolist() for column in portion), strict=True):
            yield ("part", names[digest], part_names[part], total, first)
    for row, entries in key_entries.of_all_keys(connection, plugin):
        yield from (("entry", names[row.key], timestamp, fields) for timestamp, fields in entries)

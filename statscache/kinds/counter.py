"""`Counter`: sums of whole amounts, by key and by bucket of time.

A bounded counter keeps buckets of three widths, filed by time. One that is unbounded (people, packages, topics) is in
`counter_by_key`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any, ClassVar, Protocol

from sqlalchemy import Connection, Select, delete, func, select
from sqlalchemy.sql.expression import ColumnElement

from statscache.exceptions import DocumentError, YieldError
from statscache.kinds import buckets, keys, leaders, lost_rows
from statscache.kinds.base import Kind, Statistic
from statscache.kinds.consistency import (
    ADDING_UP,
    DAYS_ADD_UP,
    ENTRIES_ARE_OF_THEIR_KEY,
    KEYS,
    PART_IS_ITS_CHECKSUM,
    PARTS_ADD_UP,
    YEARS_ADD_UP,
    has_key,
)
from statscache.kinds.keys import MOST_KEYS, OTHER
from statscache.kinds.presentation import Column, Partial, Row, first_counted
from statscache.kinds.search import KeyEntries, StoredKeys
from statscache.kinds.state import Dirty, Extent, State
from statscache.kinds.sums import Counted, Sums, sum_up
from statscache.kinds.tables import bucket, key, key_quarter
from statscache.kinds.tables import part as part_table
from statscache.kinds.yields import Yields
from statscache.store.bulk import among
from statscache.timeline import DAILY, DAY, HOUR, HOURLY, MINUTELY, Resolution
from statscache.windows import LAST_7D, LAST_24H, LAST_30D, Window

_LARGEST = 2**53
_CACHED_KEYS = 10_000


TOTAL = Column("total", "Total", words="in all")


class Counting(Statistic, Protocol):
    """A plugin that counts."""

    breakdown: ClassVar[str | None]
    by_minute: ClassVar[bool]
    entries: ClassVar[int]
    listed: ClassVar[Mapping[str, Collection[str]]]


class CounterKind(Kind):
    """Sums of amounts; of a bounded counter."""

    name = "Counter"
    description = "Counts: whole numbers, added up for each key in time buckets."
    note = (
        "Windows end at the last full hour (24 h) or day (7 and 30 days) before the data\u2019s own time; the total"
        " holds everything."
    )
    columns = (TOTAL, *map(Column.of, (LAST_24H, LAST_7D, LAST_30D)))
    card_columns = (*map(Column.of, (LAST_7D, LAST_30D)), TOTAL)
    ordered_by = TOTAL.name
    tables = (key, bucket, key_quarter, part_table)
    searched = (StoredKeys(part_table, "name"), KeyEntries(key, "entries"))
    invariants = (
        *KEYS,
        *map(has_key, (bucket, key_quarter)),
        *ADDING_UP,
        DAYS_ADD_UP,
        PARTS_ADD_UP,
        PART_IS_ITS_CHECKSUM,
        YEARS_ADD_UP,
        ENTRIES_ARE_OF_THEIR_KEY,
    )
    takes_depends_on = True
    takes_unbounded = True
    plugin: Counting

    def __init__(self, plugin: Counting) -> None:
        super().__init__(plugin)
        self._checked: dict[Any, Counted] = {}
        self._names = plugin.dimensions if plugin.breakdown is None else (*plugin.dimensions, plugin.breakdown)

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        return (MINUTELY, HOURLY, DAILY) if self.plugin.by_minute else (HOURLY, DAILY)

    @property
    def windows(self) -> tuple[int, ...]:
        return HOUR, DAY

    def check(self, item: Any) -> Counted:
        try:
            return self._checked.get(item) or self._check_new(item)
        except TypeError:
            return self._check_new(item)

    def _check_new(self, item: Any) -> Counted:
        if type(item) is tuple and len(item) == 2 and type(item[0]) is tuple:
            name, amount = item
            if type(amount) is not int or not -_LARGEST < amount < _LARGEST:
                raise YieldError(f"the amount of {name!r:.200} must be a whole number below 2^53; got {amount!r:.200}")
            digest, stored, _, part, _ = self._checked_key(name)
            return digest, stored, amount, part, None
        return self._checked_key(item)

    def _checked_key(self, given: Any) -> Counted:
        """Return what counts 1 for a key that `observe` yielded."""
        name = self.key(self._names, given)
        if found := self._checked.get(name):
            return found
        if len(self._checked) >= _CACHED_KEYS:
            self._checked.clear()
        divided = len(self.plugin.dimensions)
        checked = self._checked[name] = *keys.identity(name[:divided]), 1, keys.stored(name[divided:]), None
        return checked

    def others(self, items: Sequence[Counted]) -> Sequence[Counted]:
        digest, stored, _, part, _ = self._checked_key((OTHER,) * len(self._names))
        amount = sum(item[2] for item in items)
        return [(digest, stored, max(-_LARGEST, min(amount, _LARGEST)), part, None)]

    def key_of(self, checked: Any) -> keys.Key:
        return keys.load(checked[1])

    def reduce(self, yields: Yields) -> Sums:
        return sum_up(yields, self.resolutions, divided=False)

    def merge(self, state: State, new: Sums) -> set[Dirty]:
        buckets.add_keys(state, new, new.totals.tolist())
        dirty = {Dirty("latest")}
        for resolution in self.resolutions:
            starts = buckets.add_values(state, resolution, new)
            dirty |= {Dirty(resolution.name, start) for start in resolution.period_starts(starts)}
            buckets.drop_expired(state, resolution)
        return dirty

    def has_lost_rows(self, state: State, since: Mapping[int, int]) -> bool:
        if state.through is None:
            return False
        return lost_rows.do_not_add_up(state.connection, state.plugin, since, state.through)

    def own_key(self, checked: Any) -> tuple[int, bytes]:
        digest, stored, *_ = checked
        return digest, stored

    def remove_keys(self, state: State, digests: Collection[int]) -> Extent:
        connection, plugin = state.connection, state.plugin
        for table in (key, bucket):
            gone = among(table.c.key, [*digests])
            connection.execute(delete(table).where(table.c.plugin == plugin, gone))
        self._take_out_days(state, digests)
        left = select(func.min(key.c.first), func.max(key.c.last)).where(key.c.plugin == plugin)
        return Extent(*connection.execute(left).one())

    def _take_out_days(self, state: State, digests: Collection[int]) -> None:
        """Remove the days of keys where they are not in buckets."""

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from buckets.dump(connection, plugin, self.resolutions, through)

    def latest(self, state: State) -> list[dict[str, Any]]:
        query = select(key.c.key, key.c.dimensions, key.c.total).where(key.c.plugin == state.plugin)
        rows = [row for row in state.connection.execute(self._shown(query)) if self._is_listed(row.dimensions)]
        if not rows or state.through is None:
            return []
        for row in rows:
            keys.named(self.plugin.name, row.key, row.dimensions)
        windows = [column.window for column in self.columns if column.window]
        digests = [row.key for row in rows]
        trailing = {window.name: self._sums(state, window, state.through, digests) for window in windows}
        numbers = {row.dimensions: (row.total, *(of.get(row.key, 0) for of in trailing.values())) for row in rows}
        if not self.plugin.unbounded and len(numbers) > MOST_KEYS:
            numbers = self._with_others(numbers)
        fields = TOTAL.name, *trailing
        return [{**self.record(of), **dict(zip(fields, values, strict=True))} for of, values in numbers.items()]

    def _with_others(self, numbers: Mapping[bytes, tuple[int, ...]]) -> dict[bytes, tuple[int, ...]]:
        """Return the numbers of the keys with the greatest totals, and those of all others added up, in order."""
        other = keys.stored((OTHER,) * len(self.plugin.dimensions))
        ranked = sorted(numbers.keys() - {other}, key=lambda name: (-numbers[name][0], name))
        rest = [numbers[name] for name in (other, *ranked[MOST_KEYS:]) if name in numbers]
        shown = {name: numbers[name] for name in ranked[:MOST_KEYS]}
        if rest:
            shown[other] = tuple(map(sum, zip(*rest, strict=True)))
        return dict(sorted(shown.items()))

    def _is_listed(self, stored: bytes) -> bool:
        """Return whether `latest` and series list a key."""
        if not self.plugin.listed:
            return True
        record = self.record(stored)
        return all(record[name] in values for name, values in self.plugin.listed.items())

    def _listed(self, state: State) -> list[ColumnElement[bool]]:
        """Return the conditions of the buckets that series list."""
        if not self.plugin.listed:
            return []
        query = select(key.c.key, key.c.dimensions).where(key.c.plugin == state.plugin)
        digests = [row.key for row in state.connection.execute(query) if self._is_listed(row.dimensions)]
        return [among(bucket.c.key, digests, "listed")]

    def _shown(self, query: Select[Any]) -> Select[Any]:
        """Return the query for keys with the order of `latest`, and its limit."""
        return query.order_by(key.c.dimensions)

    def _sums(self, state: State, window: Window, through: int, digests: Sequence[int]) -> dict[int, int]:
        """Return the sums in a window by digest of the key, at least of these keys."""
        return buckets.sums(state, window.resolution, *window.bounds(through))

    def main_column(self, rows: Sequence[Row], partial: Partial) -> Column:
        return first_counted([*(column for column in self.columns if column.window), TOTAL], rows, partial)

    @property
    def badge_window(self) -> Window | None:
        return LAST_24H if self.adds_up else None

    def series(self, state: State, resolution: Resolution, start: int, end: int) -> list[list[Any]]:
        dimensions = len(self.plugin.dimensions)
        return buckets.series(state, resolution, start, end, dimensions, summed=True, listed=self._listed(state))

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        return buckets.starts(state, resolution)

    def leaders(
        self, state: State, days: int | None, part: str | EllipsisType | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return the keys with the greatest sums; see `statscache.plugins.Counter.leaders`."""
        found = leaders.leaders(state, days, self._stored(part), limit, by_key=self.plugin.unbounded)
        return [{**self.record(stored), "value": value} for stored, value in found]

    def newcomers(self, state: State, days: int, part: str | EllipsisType | None) -> list[list[int]]:
        """Return how many keys were first seen on each day; see `statscache.plugins.Counter.newcomers`."""
        return leaders.newcomers(state, days, self._stored(part))

    def newest_keys(self, state: State, since: int, limit: int) -> list[dict[str, Any]]:
        """Return the keys that were seen first of late; see `statscache.plugins.Counter.newest`."""
        found = leaders.newest(state, since, limit)
        return [{**self.record(stored), "timestamp": first} for stored, first in found]

    def newcomers_by_part(self, state: State, days: int) -> list[tuple[int, str | None, int]]:
        """Return the same by part; see `statscache.plugins.Counter.newcomers_by_part`.

        Raises:
            DocumentError: The plugin does not divide its numbers.
        """
        if self.plugin.breakdown is None:
            raise DocumentError(
                f"plugin {self.plugin.name} was asked for newcomers by part, but declares no `breakdown`"
            )
        return [(day, keys.load(part)[0], number) for day, part, number in leaders.newcomers_by_part(state, days)]

    def _stored(self, part: str | EllipsisType | None) -> bytes | None:
        """Return a part as it is stored, None where all are meant.

        Raises:
            DocumentError: The plugin does not divide its numbers.
        """
        if isinstance(part, EllipsisType):
            return None
        if self.plugin.breakdown is None:
            raise DocumentError(
                f"plugin {self.plugin.name} was asked for the part {part!r}, but declares no `breakdown`"
            )
        return keys.stored((part,))

"""`Counter`, unbounded: numbers by key and day, so that the document of one key is read without touching the others.

A counter that divides its numbers has a row for each part and day, and the total of each part besides; the part is
empty where it does not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from statscache.kinds import buckets, keys
from statscache.kinds.base import Days, Dirty, KeyDocument, KeyPart, State
from statscache.kinds.counter import TOTAL, CounterKind
from statscache.kinds.presentation import Column, Row
from statscache.kinds.sums import Sums
from statscache.kinds.tables import key, key_day, key_part
from statscache.store.bulk import Upsert, among
from statscache.timeline import DAILY, DAY, Resolution
from statscache.windows import LAST_7D, LAST_30D, Window

LEADERS = 100
"""Rows of `latest`."""

_UNDIVIDED = b""
"""The part where numbers are not divided."""

_add_days = Upsert(key_day, lambda table, new: {"value": table.c.value + new.value})
"""Adds values to days: rows of plugin, key, start, part, value."""


def _adding_parts(least: Callable[..., Any]) -> Upsert:
    return Upsert(
        key_part,
        lambda table, new: {"total": table.c.total + new.total, "first": least(table.c.first, new.first)},
    )


_add_parts = {"sqlite": _adding_parts(func.min), "postgresql": _adding_parts(func.least)}


class CounterByKeyKind(CounterKind):
    """Sums of amounts; of an unbounded counter, each of whose keys has a document."""

    columns = (TOTAL, *map(Column.of, (LAST_7D, LAST_30D)))

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        return ()

    @property
    def windows(self) -> tuple[int, ...]:
        return (DAY,)

    @property
    def tallied(self) -> int:
        return DAY

    def _add_values(self, state: State, combined: Sums) -> set[Dirty]:
        connection, plugin = state.connection, state.plugin
        if combined.parts is None:
            days = combined.buckets.items()
            rows = [(plugin, digest, at, _UNDIVIDED, value) for at, of in days for digest, value in of.items()]
        else:
            rows = [(plugin, digest, at, part, value) for (at, (digest, part)), value in combined.parts.days.items()]
            totals = [
                (plugin, *which, total, combined.parts.first[which]) for which, total in combined.parts.totals.items()
            ]
            _add_parts[connection.dialect.name](connection, totals)
        _add_days(connection, rows)
        return {Dirty("key", digest) for digest in combined.totals}

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from super().dump(connection, plugin, through)
        names = buckets.names(connection, plugin)
        days = select(key_day).where(key_day.c.plugin == plugin)
        for row in connection.execute(days.order_by(key_day.c.key, key_day.c.start, key_day.c.part)):
            yield ("1d", row.start, names[row.key], row.part, row.value)
        parts = select(key_part).where(key_part.c.plugin == plugin)
        for row in connection.execute(parts.order_by(key_part.c.key, key_part.c.part)):
            yield ("part", names[row.key], row.part, row.total, row.first)

    def _shown(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(key.c.total.desc(), key.c.dimensions).limit(LEADERS)

    def _sums(self, state: State, window: Window, through: int, digests: Sequence[int]) -> dict[int, int]:
        return _sums(state, *window.bounds(through), digests)

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
        breakdown = self.plugin.breakdown
        days: dict[int, dict[bytes, Days]] = {digest: {} for digest in digests}
        query = select(key_day).where(key_day.c.plugin == state.plugin, among(state.connection, key_day.c.key, digests))
        for row in state.connection.execute(query.order_by(key_day.c.key, key_day.c.part, key_day.c.start)):
            year = DAILY.period(row.start).label
            days[row.key].setdefault(row.part, {}).setdefault(year, []).append((row.start, row.value))
        query = select(key).where(key.c.plugin == state.plugin, among(state.connection, key.c.key, digests))
        for row in state.connection.execute(query):
            name, of = keys.load(row.dimensions), days[row.key]
            if breakdown is None:
                yield KeyDocument(name, row.total, row.first, row.last, of.get(_UNDIVIDED, {}))
            else:
                parts = [KeyPart(keys.load(part)[0], _total(each), each) for part, each in of.items()]
                yield KeyDocument(name, row.total, row.first, row.last, _added(of.values()), breakdown, parts)

    def all_keys(self, state: State) -> list[int]:
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))


def _sums(state: State, start: int, end: int, digests: Sequence[int]) -> dict[int, int]:
    """Return the sum of the days in `[start, end)` of each of these keys."""
    query = select(key_day.c.key, func.sum(key_day.c.value)).where(
        key_day.c.plugin == state.plugin,
        among(state.connection, key_day.c.key, digests),
        key_day.c.start >= start,
        key_day.c.start < end,
    )
    return {digest: int(total) for digest, total in state.connection.execute(query.group_by(key_day.c.key))}


def _total(days: Days) -> int:
    return sum(value for year in days.values() for _, value in year)


def _added(divided: Iterable[Days]) -> Days:
    """Return the days of all parts added up."""
    sums: dict[int, int] = defaultdict(int)
    for days in divided:
        for year in days.values():
            for start, value in year:
                sums[start] += value
    added: Days = {}
    for start in sorted(sums):
        added.setdefault(DAILY.period(start).label, []).append((start, sums[start]))
    return added

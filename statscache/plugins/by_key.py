"""Numbers by key and day, of unbounded counters: the document of one key is read without touching the others.

A counter that divides its numbers has a row for each part and day, and the total of each part besides; the part is
empty where it does not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from statscache.plugins import buckets, keys
from statscache.plugins.contract import Days, KeyDocument, KeyPart, State
from statscache.store.bulk import Upsert, among
from statscache.store.schema import key, key_day, key_part
from statscache.timeline import DAILY

UNDIVIDED = b""
"""The part where numbers are not divided."""

add_days = Upsert(key_day, lambda table, new: {"value": table.c.value + new.value})
"""Adds values to days: rows of plugin, key, start, part, value."""


def _adding_parts(least: Callable[..., Any]) -> Upsert:
    return Upsert(
        key_part,
        lambda table, new: {"total": table.c.total + new.total, "first": least(table.c.first, new.first)},
    )


_add_parts = {"sqlite": _adding_parts(func.min), "postgresql": _adding_parts(func.least)}


def add_parts(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add totals to the parts of keys: rows of plugin, key, part, total, first."""
    _add_parts[connection.dialect.name](connection, rows)


def sums(state: State, start: int, end: int, digests: Sequence[int]) -> dict[int, int]:
    """Return the sum of the days in `[start, end)` of each of these keys."""
    query = select(key_day.c.key, func.sum(key_day.c.value)).where(
        key_day.c.plugin == state.plugin,
        among(state.connection, key_day.c.key, digests),
        key_day.c.start >= start,
        key_day.c.start < end,
    )
    return {digest: int(total) for digest, total in state.connection.execute(query.group_by(key_day.c.key))}


def documents(state: State, digests: Sequence[int], breakdown: str | None) -> Iterator[KeyDocument]:
    """Yield what is published of each of these keys that exists.

    Args:
        state: Of the plugin.
        digests: Of the keys.
        breakdown: The field of a part's name; None where numbers are not divided.
    """
    days: dict[int, dict[bytes, Days]] = {digest: {} for digest in digests}
    query = select(key_day).where(key_day.c.plugin == state.plugin, among(state.connection, key_day.c.key, digests))
    for row in state.connection.execute(query.order_by(key_day.c.key, key_day.c.part, key_day.c.start)):
        year = DAILY.period(row.start).label
        days[row.key].setdefault(row.part, {}).setdefault(year, []).append((row.start, row.value))
    query = select(key).where(key.c.plugin == state.plugin, among(state.connection, key.c.key, digests))
    for row in state.connection.execute(query):
        name, of = keys.load(row.dimensions), days[row.key]
        if breakdown is None:
            yield KeyDocument(name, row.total, row.first, row.last, of.get(UNDIVIDED, {}))
        else:
            parts = [KeyPart(keys.load(part)[0], _total(each), each) for part, each in of.items()]
            yield KeyDocument(name, row.total, row.first, row.last, _added(of.values()), breakdown, parts)


def dump(connection: Connection, plugin: int) -> Iterator[tuple[Any, ...]]:
    """Yield days and parts, row by row in a declared order, for a recount to compare with."""
    names = buckets.names(connection, plugin)
    days = select(key_day).where(key_day.c.plugin == plugin)
    for row in connection.execute(days.order_by(key_day.c.key, key_day.c.start, key_day.c.part)):
        yield ("1d", row.start, names[row.key], row.part, row.value)
    parts = select(key_part).where(key_part.c.plugin == plugin)
    for row in connection.execute(parts.order_by(key_part.c.key, key_part.c.part)):
        yield ("part", names[row.key], row.part, row.total, row.first)


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

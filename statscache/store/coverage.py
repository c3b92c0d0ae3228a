"""Which time is known: intervals that are complete, and gaps, which are known to be missing.

Intervals are `[start, end)` in seconds since 1970 UTC. Where both cover one moment, complete wins.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from statscache.store.bulk import Upsert
from statscache.store.schema import coverage

Interval = tuple[int, int]

_insert = Upsert(coverage)


def record(connection: Connection, start: int, end: int, *, complete: bool) -> None:
    """Record that `[start, end)` is complete, or that it is missing; an empty interval has no effect."""
    if start >= end:
        return
    intervals = [*_recorded(connection, complete=complete), (start, end)]
    connection.execute(delete(coverage).where(coverage.c.complete.is_(complete)))
    _insert(connection, [(low, high, complete) for low, high in union(intervals)])


def cut(connection: Connection, end: int) -> None:
    """Forget the coverage from `end` on."""
    for complete in (True, False):
        intervals = [(low, min(high, end)) for low, high in _recorded(connection, complete=complete) if low < end]
        connection.execute(delete(coverage).where(coverage.c.complete.is_(complete)))
        _insert(connection, [(low, high, complete) for low, high in intervals])


def gaps(connection: Connection) -> list[Interval]:
    """Return the intervals that are missing and were not completed since, oldest first."""
    return subtract(_recorded(connection, complete=False), _recorded(connection, complete=True))


def complete(connection: Connection) -> list[Interval]:
    """Return the intervals known to be complete, which do not touch, oldest first."""
    return union(_recorded(connection, complete=True))


def missing(connection: Connection, start: int, end: int) -> list[Interval]:
    """Return the time of `[start, end)` that is not known to be complete, oldest first."""
    return subtract([(start, end)] if start < end else [], _recorded(connection, complete=True))


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same time in intervals that neither overlap nor touch, oldest first."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def subtract(intervals: Iterable[Interval], removed: Iterable[Interval]) -> list[Interval]:
    """Return the time of `intervals` that is in none of `removed`, oldest first."""
    holes = union(removed)
    rest: list[Interval] = []
    for start, end in union(intervals):
        for low, high in holes:
            if high <= start or low >= end:
                continue
            if low > start:
                rest.append((start, low))
            start = max(start, high)
        if start < end:
            rest.append((start, end))
    return rest


def _recorded(connection: Connection, *, complete: bool) -> list[Interval]:
    rows = connection.execute(select(coverage.c.start, coverage.c.end).where(coverage.c.complete.is_(complete)))
    return [(row.start, row.end) for row in rows]

"""Which time is known: intervals that are complete, and gaps, which are known to be missing.

Intervals are `[start, end)` in seconds since 1970 UTC. Where both cover one moment, complete wins.
"""

from sqlalchemy import BigInteger, Connection, delete, select, type_coerce

from statscache.exceptions import DamagedStatistics
from statscache.store import plain, state
from statscache.store.bulk import Upsert, of_bytes
from statscache.store.intervals import Interval, subtract, union
from statscache.store.schema import coverage

_COMPLETE = type_coerce(coverage.c.complete, BigInteger)
"""As it is stored: SQLite has any number there."""

_insert = Upsert(coverage)


def record(connection: Connection, start: int, end: int, *, complete: bool) -> None:
    """Record that `[start, end)` is complete, or that it is missing; an empty interval has no effect."""
    if start >= end:
        return
    intervals, damaged = _rows(connection, complete=complete)
    _replace(connection, union([*intervals, (start, end)]), damaged, complete=complete)


def cut(connection: Connection, end: int) -> None:
    """Forget the coverage from `end` on."""
    for complete in (True, False):
        intervals, damaged = _rows(connection, complete=complete)
        kept = [(low, min(high, end)) for low, high in intervals if low < end]
        _replace(connection, kept, damaged, complete=complete)


def gaps(connection: Connection) -> list[Interval]:
    """Return what is missing and was not completed since, oldest first.

    Raises:
        DamagedStatistics: An interval is damaged.
    """
    for of in (True, False):
        _recorded(connection, complete=of)
    return state.gaps(plain.over(connection))


def damaged(connection: Connection) -> list[Interval]:
    """Return the intervals that are not what their checksum says."""
    return [row[:2] for of in (True, False) for row in _rows(connection, complete=of)[1]]


def complete(connection: Connection) -> list[Interval]:
    """Return the intervals known to be complete, which do not touch, oldest first."""
    return union(_recorded(connection, complete=True))


def missing(connection: Connection, start: int, end: int) -> list[Interval]:
    """Return the time of `[start, end)` that is not known to be complete, oldest first."""
    return subtract([(start, end)] if start < end else [], _recorded(connection, complete=True))


def _recorded(connection: Connection, *, complete: bool) -> list[Interval]:
    intervals, damaged = _rows(connection, complete=complete)
    if damaged:
        raise DamagedStatistics(
            f"an interval of coverage is damaged in the database: {damaged[0][:2]};"
            " restore a backup, and backfill what came since"
        )
    return intervals


def _rows(connection: Connection, *, complete: bool) -> tuple[list[Interval], list[tuple[int, int, int]]]:
    """Return the intervals, and damaged rows with their checksum."""
    rows = connection.execute(select(coverage.c.start, coverage.c.end, coverage.c.checksum, _COMPLETE)).all()
    # Of those that are neither, none is recognized as damaged twice.
    mine = [row for row in rows if row[3] == complete or (row[3] not in (0, 1) and not complete)]
    fine = [row[:2] for row in mine if row.checksum == of_bytes(row.start, row.end, int(row[3]))]
    return [*map(tuple, fine)], [
        (*row[:3],) for row in mine if row.checksum != of_bytes(row.start, row.end, int(row[3]))
    ]


def _replace(
    connection: Connection, intervals: list[Interval], damaged: list[tuple[int, int, int]], *, complete: bool
) -> None:
    """Store other intervals in the place of all; damaged rows stay as they are, so that they are still found."""
    connection.execute(delete(coverage).where(coverage.c.complete.is_(complete)))
    new = [(low, high, complete, of_bytes(low, high, complete)) for low, high in intervals]
    _insert(connection, [*new, *((low, high, complete, wrong) for low, high, wrong in damaged)])

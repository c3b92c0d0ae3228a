"""Maintain the journal: small segments are merged into large ones, and old ones are deleted.

Order and positions stay, so readers of the journal do not notice merging. A reader that starts at the beginning
notices the removal, and must report it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Select, delete, exists, func, select, update

from statscache.store import journal, positions
from statscache.store.database import Database
from statscache.store.records import Packed, deflate, inflate
from statscache.store.schema import journal as journal_table
from statscache.store.schema import plugin, quarantine, segment
from statscache.timeline import DAY

SMALL = 2_000
"""Messages below which a segment is small."""

LARGE = 8_000
"""Maximum number of messages of a merged segment."""

MERGE_AT = 16
"""Number of small segments at the journal's end at which they are merged, if none of them outweighs the others."""

_LARGE_BYTES = 16 * 1024 * 1024
_AT_ONCE = 1_000
# Unlike an acceptance, no one waits for it, so it compresses harder; that saves an eighth of the space.
_LEVEL = 6


class _Segment(NamedTuple):
    first: int
    messages: int
    size: int

    @property
    def next(self) -> int:
        return self.first + self.messages


def merge_small(database: Database, after: int) -> int | None:
    """Merge the first run of small segments after position `after` that is ready.

    At the journal's end, segments of like size are merged, so that each message is stored again only a few times,
    however small the batches in which messages come.

    Returns:
        The position up to which nothing is left to merge, or None if something was merged: then there may be more.
    """
    with database.reading() as connection:
        settled, run = _ripe(_following(connection, after), after)
    if not run:
        return settled
    with database.writing() as connection:
        journal.lock(connection)
        _merge(connection, run)
    return None


def remove_old(database: Database, plugins: Sequence[str], keep: int) -> int:
    """Remove segments that are not needed, and return the number of their messages.

    A segment goes when its newest message is older than the UTC day of `through` minus `keep`, each of `plugins` has
    folded it, and no quarantined message is in it. The identities of its messages stay. Any other plugin that
    has not folded it has missed it, and starts over when it folds.

    Args:
        database: The database.
        plugins: Names of the plugins that are enabled.
        keep: Days.
    """
    with database.reading() as connection:
        if not connection.execute(select(_old(connection, plugins, keep).exists())).scalar():
            return 0
    with database.writing() as connection:
        journal.lock(connection)
        old = _old(connection, plugins, keep).subquery()
        last = func.max(old.c.first + old.c.messages - 1)
        number, newest, position = connection.execute(
            select(func.sum(old.c.messages), func.max(old.c.newest), last)
        ).one()
        if newest is None:
            return 0
        positions.miss(connection, position)
        connection.execute(delete(segment).where(segment.c.first.in_(select(old.c.first))))
        until = max((newest // DAY + 1) * DAY, journal.removed(connection).until or 0)
        connection.execute(
            update(journal_table).values(removed=journal_table.c.removed + int(number), removed_until=until)
        )
        return int(number)


def _following(connection: Connection, after: int) -> list[_Segment]:
    columns = segment.c.first, segment.c.messages, segment.c.size
    rows = connection.execute(select(*columns).where(segment.c.first > after).order_by(segment.c.first).limit(_AT_ONCE))
    return [_Segment(*row) for row in rows]


def _ripe(segments: Sequence[_Segment], settled: int) -> tuple[int, list[_Segment]]:
    """Return the position up to which no work is left, and the first run to merge, if any."""
    run: list[_Segment] = []
    for item in segments:
        if run and not _fits(run, item):
            if len(run) > 1:
                return settled, run
            settled, run = run[-1].next - 1, []
        if item.messages < SMALL:
            run.append(item)
        else:
            settled = item.next - 1
    last = run[-MERGE_AT:]
    if len(last) == MERGE_AT and 2 * max(item.messages for item in last) <= sum(item.messages for item in last):
        return settled, last
    return settled, []


def _fits(run: Sequence[_Segment], item: _Segment) -> bool:
    messages, size = sum(part.messages for part in run), sum(part.size for part in run)
    return (
        item.messages < SMALL
        and item.first == run[-1].next
        and messages + item.messages <= LARGE
        and size + item.size <= _LARGE_BYTES
    )


def _merge(connection: Connection, run: Sequence[_Segment]) -> None:
    ours = segment.c.first.between(run[0].first, run[-1].first)
    rows = connection.execute(select(segment).where(ours).order_by(segment.c.first)).all()
    # Another process may have been faster.
    if [(row.first, row.messages) for row in rows] != [(item.first, item.messages) for item in run]:
        return
    connection.execute(delete(segment).where(ours))
    data = b"\n".join(inflate(row.data) for row in rows)
    merged = Packed(
        messages=sum(row.messages for row in rows),
        oldest=min(row.oldest for row in rows),
        newest=max(row.newest for row in rows),
        size=len(data),
        data=deflate(data, level=_LEVEL),
    )
    journal.write(connection, run[0].first, merged)


def _old(connection: Connection, plugins: Sequence[str], keep: int) -> Select[int, int, int]:
    through = journal.head(connection).through or 0
    last = segment.c.first + segment.c.messages - 1
    folded = select(func.min(plugin.c.position)).where(plugin.c.name.in_(plugins)).scalar_subquery()
    quarantined = exists().where(quarantine.c.position.between(segment.c.first, last))
    return select(segment.c.first, segment.c.messages, segment.c.newest).where(
        segment.c.newest < through // DAY * DAY - keep * DAY, last <= folded, ~quarantined
    )

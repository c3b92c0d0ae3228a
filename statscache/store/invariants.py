"""Invariants of the database, as queries that find the rows that break them, each with its fix.

They compare tables with each other. Only a recount can tell if the state matches the messages.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

from statscache.store import coverage, journal, positions
from statscache.timeline import HOURLY, MINUTELY

REBUILD = "`statscache rebuild PLUGIN` rebuilds its state"
STRAY = "`statscache rebuild PLUGIN...`, of that plugin or of all, counts it again and removes the row"
_RENDER = "`statscache publish --force` renders it again"
RESTORE = "restore a backup, and backfill what came since"


class Invariant(NamedTuple):
    """One rule: what is wrong if it is broken, the query for an example, and the fix.

    `find` is a query whose first column names an example, or a function that returns one, and None if all is well.
    A query says EXCEPT, not NOT IN: for that, PostgreSQL compares each row with every other once they are many.
    """

    broken: str
    find: str | Callable[[Connection], object]
    fix: str


_INVARIANTS = (
    Invariant(
        "a plugin's position is beyond the journal's end",
        "SELECT name FROM plugin WHERE position > (SELECT head FROM journal)",
        REBUILD,
    ),
    Invariant(
        "the segments of the journal overlap",
        "SELECT a.first FROM segment a JOIN segment b ON b.first > a.first AND b.first < a.first + a.messages",
        RESTORE,
    ),
    Invariant(
        "the segments of the journal hold other than its messages without the removed ones",
        "SELECT head FROM journal WHERE head - removed <> COALESCE((SELECT SUM(messages) FROM segment), 0)",
        RESTORE,
    ),
    Invariant(
        "a segment reaches beyond the journal's end",
        "SELECT first FROM segment WHERE first + messages - 1 > (SELECT head FROM journal)",
        RESTORE,
    ),
    Invariant(
        "the journal's time is other than that of its newest message",
        "SELECT head FROM journal WHERE EXISTS (SELECT 1 FROM segment)"
        " AND COALESCE(through, -1) <> (SELECT MAX(newest) FROM segment)",
        RESTORE,
    ),
    Invariant(
        # Identities of removed messages stay; those of postponed messages do not.
        "the journal does not hold exactly one identity for each message",
        "SELECT head FROM journal WHERE (SELECT COUNT(*) FROM message_id) NOT BETWEEN head - removed AND head",
        RESTORE,
    ),
    Invariant(
        "the quarantine refers to a message that the journal does not hold",
        "SELECT id FROM quarantine WHERE position IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM segment WHERE quarantine.position BETWEEN first AND first + messages - 1)",
        "`statscache quarantine drop ID` forgets it",
    ),
    *(
        Invariant(
            f"a row of {table} belongs to no plugin",
            f"SELECT plugin FROM {table} EXCEPT SELECT id FROM plugin",
            RESTORE,
        )
        for table in ("dirty", "dirty_keys")
    ),
    Invariant(
        "a file of the published tree has no object",
        "SELECT t.name FROM tree t LEFT JOIN object o ON o.name = t.object"
        " WHERE t.type IN ('file', 'path') AND o.name IS NULL",
        _RENDER,
    ),
    Invariant(
        "a manifest has no object",
        "SELECT object FROM tree WHERE type NOT IN ('file', 'path') UNION SELECT object FROM directory_part"
        " UNION SELECT manifest FROM snapshot EXCEPT SELECT name FROM object",
        _RENDER,
    ),
    Invariant(
        "nothing refers to an object, and nothing will remove it",
        "SELECT name FROM object EXCEPT SELECT object FROM tree EXCEPT SELECT object FROM directory_part"
        " EXCEPT SELECT manifest FROM snapshot EXCEPT SELECT object FROM dropped",
        "it takes room, and does no harm",
    ),
    Invariant(
        "a plugin's row is not what its checksum says",
        lambda connection: next((row.name for row in positions.load(connection).values() if not row.is_sound), None),
        REBUILD,
    ),
    Invariant("a mark of a document to render is damaged", positions.damaged_mark, _RENDER),
    Invariant(
        "an interval of coverage is not what its checksum says",
        lambda connection: next(iter(coverage.damaged(connection)), None),
        RESTORE,
    ),
    Invariant(
        "an interval of coverage ends before it starts",
        'SELECT start FROM coverage WHERE start >= "end"',
        RESTORE,
    ),
)


def broken(connection: Connection, more: Iterable[Invariant], *, only_more: bool = False) -> Iterator[str]:
    """Yield a line for each invariant that does not hold: what is wrong, an example, and what to do.

    Args:
        connection: The database.
        more: What must hold besides in the tables of plugins' state. A query may use `:minutes` and `:hours`, the start
            of the oldest bucket of these widths that is kept.
        only_more: True to leave out the rules in the framework's own tables.
    """
    through = journal.head(connection).through or 0
    # Before that, not all minutes and hours are kept.
    kept = {"minutes": MINUTELY.kept_from(through), "hours": HOURLY.kept_from(through)}
    for invariant in (*(() if only_more else _INVARIANTS), *more):
        find = invariant.find
        example = connection.execute(text(find), kept).scalar() if isinstance(find, str) else find(connection)
        if example is not None:
            yield f"{invariant.broken}: {example}; {invariant.fix}"

"""What must always hold in the database, as queries that find the rows that break it, each with its mend.

They compare tables with each other. Whether the state is that of the messages is for a recount to tell.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

from statscache.store import journal
from statscache.timeline import DAILY, HOURLY, MINUTELY

_REBUILD = "`statscache rebuild PLUGIN` folds it anew"
_RENDER = "`statscache publish --force` renders it anew"
_RESTORE = "restore a backup, and backfill what came since"


class _Invariant(NamedTuple):
    """One thing that holds: what is wrong where it does not, a query for examples, and what to do."""

    broken: str
    query: str
    mend: str


_INVARIANTS = (
    _Invariant(
        "a plugin's position is beyond the journal's end",
        "SELECT name FROM plugin WHERE position > (SELECT head FROM journal)",
        _REBUILD,
    ),
    _Invariant(
        "the segments of the journal overlap",
        "SELECT a.first FROM segment a JOIN segment b ON b.first > a.first AND b.first < a.first + a.messages",
        _RESTORE,
    ),
    _Invariant(
        "the segments of the journal hold other than its messages without the removed ones",
        "SELECT head FROM journal WHERE head - removed <> COALESCE((SELECT SUM(messages) FROM segment), 0)",
        _RESTORE,
    ),
    _Invariant(
        "a segment reaches beyond the journal's end",
        "SELECT first FROM segment WHERE first + messages - 1 > (SELECT head FROM journal)",
        _RESTORE,
    ),
    _Invariant(
        "a segment is newer than the journal",
        "SELECT first FROM segment WHERE newest > (SELECT through FROM journal)",
        _RESTORE,
    ),
    _Invariant(
        "the journal holds other than one identity for each message",
        "SELECT head FROM journal WHERE head <> (SELECT COUNT(*) FROM message_id)",
        _RESTORE,
    ),
    _Invariant(
        "what is set aside refers to a message that the journal does not hold",
        "SELECT id FROM quarantine WHERE position IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM segment WHERE quarantine.position BETWEEN first AND first + messages - 1)",
        "`statscache quarantine drop ID` forgets it",
    ),
    *(
        _Invariant(
            f"a row of {table} belongs to no plugin",
            f"SELECT plugin FROM {table} WHERE plugin NOT IN (SELECT id FROM plugin)",
            _RESTORE,
        )
        for table in ("key", "dirty")
    ),
    *(
        _Invariant(
            f"a row of {table} belongs to no key",
            f"SELECT p.name FROM {table} t JOIN plugin p ON p.id = t.plugin"
            " LEFT JOIN key k ON k.plugin = t.plugin AND k.key = t.key WHERE k.key IS NULL",
            _REBUILD,
        )
        for table in ("bucket", "key_day", "key_part", "member", "span", "entry")
    ),
    *(
        _Invariant(
            f"the {parts} of a key do not add up to its total",
            f"SELECT p.name FROM key k JOIN plugin p ON p.id = k.plugin JOIN (SELECT plugin, key, SUM(value) AS sum"
            f" FROM ({rows}) rows GROUP BY plugin, key) s ON s.plugin = k.plugin AND s.key = k.key"
            " WHERE s.sum <> k.total",
            _REBUILD,
        )
        for parts, rows in {
            "days": (
                "SELECT plugin, key, value FROM bucket WHERE width = 86400"
                " UNION ALL SELECT plugin, key, value FROM key_day"
            ),
            "parts": "SELECT plugin, key, total AS value FROM key_part",
        }.items()
    ),
    *(
        _Invariant(
            f"the {unit} of a key do not add up to its {sums}",
            "SELECT p.name FROM plugin p JOIN (SELECT plugin FROM ("
            f"SELECT plugin, key, start, value FROM bucket WHERE width = {coarse.width} AND start >= :{unit}"
            f" AND plugin IN (SELECT plugin FROM bucket WHERE width = {fine.width})"
            f" UNION ALL SELECT plugin, key, start - start % {coarse.width}, -value FROM bucket"
            f" WHERE width = {fine.width} AND start >= :{unit}"
            ") rows GROUP BY plugin, key, start HAVING SUM(value) <> 0) s ON s.plugin = p.id",
            _REBUILD,
        )
        for unit, fine, sums, coarse in (("minutes", MINUTELY, "hours", HOURLY), ("hours", HOURLY, "days", DAILY))
    ),
    _Invariant(
        "a file of the published tree has no object",
        "SELECT t.name FROM tree t LEFT JOIN object o ON o.name = t.object WHERE t.type = 'file' AND o.name IS NULL",
        _RENDER,
    ),
    _Invariant(
        "a manifest has no object",
        "SELECT object FROM (SELECT object FROM tree WHERE type <> 'file' UNION SELECT object FROM shard"
        " UNION SELECT manifest FROM snapshot) manifests WHERE object NOT IN (SELECT name FROM object)",
        _RESTORE,
    ),
    _Invariant(
        "nothing refers to an object, and nothing will remove it",
        "SELECT name FROM object WHERE name NOT IN (SELECT object FROM tree UNION SELECT object FROM shard"
        " UNION SELECT manifest FROM snapshot UNION SELECT object FROM dropped)",
        "it takes room, and does no harm",
    ),
    _Invariant(
        "an interval of coverage ends before it starts",
        'SELECT start FROM coverage WHERE start >= "end"',
        _RESTORE,
    ),
)


def broken(connection: Connection) -> Iterator[str]:
    """Yield a line for each invariant that does not hold: what is wrong, an example, and what to do."""
    through = journal.head(connection).through or 0
    # Before that, not all minutes and hours are kept.
    kept = {"minutes": MINUTELY.kept_from(through), "hours": HOURLY.kept_from(through)}
    for invariant in _INVARIANTS:
        example = connection.execute(text(invariant.query), kept).scalar()
        if example is not None:
            yield f"{invariant.broken}: {example}; {invariant.mend}"

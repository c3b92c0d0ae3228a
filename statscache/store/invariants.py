"""What must always hold in the database, as queries that find the rows that break it."""

from sqlalchemy import Connection, text

_CHECKS = {
    "a plugin's position is beyond the journal's end": (
        "SELECT name FROM plugin WHERE position > (SELECT head FROM journal)"
    ),
    "the segments of the journal overlap": (
        "SELECT a.first FROM segment a JOIN segment b ON b.first > a.first AND b.first < a.first + a.messages LIMIT 5"
    ),
    "the segments of the journal hold other than its messages without the removed ones": (
        "SELECT head FROM journal WHERE head - removed <> COALESCE((SELECT SUM(messages) FROM segment), 0)"
    ),
    "a segment reaches beyond the journal's head": (
        "SELECT first FROM segment WHERE first + messages - 1 > (SELECT head FROM journal)"
    ),
    "the journal holds other than one identity for each message": (
        "SELECT head FROM journal WHERE head <> (SELECT COUNT(*) FROM message_id)"
    ),
    "a bucket belongs to no key": (
        "SELECT b.plugin FROM bucket b LEFT JOIN key k ON k.plugin = b.plugin AND k.key = b.key"
        " WHERE k.key IS NULL LIMIT 5"
    ),
    "the days of a key do not add up to its total": (
        "SELECT k.plugin FROM key k JOIN (SELECT plugin, key, SUM(value) AS sum FROM"
        " (SELECT plugin, key, value FROM bucket WHERE width = 86400 UNION ALL"
        " SELECT plugin, key, value FROM key_day) days GROUP BY plugin, key) s"
        " ON s.plugin = k.plugin AND s.key = k.key WHERE s.sum <> k.total LIMIT 5"
    ),
    "a file of the published tree has no object": (
        "SELECT t.name FROM tree t LEFT JOIN object o ON o.name = t.object WHERE o.name IS NULL LIMIT 5"
    ),
}


def broken(connection: Connection) -> list[str]:
    """Return a line for each invariant that does not hold, with an example; none if all do."""
    found = []
    for what, query in _CHECKS.items():
        row = connection.execute(text(query)).first()
        if row is not None:
            found.append(f"{what}: {row[0]}")
    return found

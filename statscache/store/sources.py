"""What is known of each source: how far it has been read, and when it was last heard of."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from statscache.store.bulk import Upsert
from statscache.store.rows import SourceRow
from statscache.store.schema import held, source

_put = Upsert(
    source,
    lambda table, new: {
        name: new[name] for name in ("newest", "heard", "offset", "accepted", "quarantined", "seen_at")
    },
)
_hold = Upsert(held)


class Held(NamedTuple):
    """A message of the future: the digest of its bytes, its source, its bytes."""

    digest: int
    source: str
    data: bytes


def load(connection: Connection, name: str) -> SourceRow | None:
    """Return the state of a source; None if it was never read."""
    row = connection.execute(select(source).where(source.c.name == name)).one_or_none()
    return None if row is None else SourceRow(*row)


def save(connection: Connection, row: SourceRow) -> None:
    """Store the state of a source."""
    _put(connection, [(row.name, row.newest, row.heard, row.offset, row.accepted, row.quarantined, row.seen_at)])


def lower(connection: Connection, until: int) -> None:
    """Limit the newest timestamp of every source to this one: messages that were later are in no journal now."""
    connection.execute(update(source).where(source.c.newest > until).values(newest=until))


def forget(connection: Connection, name: str) -> None:
    """Remove a source that has been read to its end, so that reading it again starts at its beginning."""
    connection.execute(delete(source).where(source.c.name == name))


def hold(connection: Connection, rows: Sequence[tuple[int, int, str, bytes]]) -> None:
    """Keep messages of the future: digest of the bytes, when they are due (seconds since 1970 UTC), source, bytes."""
    _hold(connection, list(dict.fromkeys(rows)))


def due(connection: Connection, limit: int) -> list[Held]:
    """Return held messages whose time has come, earliest first."""
    query = select(held.c.digest, held.c.source, held.c.data).where(held.c.due <= int(time.time()))
    return [Held(*row) for row in connection.execute(query.order_by(held.c.due, held.c.digest).limit(limit))]


def release(connection: Connection, digests: Sequence[int]) -> None:
    """Release the held messages with these digests."""
    if digests:
        connection.execute(delete(held).where(held.c.digest.in_(digests)))


def bytes_held(connection: Connection) -> int:
    """Return the bytes of all held messages."""
    return int(connection.scalar(select(func.sum(func.length(held.c.data)))) or 0)

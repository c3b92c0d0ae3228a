"""The quarantine: malformed lines, and messages on which one plugin raised.

The position of a message in the journal stays until it is retried or dropped, and so do bytes, as long as there is
room: beyond that the oldest go first, and are counted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard
from sqlalchemy import Connection, delete, func, select, update

from statscache import canonical
from statscache.store.bulk import among
from statscache.store.schema import journal, quarantine


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One quarantined line or message.

    Attributes:
        id: Its number, as the command line takes it.
        plugin: The plugin that raised; None for a malformed line.
        reason: What was wrong, for people.
        source: Where it came from.
        position: The message's position in the journal; None for a malformed line.
        size: Bytes.
        quarantined_at: Wall clock, seconds since 1970 UTC.
    """

    id: int
    plugin: str | None
    reason: str
    source: str
    position: int | None
    size: int
    quarantined_at: int


def add_line(connection: Connection, raw: bytes, reason: str, source: str) -> None:
    """Quarantine a malformed line; the same bytes are kept once."""
    digest = canonical.digest64(raw)
    if connection.scalar(select(quarantine.c.id).where(quarantine.c.digest == digest)) is not None:
        return
    connection.execute(
        quarantine.insert().values(
            digest=digest,
            reason=_storable(reason[:1000]),
            source=_storable(source),
            size=len(raw),
            data=zstandard.ZstdCompressor().compress(raw),
            quarantined_at=int(time.time()),
        )
    )


def add_messages(connection: Connection, plugin: str, failures: Sequence[tuple[int, str, int]], source: str) -> None:
    """Quarantine messages of the journal for one plugin, given position, reason and size in bytes of each."""
    if not failures:
        return
    there = places(connection, plugin)
    common = {"plugin": plugin, "source": _storable(source), "data": None, "quarantined_at": int(time.time())}
    rows = [
        {**common, "position": at, "reason": _storable(reason[:1000]), "size": size}
        for at, reason, size in failures
        if at not in there
    ]
    if rows:
        connection.execute(quarantine.insert(), rows)


def listed(connection: Connection, ids: tuple[int, ...] = ()) -> list[Quarantined]:
    """Return the quarantined items, oldest first; only `ids` if any are given."""
    columns = [column for column in quarantine.c if column.name not in ("data", "digest")]
    query = select(*columns).order_by(quarantine.c.id)
    if ids:
        query = query.where(quarantine.c.id.in_(ids))
    return [Quarantined(**row._mapping) for row in connection.execute(query)]


def find(connection: Connection, plugin: str, position: int) -> int | None:
    """Return the id under which a message of the journal is quarantined for a plugin, or None if it is not."""
    ours = quarantine.c.plugin == plugin, quarantine.c.position == position
    number: int | None = connection.scalar(select(quarantine.c.id).where(*ours))
    return number


def places(connection: Connection, plugin: str) -> frozenset[int]:
    """Return the positions of the messages of the journal that are quarantined for a plugin."""
    query = select(quarantine.c.position).where(quarantine.c.plugin == plugin)
    return frozenset(connection.scalars(query))


def load(connection: Connection, item: Quarantined) -> bytes | None:
    """Return the bytes of a malformed line; None for a message of the journal, or if it is no longer in quarantine."""
    ours = quarantine.c.id == item.id, quarantine.c.plugin == item.plugin
    data = connection.scalar(select(quarantine.c.data).where(*ours))
    return None if data is None else zstandard.ZstdDecompressor().decompress(data)


def drop(connection: Connection, ids: tuple[int, ...]) -> int:
    """Delete the items `ids` from quarantine, and return how many there were."""
    return connection.execute(delete(quarantine).where(quarantine.c.id.in_(ids))).rowcount


def drop_messages(connection: Connection, places: Sequence[int]) -> None:
    """Delete the messages of the journal at these positions from quarantine, for all plugins."""
    connection.execute(delete(quarantine).where(among(quarantine.c.position, places)))


def drop_plugin(connection: Connection, plugin: str) -> None:
    """Delete the quarantined messages of a plugin that is about to fold the journal again."""
    connection.execute(delete(quarantine).where(quarantine.c.plugin == plugin))


def discard(connection: Connection, kept: int) -> int:
    """Delete the oldest malformed lines until at most `kept` bytes are left; return how many were deleted."""
    ours = quarantine.c.plugin.is_(None)
    excess = bytes_kept(connection) - kept
    if excess <= 0:
        return 0
    last = 0
    for row in connection.execute(select(quarantine.c.id, quarantine.c.size).where(ours).order_by(quarantine.c.id)):
        last = row.id
        excess -= row.size
        if excess <= 0:
            break
    gone = connection.execute(delete(quarantine).where(ours, quarantine.c.id <= last)).rowcount
    connection.execute(update(journal).values(discarded=journal.c.discarded + gone))
    return gone


def bytes_kept(connection: Connection) -> int:
    """Return the size of all malformed lines in bytes, uncompressed."""
    return int(connection.scalar(select(func.sum(quarantine.c.size)).where(quarantine.c.plugin.is_(None))) or 0)


def _storable(text: str) -> str:
    # PostgreSQL takes neither NUL nor lone surrogates, and the reason may quote either.
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()

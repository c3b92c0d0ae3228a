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

PARSER = ""
"""The plugin column of malformed lines, which no plugin has seen."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """One quarantined line or message.

    Attributes:
        id: Its number, as the command line takes it.
        plugin: The plugin that raised; empty for a malformed line.
        reason: What was wrong, for people.
        source: Where it came from.
        position: The message's position in the journal; None for a malformed line.
        size: Bytes.
        set_aside_at: Wall clock, seconds since 1970 UTC.
    """

    id: int
    plugin: str
    reason: str
    source: str
    position: int | None
    size: int
    set_aside_at: int


def keep_bytes(connection: Connection, raw: bytes, reason: str, source: str) -> None:
    """Quarantine a malformed line; the same bytes are kept once."""
    data = zstandard.ZstdCompressor().compress(raw)
    _keep(connection, PARSER, canonical.digest64(raw), reason, source, None, len(raw), data)


def keep_messages(connection: Connection, plugin: str, failures: Sequence[tuple[int, str, int]], source: str) -> None:
    """Quarantine messages of the journal for one plugin, given position, reason and size in bytes of each."""
    if not failures:
        return
    there = places(connection, plugin)
    common = {"plugin": plugin, "source": _storable(source), "data": None, "set_aside_at": int(time.time())}
    rows = [
        {**common, "digest": at, "position": at, "reason": _storable(reason[:1000]), "size": size}
        for at, reason, size in failures
        if at not in there
    ]
    if rows:
        connection.execute(quarantine.insert(), rows)


def listed(connection: Connection, ids: tuple[int, ...] = ()) -> list[SetAside]:
    """Return the quarantined items, oldest first; only `ids` if any are given."""
    columns = [column for column in quarantine.c if column.name not in ("data", "digest")]
    query = select(*columns).order_by(quarantine.c.id)
    if ids:
        query = query.where(quarantine.c.id.in_(ids))
    return [SetAside(**row._mapping) for row in connection.execute(query)]


def find(connection: Connection, plugin: str, position: int) -> int | None:
    """Return the id under which a message of the journal is quarantined for a plugin, or None if it is not."""
    # A message of the journal has its position as digest, and the digest has an index.
    ours = quarantine.c.plugin == plugin, quarantine.c.digest == position
    number: int | None = connection.scalar(select(quarantine.c.id).where(*ours))
    return number


def places(connection: Connection, plugin: str) -> frozenset[int]:
    """Return the positions of the messages of the journal that are quarantined for a plugin."""
    query = select(quarantine.c.position).where(quarantine.c.plugin == plugin)
    return frozenset(connection.scalars(query))


def load(connection: Connection, item: SetAside) -> bytes | None:
    """Return the bytes of a malformed line; None for a message of the journal, or if it is no longer in quarantine."""
    ours = quarantine.c.id == item.id, quarantine.c.plugin == item.plugin
    data = connection.scalar(select(quarantine.c.data).where(*ours))
    return None if data is None else zstandard.ZstdDecompressor().decompress(data)


def drop(connection: Connection, ids: tuple[int, ...]) -> int:
    """Delete the items `ids` from quarantine, and return how many there were."""
    return connection.execute(delete(quarantine).where(quarantine.c.id.in_(ids))).rowcount


def drop_messages(connection: Connection, places: Sequence[int]) -> None:
    """Delete the messages of the journal at these positions from quarantine, for all plugins."""
    connection.execute(delete(quarantine).where(among(connection, quarantine.c.position, places)))


def drop_plugin(connection: Connection, plugin: str) -> None:
    """Delete the quarantined messages of a plugin that is about to fold the journal again."""
    connection.execute(delete(quarantine).where(quarantine.c.plugin == plugin))


def discard(connection: Connection, kept: int) -> int:
    """Delete the oldest malformed lines until at most `kept` bytes are left; return how many were deleted."""
    ours = quarantine.c.plugin == PARSER
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
    return int(connection.scalar(select(func.sum(quarantine.c.size)).where(quarantine.c.plugin == PARSER)) or 0)


def discarded(connection: Connection) -> int:
    """Return how many quarantined lines were deleted because of the quota."""
    return connection.scalar(select(journal.c.discarded)) or 0


def totals(connection: Connection) -> dict[str, int]:
    """Return the number of quarantined items, by plugin."""
    query = select(quarantine.c.plugin, func.count()).group_by(quarantine.c.plugin)
    return {row[0]: row[1] for row in connection.execute(query)}


def _keep(
    connection: Connection,
    plugin: str,
    digest: int,
    reason: str,
    source: str,
    position: int | None,
    size: int,
    data: bytes | None,
) -> None:
    same = select(quarantine.c.id).where(quarantine.c.plugin == plugin, quarantine.c.digest == digest)
    if connection.execute(same).first() is not None:
        return
    connection.execute(
        quarantine.insert().values(
            plugin=plugin,
            digest=digest,
            reason=_storable(reason[:1000]),
            source=_storable(source),
            position=position,
            size=size,
            data=data,
            set_aside_at=int(time.time()),
        )
    )


def _storable(text: str) -> str:
    # PostgreSQL takes neither NUL nor lone surrogates, and the reason may quote either.
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()

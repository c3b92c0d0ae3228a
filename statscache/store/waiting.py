"""A person's name taken out of what was held back and set aside, bytes that are no part of the journal yet."""

import zstandard
from sqlalchemy import Connection, delete, select, update

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.message import parse
from statscache.scrubbing import scrub, scrub_bytes
from statscache.store import sources
from statscache.store.schema import held, quarantine


def scrub_held(connection: Connection, names: frozenset[str]) -> int:
    """Take names out of messages of the future; return how many changed. They keep the ids that they came with."""
    changed = 0
    for row in connection.execute(select(held)).all():
        left = _without(row.data, names)
        if left != row.data:
            changed += 1
            sources.release(connection, [row.digest])
            sources.hold(connection, [(canonical.digest64(left), row.due, row.source, left)])
    return changed


def _without(raw: bytes, names: frozenset[str]) -> bytes:
    try:
        message = parse(raw)
    except MalformedMessage:
        return scrub_bytes(raw, names)
    if scrub_bytes(raw, names) == raw:
        return raw
    return scrub(message, names).envelope()


def scrub_quarantine(connection: Connection, names: frozenset[str]) -> int:
    """Take names out of what was set aside, and out of the reasons; return how many things changed."""
    changed = 0
    for row in connection.execute(select(quarantine)).all():
        values = {name: scrub_bytes(getattr(row, name).encode(), names).decode() for name in ("reason", "source")}
        new: dict[str, object] = {name: text for name, text in values.items() if text != getattr(row, name)}
        if row.data is not None:
            raw = zstandard.ZstdDecompressor().decompress(row.data)
            left = scrub_bytes(raw, names)
            if left != raw:
                digest = canonical.digest64(left)
                new |= {"digest": digest, "size": len(left), "data": zstandard.ZstdCompressor().compress(left)}
                # What differed in the name alone is the same thing now.
                same = quarantine.c.plugin == row.plugin, quarantine.c.digest == digest, quarantine.c.id != row.id
                connection.execute(delete(quarantine).where(*same))
        if new:
            changed += 1
            connection.execute(update(quarantine).where(quarantine.c.id == row.id).values(**new))
    return changed

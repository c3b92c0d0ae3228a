"""Remove a person's name from held and quarantined lines, which are not in the journal."""

from collections.abc import Callable

import zstandard
from sqlalchemy import Connection, delete, select, update

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.message import Message, envelope
from statscache.parsing import parse
from statscache.scrubbing import scrub, scrub_bytes
from statscache.store import sources
from statscache.store.schema import held, quarantine

LeavesAlone = Callable[[Message], bool]
"""Returns whether the name stays in a message because it means something else there."""


def scrub_held(connection: Connection, leaves_alone: LeavesAlone, names: frozenset[str]) -> int:
    """Remove a person from messages of the future; return how many changed. They keep their ids."""
    changed = 0
    for row in connection.execute(select(held)).all():
        if scrub_line(row.data, leaves_alone, names) == row.data:
            continue
        changed += 1
        # The id of a message that was sent without one is computed from its content.
        left = envelope(scrub(parse(row.data), names).record())
        sources.release(connection, [row.digest])
        sources.hold(connection, [(canonical.digest64(left), row.due, row.source, left)])
    return changed


def scrub_line(raw: bytes, leaves_alone: LeavesAlone, names: frozenset[str]) -> bytes:
    """Return a line of an archive without the person; the same line if nothing changes."""
    left = scrub_bytes(raw, names)
    if left == raw:
        return raw
    try:
        message = parse(raw)
    except MalformedMessage:
        return left
    return raw if leaves_alone(message) else left


def scrub_quarantine(connection: Connection, names: frozenset[str]) -> int:
    """Remove names from quarantined lines and from the reasons; return how many items changed."""
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
                # Items that differed only in the name are the same item now.
                same = quarantine.c.digest == digest, quarantine.c.id != row.id
                connection.execute(delete(quarantine).where(*same))
        if new:
            changed += 1
            connection.execute(update(quarantine).where(quarantine.c.id == row.id).values(**new))
    return changed

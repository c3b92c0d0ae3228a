"""Messages of other environments, which are counted once each and not kept: digests of the newest are known."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from statscache.store.bulk import Upsert, among
from statscache.store.schema import foreign_message

KEPT = 100_000
"""Digests that are known at least; a day whose messages are all older than so many others is left out as a whole."""

_insert = Upsert(foreign_message)


def add(connection: Connection, messages: Iterable[tuple[int, int]]) -> int:
    """Record messages, and return how many of them were not known; the caller holds the journal's lock.

    Args:
        connection: The transaction.
        messages: The UTC day of each, and 64 bits of the keyed digest of its id.
    """
    by_day: dict[int, set[int]] = {}
    for day, digest in messages:
        by_day.setdefault(day, set()).add(digest)
    new = []
    for day, digests in by_day.items():
        same = foreign_message.c.day == day, among(foreign_message.c.digest, list(digests))
        known = connection.scalars(select(foreign_message.c.digest).where(*same))
        new += [(day, digest) for digest in sorted(digests.difference(known))]
    if new:
        _insert(connection, new)
        day_of = select(foreign_message.c.day).order_by(foreign_message.c.day.desc()).offset(KEPT).limit(1)
        if (oldest := connection.scalar(day_of)) is not None:
            connection.execute(delete(foreign_message).where(foreign_message.c.day < oldest))
    return len(new)

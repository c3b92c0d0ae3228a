"""The journal: every accepted message once, in order of acceptance, in compressed segments.

The *position* of a message is its number, counted from 1; the journal's *head* is the number of its last message. Old
segments may be removed, and messages of the future be taken out again; they leave holes, and positions stay.
A message is known by 64 bits of the digest of its id, looked up in its UTC day and both neighbours, because
history and bus may disagree on the second, and so on the day, of one message. Senders choose ids, and must not be able
to find two with one digest: so the digest is keyed with a secret of the database.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import groupby
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from statscache.exceptions import DamagedStatistics
from statscache.store.bulk import Upsert, among
from statscache.store.records import Packed, Records, deflate, inflate
from statscache.store.schema import journal, message_id, segment

_HEAD = select(journal.c.head, journal.c.through, journal.c.rewrites)
_NEAR = select(message_id).where(
    message_id.c.day.in_(bindparam("days", expanding=True)), among(message_id.c.digest, parameter="digests")
)
_insert_ids = Upsert(message_id)

_IDS = 8_192
"""Identities that are looked up, or inserted, by one statement.

As rows they take ten times the memory of columns. SQLite keeps those that it looks for in a table of its own, which it
writes to a temporary file if it is large: for 96,000 it wrote 400 MB.
"""


Digest = Callable[[bytes], bytes]
"""Returns 8 bytes of a keyed digest."""

Identity = tuple[int, int, int]
"""How a message is recognized: its UTC day, and 64 bits each of its id's and its record's digest."""


class Identities(NamedTuple):
    """Identities of messages, by column: arrays of 64-bit integers of one length."""

    days: np.ndarray
    digests: np.ndarray
    contents: np.ndarray

    def rows(self) -> list[Identity]:
        """Return each message's identity."""
        return [*zip(self.days.tolist(), self.digests.tolist(), self.contents.tolist(), strict=True)]

    @staticmethod
    def joined(parts: Sequence["Identities"]) -> "Identities":
        """Return the concatenation of several."""
        return Identities(*map(np.concatenate, zip(*parts, strict=True)))

    def only(self, wanted: np.ndarray) -> "Identities":
        """Return the selected ones, given True or False for each, or their indices."""
        return Identities(self.days[wanted], self.digests[wanted], self.contents[wanted])


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the journal.

    Attributes:
        position: Number of its messages.
        through: Timestamp of the newest accepted one.
        rewrites: Rises when a person is forgotten: data read before then is out of date.
    """

    position: int
    through: int | None
    rewrites: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """Messages that the journal no longer has: removed by `[journal] keep`, or postponed.

    Attributes:
        messages: How many.
        until: End of the newest day of which `[journal] keep` has removed a message, seconds since 1970 UTC; None if it
            has removed none.
    """

    messages: int
    until: int | None


class Segment(NamedTuple):
    """Some messages in a row: the position of the first, and their records, joined by newlines."""

    first: int
    data: bytes


def head(connection: Connection) -> Head:
    """Return the end of the journal."""
    return Head(*connection.execute(_HEAD).one())


def lock(connection: Connection) -> Head:
    """Return the end of the journal, and keep every other writer from moving it until the transaction ends."""
    return Head(*connection.execute(_HEAD.with_for_update()).one())


def identity_key(connection: Connection) -> bytes:
    """Return the secret with which identities are digested: random for each database, the same in its copies."""
    return bytes(connection.execute(select(journal.c.identity_key)).scalar_one())


def installation(connection: Connection) -> str:
    """Return the id of the installation: random for each database, the same in its copies."""
    return str(connection.execute(select(journal.c.installation)).scalar_one())


def digest_with(key: bytes) -> Digest:
    """Return the digest that is keyed with a secret: BLAKE2b, whose state after the key is copied for each message."""
    copied = blake2b(key=key, digest_size=8).copy

    def digest(data: bytes) -> bytes:
        state = copied()
        state.update(data)
        return state.digest()

    return digest


def count(connection: Connection, *, known: int, conflicts: int, foreign: int) -> None:
    """Add to the counters of messages that were received and not appended."""
    connection.execute(
        update(journal).values(
            known=journal.c.known + known,
            conflicts=journal.c.conflicts + conflicts,
            foreign_messages=journal.c.foreign_messages + foreign,
        )
    )


def removed(connection: Connection) -> Removed:
    """Return how much was removed from the journal."""
    row = connection.execute(select(journal.c.removed, journal.c.removed_until)).one()
    return Removed(row.removed, row.removed_until)


def find(connection: Connection, wanted: Identities) -> dict[int, list[Identity]]:
    """Return the identities in the journal that share a digest with one of `wanted`, in its day or a neighbour."""
    found: dict[int, set[Identity]] = {}
    for day in np.unique(wanted.days).tolist():
        # In the order of the table, so that each page is looked at once.
        digests = np.sort(wanted.digests[wanted.days == day]).tolist()
        for start in range(0, len(digests), _IDS):
            near = {"days": [day - 1, day, day + 1], "digests": digests[start : start + _IDS]}
            for identity in connection.execute(_NEAR, near):
                found.setdefault(identity.digest, set()).add(tuple(identity))
    return {digest: sorted(same) for digest, same in found.items()}


def append(connection: Connection, end: Head, segments: Sequence[Packed], identities: Identities) -> Head:
    """Append messages after `end`, and return the new end; the caller holds the lock.

    Args:
        connection: The transaction that accepts them.
        end: What `lock` returned.
        segments: Their records.
        identities: Identities of the same messages.
    """
    position, through = end.position, end.through
    for packed in segments:
        write(connection, position + 1, packed)
        position += packed.messages
        through = packed.newest if through is None else max(through, packed.newest)
    # In the order of the table, so that a batch touches each page once.
    order = np.lexsort((identities.digests, identities.days))
    for start in range(0, len(order), _IDS):
        _insert_ids(connection, identities.only(order[start : start + _IDS]).rows())
    connection.execute(update(journal).values(head=position, through=through))
    return replace(end, position=position, through=through)


def read(connection: Connection, after: int, until: int) -> Iterator[tuple[int, bytes]]:
    """Yield position and record of the messages in `(after, until]`, segment by segment, with flat memory."""
    while after < until:
        row = connection.execute(
            select(segment)
            .where(segment.c.first + segment.c.messages > after + 1, segment.c.first <= until)
            .order_by(segment.c.first)
            .limit(1)
        ).one_or_none()
        if row is None:
            return
        for position, record in enumerate(inflate(row.data).split(b"\n"), row.first):
            if after < position <= until:
                yield position, record
        after = row.first + row.messages - 1


def record(connection: Connection, position: int) -> bytes | None:
    """Return the record of the message at `position`, or None if the journal does not hold it."""
    return next((line for _, line in read(connection, position - 1, position)), None)


def starts(connection: Connection) -> list[int]:
    """Return the position of the first message of each segment, in order."""
    return [*connection.scalars(select(segment.c.first).order_by(segment.c.first))]


def following(connection: Connection, after: int) -> Segment | None:
    """Return the segment that holds the next message after position `after`, or None if there is none."""
    query = select(segment).where(segment.c.first + segment.c.messages > after + 1).order_by(segment.c.first).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else Segment(row.first, inflate(row.data))


def segments(connection: Connection, first: int, last: int) -> list[Segment]:
    """Return the segments with any of the messages from `first` to `last`, in order."""
    query = select(segment).where(segment.c.first + segment.c.messages > first, segment.c.first <= last)
    return [Segment(row.first, inflate(row.data)) for row in connection.execute(query.order_by(segment.c.first))]


def damaged(connection: Connection) -> Iterator[int]:
    """Yield the positions of the first messages of segments that are damaged."""
    query = select(segment.c.first, segment.c.messages, segment.c.size, segment.c.data).order_by(segment.c.first)
    for first, messages, size, stored in connection.execute(query.execution_options(yield_per=10)):
        try:
            data = inflate(stored)
        except DamagedStatistics:
            yield first
        else:
            if (data.count(b"\n") + 1, len(data)) != (messages, size):
                yield first


def rewrite(connection: Connection, changed: Segment) -> None:
    """Store a segment whose messages say other than they did; the caller holds the lock."""
    values = {"size": len(changed.data), "data": deflate(changed.data)}
    connection.execute(update(segment).where(segment.c.first == changed.first).values(**values))
    connection.execute(update(journal).values(rewrites=journal.c.rewrites + 1))


def newer(connection: Connection, than: int) -> list[int]:
    """Return the position of the first message of each segment that holds a message newer than this timestamp."""
    return [*connection.scalars(select(segment.c.first).where(segment.c.newest > than).order_by(segment.c.first))]


def take_out(connection: Connection, first: int, records: Sequence[bytes], times: Sequence[int], until: int) -> None:
    """Remove from a segment the messages that are later than `until`; the caller holds the lock.

    The positions of the others stay, so the segment becomes several, with holes between them.

    Args:
        connection: The transaction.
        first: Position of its first message.
        records: Its records.
        times: Timestamps of its messages.
        until: A timestamp.
    """
    connection.execute(delete(segment).where(segment.c.first == first))
    at = 0
    for stays, run in groupby(time <= until for time in times):
        end = at + sum(1 for _ in run)
        if stays:
            kept = Records()
            kept.extend(records[at:end], times[at:end])
            for packed in kept.segments():
                write(connection, first + at, packed)
                at += packed.messages
        at = end


def shortened(connection: Connection, days: Sequence[int], digests: Sequence[int]) -> None:
    """Count messages that were taken out, and let them be accepted again; the caller holds the lock.

    Args:
        connection: The transaction.
        days: The UTC day of each of them.
        digests: The digest of the id of each of them.
    """
    for day, digest in zip(days, digests, strict=True):
        connection.execute(delete(message_id).where(message_id.c.day == day, message_id.c.digest == digest))
    through = select(func.max(segment.c.newest)).scalar_subquery()
    removed = journal.c.removed + len(days)
    connection.execute(update(journal).values(through=through, removed=removed, rewrites=journal.c.rewrites + 1))


def write(connection: Connection, first: int, packed: Packed) -> None:
    """Store a segment; the caller holds the lock.

    Args:
        connection: The transaction.
        first: Position of its first message; the others follow.
        packed: The messages.
    """
    connection.execute(insert(segment).values(first=first, **packed._asdict()))

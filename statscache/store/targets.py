"""The targets: the last publication to each, and the one in progress."""

from collections.abc import Collection
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select, update

from statscache.store.bulk import Upsert
from statscache.store.schema import target

_meet = Upsert(target)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target.

    Attributes:
        name: As the configuration names it.
        generation: That it serves; None before the first.
        snapshot: Id of the snapshot that it serves; None before the first.
        published_at: Wall clock of the last success, seconds since 1970 UTC; None before the first.
        requests: Operations of the last success.
        bytes: Bytes that it sent.
        milliseconds: How long it took.
        invalidation_due: True if the caches in front of it must still be invalidated.
        sending: The generation being published there, whose objects are kept; None if none is.
        trying_since: Wall clock of the first attempt since the last success, seconds since 1970 UTC; None if the last
            attempt succeeded.
        due_at: Wall clock by which an attempt must have succeeded, seconds since 1970 UTC; None before the first.
        error: Why the last attempt failed; None if it did not, and while the first one is under way.
    """

    name: str
    generation: int | None = None
    snapshot: str | None = None
    published_at: int | None = None
    requests: int = 0
    bytes: int = 0
    milliseconds: int = 0
    invalidation_due: bool = False
    sending: int | None = None
    trying_since: int | None = None
    due_at: int | None = None
    error: str | None = None

    def late(self, now: int) -> int:
        """Return for how many seconds it has been behind at `now`; 0 if it is not, or if no attempt is made."""
        return max(0, now - self.due_at) if self.due_at is not None and self.trying_since is not None else 0

    def is_ok(self, now: int) -> bool:
        """Return whether it was published to, the last attempt succeeded, and it is not behind at the time `now`."""
        return self.published_at is not None and self.error is None and not self.late(now)


def listed(connection: Connection, names: Collection[str]) -> list[TargetRow]:
    """Return the state of the targets of these names, by name."""
    wanted = select(target).where(target.c.name.in_(list(names))).order_by(target.c.name)
    known = {row.name: TargetRow(**row._mapping) for row in connection.execute(wanted)}
    return [known.get(name, TargetRow(name)) for name in sorted(names)]


def begin(connection: Connection, name: str, now: int, patience: int) -> None:
    """Record that an attempt to publish to a target begins.

    Args:
        connection: A writing connection.
        name: Name of the target.
        now: Wall clock, seconds since 1970 UTC.
        patience: Seconds after which the target is behind, if no attempt was made in the time before.
    """
    _meet(connection, [tuple(asdict(TargetRow(name)).values())])
    (row,) = listed(connection, [name])
    if row.trying_since is not None:
        return
    # After a pause of the publisher, the target is not to blame that its index expired.
    due_at = row.due_at
    if due_at is None or row.published_at is None or now - row.published_at >= patience:
        due_at = now + patience
    connection.execute(update(target).where(target.c.name == name).values(trying_since=now, due_at=due_at))


def send(connection: Connection, name: str, generation: int) -> TargetRow:
    """Record that a target is being updated to a generation, and return the target's state."""
    connection.execute(update(target).where(target.c.name == name).values(sending=generation))
    (row,) = listed(connection, [name])
    return row


def sending(connection: Connection, since: float) -> set[int]:
    """Return the generations that are being published to targets, except those that were given up before `since`.

    Args:
        connection: A reading connection.
        since: Wall clock, seconds since 1970 UTC. Who was killed before, and did not come back, needs nothing.
    """
    wanted = target.c.sending.is_not(None), target.c.trying_since >= since
    return set(connection.scalars(select(target.c.sending).where(*wanted)))


def fail(connection: Connection, name: str, error: str) -> None:
    """Record why an attempt failed."""
    connection.execute(update(target).where(target.c.name == name).values(error=error, sending=None))


def succeed(connection: Connection, row: TargetRow) -> None:
    """Store the result of an attempt; `invalidation_due` does not change."""
    values = asdict(row)
    del values["name"], values["invalidation_due"]
    connection.execute(update(target).where(target.c.name == row.name).values(values))


def invalidate(connection: Connection) -> None:
    """Record that the caches in front of all targets must be invalidated: after rollback, forgetting and upgrade."""
    connection.execute(update(target).values(invalidation_due=True))


def was_invalidated(connection: Connection, name: str) -> None:
    """Record that the caches in front of a target were invalidated."""
    connection.execute(update(target).where(target.c.name == name).values(invalidation_due=False))

"""The targets: the last publication to each, and the one in progress."""

from collections.abc import Collection

from sqlalchemy import Connection, select, update

from statscache.store import plain, state
from statscache.store.bulk import Upsert
from statscache.store.rows import TargetRow
from statscache.store.schema import target

_meet = Upsert(target)


def listed(connection: Connection, names: Collection[str]) -> list[TargetRow]:
    """Return what is known of the targets of these names, by name; other rows are of targets that were removed."""
    return state.targets(plain.over(connection), names)


def begin(connection: Connection, name: str, now: int, patience: int) -> None:
    """Record that an attempt to publish to a target begins.

    Args:
        connection: A writing connection.
        name: Name of the target.
        now: Wall clock, seconds since 1970 UTC.
        patience: Seconds after which the target is behind, if no attempt was made in the time before.
    """
    _meet(connection, [TargetRow(name)])
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
        since: Wall clock, seconds since 1970 UTC. A publisher that was killed before, and did not
            come back, needs nothing.
    """
    wanted = target.c.sending.is_not(None), target.c.trying_since >= since
    return set(connection.scalars(select(target.c.sending).where(*wanted)))


def fail(connection: Connection, name: str, error: str) -> None:
    """Record why an attempt failed."""
    connection.execute(update(target).where(target.c.name == name).values(error=error, sending=None))


def succeed(connection: Connection, row: TargetRow) -> None:
    """Store the result of an attempt; `invalidation_due` does not change."""
    values = row._asdict()
    del values["name"], values["invalidation_due"]
    connection.execute(update(target).where(target.c.name == row.name).values(values))


def invalidate(connection: Connection) -> None:
    """Record that the caches in front of all targets must be invalidated: after rollback, forgetting and upgrade."""
    connection.execute(update(target).values(invalidation_due=True))


def was_invalidated(connection: Connection, name: str) -> None:
    """Record that the caches in front of a target were invalidated."""
    connection.execute(update(target).where(target.c.name == name).values(invalidation_due=False))

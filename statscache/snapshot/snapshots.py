"""Snapshots as the database remembers them: each row has a digest, which is checked on reading."""

import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from statscache import canonical
from statscache.snapshot import snapshot as snapshots
from statscache.snapshot.snapshot import DIGESTED, Snapshot, digest, is_intact, loaded
from statscache.store import plain
from statscache.store.bulk import among
from statscache.store.schema import snapshot


def current(connection: Connection) -> Snapshot | None:
    """Return the newest snapshot; None before the first."""
    return snapshots.current(plain.over(connection))


def get_many(connection: Connection, generations: Collection[int]) -> list[Snapshot]:
    """Return the snapshots of these generations, newest first."""
    wanted = among(snapshot.c.generation, list(generations))
    return [
        loaded(row._mapping)
        for row in connection.execute(select(snapshot).where(wanted).order_by(snapshot.c.generation.desc()))
    ]


def find_by_prefix(connection: Connection, identity: str) -> list[Snapshot]:
    """Return the snapshots whose id begins so, the newest of each id."""
    newest = (
        select(func.max(snapshot.c.generation))
        .where(snapshot.c.id.startswith(identity, autoescape=True))
        .group_by(snapshot.c.id)
    )
    return [
        loaded(row._mapping) for row in connection.execute(select(snapshot).where(snapshot.c.generation.in_(newest)))
    ]


def is_known(connection: Connection, identity: str) -> bool:
    """Return whether a snapshot of this id was made from this database, and is remembered."""
    return connection.scalar(select(snapshot.c.id).where(snapshot.c.id == identity).limit(1)) is not None


def save(connection: Connection, new: Snapshot) -> None:
    """Store a new snapshot; the one before was current until now."""
    before = select(func.max(snapshot.c.generation)).scalar_subquery()
    _keep_current(connection, snapshot.c.generation == before, new.created_at)
    values = new._asdict()
    connection.execute(insert(snapshot).values(values | _summary(new)))


def mark_served(connection: Connection, generation: int, identity: str) -> None:
    """Record that a target serves a snapshot, which was therefore current there until now."""
    _keep_current(connection, (snapshot.c.generation == generation) & (snapshot.c.id == identity), int(time.time()))


def is_announced(connection: Connection, generation: int) -> bool:
    """Return whether a snapshot, or a newer one, was announced on the bus."""
    later = snapshot.c.generation >= generation, snapshot.c.announced
    return connection.scalar(select(snapshot.c.generation).where(*later).limit(1)) is not None


def mark_announced(connection: Connection, generation: int) -> None:
    """Record that a snapshot was announced on the bus."""
    connection.execute(update(snapshot).where(snapshot.c.generation == generation).values(announced=True))


def update_summary(connection: Connection, changed: Snapshot) -> None:
    """Update the summary of a snapshot whose tree is the same: states of plugins are not part of the tree."""
    connection.execute(update(snapshot).where(snapshot.c.generation == changed.generation).values(**_summary(changed)))


def _keep_current(connection: Connection, which: Any, until: int) -> None:
    connection.execute(update(snapshot).where(which, snapshot.c.current_until < until).values(current_until=until))


def damaged(connection: Connection) -> list[int]:
    """Return the generations whose rows do not agree with their digests, newest first."""
    rows = connection.execute(select(snapshot).order_by(snapshot.c.generation.desc()))
    return [row.generation for row in rows if not is_intact(row._mapping)]


def may_hold(row: Row[Any]) -> bool:
    """Return whether a damaged row may be that of a rollback: not if only one of its two numbers is damaged."""
    if row.origin == row.generation or not isinstance(row.summary, bytes):
        return bool(row.origin != row.generation)
    same = ({**row._mapping, "generation": number, "origin": number} for number in (row.origin, row.generation))
    return row.digest not in [digest(values, row.summary) for values in same]


def drop(connection: Connection, generations: Collection[int]) -> None:
    """Forget snapshots."""
    connection.execute(delete(snapshot).where(among(snapshot.c.generation, list(generations))))


def _summary(of: Snapshot) -> dict[str, Any]:
    """Return the columns that hold the summary, and the digest."""
    data = canonical.encode(of.summary)
    return {"summary": data, "digest": digest({name: getattr(of, name) for name in DIGESTED}, data)}

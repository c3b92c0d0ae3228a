"""Snapshots as the database remembers them: each row has a digest, which is checked on reading."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from statscache import canonical
from statscache.exceptions import DamagedSnapshot
from statscache.store.bulk import among
from statscache.store.schema import snapshot


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A published tree.

    Attributes:
        generation: A number that only rises.
        id: The digest of the root manifest.
        parent: The id of the snapshot before; None for the first.
        through: Timestamp of the newest message that it knows; None before the first.
        created_at: Wall clock, seconds since 1970 UTC.
        current_until: When it was last known to be current, here or at a target; wall clock, seconds since 1970 UTC.
        manifest: Name of the object that is the root manifest.
        origin: The generation that first had this tree; its own, but after a rollback.
        size: Bytes of all its files.
        announced: True if it was announced on the bus.
        summary: Details: `pages`, the fingerprint of the pages, `whole`, whether all of them could be
            rendered, and `shown`, the state that the page of each plugin shows; `slow_through`, the `through` of its
            slow documents, and `slow_at`, when these were rendered (wall clock, seconds since 1970 UTC); `keys`,
            the number of keys of each plugin then; `plugins`,
            their entries in the index; `reasons`, why plugins are not `ok`; `oversize`, documents that broke their
            budget; `changes`, what changed since the parent.
    """

    generation: int
    id: str
    parent: str | None
    through: int | None
    created_at: int
    current_until: int
    manifest: str
    origin: int
    size: int
    announced: bool
    summary: dict[str, Any]

    @property
    def is_rollback(self) -> bool:
        """True if an older tree was made current, which holds publishing until it is resumed."""
        return self.origin != self.generation


_FIELDS = [field.name for field in fields(Snapshot)]
_DIGESTED = [name for name in _FIELDS if name not in ("current_until", "announced", "summary")]


def current(connection: Connection) -> Snapshot | None:
    """Return the newest snapshot; None before the first."""
    row = connection.execute(select(snapshot).order_by(snapshot.c.generation.desc()).limit(1)).one_or_none()
    return None if row is None else _loaded(row)


def get_many(connection: Connection, generations: Collection[int]) -> list[Snapshot]:
    """Return the snapshots of these generations, newest first."""
    wanted = among(connection, snapshot.c.generation, list(generations))
    return [
        _loaded(row)
        for row in connection.execute(select(snapshot).where(wanted).order_by(snapshot.c.generation.desc()))
    ]


def find_by_prefix(connection: Connection, identity: str) -> list[Snapshot]:
    """Return the snapshots whose id begins so, the newest of each id."""
    newest = (
        select(func.max(snapshot.c.generation))
        .where(snapshot.c.id.startswith(identity, autoescape=True))
        .group_by(snapshot.c.id)
    )
    return [_loaded(row) for row in connection.execute(select(snapshot).where(snapshot.c.generation.in_(newest)))]


def is_known(connection: Connection, identity: str) -> bool:
    """Return whether a snapshot of this id was made from this database, and is remembered."""
    return connection.scalar(select(snapshot.c.id).where(snapshot.c.id == identity).limit(1)) is not None


def save(connection: Connection, new: Snapshot) -> None:
    """Store a new snapshot; the one before was current until now."""
    before = select(func.max(snapshot.c.generation)).scalar_subquery()
    _keep_current(connection, snapshot.c.generation == before, new.created_at)
    values = {field.name: getattr(new, field.name) for field in fields(new)}
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
    return [row.generation for row in rows if not _is_intact(row)]


def may_hold(row: Row[Any]) -> bool:
    """Return whether a damaged row may be that of a rollback: not if only one of its two numbers is damaged."""
    if row.origin == row.generation or not isinstance(row.summary, bytes):
        return bool(row.origin != row.generation)
    same = ({**row._mapping, "generation": number, "origin": number} for number in (row.origin, row.generation))
    return row.digest not in [_digest(values, row.summary) for values in same]


def drop(connection: Connection, generations: Collection[int]) -> None:
    """Forget snapshots."""
    connection.execute(delete(snapshot).where(among(connection, snapshot.c.generation, list(generations))))


def _loaded(row: Row[Any]) -> Snapshot:
    if not _is_intact(row):
        raise DamagedSnapshot(f"the row of snapshot {row.generation} in the database is damaged")
    return Snapshot(**{name: row._mapping[name] for name in _FIELDS} | {"summary": orjson.loads(row.summary)})


def _is_intact(row: Row[Any]) -> bool:
    return isinstance(row.summary, bytes) and row.digest == _digest(row._mapping, row.summary)


def _summary(of: Snapshot) -> dict[str, Any]:
    """Return the columns that hold the summary, and the digest of all that does not change by itself."""
    data = canonical.encode(of.summary)
    return {"summary": data, "digest": _digest({name: getattr(of, name) for name in _DIGESTED}, data)}


def _digest(values: Mapping[Any, Any], summary: bytes) -> str:
    return canonical.digest(canonical.encode([values[name] for name in _DIGESTED]) + summary)

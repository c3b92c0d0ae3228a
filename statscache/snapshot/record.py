"""Snapshots as the database remembers them."""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, insert, select, update

from statscache import canonical
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
        manifest: Name of the object that is the root manifest.
        summary: What is said of it: `pages`, the fingerprint of the pages; `plugins`, their entries in the index;
            `reasons`, why plugins are not `ok`; `changes`, what changed since the parent; after a rollback `origin`,
            the generation whose tree it is.
    """

    generation: int
    id: str
    parent: str | None
    through: int | None
    created_at: int
    manifest: str
    summary: dict[str, Any]

    @property
    def origin(self) -> int:
        """The generation that first had this tree; its own, but after a rollback."""
        return int(self.summary.get("origin", self.generation))

    @property
    def is_rollback(self) -> bool:
        """Whether an older tree was made current, which holds publishing until it is resumed."""
        return self.origin != self.generation


def current(connection: Connection) -> Snapshot | None:
    """Return the newest snapshot; None before the first."""
    row = connection.execute(select(snapshot).order_by(snapshot.c.generation.desc()).limit(1)).one_or_none()
    return None if row is None else _loaded(row)


def retained(connection: Connection) -> list[Snapshot]:
    """Return all snapshots that are kept, newest first."""
    return [_loaded(row) for row in connection.execute(select(snapshot).order_by(snapshot.c.generation.desc()))]


def save(connection: Connection, new: Snapshot) -> None:
    """Store a new snapshot."""
    connection.execute(
        insert(snapshot).values(
            generation=new.generation,
            id=new.id,
            parent=new.parent,
            through=new.through,
            created_at=new.created_at,
            manifest=new.manifest,
            summary=canonical.identity(new.summary),
        )
    )


def update_summary(connection: Connection, changed: Snapshot) -> None:
    """Store what the pointer says of a snapshot whose tree is the same: states of plugins are no part of the tree."""
    summary = canonical.identity(changed.summary)
    connection.execute(update(snapshot).where(snapshot.c.generation == changed.generation).values(summary=summary))


def _loaded(row: Row[Any]) -> Snapshot:
    return Snapshot(**{**row._mapping, "summary": orjson.loads(row.summary)})

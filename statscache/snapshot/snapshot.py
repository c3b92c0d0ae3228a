"""A snapshot, and how its row in the database is checked whenever it is read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from statscache import canonical
from statscache.exceptions import DamagedSnapshot
from statscache.store.plain import Query


class Snapshot(NamedTuple):
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
        summary: What is said of it: `pages`, the fingerprint of the pages, `whole`, whether all of them could be
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


DIGESTED = [name for name in Snapshot._fields if name not in ("current_until", "announced", "summary")]
"""The columns that the digest of a row covers, besides the summary."""


def current(query: Query) -> Snapshot | None:
    """Return the newest snapshot; None before the first.

    Raises:
        DamagedSnapshot: Its row does not agree with its digest.
    """
    columns = [*Snapshot._fields, "digest"]
    rows = query(f"SELECT {', '.join(columns)} FROM snapshot ORDER BY generation DESC LIMIT 1")
    return loaded(dict(zip(columns, rows[0], strict=True))) if rows else None


def loaded(row: Mapping[Any, Any]) -> Snapshot:
    """Return the snapshot of a row.

    Raises:
        DamagedSnapshot: The row does not agree with its digest.
    """
    if not is_intact(row):
        raise DamagedSnapshot(f"the row of snapshot {row['generation']} in the database is damaged")
    values = {name: row[name] for name in Snapshot._fields}
    return Snapshot(**values | {"announced": bool(row["announced"]), "summary": orjson.loads(row["summary"])})


def is_intact(row: Mapping[Any, Any]) -> bool:
    """Return whether a row agrees with its digest."""
    return isinstance(row["summary"], bytes) and row["digest"] == digest(row, row["summary"])


def digest(values: Mapping[Any, Any], summary: bytes) -> str:
    """Return the digest of a row: of all that does not change by itself."""
    return canonical.digest(canonical.encode([values[name] for name in DIGESTED]) + summary)

"""Marks: which documents of a plugin have to be rendered. They are written with the change of state that they follow.

Keys are many, so the keys that one fold changed are one compact row: digests and the years that changed, each pair
once.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, delete, insert, select

from statscache.store.bulk import Upsert
from statscache.store.positions import Position
from statscache.store.schema import dirty, dirty_keys

EVERYTHING = "*"
"""The dirty document that stands for all documents of a plugin."""

Keys = NDArray[np.void]
"""Keys whose documents changed: `key` is the digest, `year` the calendar year whose days changed."""

_KEYS = np.dtype([("key", "<i8"), ("year", "<i2")])
_MOST_ROWS = 16
"""Rows of changed keys of one plugin, before they are merged into one."""

_mark = Upsert(dirty, lambda table, new: {"revision": new.revision})


def keys(digests: ArrayLike = (), years: ArrayLike = ()) -> Keys:
    """Return columns of digests and years as keys, each pair once."""
    made = np.empty(np.size(digests), _KEYS)
    made["key"], made["year"] = digests, years
    return np.unique(made)


def mark(
    connection: Connection, row: Position, documents: Iterable[tuple[str, int]], changed: Keys | None = None
) -> None:
    """Mark documents of a plugin dirty at its current revision, and documents of changed keys."""
    _mark(connection, [(row.id, document, number, row.revision) for document, number in documents])
    if changed is None or not len(changed):
        return
    mine = dirty_keys.c.plugin == row.id
    if len(connection.execute(select(dirty_keys.c.revision).where(mine)).all()) >= _MOST_ROWS:
        # Merged, older marks carry the newest revision, so a render under way clears none that it has not seen.
        changed = np.unique(np.concatenate([changed, marked_keys(connection, row)]))
        connection.execute(delete(dirty_keys).where(mine))
    connection.execute(insert(dirty_keys).values(plugin=row.id, revision=row.revision, data=changed.tobytes()))


def marked(connection: Connection, row: Position) -> list[tuple[str, int]]:
    """Return the dirty documents of a plugin; those of keys apart, see `marked_keys`."""
    query = select(dirty.c.document, dirty.c.number).where(dirty.c.plugin == row.id)
    return [(mark.document, mark.number) for mark in connection.execute(query.order_by(*dirty.primary_key))]


def marked_keys(connection: Connection, row: Position) -> Keys:
    """Return the keys of a plugin that changed, sorted."""
    rows = connection.scalars(select(dirty_keys.c.data).where(dirty_keys.c.plugin == row.id))
    return np.unique(np.frombuffer(b"".join(rows), _KEYS))


def clear(connection: Connection, row: Position) -> None:
    """Remove the marks that a render of the plugin at `row.revision` has served; later ones stay."""
    for table in (dirty, dirty_keys):
        connection.execute(delete(table).where(table.c.plugin == row.id, table.c.revision <= row.revision))

"""Rollback: make an older snapshot current, as a new generation, until publishing is resumed."""

import time
from functools import partial

from sqlalchemy import Connection

from statscache.exceptions import UnknownSnapshot
from statscache.snapshot import manifest, retention, snapshots, tree
from statscache.snapshot.snapshot import Snapshot
from statscache.snapshot.summary import listed
from statscache.store import published, targets
from statscache.store.bulk import batches

_AT_ONCE = 100


def rollback(connection: Connection, identity: str, *, generation: int = 0) -> Snapshot:
    """Make a retained snapshot current and return it as a new generation; or unchanged, if a rollback made it current.

    Args:
        connection: A writing connection.
        identity: The id of the snapshot, or the beginning of it.
        generation: A generation that the new one must exceed, as a target holds it.

    Raises:
        UnknownSnapshot: No retained snapshot, or more than one, has such an id, or it is current without a rollback.
        DamagedObject: What it has and the current one has not is damaged in the database.
    """
    found, current = snapshots.find_by_prefix(connection, identity), snapshots.current(connection)
    if current is None or len(found) != 1:
        number = "no" if not found else "more than one"
        message = f"{number} retained snapshot has an id that begins with {identity!r}: see `statscache snapshots`"
        raise UnknownSnapshot(message)
    (old,) = found
    if old.manifest == current.manifest:
        if current.is_rollback:
            return current
        raise UnknownSnapshot(f"snapshot {old.id[:12]} is current already")

    load = partial(published.load_all, connection)
    for batch in batches(manifest.difference(load, [current.manifest], old.manifest), _AT_ONCE):
        # A damaged object of an older snapshot could not be rendered again.
        load({change.entry.object for change in batch if change.entry is not None})
    changes = tree.between(load, current.manifest, old.manifest)
    now = int(time.time())
    new = old._replace(
        generation=max(generation, current.generation) + 1,
        parent=current.id,
        created_at=now,
        current_until=now,
        announced=False,
        summary={**old.summary, "changes": listed(changes)},
    )
    snapshots.save(connection, new)
    # The tree in the database stays as it is, and so do its objects; but its root is that of no current snapshot.
    retention.drop(connection, new, [current.manifest])
    targets.invalidate(connection)
    return new

"""Retention: a number of snapshots is kept for a time, with the objects that they refer to.

A snapshot was current until its successor was made, and at a target until that served the successor. Its age counts
from then, and so does the grace for readers who still hold its index: for as long, nothing goes that it refers to.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, exists, select, union

from statscache.config import RetentionSection
from statscache.snapshot import snapshots
from statscache.snapshot.snapshot import Snapshot
from statscache.store import targets
from statscache.store.bulk import Upsert, among, batches
from statscache.store.schema import (
    directory_part,
    dropped,
    object_,
    pending_deletion,
    snapshot,
    tree,
    unneeded,
    unreferenced,
)

_BATCH = 10_000

_add_dropped = Upsert(dropped)
_add_unreferenced = Upsert(unreferenced)
_add_pending = Upsert(pending_deletion)


@dataclass(frozen=True, slots=True)
class Garbage:
    """Snapshots and objects that are no longer needed.

    Attributes:
        generations: Snapshots that are no longer retained, and whose grace is over.
        objects: Names of objects that none of the other snapshots refers to, and whose grace is over.
    """

    generations: frozenset[int] = frozenset()
    objects: frozenset[str] = frozenset()

    def __and__(self, other: "Garbage") -> "Garbage":
        """Return the garbage that is in both."""
        return Garbage(self.generations & other.generations, self.objects & other.objects)


def retained(connection: Connection, retention: RetentionSection) -> list[Snapshot]:
    """Return the snapshots that are retained, newest first; those that are merely in their grace are left out."""
    return snapshots.get_many(connection, _retained(_ages(connection), retention, time.time()))


def find(connection: Connection, retention: RetentionSection) -> Garbage:
    """Return what may be deleted now; the current snapshot always stays, and so do those on their way to a target."""
    rows, now = _ages(connection), time.time()
    grace_began = now - retention.grace_hours * 3600
    stays = _retained(rows, retention, now) | {row.generation for row in rows if row.current_until > grace_began}
    stays |= targets.sending(connection, since=now - retention.days * 86400)
    kept = [row for row in rows if row.generation in stays]
    # A rollback refers to the objects of the generation that it went back to.
    oldest = min((row.origin for row in kept), default=0)
    grace = int(grace_began)
    name = (
        union(
            select(dropped.c.object).where(dropped.c.generation <= oldest, dropped.c.dropped_at <= grace),
            select(unreferenced.c.object).where(unreferenced.c.since <= grace),
            select(pending_deletion.c.object),
        )
        .subquery()
        .c.object
    )
    # An object that was dropped again later is still referred to by a snapshot before that.
    later = (dropped.c.generation > oldest) | (dropped.c.dropped_at > grace)
    unused = select(name).where(
        ~exists().where(dropped.c.object == name, later),
        ~exists().where(unreferenced.c.object == name, unreferenced.c.since > grace),
        ~exists().where(tree.c.object == name),
        ~exists().where(directory_part.c.object == name),
    )
    objects = set(connection.scalars(unused)) - {row.manifest for row in kept}
    return Garbage(frozenset(row.generation for row in rows) - stays, frozenset(objects))


def drop(connection: Connection, by: Snapshot, objects: Collection[str]) -> None:
    """Record objects that the previous snapshot used and the new one does not."""
    for names in batches(sorted(objects), _BATCH):
        _add_dropped(connection, [(by.generation, name, by.created_at) for name in names])


def mark_unreferenced(connection: Connection, objects: Sequence[str]) -> None:
    """Record objects that no tree refers to yet: if none ever does, they are garbage after the grace.

    They are of a build that was not committed, or of another database that published to the same place.
    """
    now = int(time.time())
    _add_unreferenced(connection, [(name, now) for name in objects])
    # What has to go at once has no grace, even if a target shows it again.
    pending = exists().where(pending_deletion.c.object == unreferenced.c.object)
    connection.execute(delete(unreferenced).where(pending))


def unnoticed(connection: Connection) -> list[str]:
    """Return the objects to which the tree does not refer and that are not marked as dropped."""
    return list(
        connection.scalars(
            select(object_.c.name).where(
                ~exists().where(tree.c.object == object_.c.name),
                ~exists().where(directory_part.c.object == object_.c.name),
                *(~exists().where(table.c.object == object_.c.name) for table in unneeded),
            )
        )
    )


def delete_everywhere(connection: Connection, objects: Sequence[str]) -> None:
    """Record objects to delete at once from every target; they are pending until no target has them."""
    connection.execute(delete(unreferenced).where(among(unreferenced.c.object, objects)))
    _add_pending(connection, [(name,) for name in objects])


def unmark(connection: Connection) -> None:
    """Unmark unreferenced objects that the current tree uses after all."""
    for table in (unreferenced, pending_deletion):
        connection.execute(delete(table).where(exists().where(tree.c.object == table.c.object)))


def forget(connection: Connection, objects: Sequence[str]) -> None:
    """Remove what is recorded of objects: they are in no tree, and in no table."""
    for table in unneeded:
        connection.execute(delete(table).where(among(table.c.object, objects)))


def collect(connection: Connection, garbage: Garbage) -> None:
    """Remove garbage from the database, when every target has removed it."""
    if garbage.objects:
        names = list(garbage.objects)
        connection.execute(delete(object_).where(among(object_.c.name, names)))
        forget(connection, names)
    if garbage.generations:
        gone = among(snapshot.c.generation, list(garbage.generations))
        connection.execute(delete(snapshot).where(gone))


class _Age(NamedTuple):
    generation: int
    origin: int
    manifest: str
    current_until: int


def _ages(connection: Connection) -> list[_Age]:
    """Return the columns that decide on each snapshot, newest first, without the large summaries."""
    columns = [snapshot.c[name] for name in _Age._fields]
    return [_Age(*row) for row in connection.execute(select(*columns).order_by(snapshot.c.generation.desc()))]


def _retained(rows: Sequence[_Age], retention: RetentionSection, now: float) -> set[int]:
    youngest = now - retention.days * 86400
    older = {row.generation for row in rows[: retention.snapshots] if row.current_until >= youngest}
    return older | {row.generation for row in rows[:1]}

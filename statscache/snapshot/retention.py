"""What is kept of the past: a number of snapshots, for a time, and the objects that they refer to."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, func, select

from statscache.config import RetentionSection
from statscache.snapshot import record
from statscache.store.bulk import Upsert, among
from statscache.store.schema import dropped, object_, shard, snapshot, tree

_BEFORE_ALL = 0
"""The generation of suspects: below that of any snapshot."""

_suspect = Upsert(dropped)


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nobody needs any longer.

    Attributes:
        generations: Snapshots that are retained no longer.
        expired: Ids of snapshots that are retained no longer, and that no retained one shares.
        objects: Names of objects that no retained snapshot refers to, and whose grace is over.
    """

    generations: tuple[int, ...] = ()
    expired: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


def find(connection: Connection, retention: RetentionSection) -> Garbage:
    """Return what retention allows to be deleted now; the current snapshot always stays."""
    kept = record.retained(connection)
    now = time.time()
    youngest = now - retention.days * 86400
    stays = {row.generation for row in kept[: retention.snapshots] if row.created_at >= youngest} | {
        row.generation for row in kept[:1]
    }
    # A rollback refers to the objects of the generation that it went back to.
    oldest = min((row.origin for row in kept if row.generation in stays), default=0)
    ids = {row.id for row in kept if row.generation in stays}
    generations = tuple(row.generation for row in kept if row.generation not in stays)
    expired = tuple(sorted({row.id for row in kept if row.generation not in stays} - ids))
    # An object that was dropped again later is still referred to by a snapshot before that.
    last = select(dropped.c.object).group_by(dropped.c.object).having(
        func.max(dropped.c.generation) <= oldest,
        func.max(dropped.c.dropped_at) <= int(now - retention.grace_hours * 3600),
    )
    unused = last.where(
        ~exists().where(tree.c.object == dropped.c.object), ~exists().where(shard.c.object == dropped.c.object)
    )
    manifests = {row.manifest for row in kept if row.generation in stays}
    return Garbage(generations, expired, tuple(sorted(set(connection.scalars(unused)) - manifests)))


def suspect(connection: Connection, objects: Sequence[str]) -> None:
    """Take note of objects that no tree refers to yet: if none ever does, for want of a commit, they are garbage."""
    now = int(time.time())
    _suspect(connection, [(_BEFORE_ALL, name, now) for name in objects])


def clear_suspects(connection: Connection) -> None:
    """Acquit the suspects to which the current tree refers."""
    used = exists().where(tree.c.object == dropped.c.object)
    connection.execute(delete(dropped).where(dropped.c.generation == _BEFORE_ALL, used))


def collect(connection: Connection, garbage: Garbage) -> None:
    """Remove garbage from the database, when every target has removed it."""
    if garbage.objects:
        names = list(garbage.objects)
        connection.execute(delete(object_).where(among(connection, object_.c.name, names)))
        connection.execute(delete(dropped).where(among(connection, dropped.c.object, names)))
    if garbage.generations:
        gone = among(connection, snapshot.c.generation, garbage.generations)
        connection.execute(delete(snapshot).where(gone))

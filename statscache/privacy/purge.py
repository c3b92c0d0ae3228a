"""Purge: remove the objects that hold a person's name, and all snapshots that refer to them, at once."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, func, select

from statscache import layout
from statscache.exceptions import Damaged, DamagedObject, PublishError
from statscache.service.publishing import Publishing
from statscache.snapshot import manifest, retention, snapshots, tree
from statscache.snapshot.manifest import Load
from statscache.snapshot.snapshot import Snapshot
from statscache.store import Database, published, targets
from statscache.store.bulk import among
from statscache.store.schema import object_, snapshot

Holds = Callable[[bytes], bool]
"""Returns whether bytes hold the name."""


@dataclass(frozen=True, slots=True)
class Purged:
    """The result of a purge.

    Attributes:
        snapshots: Number of snapshots that referred to objects with the name.
        objects: Number of objects that were removed.
        left: Paths of files that still hold the word, because they are not made from messages.
    """

    snapshots: int
    objects: int
    left: list[str]


def purge_published(
    database: Database, publishing: Publishing, holds: Holds, tell: Callable[[int, int], None]
) -> tuple[Purged, str]:
    """Publish after a person was forgotten, and remove at once everything that holds the name.

    The caller holds the right to build snapshots. A rollback is ended.

    Args:
        database: The database, whose state does not hold the name.
        publishing: Publishes it.
        holds: Returns whether bytes that are published hold the name.
        tell: Called with how many objects of how many were checked.

    Returns:
        What was purged, and why targets could not be updated; empty if all were.
    """
    snapshot, rendered = publishing.builder.build(resume=True)
    try:
        with database.reading() as connection:
            names = tainted(connection, holds, tell)
    except Damaged as error:
        snapshot, rendered = publishing.builder.build(found=error)
        with database.reading() as connection:
            names = tainted(connection, holds, tell)
    # A plugin that cannot be rendered would keep its old documents.
    stuck = [each.info.name for each in rendered if each.state != "ok"]
    stuck += [entry["name"] for entry in snapshot.summary["plugins"] if entry["state"] == "failed"]
    with database.writing() as connection:
        withdrawn = withdraw(connection, sorted(set(stuck)), names)
    if withdrawn:
        publishing.builder.build()
    # Once the snapshot that a target serves is purged, all of its files are compared, and most are sent.
    with suppress(PublishError):
        # Files at a place that is configured again may hold the name.
        publishing.targets.update(
            replace(publishing.job(announces=False), deletes_unknown=True), publishing.builder.build
        )
    with database.writing() as connection:
        current = snapshots.current(connection)
        assert current is not None
        purged = purge(connection, current, names, holds)
    try:
        publishing.targets.update(publishing.job(), publishing.builder.build)
    except PublishError as error:
        return purged, str(error)
    publishing.targets.collect()
    return purged, ""


def tainted(connection: Connection, holds: Holds, tell: Callable[[int, int], None]) -> set[str]:
    """Return the names of the objects that hold the name; `tell` is called with how many of how many were checked.

    Raises:
        DamagedObject: One is damaged.
    """
    total = connection.scalar(select(func.count()).select_from(object_)) or 0
    found = set()
    for number, (name, data) in enumerate(published.every(connection), start=1):
        if data is None:
            raise DamagedObject(f"object {name} is damaged in the database, so it may hold the name")
        if holds(data):
            found.add(name)
        tell(number, total)
    return found


def withdraw(connection: Connection, plugins: Collection[str], names: Collection[str]) -> int:
    """Remove files of plugins that cannot be rendered from the tree if their bytes are one of these objects.

    Returns:
        How many there were.
    """
    gone = [
        path
        for plugin in plugins
        for directory in (layout.plugin_root(plugin), layout.page_root(plugin))
        for part in ("data", "site")
        for path in published.below(connection, directory, part, names)
    ]
    feeds = {*map(layout.feed, plugins)}
    gone += [path for path in published.below(connection, layout.FEEDS, "site", names) if path in feeds]
    if gone:
        changes = tree.apply(connection, ((path, None) for path in gone))
        retention.mark_unreferenced(connection, sorted(changes.dropped))
    return len(gone)


def purge(connection: Connection, current: Snapshot, names: Collection[str], holds: Holds) -> Purged:
    """Remove objects and the snapshots that refer to them, except objects of the current one.

    Each publication deletes what targets still have of them, until no target has any.

    Args:
        connection: A writing connection.
        current: The current snapshot, made after the person was forgotten.
        names: Names of the objects that hold the name.
        holds: Returns whether bytes hold it.
    """
    load = partial(published.load_all, connection)
    used, left = set(), []
    for change in manifest.difference(load, [None], current.manifest):
        if change.entry is not None and change.entry.object in names:
            used.add(change.entry.object)
            left += [change.path] if change.is_file else []
    walk = _Walk(load, set(names) - used)
    rows = connection.execute(select(snapshot.c.generation, snapshot.c.manifest)).all()
    gone = [row.generation for row in rows if row.generation != current.generation and walk.refers(row.manifest)]
    connection.execute(delete(snapshot).where(among(snapshot.c.generation, gone)))
    # Manifests that lead there have the name in a path, perhaps in a spelling that was not searched for.
    objects = sorted(walk.tainted)
    if objects:
        connection.execute(delete(object_).where(among(object_.c.name, objects)))
        retention.forget(connection, objects)
        retention.delete_everywhere(connection, objects)
        targets.invalidate(connection)
    # The summary of a snapshot may have 60 kB, and there may be thousands of them.
    for generation, _ in rows:
        for row in snapshots.get_many(connection, [generation]):
            summary = {**row.summary, "changes": _unlisted(row.summary["changes"], holds)}
            if summary != row.summary:
                snapshots.update_summary(connection, row._replace(summary=summary))
    return Purged(len(gone), len(objects), sorted(left))


class _Walk:
    """Finds manifests that lead to any of some objects, and remembers what it has found."""

    def __init__(self, load: Load, tainted: set[str]) -> None:
        self._load = load
        self._clean: set[str] = set()
        self.tainted = tainted

    def refers(self, name: str) -> bool:
        """Return whether a manifest leads to any of the objects, or is one; it counts as one of them then."""
        if name in self.tainted or name in self._clean:
            return name in self.tainted
        entries = manifest.loads(self._load((name,))[name]).values()
        # Every entry is checked, without stopping at the first, so that all manifests are found.
        found = [self.refers(entry.object) for entry in entries if entry.type not in published.FILES]
        found += [entry.object in self.tainted for entry in entries]
        (self.tainted if any(found) else self._clean).add(name)
        return any(found)


def _unlisted(changes: dict[str, Any], holds: Holds) -> dict[str, Any]:
    """Return a list of changes without the paths that hold the name."""
    kinds = ("added", "changed", "removed")
    return changes | {kind: [path for path in changes[kind] if not holds(path.encode())] for kind in kinds}

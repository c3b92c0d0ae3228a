"""The current tree in the database: changes of files go in, the root manifest comes out; cost follows the change."""

from array import array
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, func, select

from statscache import layout
from statscache.snapshot import manifest, parts
from statscache.snapshot.manifest import Load
from statscache.snapshot.parts import Parts
from statscache.store import published
from statscache.store.bulk import Upsert, among, batches
from statscache.store.published import Entry, shard_of
from statscache.store.schema import directory_part, tree, unneeded

AT_ONCE = 2_000
"""Files that are put into the tree at a time, and directories whose manifests are made at a time."""

_MANIFESTS_AT_ONCE = 250

MOST_LISTED = 200
"""Paths of each kind that a change remembers by name."""

_put_entries = Upsert(tree, lambda table, new: {name: new[name] for name in ("type", "object", "size")})
_delete_entries = delete(tree).where(
    tree.c.directory == bindparam("place"), tree.c.shard == bindparam("at"), tree.c.name == bindparam("called")
)
_need = [delete(table).where(among(table.c.object, parameter="objects")) for table in unneeded]


@dataclass(slots=True)
class Paths:
    """Counts paths, and remembers the first of them by name: there may be too many to keep.

    Attributes:
        files: Number of all.
        documents: Number of those in the subtree `data`.
        named: The first `MOST_LISTED` of these, in order.
    """

    files: int = 0
    documents: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Count a path."""
        self.files += 1
        if layout.subtree(path) != "data":
            return
        self.documents += 1
        if len(self.named) < MOST_LISTED or path < self.named[-1]:
            insort(self.named, path)
            del self.named[MOST_LISTED:]


@dataclass(slots=True)
class Changes:
    """The result of a change of the tree.

    Attributes:
        root: Name of the root manifest; None for an empty tree.
        added: Files that are new.
        changed: Files that have other bytes.
        removed: Files that are gone.
        dropped: Objects that some path referred to before, and that the new tree may not refer to.
        growth: Bytes that all files have more than before.
    """

    root: str | None = None
    added: Paths = field(default_factory=Paths)
    changed: Paths = field(default_factory=Paths)
    removed: Paths = field(default_factory=Paths)
    dropped: set[str] = field(default_factory=set)
    growth: int = 0

    def count(self, path: str, before: Entry | None, after: Entry | None) -> None:
        """Count a file that changed."""
        kind = self.added if before is None else self.removed if after is None else self.changed
        kind.add(path)
        self.growth += (after.size if after else 0) - (before.size if before else 0)


def apply(connection: Connection, files: Iterable[tuple[str, Entry | None]]) -> Changes:
    """Add files to the tree, remove others, and write the changed manifests.

    Args:
        connection: The transaction.
        files: Path and entry of each file, None for one to remove. The last entry for a path counts.

    Raises:
        DamagedSnapshot: Rows of the tree are not those that were stored.
    """
    update = _Update(connection)
    for chunk in batches(files, AT_ONCE):
        update.files(dict(chunk))
    update.finish()
    return update.changes


def between(load: Load, old: str, new: str) -> Changes:
    """Return the difference between the trees with root manifests `old` and `new`; nothing is changed."""
    changes = Changes(root=new)
    for change in manifest.difference(load, [old], new):
        if change.is_file:
            kind = changes.removed if change.entry is None else changes.changed if change.known else changes.added
            kind.add(change.path)
    return changes


def clear(connection: Connection) -> None:
    """Remove all files from the tree in the database, even if its rows are damaged."""
    connection.execute(delete(tree))
    connection.execute(delete(directory_part))


def size(connection: Connection) -> int:
    """Return the total size in bytes of all files of the tree, from a counter in the database."""
    return int(connection.scalar(select(func.sum(tree.c.size)).where(tree.c.type.in_(published.FILES))) or 0)


class _Update:
    """One change of the tree, from its files up to its root."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._manifests: dict[str, bytes] = {}
        self._parts = Parts(connection, self._keep, lambda names: self.changes.dropped.update(names))
        # By depth and location, in turns, the shard of a name whose entry changed and by how much the checksum did. A
        # first publication has half a million of them: 16 bytes each in an array, a hundred in a dict.
        self._changed: dict[int, dict[str, array[int]]] = {}
        self.changes = Changes()

    def files(self, entries: dict[str, Entry | None]) -> None:
        """Add files to the tree, or remove them if the entry is None."""
        named = {}
        for path, entry in entries.items():
            *above, name = layout.steps(path)
            named[published.location(layout.subtree(path), "/".join(above)), name] = entry
        for (place, name), before, after in self._put(named):
            prefix = place.partition("/")[2]
            self.changes.count(f"{prefix}/{name}" if prefix else name, before, after)

    def finish(self) -> None:
        """Make the manifests from the deepest directories up, and store them."""
        for depth in range(max(self._changed, default=0), 0, -1):
            for places in batches(self._changed.pop(depth, {}).items(), AT_ONCE):
                self._put({_split(place): made for place, made in self._parts.update(dict(places)).items()})
        self._parts.update(self._changed.pop(0, {}))
        self._parts.flush()
        self._flush()
        self.changes.root = self._root()

    def _root(self) -> str | None:
        """Return the name of the root manifest, which no other manifest refers to."""
        rows = self._connection.execute(select(tree).where(tree.c.directory == "").order_by(tree.c.shard))
        made = parts.made_of("", [(row.shard, row.name, Entry(row.type, row.object, row.size)) for row in rows])
        top = select(directory_part.c.object).where(directory_part.c.directory == "", directory_part.c.prefix == "")
        root = self._connection.scalar(top)
        if root != (made[""].object if made else None):
            raise published.differs("")
        return root

    def _put(
        self, entries: dict[tuple[str, str], Entry | None]
    ) -> Sequence[tuple[tuple[str, str], Entry | None, Entry | None]]:
        """Write entries by location and name, and return those that changed: key, entry before and after."""
        before = published.lookup(self._connection, entries)
        changed = [(key, before.get(key), entry) for key, entry in entries.items() if before.get(key) != entry]
        self.changes.dropped.update(old.object for _, old, _ in changed if old is not None)
        rows = [(place, shard_of(name), name, *new) for (place, name), _, new in changed if new is not None]
        _put_entries(self._connection, rows)
        gone = [{"place": place, "at": shard_of(name), "called": name} for (place, name), _, new in changed if not new]
        if gone:
            self._connection.execute(_delete_entries, gone)
        for (place, name), old, new in changed:
            depth, shard = place.count("/") + 1 if place else 0, shard_of(name)
            grown = [published.checksum(place, shard, name, new)] if new is not None else []
            grown += [-published.checksum(place, shard, name, old)] if old is not None else []
            at_depth = self._changed.setdefault(depth, {})
            at_depth.setdefault(place, array("q")).extend((shard, published.total(grown)))
        return changed

    def _keep(self, data: bytes) -> str:
        name = layout.object_name("manifest.json", data)
        self._manifests[name] = data
        if len(self._manifests) >= _MANIFESTS_AT_ONCE:
            self._flush()
        return name

    def _flush(self) -> None:
        published.store(self._connection, self._manifests)
        # Many parts are made again as they were, and a manifest of the past may have come back.
        self.changes.dropped.difference_update(self._manifests)
        for statement in _need:
            self._connection.execute(statement, {"objects": list(self._manifests)})
        self._manifests.clear()


def _split(place: str) -> tuple[str, str]:
    """Return the location and the name of a directory."""
    parent, _, name = place.rpartition("/")
    return parent, name

"""The current tree in the database: changes of files go in, the root manifest comes out; cost follows the change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Select, delete, func, select

from statscache import layout
from statscache.snapshot import manifest
from statscache.snapshot.manifest import LARGEST, Load
from statscache.store import published
from statscache.store.bulk import Upsert, among
from statscache.store.published import Entry, shard_of
from statscache.store.schema import dropped, shard, tree

_put_entries = Upsert(tree, lambda table, new: {name: new[name] for name in ("type", "object", "size")})
_put_shards = Upsert(shard, lambda table, new: {name: new[name] for name in ("entries", "object", "size")})


@dataclass(slots=True)
class Changes:
    """What a change of the tree came to.

    Attributes:
        root: Name of the root manifest; None for an empty tree.
        added: Paths of files that are new.
        changed: Paths of files that have other bytes.
        removed: Paths of files that are gone.
        dropped: Objects that some path referred to before and refers to no longer.
        growth: Bytes that all files have more than before.
    """

    root: str | None = None
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    growth: int = 0


def apply(connection: Connection, files: Mapping[str, Entry], removed: Iterable[str]) -> Changes:
    """Put files into the tree and take others out, and make the manifests anew that this concerns.

    Args:
        connection: The transaction.
        files: Entries by path, relative to the site's root.
        removed: Paths to take out, if they are there.
    """
    update = _Update(connection)
    grouped: dict[str, dict[str, Entry | None]] = {}
    for path, entry in [*files.items(), *((path, None) for path in removed)]:
        directory, _, name = path.rpartition("/")
        grouped.setdefault(published.location(layout.subtree(path), directory), {})[name] = entry
    for location, entries in grouped.items():
        update.files(location, entries)
    update.finish()
    return update.changes


def between(load: Load, old: str, new: str) -> Changes:
    """Return what leads from the tree with root manifest `old` to that of `new`; nothing is changed."""
    there, back = manifest.difference(load, old, new), manifest.difference(load, new, old)
    return Changes(
        root=new,
        added=sorted(there.changed.keys() - back.changed.keys()),
        changed=sorted(there.changed.keys() & back.changed.keys()),
        removed=sorted(there.removed),
    )


def size(connection: Connection) -> int:
    """Return the bytes of all files of the tree in the database, which are counted for it."""
    return int(connection.scalar(select(func.sum(tree.c.size)).where(tree.c.type == "file")) or 0)


class _Update:
    """One change of the tree, from its files up to its root."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: dict[str, set[str]] = {}
        self._manifests: dict[str, bytes] = {}
        self.changes = Changes()

    def files(self, location: str, entries: Mapping[str, Entry | None]) -> None:
        before = self._existing(location, list(entries))
        changed = {name: entry for name, entry in entries.items() if before.get(name) != entry}
        prefix = location.partition("/")[2]
        for name, entry in sorted(changed.items()):
            there = self.changes.changed if name in before else self.changes.added
            (self.changes.removed if entry is None else there).append(f"{prefix}/{name}" if prefix else name)
        self.changes.growth += sum(entry.size for entry in changed.values() if entry is not None)
        self.changes.growth -= sum(before[name].size for name in changed if name in before)
        self._put(location, changed, before)

    def finish(self) -> None:
        """Make the manifests from the deepest directory up, and store them."""
        while any(self._waiting):
            location = max(self._waiting, key=lambda location: (location.count("/"), location))
            if location == "":
                break
            made = self._manifest(location, self._waiting.pop(location))
            parent, _, name = location.rpartition("/")
            self._put(parent, {name: made}, self._existing(parent, [name]))
        top = {row.name: Entry(row.type, row.object, row.size) for row in self._connection.execute(_of(""))}
        if top:
            self.changes.root = self._keep(manifest.dumps(sorted(top.items()))).object
        published.keep(self._connection, self._manifests)
        # Most parts of a part are made again as they were, and a manifest of the past may have come back.
        self.changes.dropped -= self._manifests.keys()
        again = among(self._connection, dropped.c.object, list(self._manifests))
        self._connection.execute(delete(dropped).where(again))

    def _existing(self, location: str, names: list[str]) -> dict[str, Entry]:
        shards = sorted({shard_of(name) for name in names})
        query = _of(location).where(
            among(self._connection, tree.c.shard, shards, "shards"), among(self._connection, tree.c.name, names)
        )
        return {row.name: Entry(row.type, row.object, row.size) for row in self._connection.execute(query)}

    def _put(self, location: str, entries: Mapping[str, Entry | None], before: Mapping[str, Entry]) -> None:
        changed = {name: entry for name, entry in entries.items() if before.get(name) != entry}
        if not changed:
            return
        self.changes.dropped |= {before[name].object for name in changed if name in before}
        rows = [(location, shard_of(name), name, *entry) for name, entry in changed.items() if entry is not None]
        _put_entries(self._connection, rows)
        gone = [name for name, entry in changed.items() if entry is None]
        if gone:
            mine = tree.c.directory == location, among(self._connection, tree.c.name, gone)
            self._connection.execute(delete(tree).where(*mine))
        self._waiting.setdefault(location, set()).update(changed)

    def _manifest(self, location: str, names: set[str]) -> Entry | None:
        parts = self._parts(location)
        if not parts:
            entries = self._listed(_of(location).limit(LARGEST + 1))
            if len(entries) <= LARGEST:
                return self._tree(location, entries)
            names_by_byte: Iterable[int] = range(256)
        else:
            names_by_byte = {shard_of(name) >> 8 for name in names}
        counts = {byte: count for byte, (count, _) in parts.items()}
        listed: dict[int, dict[str, Entry]] = {}
        for byte in names_by_byte:
            between = tree.c.shard >= byte << 8, tree.c.shard <= byte << 8 | 255
            listed[byte] = self._listed(_of(location).where(*between))
            counts[byte] = len(listed[byte])
        if sum(counts.values()) <= LARGEST:
            self._connection.execute(delete(shard).where(shard.c.directory == location))
            for part in parts.values():
                self._drop_part(*part)
            return self._tree(location, self._listed(_of(location)))
        for byte, entries in listed.items():
            if byte in parts:
                self._drop_part(*parts[byte])
            parts[byte] = counts[byte], self._part(entries)
        rows = [(location, byte, parts[byte][0], parts[byte][1].object, parts[byte][1].size) for byte in listed]
        _put_shards(self._connection, rows)
        split = [(f"{byte:02x}", entry) for byte, (count, entry) in sorted(parts.items()) if count]
        return self._keep(manifest.dumps(split, split=True))._replace(type=_tree_type(location))

    def _drop_part(self, count: int, part: Entry) -> None:
        self.changes.dropped.add(part.object)
        if count > LARGEST:
            inner = manifest.loads(published.load(self._connection, part.object))
            self.changes.dropped |= {entry.object for entry in inner.values()}

    def _part(self, entries: Mapping[str, Entry]) -> Entry:
        """Return the part of a split directory that holds these entries, split once more where it is large."""
        if len(entries) <= LARGEST:
            return self._keep(manifest.dumps(entries.items()))._replace(type="split")
        parts: dict[str, dict[str, Entry]] = {}
        for name, entry in entries.items():
            parts.setdefault(f"{shard_of(name) & 255:02x}", {})[name] = entry
        split = [
            (byte, self._keep(manifest.dumps(part.items()))._replace(type="split")) for byte, part in parts.items()
        ]
        return self._keep(manifest.dumps(split, split=True))._replace(type="split")

    def _tree(self, location: str, entries: Mapping[str, Entry]) -> Entry | None:
        return self._keep(manifest.dumps(entries.items()))._replace(type=_tree_type(location)) if entries else None

    def _parts(self, location: str) -> dict[int, tuple[int, Entry]]:
        rows = self._connection.execute(select(shard).where(shard.c.directory == location))
        return {row.shard: (row.entries, Entry("split", row.object, row.size)) for row in rows}

    def _listed(self, query: Select[tuple[str, str, str, int]]) -> dict[str, Entry]:
        return {row.name: Entry(row.type, row.object, row.size) for row in self._connection.execute(query)}

    def _keep(self, data: bytes) -> Entry:
        name = layout.object_name("manifest.json", data)
        self._manifests[name] = data
        return Entry("tree", name, len(data))


def _of(location: str) -> Select[tuple[str, str, str, int]]:
    return select(tree.c.name, tree.c.type, tree.c.object, tree.c.size).where(tree.c.directory == location)


def _tree_type(location: str) -> str:
    return "tree" if "/" in location else "subtree"

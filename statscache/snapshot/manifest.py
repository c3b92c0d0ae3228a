"""Manifests: a snapshot as a tree of objects, as in git.

A manifest maps the names in a directory to their objects. A directory of more than 1,000 entries is split by the first
byte of SHA-256(name), and a part that is still larger by the second, so that one change among a hundred thousand
rewrites a few small manifests. Manifests are objects too; the root's digest is the id of the snapshot.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import orjson

from statscache import canonical, schemas
from statscache.store.published import Entry

LARGEST = 1_000
"""Entries of a directory beyond which it is split."""

Load = Callable[[str], bytes]
"""Returns the bytes of the object of a name."""


def dumps(entries: Iterable[tuple[str, Entry]], *, split: bool = False) -> bytes:
    """Return the manifest of a directory, or of one that is split, as bytes."""
    listed: dict[str, schemas.ManifestEntry] = {
        name: {"type": cast(schemas.EntryType, entry.type), "object": entry.object, "size": entry.size}
        for name, entry in entries
    }
    document: schemas.Manifest = {"schema": "statscache/manifest/1", "split": split, "entries": listed}
    return canonical.dumps(document)


def loads(data: bytes) -> dict[str, Entry]:
    """Return the entries of a manifest by name."""
    return {
        name: Entry(entry["type"], entry["object"], entry["size"])
        for name, entry in orjson.loads(data)["entries"].items()
    }


@dataclass(slots=True)
class Difference:
    """What leads from one tree to another.

    Attributes:
        changed: Files that are new or have other bytes, by path.
        removed: Paths of files that are there no longer.
        manifests: Names of manifests that are new.
    """

    changed: dict[str, Entry] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    manifests: set[str] = field(default_factory=set)


def difference(load: Load, old: str | None, new: str) -> Difference:
    """Return what leads from the tree with root manifest `old` (None: no tree) to that of `new`.

    Paths are those of the site: the name of the subtree (`data`, `site`) is left out. Only the parts that differ are
    read, so the cost follows the change.
    """
    before, after = _Side(load), _Side(load)
    _compare("", before, after, _root(old), _root(new))
    found = Difference(manifests=after.manifests)
    # Where a directory is split otherwise than before, files that are the same turn up on both sides.
    found.changed = {path: entry for path, entry in after.files.items() if before.files.get(path) != entry}
    found.removed = before.files.keys() - after.files.keys()
    return found


def files(load: Load, root: str) -> dict[str, Entry]:
    """Return the entry of every file of the tree with this root manifest, by path."""
    return difference(load, None, root).changed


class _Side:
    """One of the two trees that are compared: what of it is not in the other."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.files: dict[str, Entry] = {}
        self.manifests: set[str] = set()

    def open(self, entry: Entry | None) -> dict[str, Entry]:
        if entry is None:
            return {}
        self.manifests.add(entry.object)
        return loads(self._load(entry.object))


def _root(manifest: str | None) -> Entry | None:
    return None if manifest is None else Entry("tree", manifest, 0)


def _compare(directory: str, old_side: _Side, new_side: _Side, old: Entry | None, new: Entry | None) -> None:
    if old == new:
        return
    left, right = old_side.open(old), new_side.open(new)
    if _is_split(left) != _is_split(right):
        # One side is split and the other is not: nothing can be matched by name.
        _descend(directory, old_side, new_side, left, {})
        _descend(directory, old_side, new_side, {}, right)
    else:
        _descend(directory, old_side, new_side, left, right)


def _descend(
    directory: str, old_side: _Side, new_side: _Side, left: Mapping[str, Entry], right: Mapping[str, Entry]
) -> None:
    for name in left.keys() | right.keys():
        subtrees = []
        for side, entry in ((old_side, left.get(name)), (new_side, right.get(name))):
            if entry is not None and entry.type == "file":
                side.files[f"{directory}{name}"] = entry
                entry = None
            subtrees.append(entry)
        if left.get(name) == right.get(name):
            old_side.files.pop(f"{directory}{name}", None)
            new_side.files.pop(f"{directory}{name}", None)
        elif subtrees != [None, None]:
            _compare(_inside(directory, name, subtrees), old_side, new_side, *subtrees)


def _is_split(entries: Mapping[str, Entry]) -> bool:
    return any(entry.type == "split" for entry in entries.values())


def _inside(directory: str, name: str, entries: Iterable[Entry | None]) -> str:
    types = {entry.type for entry in entries if entry is not None}
    return directory if types & {"split", "subtree"} else f"{directory}{name}/"

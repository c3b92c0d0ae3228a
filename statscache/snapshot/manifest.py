"""Manifests: a snapshot as a tree of objects, as in git.

A manifest maps the names in a directory to their objects. A directory of more than 64 entries is split by the first
hexadecimal digit of SHA-256(name), and a part that is still larger by the next, so that one change among a hundred
thousand rewrites a few small manifests. Manifests are objects too; the root's digest is the id of the snapshot.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import orjson

from statscache import canonical, schemas
from statscache.store.published import DIGITS, FILES, Entry, shard_of

LARGEST = 64
"""Entries of a directory, or of a part of one, beyond which it is split."""

Load = Callable[[tuple[str, ...]], Mapping[str, bytes]]
"""Returns the bytes of objects by name."""

_Node = Entry | Mapping[str, Entry] | None
"""One side of a comparison: a manifest, some entries of one, or nothing."""


def dumps(entries: Iterable[tuple[str, Entry]], *, split: bool = False) -> bytes:
    """Return the manifest of a directory, or of one that is split, as bytes."""
    listed = {name: _listed(entry) for name, entry in entries}
    document: schemas.Manifest = {"schema": "statscache/manifest/1", "split": split, "entries": listed}
    return canonical.dumps(document)


def loads(data: bytes) -> dict[str, Entry]:
    """Return the entries of a manifest by name."""
    return {
        name: Entry(entry["type"], entry["digest"] if entry["type"] == "path" else entry["object"], entry["size"])
        for name, entry in orjson.loads(data)["entries"].items()
    }


def _listed(entry: Entry) -> schemas.ManifestEntry:
    if entry.type == "path":
        return {"type": "path", "digest": entry.object, "size": entry.size}
    return {"type": cast(schemas.EntryType, entry.type), "object": entry.object, "size": entry.size}


class Change(NamedTuple):
    """A file or a manifest that differs between two trees.

    Attributes:
        path: Path of the file; of a manifest, that of its directory, with a slash at its end.
        entry: What the new tree has there; None for a file that it does not have.
        known: True if an old tree has a file there; False for a manifest.
    """

    path: str
    entry: Entry | None
    known: bool = False

    @property
    def is_file(self) -> bool:
        """True for a file that differs, False for a manifest."""
        return self.entry is None or self.entry.type in FILES


def difference(load: Load, olds: Sequence[str | None], new: str) -> Iterator[Change]:
    """Yield each file that differs between any of the old trees and the new one, and each manifest that is new.

    Paths are those of the site: the name of the subtree (`data`, `site`) is left out. Only parts that differ are read,
    so the cost follows the change. The manifests of all parts of a directory that differ are read at once.

    Args:
        load: Returns the bytes of manifests by name.
        olds: Root manifests of the old trees; None for an empty one.
        new: Root manifest of the new tree.
    """
    return _Comparison(load).compare([_Place("", "", [_root(old) for old in (*olds, new)])])


def files(load: Load, root: str) -> dict[str, Entry]:
    """Return the entry of every file of the tree with this root manifest, by path."""
    return {change.path: change.entry for change in difference(load, [None], root) if change.is_file and change.entry}


class _Place(NamedTuple):
    """A directory, or its part with the names whose digests begin with `digits`, in the old trees and the new one."""

    directory: str
    digits: str
    sides: Sequence[_Node]

    @property
    def differs(self) -> bool:
        return any(old != self.sides[-1] for old in self.sides[:-1])


class _Comparison:
    def __init__(self, load: Load) -> None:
        self._load = load

    def compare(self, places: Sequence[_Place]) -> Iterator[Change]:
        """Yield the changes of places."""
        manifests = self._manifests(places)
        for place in places:
            yield from self._place(place, manifests)

    def _manifests(self, places: Iterable[_Place]) -> Mapping[str, bytes]:
        """Return the manifests of the places that differ."""
        nodes = (node for place in places if place.differs for node in place.sides)
        names = (*dict.fromkeys(node.object for node in nodes if isinstance(node, Entry)),)
        return self._load(names) if names else {}

    def _place(self, place: _Place, manifests: Mapping[str, bytes]) -> Iterator[Change]:
        if not place.differs:
            return
        directory, digits, nodes = place
        if isinstance(nodes[-1], Entry):
            yield Change(directory, nodes[-1])
        sides = [loads(manifests[node.object]) if isinstance(node, Entry) else node or {} for node in nodes]
        if any(map(_is_split, sides)):
            # Where one is split and another is not, that one's entries are divided in the same way.
            parts = ((digit, [_part(side, digits, digit) for side in sides]) for digit in "0123456789abcdef")
            yield from self.compare([_Place(directory, digits + digit, of) for digit, of in parts])
        else:
            yield from self._names(directory, sides)

    def _names(self, directory: str, sides: Sequence[Mapping[str, Entry]]) -> Iterator[Change]:
        entries = {name: [side.get(name) for side in sides] for name in sorted(set[str]().union(*sides))}
        below = {name: _below(directory, name, of) for name, of in entries.items()}
        manifests = self._manifests(below.values())
        for name, (*before, after) in entries.items():
            if all(entry == after for entry in before):
                continue
            known = any(entry is not None and entry.type in FILES for entry in before)
            if after is not None and after.type in FILES:
                yield Change(f"{directory}{name}", after, known)
            elif known:
                yield Change(f"{directory}{name}", None, known)
            yield from self._place(below[name], manifests)


def _below(directory: str, name: str, entries: Sequence[Entry | None]) -> _Place:
    """Return what is below a name; nothing on any side where it is the name of a file."""
    trees = [None if entry is None or entry.type in FILES else entry for entry in entries]
    is_subtree = any(entry is not None and entry.type == "subtree" for entry in trees)
    return _Place(directory if is_subtree else f"{directory}{name}/", "", trees)


def _root(manifest: str | None) -> Entry | None:
    return None if manifest is None else Entry("tree", manifest, 0)


def _is_split(entries: Mapping[str, Entry]) -> bool:
    return any(entry.type == "split" for entry in entries.values())


def _part(entries: Mapping[str, Entry], digits: str, digit: str) -> _Node:
    """Return the part of a directory's part `digits` with one more digit, also of one that is not split."""
    if _is_split(entries):
        return entries.get(digit)
    found = {name: entry for name, entry in entries.items() if f"{shard_of(name):0{DIGITS}x}"[len(digits)] == digit}
    return found or None

"""Walk the manifests of a snapshot that may be hostile.

Only a manifest with the right digest is opened, so there are no loops. The number of paths and their depth are bounded,
because a few small manifests can name each other any number of times. Names are checked, so none leaves the tree.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

import orjson

from statscache import canonical, layout, schemas
from statscache.snapshot import manifest
from statscache.store.published import DIGITS, FILES, Entry
from statscache.verify.files import Files
from statscache.verify.findings import Weight
from statscache.verify.reader import Reader

MOST_PATHS = 1_000_000
"""Maximum number of paths in a tree; the walk ends there."""

DEEPEST = 16
"""Maximum depth of directories."""

LARGEST_MANIFEST = 4 * 1024 * 1024
_LONGEST_NAME = 255
_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class _Node:
    """A manifest to open, with its directory, subtree and part of a split directory."""

    entry: Entry
    subtree: str = ""
    directory: str = ""
    depth: int = 0
    shard: str = ""


@dataclass(slots=True)
class Tree:
    """The content of a snapshot.

    Attributes:
        files: Entry of each file by its path, relative to the site's root.
        manifests: Names and sizes of its manifests, except for the root.
        is_whole: True if every manifest could be read.
    """

    files: Files = field(default_factory=Files)
    manifests: dict[str, int] = field(default_factory=dict)
    is_whole: bool = True


class TreeWalker:
    """Walks one snapshot from its root manifest, and finds what is wrong with its manifests.

    Args:
        reader: Reads the place.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._tree = Tree()
        self._next: list[_Node] = []
        self._opened: dict[str, dict[str, Entry] | None] = {}
        self._entries: Counter[tuple[str, str, str]] = Counter()
        self._split: set[tuple[str, str, str]] = set()
        self._lock = Lock()

    def walk(self, identity: str) -> Tree:
        """Return the tree of a snapshot, as far as it can be read.

        Raises:
            Unreachable: The place no longer answers.
        """
        path = layout.manifest(identity)
        data = self._reader.file(path, LARGEST_MANIFEST)
        if data is not None and canonical.digest(data) != identity:
            self._findings.add(Weight.BROKEN, path, "its digest is not the id of the snapshot")
            data = None
        entries = None if data is None else self._parsed(path, data)
        if data is None or entries is None:
            self._tree.is_whole = False
            return self._tree
        # The root is an object too, under the same name.
        self._reader.object(f"{identity}.json", len(data), path)
        for name, entry in entries.items():
            if entry.type != "subtree" or name not in ("data", "site"):
                self._findings.add(Weight.WRONG, path, f"{name!r:.100} of type {entry.type} is not a subtree")
            else:
                self._next.append(_Node(entry, subtree=name))
        while self._next:
            level, self._next = self._next, []
            self._reader.each("manifests", level, self._open)
            if self._tree.files.added + len(self._next) > MOST_PATHS:
                self._findings.add(
                    Weight.BROKEN, path, f"its tree has over {MOST_PATHS:,} paths, and is not walked further"
                )
                self._tree.is_whole = False
                break
        else:
            self._check_splits()
        return self._tree

    def _open(self, node: _Node) -> None:
        where = f"the manifest of {node.subtree}/{node.directory}"
        name = node.entry.object
        with self._lock:
            known = name in self._opened
            entries = self._opened.get(name)
        if not known:
            data = None
            if node.entry.size > LARGEST_MANIFEST:
                self._findings.add(Weight.BROKEN, where, f"it has {node.entry.size:,} bytes by its reference")
            else:
                data = self._reader.object(name, node.entry.size, where)
            entries = None if data is None else self._parsed(where, data)
        with self._lock:
            self._opened[name] = entries
            if len(self._opened) > _REMEMBERED:
                self._opened.pop(next(iter(self._opened)))
            if entries is None:
                self._tree.is_whole = False
                return
            self._tree.manifests[name] = node.entry.size
            self._enter(node, where, entries)

    def _enter(self, node: _Node, where: str, entries: dict[str, Entry]) -> None:
        part = node.subtree, node.directory, node.shard
        if any(entry.type == "split" for entry in entries.values()):
            self._split.add(part)
            self._next.extend(self._parts(node, where, entries))
            return
        for digits in range(len(node.shard) + 1):
            self._entries[node.subtree, node.directory, node.shard[:digits]] += len(entries)
        if len(entries) > manifest.LARGEST and len(node.shard) < DIGITS:
            self._findings.add(Weight.WRONG, where, f"it has {len(entries):,} entries, but is not split")
        for name, entry in entries.items():
            if not _is_name(node.directory, name):
                self._findings.add(Weight.BROKEN, where, f"{name!r:.100} is not the name of a file or directory")
            elif not canonical.digest(name.encode()).startswith(node.shard):
                self._findings.add(Weight.WRONG, where, f"{name!r} is listed in the part {node.shard}")
            elif entry.type in FILES:
                self._file(node, where, name, entry)
            elif entry.type != "tree":
                self._findings.add(
                    Weight.WRONG, where, f"{name!r} has the type {entry.type}, which is not allowed here"
                )
            elif node.depth >= DEEPEST:
                self._findings.add(Weight.BROKEN, where, f"it is more than {DEEPEST} directories deep")
            else:
                self._next.append(_Node(entry, node.subtree, f"{node.directory}{name}/", node.depth + 1))

    def _parts(self, node: _Node, where: str, entries: dict[str, Entry]) -> Iterator[_Node]:
        for name, entry in entries.items():
            if entry.type != "split" or len(name) != 1 or name not in "0123456789abcdef":
                self._findings.add(Weight.WRONG, where, f"{name!r:.100} of type {entry.type} is not a part")
            elif len(node.shard) >= DIGITS:
                self._findings.add(Weight.WRONG, where, f"it is split by more than {DIGITS} digits")
            else:
                yield _Node(entry, node.subtree, node.directory, node.depth, node.shard + name)

    def _file(self, node: _Node, where: str, name: str, entry: Entry) -> None:
        path = f"{node.directory}{name}"
        if path in layout.OUTSIDE or path.startswith((layout.OBJECTS, layout.SNAPSHOTS)):
            self._findings.add(Weight.WRONG, where, f"{path} is in the snapshot, but belongs outside")
        elif layout.subtree(path) != node.subtree:
            self._findings.add(Weight.WRONG, where, f"{path} belongs in the subtree {layout.subtree(path)}")
        if layout.has_object(path) != (entry.type == "file"):
            self._findings.add(Weight.WRONG, path, f"its entry has the type {entry.type}, which is for other files")
        elif entry.type == "file" and entry.object.partition(".")[2] != name.rpartition(".")[2]:
            self._findings.add(Weight.WRONG, path, f"its object {entry.object:.80} has another extension")
        self._tree.files.add(path, entry)

    def _parsed(self, where: str, data: bytes) -> dict[str, Entry] | None:
        if problem := schemas.problem("manifest", data):
            self._findings.add(Weight.WRONG, where, f"it is not a manifest: {problem}")
            return None
        entries = manifest.loads(data)
        if canonical.dumps(orjson.loads(data)) != data:
            self._findings.add(Weight.WRONG, where, "it is not canonical JSON")
        return entries

    def _check_splits(self) -> None:
        for subtree, directory, shard in self._split:
            total = self._entries[subtree, directory, shard]
            if total <= manifest.LARGEST:
                where = f"the manifest of {subtree}/{directory}"
                self._findings.add(
                    Weight.WRONG, where, f"it is split at {total:,} entries; expected over {manifest.LARGEST}"
                )


def _is_name(directory: str, name: str) -> bool:
    """Return whether an entry of a directory may have this name: one part, or several that `layout.steps` joins."""
    return layout.steps(f"{directory}{name}")[-1] == name and all(map(_is_part, name.split("/")))


def _is_part(part: str) -> bool:
    return (
        part not in ("", ".", "..")
        and not any(character == "\\" or ord(character) < 32 or ord(character) == 127 for character in part)
        and len(part.encode(errors="surrogatepass")) <= _LONGEST_NAME
    )


def objects_of(reader: Reader, identity: str, seen: dict[str, int]) -> None:
    """Add name and size of every object of a retained snapshot to `seen`; manifests that are in it are not read again.

    Args:
        reader: Reads the place.
        identity: Id of the snapshot.
        seen: Objects that are known already, with their sizes.

    Raises:
        Unreachable: The place no longer answers.
    """
    path = layout.manifest(identity)
    data = reader.file(path, LARGEST_MANIFEST)
    if data is None:
        return
    if canonical.digest(data) != identity:
        reader.findings.add(Weight.BROKEN, path, "its digest is not the id of the snapshot")
        return
    seen[f"{identity}.json"] = len(data)
    waiting = [data]
    while waiting:
        data = waiting.pop()
        if problem := schemas.problem("manifest", data):
            reader.findings.add(Weight.WRONG, path, f"one of its manifests is not valid: {problem}")
            continue
        for entry in manifest.loads(data).values():
            # A document of a key has no object: in older snapshots, its successor has replaced it.
            if entry.type != "path" and entry.object not in seen:
                seen[entry.object] = entry.size
                if entry.type != "file" and (below := reader.object(entry.object, entry.size, path)) is not None:
                    waiting.append(below)

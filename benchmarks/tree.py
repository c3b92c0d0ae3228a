"""A published tree as an independent reader sees it, who trusts nothing but the pointer and digests."""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

OUTSIDE = ("v1/index.json", "v1/status.json", "v1/changes.json", "feeds/changes.xml")
"""Files that belong to no snapshot."""


class BrokenTree(Exception):
    """A reader of the tree would meet something that is missing or damaged; the text says what."""


class Tree:
    """A published tree in a directory.

    Objects whose digest was right are not read again by `check`, because their content never changes; `check_whole`
    reads everything.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._good: set[str] = set()
        self._snapshots: dict[str, tuple[dict[str, str], set[str]]] = {}

    def index(self) -> dict[str, Any]:
        """Return the pointer."""
        index: dict[str, Any] = orjson.loads(self._read("v1/index.json"))
        return index

    def check(self) -> None:
        """Follow pointer and changes as a reader may at any moment; a tree without a pointer is not there yet.

        Raises:
            BrokenTree: A reference does not resolve, a digest is wrong, or a readable path is not a whole file.
        """
        for pointer in ("v1/index.json", "v1/index.json.gz"):
            # A reader who takes gzip follows the compressed pointer, which may be one publication ahead.
            if (self._root / pointer).exists():
                self._check(orjson.loads(self._uncompressed(pointer)))

    def _check(self, index: Mapping[str, Any]) -> None:
        files = self._files(index["snapshot"])
        for plugin in index["plugins"]:
            for document in plugin["documents"]:
                if files.get(document["path"]) != document["object"]:
                    raise BrokenTree(f"the pointer names {document['path']} with another object than its manifest")
        for path, name in files.items():
            if path.endswith("/index.json") and "/series/" in path:
                for period in orjson.loads(self._object(name))["periods"]:
                    self._object(period["object"])
        for path, name in files.items():
            if not _is_object(name):
                if _digest(self._read(path)) not in {name, *self._under_way(path)}:
                    raise BrokenTree(f"{path} has bytes that belong to no snapshot that is current or under way")
                continue
            if self._same(path, name):
                continue
            # While a publication is under way it may be the next snapshot's; half a file it never is.
            data = self._read(path)
            if not (self._root / _object_path(f"{_digest(data)}.{path.rpartition('.')[2]}")).exists():
                raise BrokenTree(f"{path} has bytes that belong to no snapshot")
        for identity in self._listed(index["generation"]):
            try:
                self._files(identity)
            except BrokenTree:
                # What is listed is whole. A publication beside us lists a snapshot no longer, and then removes it.
                if identity in self._listed(index["generation"]):
                    raise

    def check_whole(self) -> None:
        """Check everything again, and that the tree holds what retained snapshots need, and nothing besides.

        Raises:
            BrokenTree: It does not.
        """
        self._good.clear()
        self._snapshots.clear()
        self.check()
        files = self._files(self.index()["snapshot"])
        for path, name in files.items():
            data = self._read(path)
            if data != self._object(name) if _is_object(name) else _digest(data) != name:
                raise BrokenTree(f"{path} is not the file of the snapshot")
        retained = [row["snapshot"] for row in orjson.loads(self._read("v1/changes.json"))["snapshots"]]
        for identity in retained:
            self._files(identity)
        expected = {*files, *OUTSIDE, *map(_manifest_path, retained), *map(_object_path, self._good)}
        there = {path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file()}
        siblings = {f"{path}.gz" for path in expected}
        if damaged := sorted(path for path in there & siblings if not self._is_sibling(path)):
            raise BrokenTree(f"these are not compressed siblings: {', '.join(damaged[:5])}")
        if orphans := sorted(there - expected - siblings):
            raise BrokenTree(f"{len(orphans)} files belong to nothing: {', '.join(orphans[:5])}")

    def _listed(self, generation: int) -> list[str]:
        """Return the snapshots up to a generation that a reader sees."""
        rows = orjson.loads(self._read("v1/changes.json"))["snapshots"]
        return [row["snapshot"] for row in rows if row["generation"] <= generation]

    def _under_way(self, path: str) -> list[str]:
        """Return what a document of a key is named by the snapshots of a publication that is under way."""
        found = []
        with suppress(BrokenTree):
            for identity in orjson.loads(self._read("v1/pending.json"))["snapshots"]:
                with suppress(BrokenTree):
                    found.append(self._files(identity).get(path, ""))
        return found

    def _is_sibling(self, path: str) -> bool:
        return self._uncompressed(path) == self._read(path.removesuffix(".gz"))

    def _uncompressed(self, path: str) -> bytes:
        data = self._read(path)
        try:
            return gzip.decompress(data) if path.endswith(".gz") else data
        except (OSError, EOFError) as error:
            raise BrokenTree(f"{path} is not a whole gzip file: {error}") from error

    def differences(self, other: "Tree") -> list[str]:
        """Return the paths at which the current snapshots of two trees differ."""
        ours, theirs = self._files(self.index()["snapshot"]), other._files(other.index()["snapshot"])
        return sorted(path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path))

    def _files(self, identity: str) -> dict[str, str]:
        """Return the object of each file of a snapshot, all of which are there; of documents of keys, their digest."""
        manifest = self._read(_manifest_path(identity))
        if _digest(manifest) != identity:
            raise BrokenTree(f"the root manifest of snapshot {identity} has another digest")
        if identity not in self._snapshots:
            # The same bytes are an object too, for whoever looks for it there.
            self._object(f"{identity}.json")
            manifests: set[str] = set()
            self._snapshots[identity] = dict(self._below("", orjson.loads(manifest), manifests)), manifests
        files, manifests = self._snapshots[identity]
        for name in {*filter(_is_object, files.values()), *manifests}:
            if not (self._root / _object_path(name)).exists():
                raise BrokenTree(f"object {name} is gone, and snapshot {identity} refers to it")
        return files

    def _below(self, directory: str, manifest: Mapping[str, Any], manifests: set[str]) -> Iterator[tuple[str, str]]:
        for name, entry in manifest["entries"].items():
            if entry["type"] == "path":
                yield f"{directory}{name}", entry["digest"]
            elif entry["type"] == "file":
                if entry["object"] not in self._good:
                    self._object(entry["object"])
                yield f"{directory}{name}", entry["object"]
            else:
                inside = f"{directory}{name}/" if entry["type"] == "tree" else directory
                manifests.add(entry["object"])
                yield from self._below(inside, orjson.loads(self._object(entry["object"])), manifests)

    def _same(self, path: str, name: str) -> bool:
        """Return whether a readable path is the very file of an object, by a hard link."""
        try:
            return (self._root / path).samefile(self._root / _object_path(name))
        except OSError as error:
            raise BrokenTree(f"{path} cannot be found: {error.strerror}") from error

    def _object(self, name: str) -> bytes:
        data = self._read(_object_path(name))
        if _digest(data) != name.partition(".")[0]:
            raise BrokenTree(f"object {name} has another digest")
        self._good.add(name)
        return data

    def _read(self, path: str) -> bytes:
        try:
            return (self._root / path).read_bytes()
        except OSError as error:
            raise BrokenTree(f"{path} cannot be read: {error.strerror}") from error


def _is_object(name: str) -> bool:
    """Return whether a name in a manifest is that of an object; of documents of keys it is the digest alone."""
    return "." in name


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _object_path(name: str) -> str:
    return f"v1/objects/{name[:2]}/{name}"


def _manifest_path(identity: str) -> str:
    return f"v1/snapshots/{identity}.json"

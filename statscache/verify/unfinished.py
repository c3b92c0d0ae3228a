"""A publication that is under way, or was interrupted: which of its files may be at readable paths already.

Before the publisher writes the first of these files, it lists the snapshots whose files may be mixed, in a file that it
deletes at the end. By then, the objects and manifests of these snapshots are there.
"""

import re
from collections.abc import Iterator

import orjson

from statscache import layout
from statscache.store.published import Entry
from statscache.verify.findings import Findings
from statscache.verify.places import Place, Unreadable
from statscache.verify.reader import Reader, Tell
from statscache.verify.tree import Tree, TreeWalker

_LARGEST = 65_536
_MOST = 8
_IDENTITY = re.compile(r"[0-9a-f]{64}")


class Unfinished:
    """The snapshots whose files may be at readable paths, besides the current one.

    Args:
        place: Where the tree is.
        current: Id of the current snapshot.
        tell: Called with the progress.

    Attributes:
        data: What the publisher noted; None if it has nothing to finish.
    """

    def __init__(self, place: Place, current: str, tell: Tell) -> None:
        self.data = noted(place)
        self._trees: list[Tree] = []
        for identity in self._identities():
            if identity != current:
                # A snapshot whose manifests are not all there has no file at a readable path yet.
                tree = TreeWalker(Reader(place, Findings(), tell)).walk(identity)
                if tree.is_whole:
                    self._trees.append(tree)

    def _identities(self) -> list[str]:
        try:
            named = orjson.loads(self.data or b"{}").get("snapshots", [])
        except (ValueError, AttributeError):
            return []
        if not isinstance(named, list):
            return []
        return [identity for identity in named if isinstance(identity, str) and _IDENTITY.fullmatch(identity)][:_MOST]

    def entries(self, path: str) -> Iterator[Entry]:
        """Yield the entries that may be at a readable path."""
        for tree in self._trees:
            if path in tree.files:
                yield tree.files[path]

    def largest(self, path: str, size: int) -> int:
        """Return the size in bytes of the largest file that may be at a readable path; the current one has `size`."""
        return max([size, *(entry.size for entry in self.entries(path))])

    def has(self, path: str, digest: str) -> bool:
        """Return whether a file of this digest (SHA-256, hexadecimal) may be at a readable path."""
        if path in layout.OUTSIDE:
            return self.data is not None
        return any(entry.object.partition(".")[0] == digest for entry in self.entries(path))

    @property
    def objects(self) -> Iterator[str]:
        """The names of all objects of these snapshots."""
        for tree in self._trees:
            yield from tree.manifests
            for path in tree.files.ordered():
                if tree.files[path].type == "file":
                    yield tree.files[path].object


def noted(place: Place) -> bytes | None:
    """Return the publisher's note of an unfinished publication; None if there is none."""
    try:
        answer = place.read(layout.PENDING, _LARGEST)
    except Unreadable:
        return None
    return answer.data if answer else None

"""A publication that is under way, or was broken off: which files of it may lie at readable paths already.

The publisher names the snapshots whose files may be mixed before it writes the first of them, in a file that goes when
all is done. Objects and manifests of these snapshots are there by then.
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
    """The snapshots of which files may lie at readable paths, besides the current one.

    Args:
        place: Where the tree is.
        current: Id of the current snapshot.
        tell: Called with how far the work is.

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
        """Yield what may lie at a readable path."""
        for tree in self._trees:
            if path in tree.files:
                yield tree.files[path]

    def largest(self, path: str, size: int) -> int:
        """Return the bytes of the largest file that may lie at a readable path, whose current one has `size` bytes."""
        return max([size, *(entry.size for entry in self.entries(path))])

    def has(self, path: str, digest: str) -> bool:
        """Return whether a file of this digest (SHA-256, hexadecimal) may lie at a readable path."""
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
    """Return what the publisher noted of a publication that is not finished; None if nothing."""
    try:
        answer = place.read(layout.PENDING, _LARGEST)
    except Unreadable:
        return None
    return answer.data if answer else None

"""Find orphaned files on a target.

Only statscache's own directories are searched. Files without a place in the snapshot are deleted at once. Objects
unknown to the database belong to another one, whose index readers may still hold: they are only reported.
"""

from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from statscache import layout
from statscache.publish import precompressed
from statscache.publish.plan import Publication
from statscache.publish.target import Target
from statscache.snapshot import manifest
from statscache.store.bulk import batches
from statscache.store.published import FILES

_AT_ONCE = 5_000


@dataclass(slots=True)
class Orphans:
    """Files without a place in the snapshot.

    Attributes:
        paths: Files to delete, in order.
        objects: Names of objects that the database does not know.
    """

    paths: list[str] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)


def find(target: Target, publication: Publication) -> Orphans:
    """Return the files at a target without a place in the snapshot that it serves, which is complete there.

    Of the files in place, which may be a million, memory has 16 bytes each.
    """
    files = _Files(publication)
    kept, others = set[str](), set[str]()
    for chunk in batches(target.files(layout.DIRECTORIES), _AT_ONCE):
        for path in files.others(chunk, target.siblings):
            (kept if path in layout.OUTSIDE or _name(path) else others).add(path)
    gone = [path for path in others if not _is_sibling(path, kept, target.siblings)]
    # Beside the front page, the root of the site is not ours to list.
    gone += [
        f"{path}.{form}" for path in files.front for form in target.siblings_of(path) if form not in target.siblings
    ]
    # By the siblings of the pointer, the next publication sees that this one did not finish.
    gone.sort(key=lambda path: (path.startswith(f"{layout.INDEX}."), path))
    return Orphans(gone, publication.unknown({name for path in kept if (name := _name(path))}))


class _Files:
    """The files of a snapshot, as digests of their paths and sizes.

    Attributes:
        front: Those in the root of the site.
    """

    def __init__(self, publication: Publication) -> None:
        self.front: list[str] = []
        digests, sizes = array("q"), array("q")
        for path, entry, _ in manifest.difference(publication.load, [None], publication.snapshot.manifest):
            if entry is not None and entry.type in FILES:
                digests.append(hash(path))
                sizes.append(entry.size)
                self.front += [] if "/" in path else [path]
        order = np.argsort(digests)
        self._digests, self._sizes = np.asarray(digests)[order], np.asarray(sizes)[order]

    def others(self, paths: Sequence[str], forms: Collection[str]) -> Iterable[str]:
        """Yield the paths that are neither those of files nor of their siblings in one of the forms."""
        bases = [_base(path, forms) for path in paths]
        for path, base, size, of_base in zip(paths, bases, self._sizes_of(paths), self._sizes_of(bases), strict=True):
            if size < 0 and not (base and of_base >= 0 and precompressed.worth_it(base, of_base)):
                yield path

    def _sizes_of(self, paths: Sequence[str]) -> list[int]:
        """Return the size of the file at each path, -1 where there is none."""
        digests = np.fromiter(map(hash, paths), np.int64, len(paths))
        left, right = (np.searchsorted(self._digests, digests, side) for side in ("left", "right"))
        sizes = np.full(len(paths), -1)
        sizes[left < right] = self._sizes[left[left < right]]
        found: list[int] = sizes.tolist()
        return found


def _base(path: str, forms: Collection[str]) -> str:
    """Return the path of the file of which this would be a sibling in one of the forms; nothing if of none."""
    base, _, form = path.rpartition(".")
    return base if form in forms else ""


def _is_sibling(path: str, files: Collection[str], forms: Collection[str]) -> bool:
    base = _base(path, forms)
    return base in files and precompressed.worth_it(base, precompressed.SMALLEST)


def _name(path: str) -> str | None:
    """Return the name of the object that lies at a path, a root manifest's at its second one too; None if none does."""
    name = path.rpartition("/")[2]
    if layout.OBJECT_NAME.fullmatch(name) and path in (layout.object_path(name), f"{layout.SNAPSHOTS}{name}"):
        return name
    return None

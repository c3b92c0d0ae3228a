"""Sweeping a target: what lies there and belongs to nobody.

Only directories that are statscache's own are looked into. What has no place in the snapshot goes at once. Objects that
the database does not know are those of another one, whose index readers may still hold: they are only told of.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from statscache import layout
from statscache.publish import siblings
from statscache.publish.plan import Publication
from statscache.publish.target import Target
from statscache.snapshot import manifest
from statscache.store.published import FILES


@dataclass(slots=True)
class Strays:
    """What has no place in the snapshot.

    Attributes:
        paths: Files to delete, in order.
        objects: Names of objects that the database does not know.
    """

    paths: list[str] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)


def find(target: Target, publication: Publication) -> Strays:
    """Return what lies at a target and has no place in the snapshot that it serves."""
    there = set(target.files(layout.DIRECTORIES))
    front, sizes = [], dict[int, int]()
    for path, entry, _ in manifest.difference(publication.load, [None], publication.snapshot.manifest):
        if entry is not None and entry.type in FILES:
            # Digests of paths: of keys there may be a million.
            sizes[hash(path)] = entry.size
            front += [] if "/" in path else [path]
    gone = [path for path in there if not _belongs(path, there, sizes, target.siblings)]
    # Beside the front page, the root of the site is not ours to list.
    gone += [f"{path}.{form}" for path in front for form in target.siblings_of(path) if form not in target.siblings]
    # By the siblings of the pointer, the next publication tells that this one did not come to its end.
    gone.sort(key=lambda path: (path.startswith(f"{layout.INDEX}."), path))
    objects = {name for path in there.difference(gone) if (name := _name(path))}
    return Strays(gone, publication.unknown(objects))


def _belongs(path: str, there: Collection[str], sizes: Mapping[int, int], forms: Collection[str]) -> bool:
    base, _, form = path.rpartition(".")
    if form in siblings.FORMS:
        size = sizes.get(hash(base), siblings.SMALLEST)
        return form in forms and base in there and siblings.worth_it(base, size) and _belongs(base, there, sizes, forms)
    return hash(path) in sizes or path in layout.OUTSIDE or _name(path) is not None


def _name(path: str) -> str | None:
    """Return the name of the object that lies at a path, a root manifest's at its second one too; None if none does."""
    name = path.rpartition("/")[2]
    if layout.OBJECT_NAME.fullmatch(name) and path in (layout.object_path(name), f"{layout.SNAPSHOTS}{name}"):
        return name
    return None

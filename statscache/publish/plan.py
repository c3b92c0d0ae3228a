"""The state of a target by its own files, and the changes from there to a snapshot."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import orjson

from statscache import layout, schemas
from statscache.publish import pointer
from statscache.publish.target import Target
from statscache.snapshot import manifest
from statscache.snapshot.manifest import Change
from statscache.snapshot.snapshot import Snapshot

_LARGEST_GENERATION = 2**53
"""The largest exact integer of JavaScript. A bad value on one target must not stop publication to the others."""

_BATCHES_KEPT = 128
"""Of manifests that were read at once: mostly one or two, at about 10 kB each, and 16 after a first publication."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication, the same for all targets.

    Attributes:
        installation: Id of the installation that publishes.
        snapshot: The snapshot that becomes current.
        retained: All retained snapshots, newest first, `snapshot` among them.
        collected: Names of objects that no snapshot refers to, and whose grace is over.
        health: Content of `status.json`.
        interval: Seconds until the next publication is due.
        title: The title of the site.
        base_url: The address of the site's root; None if it is not known.
        load: Returns the bytes of objects by name; raises `DamagedObject` if one is damaged, or missing.
        is_known: Returns whether the database remembers the snapshot of an id.
        unknown: Returns those names of objects that are not in the database.
        sign: Signs the pointer; None leaves it unsigned.
        force: True to check everything that the target's pointer claims.
    """

    installation: str
    snapshot: Snapshot
    retained: Sequence[Snapshot]
    collected: Sequence[str]
    health: schemas.Health
    interval: int
    title: str
    base_url: str | None
    load: Callable[[Collection[str]], Mapping[str, bytes]]
    is_known: Callable[[str], bool]
    unknown: Callable[[Collection[str]], set[str]]
    sign: pointer.Sign | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class TargetState:
    """What a target serves.

    Attributes:
        generation: Its generation; 0 if none.
        snapshot: Id of its snapshot; None if none.
        index: The bytes of its pointer; None if there is none.
        installation: Id of the installation that publishes there; None if the pointer names none.
    """

    generation: int = 0
    snapshot: str | None = None
    index: bytes | None = None
    installation: str | None = None


def served(target: Target) -> TargetState:
    """Return the state that the target's own pointer names."""
    data = target.read(layout.INDEX)
    if data is None:
        return TargetState()
    try:
        index = orjson.loads(data)
        snapshot, generation = str(index["snapshot"]), index["generation"]
        if type(generation) is not int or not 0 <= generation < _LARGEST_GENERATION:
            raise ValueError(generation)
        installation = index.get("installation")
        return TargetState(generation, snapshot, data, installation if isinstance(installation, str) else None)
    except (ValueError, KeyError, TypeError):
        _log.warning("target %s: %s is damaged: every file is compared again", target.name, layout.INDEX)
        return TargetState(index=data)


def is_strange(target: Target, installation: str, served: TargetState, is_known: Callable[[str], bool]) -> bool:
    """Return whether a target whose pointer names no installation holds a tree that this one did not publish.

    An empty target is not strange, nor is one where this installation was killed before it wrote a pointer, or whose
    pointer was lost: the note of who publishes there, or any snapshot that is remembered, tells.

    Args:
        target: The target.
        installation: Id of the installation.
        served: What its pointer says.
        is_known: Returns whether the database remembers the snapshot of an id.
    """
    try:
        return bool(orjson.loads(target.read(layout.PENDING) or b"")["installation"] != installation)
    except (ValueError, KeyError, TypeError):
        # Without that note, the snapshots tell.
        pass
    changes = target.read(layout.CHANGES)
    identities = announced_snapshots(target, changes) | ({served.snapshot} if served.snapshot else set())
    found = changes is not None or bool(identities)
    for path in target.files(layout.DIRECTORIES[:1]):
        found |= path.startswith((layout.OBJECTS, layout.SNAPSHOTS))
        if path.startswith(layout.SNAPSHOTS):
            identities.add(path.removeprefix(layout.SNAPSHOTS).partition(".")[0])
    return found and not any(map(is_known, sorted(identities)))


def unfinished_snapshots(target: Target) -> list[str]:
    """Return the ids of the snapshots that a killed publisher may have left in parts."""
    data = target.read(layout.PENDING)
    if data is None:
        return []
    try:
        return [str(identity) for identity in orjson.loads(data)["snapshots"]]
    except (ValueError, KeyError, TypeError):
        _log.warning("target %s: %s is damaged", target.name, layout.PENDING)
        return []


def announced_snapshots(target: Target, changes: bytes | None) -> set[str]:
    """Return the ids of the snapshots that its list of changes says it holds: not those whose publisher was killed."""
    if changes is None:
        return set()
    try:
        return {str(row["snapshot"]) for row in orjson.loads(changes)["snapshots"]}
    except (ValueError, KeyError, TypeError):
        _log.warning("target %s: %s is damaged: it is written from scratch", target.name, layout.CHANGES)
        return set()


def needs_sweep(target: Target, publication: Publication, held: Sequence[str]) -> bool:
    """Return True if the target may hold untracked files.

    That is so if another or an unknown database published there, and if siblings of a compression
    that is no longer configured exist: web servers would go on sending them.

    Args:
        target: The target.
        publication: What is to be published.
        held: Ids of the snapshots whose files it may hold.
    """
    if publication.force or not held or not all(map(publication.is_known, held)):
        return True
    return not set(target.siblings_of(layout.INDEX)) <= set(target.siblings)


def difference(publication: Publication, current: str | None, parts: Sequence[str]) -> Callable[[], Iterator[Change]]:
    """Return a function that yields the possible differences between the target and the snapshot.

    Files of any of the snapshots may lie at readable paths. Of a snapshot that is not in the database nothing is
    certain: its manifests are those of the target, and a target must not decide which files are deleted.

    Args:
        publication: What is to be published.
        current: Id of the snapshot that the target serves; None if none.
        parts: Ids of those that a publisher that was killed may have left in parts.
    """
    held = list(dict.fromkeys([*([current] if current else []), *parts]))
    unknown = [identity for identity in held if not publication.is_known(identity)]
    for identity in unknown:
        _log.warning("snapshot %.64s is not in this database: all is compared", identity)
    olds: list[str | None] = [f"{identity}.json" for identity in held if identity not in unknown]
    if publication.force or unknown or current is None:
        olds.append(None)
    # Each step of a publication goes through the changes, and so through the same manifests.
    load = lru_cache(_BATCHES_KEPT)(publication.load)
    return partial(manifest.difference, load, olds, publication.snapshot.manifest)

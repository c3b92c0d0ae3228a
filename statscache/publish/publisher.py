"""Publishing: in an order in which a reader, and a successor after a crash, always finds a whole snapshot.

1. Objects and manifests that the target lacks. 2. Readable paths whose content differs. 3. Status and changes. 4. The
pointer. 5. Read the pointer back. 6. Delete what nobody refers to any longer. Each step is on disk before the next.
What a target holds is learned from its own pointer, and from the note that a killed publisher leaves behind.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from statscache.exceptions import PublishError
from statscache.publish import pointer
from statscache.publish.target import File, Target
from statscache.snapshot import Snapshot, manifest
from statscache.snapshot.manifest import Difference, Load
from statscache.store.published import Entry, object_path

_AT_ONCE = 500

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What one publication to one target came to.

    Attributes:
        target: Name of the target.
        generation: Generation that it serves now.
        snapshot: Id of the snapshot that it serves now.
        objects: Objects and manifests that were sent.
        files: Readable paths, pointer and status included, that were written.
        bytes: Bytes that were sent.
        deleted: Files that were deleted.
        seconds: How long it took.
    """

    target: str
    generation: int
    snapshot: str
    objects: int = 0
    files: int = 0
    bytes: int = 0
    deleted: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be published, the same for all targets.

    Attributes:
        snapshot: The snapshot that becomes current.
        retained: All retained snapshots, newest first, `snapshot` among them.
        collected: Names of objects that no retained snapshot refers to, and whose grace is over.
        expired: Ids of snapshots that are retained no longer.
        health: Content of `status.json`.
        interval: Seconds until the next publication is due.
        load: Returns the bytes of an object; raises `KeyError` for one that is not in the database.
    """

    snapshot: Snapshot
    retained: Sequence[Snapshot]
    collected: Sequence[str]
    expired: Sequence[str]
    health: Mapping[str, Any]
    interval: int
    load: Load


class Publisher:
    """Brings one target up to date."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def generation(self) -> int:
        """Return the generation that the target serves; 0 if none.

        Raises:
            PublishError: The target cannot be reached.
        """
        try:
            return self._serves()[1]
        except Exception as error:
            raise PublishError(f"target {self._target.name}: {_said(error)}") from error

    def publish(self, publication: Publication) -> Report:
        """Make the target serve the snapshot.

        Raises:
            PublishError: It could not; it serves the snapshot before, and the next publication carries on.
        """
        # A target is foreign ground: whatever its library raises, the caller learns which target and why.
        try:
            return self._publish(publication)
        except Exception as error:
            raise PublishError(f"target {self._target.name}: {_said(error)}") from error

    def _publish(self, publication: Publication) -> Report:
        started = time.monotonic()
        target, snapshot = self._target, publication.snapshot
        report = Report(target.name, snapshot.generation, snapshot.id)
        held = self._held()
        difference = self._difference(publication, held)
        if difference.changed or difference.removed:
            # Until the end, the files may be those of any of these snapshots.
            self._write(report, [File(pointer.PENDING, orjson.dumps({"snapshots": [*held, snapshot.id]}))])
        self._send_objects(report, publication.load, difference, snapshot)
        target.barrier()
        self._write(report, _aliases(publication.load, difference.changed))
        target.barrier()
        now = int(time.time())
        status = pointer.status(snapshot, now, publication.health)
        changes = pointer.changes(publication.retained)
        self._write(report, [File(pointer.STATUS, status), File(pointer.CHANGES, changes)])
        target.barrier()
        index = pointer.index(snapshot, now, publication.interval)
        self._write(report, [File(pointer.INDEX, index)])
        target.barrier()
        if target.read(pointer.INDEX) != index:
            raise PublishError(f"{pointer.INDEX} reads back other than written: does another publisher write it?")
        garbage = sorted(difference.removed)
        garbage += [object_path(name) for name in publication.collected]
        garbage += [pointer.manifest_path(identity) for identity in publication.expired]
        target.delete(garbage)
        target.barrier()
        target.delete([pointer.PENDING])
        report.deleted += len(garbage)
        report.seconds = time.monotonic() - started
        return report

    def _serves(self) -> tuple[str | None, int]:
        """Return the id and generation of the snapshot that the target's own pointer names."""
        data = self._target.read(pointer.INDEX)
        if data is None:
            return None, 0
        try:
            index = orjson.loads(data)
            return str(index["snapshot"]), int(index["generation"])
        except (ValueError, KeyError, TypeError):
            _log.warning("target %s: %s is damaged; everything is compared anew", self._target.name, pointer.INDEX)
            return None, 0

    def _held(self) -> list[str]:
        """Return the ids of the snapshots whose files the target may hold; several after a killed publication."""
        served, _ = self._serves()
        held = [] if served is None else [served]
        if pending := self._target.read(pointer.PENDING):
            try:
                held += map(str, orjson.loads(pending)["snapshots"])
            except (ValueError, KeyError, TypeError):
                _log.warning("target %s: %s is damaged", self._target.name, pointer.PENDING)
        return list(dict.fromkeys(held))

    def _difference(self, publication: Publication, held: Sequence[str]) -> Difference:
        """Return what may differ between what the target holds and the snapshot."""
        whole = Difference()
        identities: Sequence[str | None] = held or [None]
        for identity in identities:
            found = self._difference_from(publication, identity)
            whole.changed |= found.changed
            whole.manifests |= found.manifests
            whole.removed |= found.removed
        return whole

    def _difference_from(self, publication: Publication, identity: str | None) -> Difference:
        new = publication.snapshot.manifest
        if identity is not None:
            try:
                return manifest.difference(publication.load, f"{identity}.json", new)
            except KeyError:
                _log.warning("target %s serves a snapshot that is not known here", self._target.name)
        return manifest.difference(publication.load, None, new)

    def _send_objects(self, report: Report, load: Load, difference: Difference, snapshot: Snapshot) -> None:
        sizes = {entry.object: entry.size for entry in difference.changed.values()}
        for names in _chunks(sorted(sizes)):
            missing = [name for name in names if not self._target.holds(object_path(name), sizes[name])]
            report.objects += self._write_objects(report, load, missing)
        report.objects += self._write_objects(report, load, sorted(difference.manifests))
        if difference.manifests:
            root = File(pointer.manifest_path(snapshot.id), load(snapshot.manifest), snapshot.manifest)
            self._write(report, [root])

    def _write_objects(self, report: Report, load: Load, names: Iterable[str]) -> int:
        files = [File(object_path(name), load(name)) for name in names]
        self._target.write(files)
        report.bytes += sum(len(file.data) for file in files)
        return len(files)

    def _write(self, report: Report, files: Iterable[File]) -> None:
        for chunk in _chunks(files):
            self._target.write(chunk)
            report.files += len(chunk)
            report.bytes += sum(len(file.data) for file in chunk)


def _aliases(load: Load, changed: Mapping[str, Entry]) -> Iterator[File]:
    for path, entry in sorted(changed.items()):
        yield File(path, load(entry.object), entry.object)


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    chunk: list[_T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == _AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, PublishError) else f"{type(error).__name__}: {error}"

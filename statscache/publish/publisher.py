"""Publishing: in an order in which a reader, and a successor after a crash, always finds a whole snapshot.

1. Objects and manifests that the target lacks. 2. Readable paths whose content differs. 3. Status and changes. 4. The
pointer. 5. Read the pointer back. 6. Delete what nobody refers to any longer. Each step is on disk before the next.
What a target holds is learned from its own pointer, and from the note that a killed publisher leaves behind.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import orjson

from statscache import schemas
from statscache.exceptions import PublishError
from statscache.publish import pointer, siblings
from statscache.publish.retrying import Retrying
from statscache.publish.target import File, Target
from statscache.snapshot import Snapshot, manifest
from statscache.snapshot.manifest import Difference, Load
from statscache.store.published import Entry, object_path

_AT_ONCE = 500

_LARGEST_GENERATION = 2**53
"""Beyond it JavaScript cannot count; whoever can write to a target must not stop the publication to all others."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What one publication to one target came to.

    Attributes:
        target: Name of the target.
        generation: Generation that it serves now.
        snapshot: Id of the snapshot that it serves now.
        objects: Objects and manifests that were sent; they are among the files.
        files: Files that were written.
        bytes: Bytes that were sent.
        deleted: Files that were deleted.
        requests: Operations that were asked of the place.
        seconds: How long it took.
    """

    target: str
    generation: int
    snapshot: str
    objects: int = 0
    files: int = 0
    bytes: int = 0
    deleted: int = 0
    requests: int = 0
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
        sign: Signs the pointer; None leaves it unsigned.
        force: Whether to take nothing for granted that the target's pointer says.
        invalidate: Whether caches must forget what they hold: after rollback, forgetting and upgrade.
    """

    snapshot: Snapshot
    retained: Sequence[Snapshot]
    collected: Sequence[str]
    expired: Sequence[str]
    health: schemas.Health
    interval: int
    load: Load
    sign: pointer.Sign | None = None
    force: bool = False
    invalidate: bool = False


class Publisher:
    """Brings one target up to date."""

    def __init__(self, target: Target) -> None:
        self._target = Retrying(target)

    def generation(self) -> int:
        """Return the generation that the target serves; 0 if none.

        Raises:
            PublishError: The target cannot be reached.
        """
        try:
            return self._serves()[1]
        except Exception as error:
            raise PublishError(f"target {self._target.name}: {_said(error)}") from error

    def publish(self, publication: Publication, *, dry_run: bool = False) -> Report:
        """Make the target serve the snapshot; with `dry_run`, only tell what that would take.

        Raises:
            PublishError: It could not; it serves the snapshot before, and the next publication carries on.
        """
        # A target is foreign ground: whatever its library raises, the caller learns which target and why.
        try:
            return self._publish(publication, dry_run=dry_run)
        except Exception as error:
            raise PublishError(f"target {self._target.name}: {_said(error)}") from error
        finally:
            self._target.close()

    def _publish(self, publication: Publication, *, dry_run: bool) -> Report:
        started, before = time.monotonic(), self._target.requests
        target, snapshot = self._target, publication.snapshot
        report = Report(target.name, snapshot.generation, snapshot.id)
        served, pending = self._serves()[0], self._pending()
        plan = self._plan(publication, served, pending)
        if dry_run:
            self._count(report, plan)
            return report
        _log.debug("publishing generation %d to %s: begins", snapshot.generation, target.name)
        if plan.changed or plan.removed:
            # Until the end, the files may be those of any of these snapshots.
            mixed = dict.fromkeys([*([served] if served else []), *pending, snapshot.id])
            self._write(report, [File(pointer.PENDING, orjson.dumps({"snapshots": list(mixed)}))])
        self._begin("objects")
        self._send_objects(report, publication.load, plan, snapshot)
        target.barrier()
        self._begin("readable paths")
        self._write(report, _aliases(publication.load, plan.changed))
        target.barrier()
        self._begin("status and changes")
        now = int(time.time())
        status = pointer.status(snapshot, now, publication.health)
        complete = {*self._complete(), snapshot.id}
        changes = pointer.changes([row for row in publication.retained if row.id in complete])
        self._write(report, [File(pointer.STATUS, status), File(pointer.CHANGES, changes)])
        target.barrier()
        self._begin("pointer")
        index = pointer.index(snapshot, now, publication.interval, publication.sign)
        self._write(report, [File(pointer.INDEX, index)])
        target.barrier()
        self._read_back(index, snapshot.generation, now)
        self._begin("deleting")
        self._delete(report, sorted(plan.removed))
        self._delete(report, [object_path(name) for name in publication.collected])
        self._delete(report, [pointer.manifest_path(identity) for identity in publication.expired])
        target.barrier()
        if publication.invalidate:
            target.invalidate()
        target.delete([pointer.PENDING])
        target.barrier()
        report.requests = target.requests - before
        report.seconds = time.monotonic() - started
        _log.debug("publishing generation %d to %s: ends", snapshot.generation, target.name)
        return report

    def _begin(self, step: str) -> None:
        _log.debug("publishing: %s of %s", step, self._target.name)

    def _serves(self) -> tuple[str | None, int]:
        """Return the id and generation of the snapshot that the target's own pointer names."""
        data = self._target.read(pointer.INDEX)
        if data is None:
            return None, 0
        try:
            index = orjson.loads(data)
            snapshot, generation = str(index["snapshot"]), index["generation"]
            if type(generation) is not int or not 0 <= generation < _LARGEST_GENERATION:
                raise ValueError(generation)
            return snapshot, generation
        except (ValueError, KeyError, TypeError):
            _log.warning("target %s: %s is damaged; everything is compared anew", self._target.name, pointer.INDEX)
            return None, 0

    def _complete(self) -> set[str]:
        """Return the ids of the snapshots that the target says it holds: not those whose publisher was killed."""
        data = self._target.read(pointer.CHANGES)
        if data is None:
            return set()
        try:
            return {str(row["snapshot"]) for row in orjson.loads(data)["snapshots"]}
        except (ValueError, KeyError, TypeError):
            _log.warning("target %s: %s is damaged, and begins anew", self._target.name, pointer.CHANGES)
            return set()

    def _pending(self) -> list[str]:
        """Return the ids of the snapshots that a killed publisher may have left in parts."""
        data = self._target.read(pointer.PENDING)
        if data is None:
            return []
        try:
            return [str(identity) for identity in orjson.loads(data)["snapshots"]]
        except (ValueError, KeyError, TypeError):
            _log.warning("target %s: %s is damaged", self._target.name, pointer.PENDING)
            return []

    def _plan(self, publication: Publication, served: str | None, pending: Sequence[str]) -> Difference:
        """Return what may differ between what the target holds and the snapshot.

        Only of the snapshot that its pointer names is it certain that the target holds all objects. Of those that were
        left in parts, any file may lie at its readable path.
        """
        plan = self._difference(publication, None if publication.force else served)
        if publication.force and served is not None:
            plan.removed |= self._difference(publication, served).removed
        for identity in pending:
            if identity != served:
                found = self._difference(publication, identity)
                plan.changed |= found.changed
                plan.removed |= found.removed
        return plan

    def _difference(self, publication: Publication, identity: str | None) -> Difference:
        def load(name: str) -> bytes:
            # Another machine's snapshot is not in this database, but its manifests are where it was published.
            try:
                return publication.load(name)
            except KeyError:
                data = self._target.read(object_path(name))
                if data is None:
                    raise
                return data

        new = publication.snapshot.manifest
        if identity is not None:
            try:
                return manifest.difference(load, f"{identity}.json", new)
            except (KeyError, ValueError, TypeError):
                _log.warning("target %s holds a snapshot that is not known: all is compared", self._target.name)
        return manifest.difference(load, None, new)

    def _count(self, report: Report, plan: Difference) -> None:
        sizes = {entry.object: entry.size for entry in plan.changed.values()}
        missing = [name for name, size in sizes.items() if not self._target.holds(object_path(name), size)]
        report.objects = len(missing) + len(plan.manifests)
        report.files = report.objects + len(plan.changed)
        report.bytes = sum(sizes[name] for name in missing)
        if not self._target.links:
            report.bytes += sum(entry.size for entry in plan.changed.values())
        report.deleted = len(plan.removed)

    def _send_objects(self, report: Report, load: Load, plan: Difference, snapshot: Snapshot) -> None:
        sizes = {entry.object: entry.size for entry in plan.changed.values()}
        for names in _chunks(sorted(sizes)):
            missing = [name for name in names if not self._target.holds(object_path(name), sizes[name])]
            report.objects += self._write(report, [File(object_path(name), load(name)) for name in missing])
        for names in _chunks(sorted(plan.manifests)):
            report.objects += self._write(report, [File(object_path(name), load(name)) for name in names])
        if plan.manifests:
            path = pointer.manifest_path(snapshot.id)
            self._write(report, [File(path, load(snapshot.manifest), object_path(snapshot.manifest))])

    def _write(self, report: Report, files: Iterable[File]) -> int:
        written = 0
        for chunk in _chunks(files):
            forms = self._target.siblings
            if old := siblings.stale(chunk, forms):
                self._target.delete(old)
            whole = list(siblings.beside(chunk, forms))
            self._target.write(whole)
            written += len(chunk)
            sent = whole if not self._target.links else [file for file in whole if file.object is None]
            report.bytes += sum(len(file.data) for file in sent)
        report.files += written
        return written

    def _delete(self, report: Report, names: Sequence[str]) -> None:
        for chunk in _chunks(names):
            self._target.delete([path for name in chunk for path in siblings.paths(name, self._target.siblings)])
        report.deleted += len(names)

    def _read_back(self, index: bytes, generation: int, now: int) -> None:
        """Raise `PublishError` unless readers get the pointer, or one that a cache may still hold."""
        found = self._target.read_back(pointer.INDEX)
        if found == index:
            return
        problem = f"{pointer.INDEX} reads back other than written: does another publisher write it?"
        if found is None or not self._target.max_age:
            raise PublishError(problem)
        try:
            seen = orjson.loads(found)
            foreign, fresh = seen["generation"] > generation, seen["expires_at"] > now
        except (ValueError, KeyError, TypeError) as error:
            raise PublishError(problem) from error
        if foreign:
            raise PublishError(problem)
        if not fresh:
            raise PublishError(f"readers get a {pointer.INDEX} that has expired: does the cache keep it too long?")


def _aliases(load: Load, changed: Mapping[str, Entry]) -> Iterator[File]:
    for path, entry in sorted(changed.items()):
        yield File(path, load(entry.object), object_path(entry.object))


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _AT_ONCE)):
        yield chunk


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, PublishError) else f"{type(error).__name__}: {error}"

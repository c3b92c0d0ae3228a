"""Publishing: in an order in which a reader, and a successor after a crash, always finds a whole snapshot.

1. Objects and manifests that the target lacks. 2. Readable paths whose content differs. 3. Status and changes. 4. The
pointer. 5. Read the pointer back. 6. The bus may be informed. 7. Delete what is no longer used. Each step is on
disk before the next. What a target holds is learned from its own pointer, and from the note that a killed publisher
leaves behind.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import orjson
from sqlalchemy.exc import SQLAlchemyError

from statscache import layout
from statscache.exceptions import Damaged, PublishError, Stopped
from statscache.publish import feed, plan, pointer, precompressed, sweep
from statscache.publish.halt import Halt
from statscache.publish.plan import Publication, TargetState
from statscache.publish.report import Report, UpdateResult
from statscache.publish.target import File, Target
from statscache.snapshot.manifest import Change
from statscache.store.bulk import batches
from statscache.store.published import FILES, Entry
from statscache.wording import counted

_AT_ONCE = 500
_BYTES_AT_ONCE = 8 * 1024 * 1024

_log = logging.getLogger(__name__)


class Publisher:
    """Updates one target, then deletes what is obsolete. Callers announce the snapshot between the two steps.

    Whatever the library of a target raises, only `PublishError` escapes, which says at which target, and why.

    Attributes:
        step: What is being done now, and how many files were written, for those who wait.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.step = ""

    @contextmanager
    def open(self, halt: Halt) -> Iterator[None]:
        """Release at the end all that one publication needs of the target.

        Args:
            halt: Asked between operations whether to stop.
        """
        self._target.halt = halt
        self.step = "asking what it serves"
        try:
            yield
        finally:
            self.step = ""
            self._target.close()

    def served(self) -> TargetState:
        """Return what the target serves.

        Raises:
            PublishError: The target cannot be reached.
        """
        with self._asking():
            return plan.served(self._target)

    def is_strange(self, served: TargetState, installation: str, is_known: Callable[[str], bool]) -> bool:
        """Return whether the target has no pointer that can be read, and a tree that this installation did not make.

        Raises:
            PublishError: The target cannot be reached.
        """
        if served.installation is not None:
            return False
        with self._asking():
            return plan.is_strange(self._target, installation, served, is_known)

    def update(self, publication: Publication, before: TargetState) -> UpdateResult:
        """Make the target serve the snapshot.

        Args:
            publication: What is to be published.
            before: What the target serves.

        Raises:
            PublishError: It could not; it serves the snapshot before, and the next publication carries on.
        """
        target, snapshot = self._target, publication.snapshot
        result = UpdateResult(Report(target.name, snapshot.generation, snapshot.id))
        with self._asking(), self._measured(result.report):
            self._update(publication, before, result)
        return result

    def cleanup(self, publication: Publication, result: UpdateResult, *, invalidate: bool) -> None:
        """Delete obsolete files and objects, and add the cost to the report.

        Args:
            publication: What was published.
            result: The result of `update`.
            invalidate: True if caches must be invalidated: after rollback, forgetting and upgrade.

        Raises:
            PublishError: It could not; the target serves the snapshot, and the next publication carries on.
        """
        with self._asking(), self._measured(result.report):
            self._cleanup(publication, result, invalidate=invalidate)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        # The libraries of targets raise errors of many classes, which share no base.
        try:
            yield
        except (SQLAlchemyError, Damaged):
            # The database has failed, and the target is not to blame.
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, PublishError) else f"{type(error).__name__}: {error}"
            kind = Stopped if isinstance(error, Stopped) else PublishError
            raise kind(f"target {self._target.name}: {reason}") from error

    @contextmanager
    def _measured(self, report: Report) -> Iterator[None]:
        started, before = time.monotonic(), self._target.requests
        yield
        report.requests += self._target.requests - before
        report.seconds += time.monotonic() - started

    def _update(self, publication: Publication, before: TargetState, result: UpdateResult) -> None:
        target, snapshot, report = self._target, publication.snapshot, result.report
        _log.debug("publishing generation %d to %s: begins", snapshot.generation, target.name)
        pending = plan.unfinished_snapshots(target)
        # Until the end, the files may be those of any of these snapshots.
        held = list(dict.fromkeys([*([before.snapshot] if before.snapshot else []), *pending]))
        changes = plan.difference(publication, before.snapshot, pending)
        result.sweeps = plan.needs_sweep(target, publication, held)
        news = result.sweeps or any(True for _ in changes())
        result.mixed = news or bool(pending)
        if news:
            named = list(dict.fromkeys([*held, snapshot.id]))
            mixed = orjson.dumps({"installation": publication.installation, "snapshots": named})
            self._write(report, [File(layout.PENDING, mixed)])
            if before.installation is None:
                # Only the note tells the next publication that objects without a pointer are this installation's.
                target.barrier()
            self._begin("objects")
            self._send_objects(report, publication, changes())
            target.barrier()
            self._begin("readable paths")
            # When a year gets old, it has a document of its own, which that of the key names from then on.
            first = before.snapshot is not None
            if first and self._send_files(report, publication, filter(_is_of_a_year, changes()))[0]:
                target.barrier()
            rest = (change for change in changes() if not (first and _is_of_a_year(change)))
            _, result.removed = self._send_files(report, publication, rest)
            target.barrier()
        self._begin("status and changes")
        now = int(time.time())
        self._write(report, self._outside(publication, now))
        if news:
            # Else the pointer leads to what it led to before, and may arrive with these.
            target.barrier()
        self._begin("pointer")
        if not publication.is_known(snapshot.id):
            raise PublishError("the snapshot was withdrawn meanwhile; the next publication has the newest")
        index = pointer.index(snapshot, publication.installation, now, publication.interval, publication.sign)
        self._write(report, [File(layout.INDEX, index)])
        target.barrier()
        if news or not target.confirms:
            self._read_back(publication, index, before, now)

    def _cleanup(self, publication: Publication, result: UpdateResult, *, invalidate: bool) -> None:
        target, report = self._target, result.report
        self._begin("deleting")
        self._delete(report, result.removed)
        # Documents of keys are not stored as objects on the target.
        collected = [name for name in publication.collected if layout.OBJECT_NAME.fullmatch(name)]
        self._delete(report, [layout.object_path(name) for name in collected])
        # A root manifest lies at a second path, for those who know the snapshot and not its objects.
        roots = [name for name in collected if name.endswith(".json")]
        target.delete(
            [path for name in roots for path in self._with_siblings(layout.manifest(name.removesuffix(".json")))]
        )
        if result.sweeps:
            orphans = sweep.find(target, publication)
            for chunk in batches(orphans.paths, _AT_ONCE):
                target.delete(chunk)
            report.deleted += len(orphans.paths)
            result.orphans = orphans.objects
        target.barrier()
        if invalidate:
            target.invalidate()
        if result.mixed:
            target.delete([layout.PENDING])
            target.barrier()
        _log.debug("publishing generation %d to %s: ends", report.generation, target.name)

    def _begin(self, step: str) -> None:
        self.step = step
        _log.debug("publishing: %s of %s", step, self._target.name)

    def _send_objects(self, report: Report, publication: Publication, changes: Iterable[Change]) -> None:
        root, sent = publication.snapshot.manifest, set[str]()
        for batch in _batches(changes):
            missing = []
            for _, entry, _ in batch:
                if entry is None or entry.type == "path" or entry.object in sent:
                    continue
                sent.add(entry.object)
                if entry.type not in FILES or not self._holds(publication, entry.object, entry.size):
                    missing.append(entry.object)
            report.objects += self._write(report, _objects(publication, missing))
        if root in sent:
            path = layout.manifest(publication.snapshot.id)
            self._write(report, [File(path, publication.load([root])[root], layout.object_path(root))])

    def _send_files(self, report: Report, publication: Publication, changes: Iterable[Change]) -> tuple[int, list[str]]:
        """Write the readable paths; return how many they were, and those that the snapshot does not have."""
        written, removed = 0, []
        for batch in _batches(change for change in changes if change.is_file):
            removed += [path for path, entry, _ in batch if entry is None]
            there = {path: entry for path, entry, _ in batch if entry is not None}
            written += self._write(report, _aliases(publication, there))
        return written, removed

    def _holds(self, publication: Publication, name: str, size: int) -> bool:
        """Return whether the target has an object; if everything is to be checked, by its bytes and siblings."""
        path = layout.object_path(name)
        if not self._target.holds(path, size):
            return False
        if not publication.force:
            return True
        file = File(path, publication.load([name])[name])
        return all(self._target.is_intact(part) for part in precompressed.beside([file], self._target.siblings))

    def _outside(self, publication: Publication, now: int) -> list[File]:
        """Return status and changes, with their feed; these only if they differ from those of the target."""
        there = self._target.read(layout.CHANGES)
        complete = {*plan.announced_snapshots(self._target, there), publication.snapshot.id}
        retained = [row for row in publication.retained if row.id in complete]
        changes = pointer.changes(retained)
        files = [File(layout.STATUS, pointer.status(publication.snapshot, now, publication.health))]
        if changes == there and not publication.force:
            return files
        if publication.force or feed.has_entry(publication.snapshot):
            told = feed.changes(retained, publication.installation, publication.title, publication.base_url)
            files.append(File(layout.CHANGES_FEED, told))
        return [*files, File(layout.CHANGES, changes)]

    def _write(self, report: Report, files: Iterable[File]) -> int:
        written = 0
        step = self.step.partition(",")[0]
        for chunk in batches(files, _AT_ONCE):
            forms = self._target.siblings
            if old := precompressed.stale(chunk, forms):
                self._target.delete(old)
            whole = list(precompressed.beside(chunk, forms))
            self._target.write(whole)
            written += len(chunk)
            sent = whole if not self._target.links else [file for file in whole if file.object is None]
            report.bytes += sum(len(file.data) for file in sent)
            self.step = f"{step}, {counted(report.files + written, 'file')} written"
        report.files += written
        return written

    def _delete(self, report: Report, names: Sequence[str]) -> None:
        for chunk in batches(names, _AT_ONCE):
            self._target.delete([path for name in chunk for path in self._with_siblings(name)])
        report.deleted += len(names)

    def _with_siblings(self, path: str) -> list[str]:
        return precompressed.paths(path, self._target.siblings)

    def _read_back(self, publication: Publication, index: bytes, before: TargetState, now: int) -> None:
        """Raise `PublishError` unless readers get the pointer, or one of ours that a cache may still hold."""
        found = self._target.read_back(layout.INDEX)
        if found == index:
            return
        problem = f"{layout.INDEX} reads back other than written: does another publisher write it?"
        if found is None or not self._target.max_age:
            raise PublishError(problem)
        if found == before.index:
            return
        try:
            seen = orjson.loads(found)
            snapshot, age = str(seen["snapshot"]), now - seen["generated_at"]
            foreign = seen["generation"] > publication.snapshot.generation or not publication.is_known(snapshot)
        except (ValueError, KeyError, TypeError) as error:
            raise PublishError(problem) from error
        if foreign:
            raise PublishError(problem)
        if age > self._target.max_age:
            late = f"readers get a {layout.INDEX} that was written {age} s ago"
            raise PublishError(f"{late}: does the cache keep it longer than {self._target.max_age} s?")


def _objects(publication: Publication, names: Sequence[str]) -> list[File]:
    return [File(layout.object_path(name), data) for name, data in publication.load(names).items()]


def _aliases(publication: Publication, changed: Mapping[str, Entry]) -> list[File]:
    data = publication.load({entry.object for entry in changed.values()})
    return [
        File(path, data[entry.object], None if entry.type == "path" else layout.object_path(entry.object))
        for path, entry in changed.items()
    ]


def _batches(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Yield changes in batches of bounded number and bytes."""
    batch, size = list[Change](), 0
    for change in changes:
        added = change.entry.size if change.entry else 0
        if batch and (len(batch) == _AT_ONCE or size + added > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += added
    if batch:
        yield batch


def _is_of_a_year(change: Change) -> bool:
    return change.entry is not None and layout.is_key_year(change.path)

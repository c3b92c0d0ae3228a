"""Publishing: in an order in which a reader, and a successor after a crash, always finds a whole snapshot.

1. Objects and manifests that the target lacks. 2. Readable paths whose content differs. 3. Status and changes. 4. The
pointer. 5. Read the pointer back. 6. The bus may be told. 7. Delete what nobody refers to any longer. Each step is on
disk before the next. What a target holds is learned from its own pointer, and from the note that a killed publisher
leaves behind.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import orjson
from sqlalchemy.exc import SQLAlchemyError

from statscache import layout
from statscache.exceptions import Damaged, PublishError, Stopped
from statscache.publish import feed, plan, pointer, siblings, sweep
from statscache.publish.halt import Halt
from statscache.publish.plan import Publication, Served
from statscache.publish.report import Brought, Report
from statscache.publish.retrying import Retrying
from statscache.publish.target import File, Target
from statscache.snapshot.manifest import Change
from statscache.store.bulk import batches
from statscache.store.published import FILES, Entry
from statscache.wording import counted

_AT_ONCE = 500
_BYTES_AT_ONCE = 8 * 1024 * 1024

_log = logging.getLogger(__name__)


class Publisher:
    """Brings one target up to date, and tidies up behind that; between the two, whoever likes may be told.

    Whatever the library of a target raises, only `PublishError` escapes, which says at which target, and why.

    Attributes:
        step: What is being done now, and how many files were written, for those who wait.
    """

    def __init__(self, target: Target) -> None:
        self._target = Retrying(target)
        self.step = ""

    @contextmanager
    def open(self, halt: Halt) -> Iterator[None]:
        """Let go at the end of what one publication needs of the target.

        Args:
            halt: Says whether to go on.
        """
        self._target.halt = halt
        self.step = "asking what it serves"
        try:
            yield
        finally:
            self.step = ""
            self._target.close()

    def served(self) -> Served:
        """Return what the target serves.

        Raises:
            PublishError: The target cannot be reached.
        """
        with self._asking():
            return plan.served(self._target)

    def bring(self, publication: Publication, before: Served) -> Brought:
        """Make the target serve the snapshot.

        Args:
            publication: What is to be published.
            before: What the target serves.

        Raises:
            PublishError: It could not; it serves the snapshot before, and the next publication carries on.
        """
        target, snapshot = self._target, publication.snapshot
        brought = Brought(Report(target.name, snapshot.generation, snapshot.id))
        with self._asking(), self._measured(brought.report):
            self._bring(publication, before, brought)
        return brought

    def tidy(self, publication: Publication, brought: Brought, *, invalidate: bool) -> None:
        """Delete what nobody refers to any longer, and add to the report what that took.

        Args:
            publication: What was published.
            brought: What came of it.
            invalidate: Whether caches must forget what they hold: after rollback, forgetting and upgrade.

        Raises:
            PublishError: It could not; the target serves the snapshot, and the next publication carries on.
        """
        with self._asking(), self._measured(brought.report):
            self._tidy(publication, brought, invalidate=invalidate)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        # A target is foreign ground, and its library's errors share no base.
        try:
            yield
        except (SQLAlchemyError, Damaged):
            # The database has failed, and the target is not to blame.
            raise
        except Exception as error:
            said = str(error) if isinstance(error, PublishError) else f"{type(error).__name__}: {error}"
            kind = Stopped if isinstance(error, Stopped) else PublishError
            raise kind(f"target {self._target.name}: {said}") from error

    @contextmanager
    def _measured(self, report: Report) -> Iterator[None]:
        started, before = time.monotonic(), self._target.requests
        yield
        report.requests += self._target.requests - before
        report.seconds += time.monotonic() - started

    def _bring(self, publication: Publication, before: Served, brought: Brought) -> None:
        target, snapshot, report = self._target, publication.snapshot, brought.report
        _log.debug("publishing generation %d to %s: begins", snapshot.generation, target.name)
        pending = plan.pending(target)
        # Until the end, the files may be those of any of these snapshots.
        held = list(dict.fromkeys([*([before.snapshot] if before.snapshot else []), *pending]))
        changes = plan.difference(publication, before.snapshot, pending)
        brought.sweeps = plan.needs_sweep(target, publication, held)
        news = brought.sweeps or any(True for _ in changes())
        brought.mixed = news or bool(pending)
        if news:
            mixed = orjson.dumps({"snapshots": list(dict.fromkeys([*held, snapshot.id]))})
            self._write(report, [File(layout.PENDING, mixed)])
            self._begin("objects")
            self._send_objects(report, publication, changes())
            target.barrier()
            self._begin("readable paths")
            # When a year gets old, it has a document of its own, which that of the key names from then on.
            first = before.snapshot is not None
            if first and self._send_files(report, publication, filter(_is_of_a_year, changes()))[0]:
                target.barrier()
            rest = (change for change in changes() if not (first and _is_of_a_year(change)))
            _, brought.removed = self._send_files(report, publication, rest)
            target.barrier()
        self._begin("status and changes")
        now = int(time.time())
        self._write(report, self._outside(publication, now))
        if news:
            # Else the pointer leads to what it led to before, and may arrive with these.
            target.barrier()
        self._begin("pointer")
        if not publication.is_known(snapshot.id):
            raise PublishError("the snapshot was withdrawn meanwhile; the next publication brings the newest")
        index = pointer.index(snapshot, publication.installation, now, publication.interval, publication.sign)
        self._write(report, [File(layout.INDEX, index)])
        target.barrier()
        if news or not target.confirms:
            self._read_back(publication, index, before, now)

    def _tidy(self, publication: Publication, brought: Brought, *, invalidate: bool) -> None:
        target, report = self._target, brought.report
        self._begin("deleting")
        self._delete(report, brought.removed)
        # Of documents of keys, whose names are digests alone, the target has no objects.
        collected = [name for name in publication.collected if layout.OBJECT_NAME.fullmatch(name)]
        self._delete(report, [layout.object_path(name) for name in collected])
        # A root manifest lies at a second path, for those who know the snapshot and not its objects.
        roots = [name for name in collected if name.endswith(".json")]
        target.delete(
            [path for name in roots for path in self._with_siblings(layout.manifest(name.removesuffix(".json")))]
        )
        if brought.sweeps:
            strays = sweep.find(target, publication)
            for chunk in batches(strays.paths, _AT_ONCE):
                target.delete(chunk)
            report.deleted += len(strays.paths)
            brought.strays = strays.objects
        target.barrier()
        if invalidate:
            target.invalidate()
        if brought.mixed:
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
            self._write(report, [File(path, publication.load(root), layout.object_path(root))])

    def _send_files(self, report: Report, publication: Publication, changes: Iterable[Change]) -> tuple[int, list[str]]:
        """Write the readable paths; return how many they were, and those that the snapshot does not have."""
        written, removed = 0, []
        for batch in _batches(change for change in changes if change.is_file):
            removed += [path for path, entry, _ in batch if entry is None]
            there = {path: entry for path, entry, _ in batch if entry is not None}
            written += self._write(report, _aliases(publication, there))
        return written, removed

    def _holds(self, publication: Publication, name: str, size: int) -> bool:
        """Return whether the target has an object; where nothing is taken for granted, by its bytes and siblings."""
        path = layout.object_path(name)
        if not self._target.holds(path, size):
            return False
        if not publication.force:
            return True
        file = File(path, publication.load(name))
        return all(self._target.is_intact(part) for part in siblings.beside([file], self._target.siblings))

    def _outside(self, publication: Publication, now: int) -> list[File]:
        """Return status and changes, with their feed; these only where they are other than the target has them."""
        there = self._target.read(layout.CHANGES)
        complete = {*plan.complete(self._target, there), publication.snapshot.id}
        retained = [row for row in publication.retained if row.id in complete]
        changes = pointer.changes(retained)
        files = [File(layout.STATUS, pointer.status(publication.snapshot, now, publication.health))]
        if changes == there and not publication.force:
            return files
        if publication.force or feed.is_told(publication.snapshot):
            told = feed.changes(retained, publication.installation, publication.title, publication.base_url)
            files.append(File(layout.CHANGES_FEED, told))
        return [*files, File(layout.CHANGES, changes)]

    def _write(self, report: Report, files: Iterable[File]) -> int:
        written = 0
        step = self.step.partition(",")[0]
        for chunk in batches(files, _AT_ONCE):
            forms = self._target.siblings
            if old := siblings.stale(chunk, forms):
                self._target.delete(old)
            whole = list(siblings.beside(chunk, forms))
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
        return siblings.paths(path, self._target.siblings)

    def _read_back(self, publication: Publication, index: bytes, before: Served, now: int) -> None:
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
    return [File(layout.object_path(name), data) for name, data in publication.load_all(names).items()]


def _aliases(publication: Publication, changed: Mapping[str, Entry]) -> list[File]:
    data = publication.load_all({entry.object for entry in changed.values()})
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

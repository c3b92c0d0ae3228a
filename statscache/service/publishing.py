"""Publishing as a job: build the snapshot once, update every target, and delete what is obsolete."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from statscache import kinds, resources
from statscache.exceptions import (
    ConfigurationError,
    Damaged,
    DamagedStatistics,
    PublisherBusy,
    PublishError,
    Stopped,
    TargetAhead,
)
from statscache.installation import Installation
from statscache.privacy import purge
from statscache.publish import signing
from statscache.publish.dry_run import DryRunTarget
from statscache.publish.report import Report
from statscache.publish.target import Target
from statscache.render.pages import Pages
from statscache.render.render import Renderer
from statscache.render.rendering import Rendered
from statscache.service.worker import INTERVALS, Job, Worker
from statscache.service.workers import Outcome, Progress, Publish, Workers, one_by_one, silent, target, together
from statscache.snapshot import damage, retention, snapshots
from statscache.snapshot.build import build
from statscache.snapshot.rollback import rollback
from statscache.snapshot.snapshot import Snapshot
from statscache.store import integrity, invariants, journal, locks, positions, targets
from statscache.store.outage import outage

PATIENCE = 300.0
"""Seconds for which a publication that is not repeated waits for another publisher."""

STOP_SECONDS = 4.0
"""Seconds for which publications may go on when the service is stopped; then as many in which they must end."""

LAST_SECONDS = 60.0
"""Seconds that publishing what came last may take, when the service is stopped."""

REPAIR_PAUSE = 600.0
"""Seconds from a repair that failed to the next."""

_BUSY_PAUSE = 1.0
"""Seconds between two checks if another publisher is done."""

_log = logging.getLogger(__name__)


class Publishing:
    """Publishes the database of an installation.

    Args:
        installation: The installation.
        only: Names of the targets to publish to; none means all.
        tell: Called with the progress of rendering and publishing.

    Raises:
        ConfigurationError: There is no target of such a name, or a signing key cannot be used.
    """

    def __init__(self, installation: Installation, only: Sequence[str] = (), tell: Progress = silent) -> None:
        self._installation = installation
        self._progress = tell
        publish = installation.config.publish
        self._pages = Pages(
            resources.sources(),
            title=publish.title,
            base_url=publish.base_url,
            examples=publish.examples,
            entities=installation.registry.entities,
            index_people=publish.index_people,
            has_board=installation.registry.has_board,
        )
        self._renderer = Renderer(installation.registry, self._pages, publish.gate_share, installation.watchdog)
        self._renderer.on_plugin = lambda done, total: tell("rendering", done, total)
        unknown = sorted(set(only) - {section.name for section in publish.targets})
        if unknown:
            known = ", ".join(section.name for section in publish.targets)
            raise ConfigurationError(f"no target is named {', '.join(unknown)}; there are: {known}")
        sections = [section for section in publish.targets if not only or section.name in only]
        self._targets = {section.name: target(section) for section in sections}
        self._sections = {section.name: section for section in sections}
        self._interval = publish.interval
        self._slow_interval = publish.slow_interval
        self._most_slow_documents = publish.most_slow_documents
        self._partial = bool(only)
        self._repairs_from = -math.inf
        self._found: Damaged | None = None
        self._keys = signing.load_keys(publish.signing_keys) if publish.signing_keys else []
        self.workers = Workers(self._worker(target) for target in self._targets.values())

    def publish(
        self,
        *,
        slow: bool = True,
        force: bool = False,
        resume: bool = False,
        take_over: bool = False,
        patience: float = 0.0,
    ) -> tuple[Snapshot, list[Report]]:
        """Build the snapshot that is due, and update every target.

        Args:
            slow: True to update slow documents in any case; else they are once `[publish] slow_interval` is over.
            force: True to render everything, changed or not, to publish implausible documents, and to check
                everything that a target claims to hold.
            resume: True to end the hold of a rollback.
            take_over: True to publish to targets of other installations too, which are this one's then.
            patience: Seconds to wait for another publisher.

        Raises:
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target could not be brought up to date; the others were.
            Damaged: What is damaged in the database cannot be rendered again; or a part of what was forced could not be
                rendered, of a plugin that was rendered from the same statistics before. The rest is published.
        """
        slow_interval = 0 if slow or resume else self._slow_interval

        def rebuild(**options: Any) -> list[Rendered]:
            with locks.publishing(self._installation.database, patience):
                return self._build(self._renderer, slow_interval=slow_interval, **options)[1]

        rendered = rebuild(force=force, resume=resume)
        job = replace(self._job(force=force), takes_over=take_over)
        done = self._bring(self.workers, job, rebuild)
        # Where somebody else publishes by now, garbage stays until later.
        with suppress(PublisherBusy), locks.publishing(self._installation.database):
            self._collect()
        if force:
            self._refuse_unrendered(rendered)
        return done

    def rehearse(self) -> tuple[Snapshot, list[Report]]:
        """Do all that `publish` would do, and return the result; database and targets do not change.

        Raises:
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target cannot be reached.
        """
        installation = self._installation
        workers = [self._worker(DryRunTarget(target)) for target in self._targets.values()]
        # What is remembered of documents that are never published must not outlive the rehearsal.
        renderer = Renderer(installation.registry, self._pages, installation.config.publish.gate_share)
        rebuild = partial(self._build, renderer)
        with locks.publishing(installation.database), installation.database.rehearsing():
            while installation.ingest.catch_up():
                pass
            rebuild()
            return self._bring(workers, self._job(announces=False), rebuild, publish=one_by_one)

    def rollback(self, identity: str) -> tuple[Snapshot, list[Report]]:
        """Make an older snapshot current, and hold publishing there until it is resumed.

        If it is current already, targets that do not serve it yet are updated.

        Args:
            identity: The id of a snapshot that is remembered, or the beginning of it.

        Raises:
            UnknownSnapshot: There is no such snapshot, or it is current already, not by a rollback.
            Damaged: It is damaged in the database; nothing was changed.
            PublisherBusy: Another process publishes from this database, for longer than `PATIENCE`.
            PublishError: At least one target could not be updated; the others were.
        """
        database = self._installation.database
        with locks.publishing(database, PATIENCE):
            with database.writing() as connection:
                held = rollback(connection, identity, generation=self._ahead)
            try:
                return self._bring(self.workers, self._job(), partial(self._build, self._renderer))
            except PublishError as error:
                raise PublishError(
                    f"{error}; the rollback to snapshot {held.id[:12]} remains: `statscache publish`, or the same"
                    " command again, publishes it to the targets that do not serve it yet"
                ) from error

    def forget(self, holds: purge.Holds, tell: Callable[[int, int], None]) -> tuple[purge.Purged, str]:
        """Publish after a person was forgotten, and remove at once everything that holds the name.

        The caller holds the right to build snapshots. A rollback is ended.

        Args:
            holds: Returns whether bytes that are published hold the name.
            tell: Called with how many objects of how many were checked.

        Returns:
            What was purged, and why targets could not be updated; empty if all were.
        """
        database = self._installation.database
        rebuild = partial(self._build, self._renderer)
        snapshot, rendered = rebuild(resume=True)
        try:
            with database.reading() as connection:
                names = purge.tainted(connection, holds, tell)
        except Damaged as error:
            snapshot, rendered = rebuild(found=error)
            with database.reading() as connection:
                names = purge.tainted(connection, holds, tell)
        # A plugin that cannot be rendered would keep its old documents.
        stuck = [each.info.name for each in rendered if each.state != "ok"]
        stuck += [entry["name"] for entry in snapshot.summary["plugins"] if entry["state"] == "failed"]
        with database.writing() as connection:
            withdrawn = purge.withdraw(connection, sorted(set(stuck)), names)
        if withdrawn:
            rebuild()
        # Once the snapshot that a target serves is purged, all of its files are compared, and most are sent.
        with suppress(PublishError):
            # Files at a place that is configured again may hold the name.
            self._bring(self.workers, replace(self._job(announces=False), deletes_unknown=True), rebuild)
        with database.writing() as connection:
            current = snapshots.current(connection)
            assert current is not None
            purged = purge.purge(connection, current, names, holds)
        try:
            self._bring(self.workers, self._job(), rebuild)
        except PublishError as error:
            return purged, str(error)
        self._collect()
        return purged, ""

    @property
    def _ahead(self) -> int:
        """The greatest generation at any target that the current one must exceed."""
        return max((worker.ahead for worker in self.workers), default=0)

    def _worker(self, target: Target) -> Worker:
        return Worker(self._installation, target, self._sections[target.name], self._keys)

    def _job(self, *, force: bool = False, announces: bool = True) -> Job:
        """Return the job of a publication that is not repeated."""
        return Job(self._interval, force=force, announces=announces, patience=PATIENCE)

    def _build(
        self,
        renderer: Renderer,
        *,
        force: bool = False,
        resume: bool = False,
        slow_interval: float = 0.0,
        most: int | None = None,
        found: Damaged | None = None,
    ) -> tuple[Snapshot, list[Rendered]]:
        """Build the snapshot that is due; its generation exceeds that of every target, as far as known.

        Where the database is damaged, as `found` says or as turns out, everything is rendered again.

        Raises:
            Damaged: What is damaged cannot be rendered again.
        """
        database, ahead = self._installation.database, self._ahead
        if found is None or time.monotonic() < self._repairs_from:
            # What the last repair could not put right of one target stops no other.
            try:
                with integrity.explained():
                    if force:
                        self._refuse_broken("everything is to be rendered again")
                    self._installation.ingest.admit_due()
                    return build(
                        database,
                        renderer,
                        generation=ahead,
                        force=force,
                        resume=resume,
                        slow_interval=slow_interval,
                        most=most,
                    )
            except Damaged as error:
                if force:
                    raise
                found = error
        with integrity.explained():
            return self._repair(renderer, found, resume=resume)

    def _repair(self, renderer: Renderer, found: Damaged, *, resume: bool) -> tuple[Snapshot, list[Rendered]]:
        if time.monotonic() < self._repairs_from:
            raise found
        _log.error("the database is damaged, and everything is rendered again from the statistics: %s", found)
        self._repairs_from = time.monotonic() + REPAIR_PAUSE
        database = self._installation.database
        self._refuse_broken(str(found))
        done = build(database, renderer, generation=self._ahead, resume=resume, repair=True)
        _log.warning("damaged files were rendered again: generation %d", done[0].generation)
        return done

    def _refuse_unrendered(self, rendered: Iterable[Rendered]) -> None:
        """Say which plugins could not be rendered again, though they counted nothing since they were.

        Raises:
            DamagedStatistics: There are some.
        """
        with self._installation.database.reading() as connection:
            through, pending = journal.head(connection).through, positions.pending(connection)
        stuck = [each.info.name for each in rendered if each.state == "stale"]
        settled = {each.info.name for each in rendered if damage.is_settled(each.row, through, pending)}
        if damaged := [name for name in stuck if name in settled]:
            raise DamagedStatistics(
                f"{', '.join(damaged)} could not be rendered again, though nothing was counted since: the log says why,"
                " and `statscache db check` whether their statistics are damaged. Their documents stay as they were,"
                " and the rest is published"
            )

    def _refuse_broken(self, why: str) -> None:
        """Refuse to render everything from statistics that are damaged.

        Raises:
            DamagedStatistics: They are, as far as that can be told without a recount; the text says why it matters.
        """
        with self._installation.database.reading() as connection:
            broken = [*integrity.of_tables(connection, kinds.state_tables())]
            broken += invariants.broken(connection, kinds.invariants(), only_more=True)
        if broken:
            raise DamagedStatistics(f"{why}; and nothing can be rendered again: {'; '.join(broken)}")

    def _bring(
        self,
        workers: Iterable[Worker],
        job: Job,
        rebuild: Callable[..., object],
        publish: Publish = together,
    ) -> tuple[Snapshot, list[Report]]:
        """Update all targets to the newest snapshot; repeat with a new one if a target is ahead of it.

        Where the database turns out to be damaged, everything is rendered again first.
        """
        outcomes = publish(workers, job, self._progress)
        if hit := {worker: end for worker in workers if isinstance(end := outcomes[worker.name], Damaged)}:
            rebuild(found=next(iter(hit.values())))
            outcomes |= publish(hit, job, self._progress)
        if ahead := [worker for worker in workers if isinstance(outcomes[worker.name], TargetAhead)]:
            rebuild()
            outcomes |= publish(ahead, job, self._progress)
        ends = [outcomes[worker.name] for worker in workers]
        errors = [end for end in ends if isinstance(end, BaseException)]
        for error in errors:
            if not isinstance(error, PublishError):
                raise error
        if errors:
            raise PublishError("; ".join(str(error) for error in errors))
        with self._installation.database.reading() as connection:
            snapshot = snapshots.current(connection)
        assert snapshot is not None
        return snapshot, [end[1] for end in ends if isinstance(end, tuple)]

    def _collect(self) -> None:
        """Remove from the database garbage that all targets have removed."""
        workers = list(self.workers)
        if self._partial or not workers:
            return
        with self._installation.database.writing() as connection:
            garbage = retention.find(connection, self._installation.config.publish.retention)
            for worker in workers:
                garbage &= worker.cleaned
            retention.collect(connection, garbage)

    def publish_every(
        self,
        seconds: float,
        stopping: threading.Event,
        tell: Callable[[Snapshot, list[Report]], None],
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish at once and then every `seconds`, until `stopping` is set; failures are retried next time.

        Slow documents are updated every `[publish] slow_interval` seconds, or every time while some of them are left
        over, for one publication makes at most `most_slow_documents` of keys.

        Args:
            seconds: From the beginning of one publication to that of the next.
            stopping: Set to end it.
            tell: Called with each publication.
            on_progress: Called before each publication, even if the previous one failed.
        """
        self._interval = math.ceil(seconds)
        halting, waits, began, damaged = threading.Event(), False, -math.inf, ""
        on_end = partial(self._after, tell)
        while not stopping.is_set():
            started, pause = time.monotonic(), seconds
            on_progress()
            found, self._found = self._found, None
            try:
                with locks.publishing(self._installation.database):
                    slow_interval, most = self._slow_interval, self._most_slow_documents
                    self._build(self._renderer, slow_interval=slow_interval, most=most, found=found)
                    self._collect()
                outage.answered()
                damaged = ""
                if waits:
                    _log.info("the other publisher is done, and publishing goes on")
                waits = False
            except PublisherBusy:
                if not waits:
                    _log.info("publishing waits: another publisher is working on this database")
                waits, pause = True, min(seconds, _BUSY_PAUSE)
            except Damaged as error:
                if damaged != str(error):
                    _log.error("publishing stops, because the database is damaged: %s", error)
                damaged = str(error)
            except Exception as error:
                # A publisher that ended here would do so in silence.
                if not outage.explains(error):
                    _log.exception("publishing failed, retrying in %g s", seconds)
            if damaged:
                # What the targets serve is older and right; it expires, so that readers notice.
                self._fail(damaged)
            elif not waits or started - began >= seconds:
                began = started
                self.workers.start(Job(self._interval, stopping=halting), on_end)
            for worker in self.workers:
                worker.log_if_late(INTERVALS * seconds)
            stopping.wait(max(0.0, pause - (time.monotonic() - started)))
        self._stop(halting)

    def _fail(self, error: str) -> None:
        """Have `status` say why nothing is published."""
        try:
            with self._installation.database.writing() as connection:
                for worker in self.workers:
                    targets.fail(connection, worker.name, error)
        except SQLAlchemyError as refused:
            _log.debug("could not store that the database is damaged: %s", refused)

    def finish(self) -> tuple[Snapshot, list[Report]]:
        """Publish the newest data to the targets that keep up.

        Raises:
            PublisherBusy: Another process publishes from this database, for longer than `PATIENCE`.
            PublishError: At least one of them could not be updated, or none of the targets keeps up.
        """

        def rebuild(**options: Any) -> None:
            with locks.publishing(self._installation.database, PATIENCE):
                self._build(self._renderer, **options)

        rebuild()
        workers = [worker for worker in self.workers if worker.keeps_up]
        if late := [worker.name for worker in self.workers if worker not in workers]:
            text = f"the newest snapshot was not published to {', '.join(late)}"
            text += ": see `statscache status`; the next start carries on"
            if not workers:
                raise PublishError(text)
            _log.warning("%s", text)
        names = ", ".join(worker.name for worker in workers)
        _log.info("publishing the newest data, within %g s, to: %s", LAST_SECONDS, names or "no target is configured")
        return self._bring(workers, replace(self._job(), seconds=LAST_SECONDS), rebuild)

    def _stop(self, halting: threading.Event) -> None:
        """Let publications finish for a few seconds, then stop the others at a safe point."""
        if busy := [f"{worker.name} ({worker.at_work})" for worker in self.workers if worker.at_work]:
            _log.info("stopping waits, at most %g s, for publications to: %s", 2 * STOP_SECONDS, ", ".join(busy))
        self.workers.wait(STOP_SECONDS)
        halting.set()
        for worker in self.workers.wait(STOP_SECONDS):
            _log.warning("target %s does not answer, and is abandoned; the next start carries on", worker.name)

    def _after(self, tell: Callable[[Snapshot, list[Report]], None], worker: Worker, outcome: Outcome) -> None:
        """Report the result of a worker's publication, which is repeated anyway."""
        if isinstance(outcome, tuple):
            tell(outcome[0], [outcome[1]])
        elif isinstance(outcome, Stopped):
            _log.info("%s", outcome)
        elif isinstance(outcome, PublisherBusy):
            _log.debug("%s", outcome)
        elif isinstance(outcome, Damaged):
            # The next publication builds first, and repairs what it can.
            self._found = outcome
        elif not isinstance(outcome, PublishError) and not outage.explains(outcome):
            _log.error("publishing to target %s failed, and will be retried", worker.name, exc_info=outcome)

"""Publishing as a job: build the snapshot, and update every target to it, once or at intervals."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from statscache import resources
from statscache.exceptions import Damaged, PublisherBusy, PublishError, Stopped
from statscache.installation import Installation
from statscache.memory import return_freed
from statscache.monitoring.health import public_health
from statscache.publish.report import Report
from statscache.publish.targets import Targets
from statscache.publish.worker import INTERVALS, Job, Worker
from statscache.publish.workers import Outcome, Progress, silent
from statscache.render.pages import Pages
from statscache.render.render import Renderer
from statscache.render.result import RenderedPlugin
from statscache.service.builder import Builder
from statscache.snapshot.rollback import rollback
from statscache.snapshot.snapshot import Snapshot
from statscache.store import locks
from statscache.store.outage import outage

PATIENCE = 300.0
"""Seconds for which a publication that is not repeated waits for another publisher."""

LAST_SECONDS = 60.0
"""Seconds that publishing what came last may take, when the service is stopped."""

_BUSY_PAUSE = 1.0
"""Seconds between two checks if another publisher is done."""

_log = logging.getLogger(__name__)


class Publishing:
    """Publishes the database of an installation.

    Args:
        installation: The installation.
        only: Names of the targets to publish to; none means all.
        tell: Called with the progress of rendering and publishing.

    Attributes:
        targets: The targets to publish to.
        builder: Builds the snapshots.

    Raises:
        ConfigurationError: There is no target of such a name, or a signing key cannot be used.
    """

    def __init__(self, installation: Installation, only: Sequence[str] = (), tell: Progress = silent) -> None:
        self._installation = installation
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
        renderer = Renderer(installation.registry, self._pages, publish.gate_share, installation.watchdog)
        renderer.on_plugin = lambda done, total: tell("rendering", done, total)
        self.targets = Targets(installation.database, installation.config, only, public_health, tell)
        self._only = only
        self.builder = Builder(installation, renderer, self.targets)
        self._interval = publish.interval
        self._slow_interval = publish.slow_interval
        self._most_slow_documents = publish.most_slow_documents
        self._found: Damaged | None = None

    def publish(
        self,
        *,
        slow: bool = True,
        force: bool = False,
        resume: bool = False,
        take_over: bool = False,
    ) -> tuple[Snapshot, list[Report]]:
        """Build the snapshot that is due, and update every target.

        Args:
            slow: True to update slow documents in any case; else they are once `[publish] slow_interval` is over.
            force: True to render everything, changed or not, to publish implausible documents, and to check
                everything that a target claims to hold.
            resume: True to end the hold of a rollback.
            take_over: True to publish to targets of other installations too, which are this one's then.

        Raises:
            PublisherBusy: Another process publishes from this database; for longer than `PATIENCE`, if anything is
                asked for that it does not do by itself.
            PublishError: At least one target could not be updated; the others were.
            Damaged: What is damaged in the database cannot be rendered again; or a part of what was forced could not be
                rendered, of a plugin that was rendered from the same statistics before. The rest is published.
        """
        slow_interval = 0 if slow or resume else self._slow_interval
        # Else the other one publishes the same.
        patience = PATIENCE if force or resume or take_over else 0.0

        def rebuild(**options: Any) -> list[RenderedPlugin]:
            with locks.publishing(self._installation.database, patience):
                return self.builder.build(slow_interval=slow_interval, **options)[1]

        rendered = rebuild(force=force, resume=resume)
        job = replace(self.job(force=force), takes_over=take_over)
        done = self.targets.update(job, rebuild)
        # Where somebody else publishes by now, garbage stays until later.
        with suppress(PublisherBusy), locks.publishing(self._installation.database):
            self.targets.collect()
        if force:
            self.builder.refuse_unrendered(rendered)
        return done

    def dry_run(self) -> tuple[Snapshot, list[Report]]:
        """Do all that `publish` would do, and return the result; database and targets do not change.

        Raises:
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target cannot be reached.
        """
        installation = self._installation
        config = installation.config
        targets = Targets(installation.database, config, self._only, public_health, silent, dry_run=True)
        # What is remembered of documents that are never published must not outlive the dry run.
        builder = Builder(
            installation, Renderer(installation.registry, self._pages, config.publish.gate_share), targets
        )
        with locks.publishing(installation.database), installation.database.dry_run():
            while installation.ingest.catch_up():
                pass
            builder.build()
            return targets.update(self.job(announces=False), builder.build)

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
                held = rollback(connection, identity, generation=self.targets.ahead)
            try:
                return self.targets.update(self.job(), self.builder.build)
            except PublishError as error:
                raise PublishError(
                    f"{error}; the rollback to snapshot {held.id[:12]} remains: `statscache publish`, or the same"
                    " command again, publishes it to the targets that do not serve it yet"
                ) from error

    def job(self, *, force: bool = False, announces: bool = True) -> Job:
        """Return the job of a publication that is not repeated."""
        return Job(self._interval, force=force, announces=announces, patience=PATIENCE)

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
                    self.builder.build(slow_interval=slow_interval, most=most, found=found)
                    self.targets.collect()
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
                self.targets.fail(damaged)
            elif not waits or started - began >= seconds:
                began = started
                self.targets.workers.start(Job(self._interval, stopping=halting), on_end)
            for worker in self.targets.workers:
                worker.log_if_late(INTERVALS * seconds)
            return_freed()
            stopping.wait(max(0.0, pause - (time.monotonic() - started)))
        self.targets.stop(halting)

    def finish(self) -> tuple[Snapshot, list[Report]]:
        """Publish the newest data to the targets that keep up.

        Raises:
            PublisherBusy: Another process publishes from this database, for longer than `PATIENCE`.
            PublishError: At least one of them could not be updated, or none of the targets keeps up.
        """

        def rebuild(**options: Any) -> None:
            with locks.publishing(self._installation.database, PATIENCE):
                self.builder.build(**options)

        rebuild()
        workers = [worker for worker in self.targets.workers if worker.keeps_up]
        if late := [worker.name for worker in self.targets.workers if worker not in workers]:
            text = f"the newest snapshot was not published to {', '.join(late)}"
            text += ": see `statscache status`; the next start carries on"
            if not workers:
                raise PublishError(text)
            _log.warning("%s", text)
        names = ", ".join(worker.name for worker in workers)
        _log.info("publishing the newest data, within %g s, to: %s", LAST_SECONDS, names or "no target is configured")
        return self.targets.update(replace(self.job(), seconds=LAST_SECONDS), rebuild, workers)

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

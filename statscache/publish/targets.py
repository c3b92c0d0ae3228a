"""The targets of an installation: which there are, and how all of them are updated to the newest snapshot."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from statscache.config import AnyTarget, Config
from statscache.config import DirectoryTarget as DirectorySection
from statscache.config import RsyncTarget as RsyncSection
from statscache.exceptions import ConfigurationError, Damaged, PublishError, TargetAhead
from statscache.publish import signing
from statscache.publish.directory import DirectoryTarget
from statscache.publish.dry_run import DryRunTarget
from statscache.publish.report import Report
from statscache.publish.rsync import RsyncTarget
from statscache.publish.target import Target
from statscache.publish.worker import HealthOf, Job, Worker
from statscache.publish.workers import Progress, Publish, Workers, one_by_one, together
from statscache.snapshot import retention, snapshots
from statscache.snapshot.snapshot import Snapshot
from statscache.store import Database
from statscache.store import targets as rows

STOP_SECONDS = 4.0
"""Seconds for which publications may go on when the service is stopped; then as many in which they must end."""

_log = logging.getLogger(__name__)


class Targets:
    """The targets that the configuration names, or some of them.

    Args:
        database: The database that is published.
        config: The configuration.
        only: Names of the targets; none means all.
        health: Returns the content of `status.json`.
        progress: Called with the progress of publishing.
        dry_run: True to change nothing at the targets. The caller's transaction is that of the dry run.

    Attributes:
        workers: One for each target.

    Raises:
        ConfigurationError: There is no target of such a name, or a signing key cannot be used.
    """

    def __init__(
        self,
        database: Database,
        config: Config,
        only: Sequence[str],
        health: HealthOf,
        progress: Progress,
        *,
        dry_run: bool = False,
    ) -> None:
        publish = config.publish
        known = [section.name for section in publish.targets]
        if unknown := sorted(set(only) - set(known)):
            raise ConfigurationError(f"no target is named {', '.join(unknown)}; there are: {', '.join(known)}")
        self._database = database
        self._config = config
        self._progress = progress
        self._is_partial = bool(only)
        # A dry run sees its own changes in the thread of its transaction only.
        self._publish: Publish = one_by_one if dry_run else together
        keys = signing.load_keys(publish.signing_keys) if publish.signing_keys else []
        self.workers = Workers(
            Worker(database, config, DryRunTarget(target) if dry_run else target, section, keys, health)
            for section, target in ((section, make_target(section)) for section in publish.targets)
            if not only or section.name in only
        )

    @property
    def ahead(self) -> int:
        """The greatest generation at any target that the current one must exceed."""
        return max((worker.ahead for worker in self.workers), default=0)

    def update(
        self,
        job: Job,
        rebuild: Callable[..., object],
        workers: Iterable[Worker] | None = None,
    ) -> tuple[Snapshot, list[Report]]:
        """Update all targets to the newest snapshot; repeat with a new one if a target is ahead of it.

        Where the database turns out to be damaged, everything is rendered again first.

        Args:
            job: How to publish.
            rebuild: Builds a snapshot; called with `found`, the damage, to render everything again.
            workers: Those that are to publish; None means all.

        Raises:
            PublishError: At least one target could not be updated; the others were.
        """
        workers = list(self.workers if workers is None else workers)
        outcomes = self._publish(workers, job, self._progress)
        if hit := {worker: end for worker in workers if isinstance(end := outcomes[worker.name], Damaged)}:
            rebuild(found=next(iter(hit.values())))
            outcomes |= self._publish(hit, job, self._progress)
        if ahead := [worker for worker in workers if isinstance(outcomes[worker.name], TargetAhead)]:
            rebuild()
            outcomes |= self._publish(ahead, job, self._progress)
        ends = [outcomes[worker.name] for worker in workers]
        errors = [end for end in ends if isinstance(end, BaseException)]
        for error in errors:
            if not isinstance(error, PublishError):
                raise error
        if errors:
            raise PublishError("; ".join(str(error) for error in errors))
        with self._database.reading() as connection:
            snapshot = snapshots.current(connection)
        assert snapshot is not None
        return snapshot, [end[1] for end in ends if isinstance(end, tuple)]

    def collect(self) -> None:
        """Remove from the database garbage that all targets have removed."""
        workers = list(self.workers)
        if self._is_partial or not workers:
            return
        with self._database.writing() as connection:
            garbage = retention.find(connection, self._config.publish.retention)
            for worker in workers:
                garbage &= worker.cleaned
            retention.collect(connection, garbage)

    def stop(self, halting: threading.Event) -> None:
        """Let publications finish for a few seconds, then stop the others at a safe point."""
        if busy := [f"{worker.name} ({worker.at_work})" for worker in self.workers if worker.at_work]:
            _log.info("stopping waits, at most %g s, for publications to: %s", 2 * STOP_SECONDS, ", ".join(busy))
        self.workers.wait(STOP_SECONDS)
        halting.set()
        for worker in self.workers.wait(STOP_SECONDS):
            _log.warning("target %s does not answer, and is abandoned; the next start carries on", worker.name)

    def fail(self, error: str) -> None:
        """Record, for `status`, why nothing is published."""
        try:
            with self._database.writing() as connection:
                for worker in self.workers:
                    rows.fail(connection, worker.name, error)
        except SQLAlchemyError as refused:
            _log.debug("could not store that the database is damaged: %s", refused)


def make_target(section: AnyTarget) -> Target:
    """Return the target that a section of the configuration describes."""
    if isinstance(section, DirectorySection):
        return DirectoryTarget(section.name, section.path, section.precompress)
    if isinstance(section, RsyncSection):
        return RsyncTarget(
            section.name,
            section.destination,
            rsh=section.rsh,
            password_file=section.password_file,
            timeout=section.timeout,
            siblings=section.precompress,
        )
    # boto3 takes a while to import, which only those who use it should wait for.
    from statscache.publish.s3 import S3Target

    return S3Target(section)

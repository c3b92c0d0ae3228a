"""Update one target to the newest snapshot, at its own pace: no target waits for another.

A target that missed generations gets the newest one directly. Nothing in the database is locked while files are sent:
each object is read by itself, and the row of the target says which generation is on its way, so that its objects stay.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from statscache import schemas
from statscache.config import AnyTarget, Config
from statscache.exceptions import (
    Damaged,
    DamagedObject,
    OtherInstallation,
    PublisherBusy,
    PublishError,
    Stopped,
    TargetAhead,
)
from statscache.publish import signing
from statscache.publish.halt import Halt
from statscache.publish.plan import Publication, TargetState
from statscache.publish.publisher import Publisher
from statscache.publish.report import Report, UpdateResult
from statscache.publish.target import Target
from statscache.snapshot import retention, snapshots
from statscache.snapshot.retention import Garbage
from statscache.snapshot.snapshot import Snapshot
from statscache.store import Database, journal, locks, places, plain, published, targets
from statscache.store.plain import Query
from statscache.store.rows import TargetRow

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

INTERVALS = 3
"""Intervals after which an index expires, and its target is behind."""

HealthOf = Callable[[Query, Sequence[str]], schemas.Health]
"""Returns the content of `status.json`, given the names of the targets."""

_announcing = threading.Lock()

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """How to publish, the same for all targets.

    Attributes:
        interval: Seconds until the next publication is due.
        force: True to check everything that a target claims to hold.
        announces: True to announce the snapshot on the bus.
        deletes_unknown: True to delete a target's unknown objects at once, not after their grace.
        takes_over: True to publish to targets of other installations too, which are this one's then.
        patience: Seconds to wait for another publisher at a target.
        seconds: Maximum duration, if that is less than the target's own limit.
        stopping: Set to end it at a safe point.
    """

    interval: int
    force: bool = False
    announces: bool = True
    deletes_unknown: bool = False
    takes_over: bool = False
    patience: float = 0.0
    seconds: float = threading.TIMEOUT_MAX
    stopping: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Publishes to one target.

    Args:
        database: The database.
        config: The configuration.
        target: The target.
        section: What the configuration says of it.
        keys: Keys that sign the index.
        health: Returns the content of `status.json`.

    Attributes:
        name: Name of the target.
        ahead: The greatest generation that was found there, where the snapshot must exceed it; 0 if it need not.
        cleaned: Garbage of the last publication, which the target has deleted.
    """

    def __init__(
        self,
        database: Database,
        config: Config,
        target: Target,
        section: AnyTarget,
        keys: Sequence["Ed25519PrivateKey"],
        health: HealthOf,
    ) -> None:
        self.name = target.name
        self.ahead = 0
        self.cleaned = Garbage()
        self._database = database
        self._config = config
        self._publisher = Publisher(target)
        self._section = section
        self._keys = keys
        self._health = health
        self._trouble = False
        self._began: float | None = None

    def publish(self, job: Job) -> tuple[Snapshot, Report]:
        """Update the target to the newest snapshot, and return that with the report.

        Raises:
            PublisherBusy: Another process publishes there.
            OtherInstallation: Another installation publishes there.
            TargetAhead: The target serves a generation that the snapshot does not exceed.
            PublishError: The target could not be updated, or was stopped.
            Damaged: The snapshot is damaged in the database; the target serves its previous snapshot.
        """
        self._began = time.monotonic()
        try:
            with (
                locks.target(self._database, self.name, job.patience),
                self._publisher.open(Halt(min(job.seconds, self._section.time_limit), job.stopping)),
            ):
                done = self._publish(job)
        except Stopped:
            self._trouble = True
            raise
        except (PublisherBusy, TargetAhead):
            raise
        except (PublishError, Damaged) as error:
            self._log_trouble(str(error), logging.ERROR)
            with self._database.writing() as connection:
                targets.fail(connection, self.name, str(error))
            raise
        finally:
            self._began = None
        if self._trouble:
            _log.info("target %s is up to date again: generation %d", self.name, done[1].generation)
            self._trouble = False
        return done

    @property
    def at_work(self) -> str:
        """The step of the publication, such as `objects`; empty if there is none."""
        return self._publisher.step or "waiting for another publisher" if self._began is not None else ""

    @property
    def keeps_up(self) -> bool:
        """True if the target is idle, and the last publication succeeded, in time."""
        return self._began is None and not self._trouble

    def log_if_late(self, seconds: float) -> None:
        """Log, once, that a publication takes longer than so many seconds."""
        if not self._trouble and self._began is not None and (took := time.monotonic() - self._began) > seconds:
            text = f"target {self.name} is behind: publishing takes {took:.0f} s already, now at: {self.at_work}"
            self._log_trouble(text, logging.WARNING)

    def _log_trouble(self, text: str, level: int) -> None:
        # A target may fail for days: the first failure is logged, `status` has the last one.
        _log.log(logging.DEBUG if self._trouble else level, "%s", text)
        self._trouble = True

    def _publish(self, job: Job) -> tuple[Snapshot, Report]:
        began = int(time.time())
        with self._database.writing() as connection:
            targets.begin(connection, self.name, began, INTERVALS * job.interval)
        served = self._publisher.served()
        if not job.takes_over:
            self._refuse_others(served)
        publication, row, garbage = self._publication(job, served)
        self.cleaned &= garbage
        result = self._publisher.update(publication, served)
        if job.announces:
            self._announce(publication.snapshot)
        try:
            self._publisher.cleanup(publication, result, invalidate=row.invalidation_due)
        except PublishError as error:
            self._record(job, began, result, str(error))
            raise
        self._record(job, began, result, None, invalidated=row.invalidation_due)
        self.cleaned = garbage
        return publication.snapshot, result.report

    def _refuse_others(self, served: TargetState) -> None:
        """Refuse a target of another installation.

        Raises:
            OtherInstallation: Another one publishes there, or has left a tree there without a pointer to it.
        """
        with self._database.reading() as connection:
            installation = journal.installation(connection)
        if served.installation is not None and served.installation != installation:
            who = f"is published to by another installation, {served.installation:.32}"
        elif self._publisher.is_strange(served, installation, self._is_known):
            who = "holds published files that are not this installation's, and no index that says whose they are"
        else:
            return
        raise OtherInstallation(
            f"target {self.name} {who}; this one is {installation}. If it is to be this one's, stop the other, and run"
            f" `statscache publish --take-over --target {self.name}`"
        )

    def _publication(self, job: Job, served: TargetState) -> tuple[Publication, TargetRow, Garbage]:
        """Return what to publish, the state of the target, and the garbage."""
        database, config = self._database, self._config.publish
        with database.writing() as connection:
            installation = journal.installation(connection)
            if served.snapshot is not None:
                snapshots.mark_served(connection, served.generation, served.snapshot)
            snapshot = snapshots.current(connection)
            assert snapshot is not None, "a snapshot is built before"
            # Where another database published, or this one was restored, even the same number is of another snapshot.
            same = served.generation == snapshot.generation and served.snapshot == snapshot.id
            if served.generation >= snapshot.generation and not same:
                self.ahead = served.generation
                raise TargetAhead(f"target {self.name} serves generation {served.generation}")
            row = targets.send(connection, self.name, snapshot.generation)
            places.reach(connection, self.name, self._section.place)
        with database.reading() as connection:
            garbage = retention.find(connection, config.retention)
            names = [section.name for section in config.targets]
            publication = Publication(
                installation=installation,
                snapshot=snapshot,
                retained=retention.retained(connection, config.retention),
                collected=sorted(garbage.objects - self.cleaned.objects),
                health=self._health(plain.over(connection), names),
                interval=job.interval,
                title=config.title,
                base_url=config.base_url,
                load=self._load,
                is_known=self._is_known,
                unknown=self._unknown,
                sign=partial(signing.sign, self._keys) if self._keys else None,
                force=job.force,
            )
        return publication, row, garbage

    def _load(self, names: Collection[str]) -> Mapping[str, bytes]:
        with self._database.reading() as connection:
            try:
                return published.load_all(connection, names)
            except DamagedObject as error:
                current, (row,) = snapshots.current(connection), targets.listed(connection, [self.name])
                if current is not None and current.generation != row.sending:
                    raise PublishError(f"{error}; the next publication has the newest snapshot") from error
                raise

    def _is_known(self, identity: str) -> bool:
        with self._database.reading() as connection:
            return snapshots.is_known(connection, identity)

    def _unknown(self, names: Collection[str]) -> set[str]:
        with self._database.reading() as connection:
            return published.unknown(connection, names)

    def _announce(self, snapshot: Snapshot) -> None:
        """Announce a snapshot that a target serves on the bus; if that fails, the next publication tries again."""
        config, database = self._config, self._database
        if config.publish.announce is None:
            return
        with _announcing:
            with database.reading() as connection:
                if snapshots.is_announced(connection, snapshot.generation):
                    return
            # Importing fedmsg takes a while, and its errors share no base; what was published stays published.
            try:
                from statscache.publish.announce import announce

                announce(snapshot, config.publish.announce.relay, next(iter(config.bus.environments), "prod"))
            except Exception:
                _log.exception("generation %d is published, but could not be announced", snapshot.generation)
                return
            with database.writing() as connection:
                snapshots.mark_announced(connection, snapshot.generation)

    def _record(
        self, job: Job, began: int, result: UpdateResult, error: str | None, *, invalidated: bool = False
    ) -> None:
        report = result.report
        row = TargetRow(
            name=self.name,
            generation=report.generation,
            snapshot=report.snapshot,
            published_at=int(time.time()),
            requests=report.requests,
            bytes=report.bytes,
            milliseconds=int(1000 * report.seconds),
            trying_since=None if error is None else began,
            due_at=began + INTERVALS * job.interval,
            error=error,
        )
        with self._database.writing() as connection:
            mark = retention.delete_everywhere if job.deletes_unknown else retention.mark_unreferenced
            mark(connection, sorted(result.orphans))
            targets.succeed(connection, row)
            current = snapshots.current(connection)
            # An invalidation that a rollback asked for meanwhile is still due.
            if invalidated and current is not None and current.generation == report.generation:
                targets.was_invalidated(connection, self.name)

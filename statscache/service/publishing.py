"""Publishing as a job: build the snapshot once, bring it to every target, and tidy up behind it."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from statscache import resources
from statscache.config import AnyTarget
from statscache.config import DirectoryTarget as DirectorySection
from statscache.config import RsyncTarget as RsyncSection
from statscache.exceptions import ConfigurationError, PublishError
from statscache.publish import Publisher, Report, signing
from statscache.publish.directory import DirectoryTarget
from statscache.publish.plan import Publication, Served
from statscache.publish.publisher import Brought
from statscache.publish.rehearsal import Rehearsal
from statscache.publish.rsync import RsyncTarget
from statscache.publish.target import Target
from statscache.render.pages import Pages
from statscache.render.render import Renderer
from statscache.service.health import health
from statscache.service.installation import Installation
from statscache.snapshot import Snapshot, build, purge, record, retention, rollback
from statscache.store import locks, published, targets
from statscache.store.targets import TargetRow

PATIENCE = 300.0
"""Seconds for which a publication that nobody repeats waits for another publisher."""

_log = logging.getLogger(__name__)


class Publishing:
    """Publishes what is in the database of an installation.

    Args:
        installation: The installation.
        only: Names of the targets to publish to; none means all.

    Raises:
        ConfigurationError: There is no target of such a name, or a signing key cannot be used.
    """

    def __init__(self, installation: Installation, only: Sequence[str] = ()) -> None:
        self._installation = installation
        publish = installation.config.publish
        self._pages = Pages(
            resources.sources(),
            title=publish.title,
            base_url=publish.base_url,
            examples=publish.examples,
            entities=installation.registry.entities,
        )
        self._renderer = Renderer(installation.registry, self._pages, publish.gate_share, installation.watchdog)
        unknown = sorted(set(only) - {section.name for section in publish.targets})
        if unknown:
            known = ", ".join(section.name for section in publish.targets)
            raise ConfigurationError(f"no target is named {', '.join(unknown)}; there are: {known}")
        sections = [section for section in publish.targets if not only or section.name in only]
        self._targets = {section.name: _target(section) for section in sections}
        self._publishers = {name: Publisher(target) for name, target in self._targets.items()}
        self._interval = publish.interval
        self._slow_interval = publish.slow_interval
        self._partial = bool(only)
        self._keys = signing.load_keys(publish.signing_keys) if publish.signing_keys else []

    def publish(
        self, *, slow: bool = True, force: bool = False, resume: bool = False, patience: float = 0.0
    ) -> tuple[Snapshot, list[Report]]:
        """Build the snapshot that is due, and bring every target up to date.

        Args:
            slow: Whether to update slow documents in any case; else they are once `[publish] slow_interval` is over.
            force: Whether to render everything anew, changed or not, to publish what looks implausible, and to take
                nothing for granted that a target says it holds.
            resume: Whether to end the hold of a rollback.
            patience: Seconds to wait for another publisher.

        Raises:
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target could not be brought up to date; the others were.
        """
        with locks.publishing(self._installation.database, patience):
            slow_interval = 0 if slow or resume else self._slow_interval
            return self._publish(
                self._publishers, self._renderer, force=force, resume=resume, slow_interval=slow_interval
            )

    def rehearse(self) -> tuple[Snapshot, list[Report]]:
        """Do all that `publish` would do, and tell what it would come to; database and targets stay as they are.

        Raises:
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target cannot be reached.
        """
        installation = self._installation
        publishers = {name: Publisher(Rehearsal(target)) for name, target in self._targets.items()}
        # What is remembered of documents that are never published must not outlive the rehearsal.
        renderer = Renderer(installation.registry, self._pages, installation.config.publish.gate_share)
        with locks.publishing(installation.database), installation.database.rehearsing():
            while installation.ingest.catch_up():
                pass
            return self._publish(publishers, renderer, announces=False)

    def rollback(self, identity: str) -> tuple[Snapshot, list[Report]]:
        """Make an older snapshot current, and hold publishing there until it is resumed.

        Args:
            identity: The id of a snapshot that is remembered, or the beginning of it.

        Raises:
            UnknownSnapshot: There is no such snapshot, or it is current already.
            PublisherBusy: Another process publishes from this database, for longer than `PATIENCE`.
            PublishError: At least one target could not be brought to it; the others were.
        """
        database = self._installation.database
        with locks.publishing(database, PATIENCE):
            errors: dict[str, PublishError] = {}
            served = self._served(self._publishers, errors)
            with database.writing() as connection:
                snapshot = rollback(connection, identity, generation=_greatest(served))
            return snapshot, self._bring(self._publishers, snapshot, served, errors)

    def forget(self, holds: purge.Holds, tell: Callable[[int, int], None]) -> tuple[purge.Purged, str]:
        """Publish what is left when a person was forgotten, and remove at once what holds the name.

        The caller holds the right to publish. A rollback is not held any longer.

        Args:
            holds: Returns whether bytes that are published hold the name.
            tell: Is told how many objects of how many were looked at.

        Returns:
            What was purged, and why targets could not be brought up to date; empty if all were.
        """
        database = self._installation.database
        served = self._served(self._publishers, {})
        generation = _greatest(served)
        snapshot, rendered = build(database, self._renderer, generation=generation, resume=True)
        with database.reading() as connection:
            names = purge.tainted(connection, holds, tell)
        # What cannot be rendered would keep the documents that it had.
        stuck = [each.info.name for each in rendered if each.state != "ok"]
        stuck += [entry["name"] for entry in snapshot.summary["plugins"] if entry["state"] == "failed"]
        with database.writing() as connection:
            withdrawn = purge.withdraw(connection, sorted(set(stuck)), names)
        if withdrawn:
            snapshot, _ = build(database, self._renderer, generation=generation)
        # Once the snapshot that a target serves is purged, all of its files are compared, and most are sent.
        with suppress(PublishError):
            self._bring(self._publishers, snapshot, served, {}, announces=False)
        with database.writing() as connection:
            purged = purge.purge(connection, snapshot, names, holds)
            snapshot = record.current(connection) or snapshot
        errors: dict[str, PublishError] = {}
        served = self._served(self._publishers, errors)
        try:
            self._bring(self._publishers, snapshot, served, errors)
        except PublishError as error:
            return purged, str(error)
        return purged, ""

    def _publish(
        self,
        publishers: Mapping[str, Publisher],
        renderer: Renderer,
        *,
        force: bool = False,
        resume: bool = False,
        slow_interval: float = 0.0,
        announces: bool = True,
    ) -> tuple[Snapshot, list[Report]]:
        installation = self._installation
        errors: dict[str, PublishError] = {}
        installation.ingest.admit_due()
        served = self._served(publishers, errors)
        generation = _greatest(served)
        # What was rendered is in the database now, and must not take memory while it is brought to the targets.
        snapshot, _ = build(
            installation.database,
            renderer,
            generation=generation,
            force=force,
            resume=resume,
            slow_interval=slow_interval,
        )
        return snapshot, self._bring(publishers, snapshot, served, errors, force=force, announces=announces)

    def _served(self, publishers: Mapping[str, Publisher], errors: dict[str, PublishError]) -> dict[str, Served]:
        """Return what each target serves, and take note of it; one that cannot be reached is left out."""
        found = {}
        for name, publisher in publishers.items():
            with _noted(name, errors):
                found[name] = publisher.served()
        with self._installation.database.writing() as connection:
            targets.know(connection, publishers)
            for served in found.values():
                if served.snapshot is not None:
                    record.is_served(connection, served.generation, served.snapshot)
        return found

    def _bring(
        self,
        publishers: Mapping[str, Publisher],
        snapshot: Snapshot,
        served: Mapping[str, Served],
        errors: dict[str, PublishError],
        *,
        force: bool = False,
        announces: bool = True,
    ) -> list[Report]:
        """Bring all targets that were reached to a snapshot, and remove what they all need no longer."""
        database, config = self._installation.database, self._installation.config.publish
        brought: dict[str, Brought] = {}
        with database.reading() as connection:
            garbage = retention.find(connection, config.retention)
            before = {row.name: row for row in targets.listed(connection, publishers)}
            publication = Publication(
                snapshot=snapshot,
                retained=retention.retained(connection, config.retention),
                collected=garbage.objects,
                health=health(connection, self._installation.registry, self._places(), public=True),
                interval=self._interval,
                load=partial(published.load, connection),
                load_all=partial(published.load_all, connection),
                is_known=partial(record.is_known, connection),
                unknown=partial(published.unknown, connection),
                sign=partial(signing.sign, self._keys) if self._keys else None,
                force=force,
            )
            for name, seen in served.items():
                with _noted(name, errors):
                    brought[name] = publishers[name].bring(publication, seen)
            if announces and brought and not snapshot.announced:
                self._announce(snapshot)
            for name, done in brought.items():
                with _noted(name, errors):
                    publishers[name].tidy(publication, done, invalidate=before[name].invalidation_due)
        self._record(before, brought, errors)
        if not errors and not self._partial:
            with database.writing() as connection:
                retention.collect(connection, garbage)
        if errors:
            raise PublishError("; ".join(str(error) for error in errors.values()))
        return [done.report for done in brought.values()]

    def _places(self) -> list[str]:
        return [section.name for section in self._installation.config.publish.targets]

    def _announce(self, snapshot: Snapshot) -> None:
        """Tell the bus of a snapshot that a target serves; if that fails, the next publication tries again."""
        config = self._installation.config
        if config.publish.announce is None:
            return
        # Importing fedmsg takes a while, and its errors share no base; what was published stays published.
        try:
            from statscache.publish.announce import announce

            announce(snapshot, config.publish.announce.relay, next(iter(config.bus.environments), "prod"))
        except Exception:
            _log.exception("generation %d is published, but could not be announced", snapshot.generation)
            return
        with self._installation.database.writing() as connection:
            record.was_announced(connection, snapshot.generation)

    def _record(
        self, before: Mapping[str, TargetRow], brought: Mapping[str, Brought], errors: Mapping[str, PublishError]
    ) -> None:
        now = int(time.time())
        with self._installation.database.writing() as connection:
            for name, row in before.items():
                error = str(errors[name]) if name in errors else None
                if done := brought.get(name):
                    report = done.report
                    row = TargetRow(
                        name=name,
                        generation=report.generation,
                        snapshot=report.snapshot,
                        published_at=now,
                        requests=report.requests,
                        bytes=report.bytes,
                        milliseconds=int(1000 * report.seconds),
                        invalidation_due=row.invalidation_due and error is not None,
                    )
                    retention.suspect(connection, sorted(done.strays))
                targets.save(connection, replace(row, error=error))

    def publish_every(
        self,
        seconds: float,
        stopping: threading.Event,
        tell: Callable[[Snapshot, list[Report]], None],
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish at once and then every `seconds`, until `stopping` is set; what fails is tried again next time.

        Slow documents are updated every `[publish] slow_interval` seconds.

        Args:
            seconds: From the beginning of one publication to that of the next.
            stopping: Set to end it.
            tell: Is told of each publication.
            on_progress: Is called before each publication, whatever came of the one before.
        """
        self._interval = math.ceil(seconds)
        while True:
            started = time.monotonic()
            on_progress()
            try:
                tell(*self.publish(slow=False))
            except PublishError as error:
                _log.error("publishing failed, and is tried again in %g s: %s", seconds, error)
            except Exception:
                # The database may be down for a while; a publisher that ended here would do so in silence.
                _log.exception("publishing failed, and is tried again in %g s", seconds)
            if stopping.wait(max(0.0, seconds - (time.monotonic() - started))):
                return


@contextmanager
def _noted(name: str, errors: dict[str, PublishError]) -> Iterator[None]:
    """Log what goes wrong with one target, and keep it under its name: the others go on."""
    try:
        yield
    except PublishError as error:
        _log.error("%s", error)
        errors[name] = error


def _greatest(served: Mapping[str, Served]) -> int:
    return max((seen.generation for seen in served.values()), default=0)


def _target(section: AnyTarget) -> Target:
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

"""Publishing as a job: build the snapshot once, bring it to every target, and tidy up behind it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from statscache import resources
from statscache.config import AnyTarget
from statscache.config import DirectoryTarget as DirectorySection
from statscache.config import RsyncTarget as RsyncSection
from statscache.exceptions import ConfigurationError, PublishError
from statscache.publish import Publisher, Report, signing
from statscache.publish.directory import DirectoryTarget
from statscache.publish.publisher import Publication
from statscache.publish.rsync import RsyncTarget
from statscache.publish.target import Target
from statscache.render.pages import Pages
from statscache.render.render import Renderer
from statscache.service.health import health
from statscache.service.installation import Installation
from statscache.snapshot import Snapshot, build, record, retention, rollback
from statscache.snapshot.retention import Garbage
from statscache.store import locks, published, targets
from statscache.store.targets import TargetRow

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
        pages = Pages(
            resources.sources(), title=publish.title, base_url=publish.base_url, examples=publish.examples
        )
        self._renderer = Renderer(installation.registry, pages, publish.gate_share)
        unknown = sorted(set(only) - {section.name for section in publish.targets})
        if unknown:
            known = ", ".join(section.name for section in publish.targets)
            raise ConfigurationError(f"no target is named {', '.join(unknown)}; there are: {known}")
        sections = [section for section in publish.targets if not only or section.name in only]
        self._publishers = {section.name: Publisher(_target(section)) for section in sections}
        self._partial = bool(only)
        self._keys = signing.load_keys(publish.signing_keys) if publish.signing_keys else []

    def publish(
        self, *, force: bool = False, resume: bool = False, dry_run: bool = False
    ) -> tuple[Snapshot, list[Report]]:
        """Build the snapshot that is due, and bring every target up to date.

        Args:
            force: Whether to render everything anew, changed or not, to publish what looks implausible, and to take
                nothing for granted that a target says it holds.
            resume: Whether to end the hold of a rollback.
            dry_run: Whether only to tell what would be sent; the snapshot is built all the same.

        Raises:
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target could not be brought up to date; the others were.
        """
        installation = self._installation
        with locks.publishing(installation.database):
            errors: dict[str, PublishError] = {}
            installation.ingest.admit_due()
            generation = self._generation(errors)
            before = self._current()
            snapshot, _ = build(
                installation.database, self._renderer, generation=generation, force=force, resume=resume
            )
            new = before is None or snapshot.generation != before.generation
            # What caches hold of another release's pages goes with that release.
            upgraded = new and before is not None and before.summary["pages"] != snapshot.summary["pages"]
            reports = self._bring(
                snapshot, errors, force=force, dry_run=dry_run, invalidate=upgraded, announce=new
            )
            return snapshot, reports

    def rollback(self, identity: str) -> tuple[Snapshot, list[Report]]:
        """Make an older snapshot current, and hold publishing there until it is resumed.

        Args:
            identity: The id of a retained snapshot, or the beginning of it.

        Raises:
            UnknownSnapshot: There is no such snapshot, or it is current already.
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target could not be brought to it; the others were.
        """
        database = self._installation.database
        with locks.publishing(database):
            errors: dict[str, PublishError] = {}
            generation = self._generation(errors)
            with database.writing() as connection:
                snapshot = rollback(connection, identity, generation=generation)
            return snapshot, self._bring(snapshot, errors, invalidate=True, announce=True)

    def _current(self) -> Snapshot | None:
        with self._installation.database.reading() as connection:
            return record.current(connection)

    def _announce(self, snapshot: Snapshot) -> None:
        section = self._installation.config.publish.announce
        if section is None:
            return
        # Importing fedmsg takes a while, and its errors share no base; what was published stays published.
        try:
            from statscache.publish.announce import announce

            announce(snapshot, section.relay)
        except Exception:
            _log.exception("generation %d is published, but could not be announced", snapshot.generation)

    def _bring(
        self,
        snapshot: Snapshot,
        errors: dict[str, PublishError],
        *,
        force: bool = False,
        dry_run: bool = False,
        invalidate: bool = False,
        announce: bool = False,
    ) -> list[Report]:
        """Bring all targets that were reached to a snapshot, and remove what they all need no longer."""
        database, config = self._installation.database, self._installation.config.publish
        with database.reading() as connection:
            garbage = retention.find(connection, config.retention)
            publication = Publication(
                snapshot=snapshot,
                retained=[row for row in record.retained(connection) if row.generation not in garbage.generations],
                collected=garbage.objects,
                expired=garbage.expired,
                health=health(connection, self._installation.registry, public=True),
                interval=config.interval,
                load=lambda name: published.load(connection, name),
                sign=partial(signing.sign, self._keys) if self._keys else None,
                force=force,
                invalidate=invalidate,
            )
            reports = self._publish_to_all(publication, errors, dry_run=dry_run)
        if not dry_run:
            self._record(reports, errors)
            # Where one target is down, the others serve the snapshot all the same.
            if announce and reports:
                self._announce(snapshot)
            if not errors and not self._partial:
                self._collect(garbage)
        if errors:
            raise PublishError("; ".join(str(error) for error in errors.values()))
        return reports

    def _generation(self, errors: dict[str, PublishError]) -> int:
        """Return the greatest generation that a target serves; one that cannot be reached is left out."""
        generations = [0]
        for name, publisher in self._publishers.items():
            try:
                generations.append(publisher.generation())
            except PublishError as error:
                _log.error("%s", error)
                errors[name] = error
        return max(generations)

    def _publish_to_all(
        self, publication: Publication, errors: dict[str, PublishError], *, dry_run: bool
    ) -> list[Report]:
        reports = []
        for name, publisher in self._publishers.items():
            if name in errors:
                continue
            try:
                reports.append(publisher.publish(publication, dry_run=dry_run))
            except PublishError as error:
                _log.error("%s", error)
                errors[name] = error
        return reports

    def _record(self, reports: Sequence[Report], errors: dict[str, PublishError]) -> None:
        now = int(time.time())
        with self._installation.database.writing() as connection:
            known = {row.name: row for row in targets.listed(connection)}
            for report in reports:
                done = TargetRow(
                    name=report.target,
                    generation=report.generation,
                    snapshot=report.snapshot,
                    published_at=now,
                    requests=report.requests,
                    bytes=report.bytes,
                    milliseconds=int(1000 * report.seconds),
                )
                targets.save(connection, done)
            for name, error in errors.items():
                targets.save(connection, replace(known.get(name, TargetRow(name)), error=str(error)))

    def _collect(self, garbage: Garbage) -> None:
        with self._installation.database.writing() as connection:
            retention.collect(connection, garbage)

    def publish_every(
        self, seconds: float, stopping: threading.Event, tell: Callable[[Snapshot, list[Report]], None]
    ) -> None:
        """Publish at once and then every `seconds`, until `stopping` is set; what fails is tried again next time."""
        while True:
            started = time.monotonic()
            try:
                tell(*self.publish())
            except PublishError as error:
                _log.error("publishing failed, and is tried again in %g s: %s", seconds, error)
            except Exception:
                # The database may be down for a while; a publisher that ended here would do so in silence.
                _log.exception("publishing failed, and is tried again in %g s", seconds)
            if stopping.wait(max(0.0, seconds - (time.monotonic() - started))):
                return


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

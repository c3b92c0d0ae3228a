"""Publishing as a job: build the snapshot once, bring it to every target, and tidy up behind it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from statscache import resources
from statscache.config import DirectoryTarget as DirectorySection
from statscache.exceptions import ConfigurationError, PublishError
from statscache.publish import Publisher, Report
from statscache.publish.directory import DirectoryTarget
from statscache.publish.publisher import Publication
from statscache.render.pages import Pages
from statscache.render.render import Renderer
from statscache.service.health import health
from statscache.service.installation import Installation
from statscache.snapshot import Snapshot, build, record, retention
from statscache.snapshot.retention import Garbage
from statscache.store import locks, published

_log = logging.getLogger(__name__)


class Publishing:
    """Publishes what is in the database of an installation.

    Args:
        installation: The installation.
        only: Names of the targets to publish to; none means all.

    Raises:
        ConfigurationError: There is no target of such a name.
    """

    def __init__(self, installation: Installation, only: Sequence[str] = ()) -> None:
        self._installation = installation
        publish = installation.config.publish
        pages = Pages(resources.templates(), resources.site(), title=publish.title, base_url=publish.base_url)
        self._renderer = Renderer(installation.registry, pages)
        unknown = sorted(set(only) - {section.name for section in publish.targets})
        if unknown:
            known = ", ".join(section.name for section in publish.targets)
            raise ConfigurationError(f"no target is named {', '.join(unknown)}; there are: {known}")
        sections = [section for section in publish.targets if not only or section.name in only]
        self._publishers = [Publisher(_target(section)) for section in sections]

    def publish(self, *, force: bool = False) -> tuple[Snapshot, list[Report]]:
        """Build the snapshot that is due, and bring every target up to date.

        Args:
            force: Whether to render everything anew, changed or not.

        Raises:
            PublisherBusy: Another process publishes from this database.
            PublishError: At least one target could not be brought up to date; the others were.
        """
        installation = self._installation
        database, config = installation.database, installation.config.publish
        with locks.publishing(database):
            errors: list[PublishError] = []
            generation = max(self._reached(errors), default=0)
            installation.ingest.admit_due()
            snapshot, _ = build(database, self._renderer, generation=generation, force=force)
            with database.reading() as connection:
                garbage = retention.find(connection, config.retention)
                publication = Publication(
                    snapshot=snapshot,
                    retained=[row for row in record.retained(connection) if row.id not in garbage.expired],
                    collected=garbage.objects,
                    expired=garbage.expired,
                    health=health(connection, installation.registry),
                    interval=config.interval,
                    load=lambda name: published.load(connection, name),
                )
                reports = [*self._publish_to_all(publication, errors)]
            if not errors:
                self._collect(garbage)
        if errors:
            raise PublishError("; ".join(str(error) for error in errors))
        return snapshot, reports

    def _reached(self, errors: list[PublishError]) -> Sequence[int]:
        generations = []
        for publisher in self._publishers:
            try:
                generations.append(publisher.generation())
            except PublishError as error:
                _log.error("%s", error)
                errors.append(error)
        return generations

    def _publish_to_all(self, publication: Publication, errors: list[PublishError]) -> list[Report]:
        reports = []
        for publisher in self._publishers:
            try:
                reports.append(publisher.publish(publication))
            except PublishError as error:
                _log.error("%s", error)
                errors.append(error)
        return reports

    def _collect(self, garbage: Garbage) -> None:
        with self._installation.database.writing() as connection:
            retention.collect(connection, self._installation.config.publish.retention, garbage)

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
            if stopping.wait(max(0.0, seconds - (time.monotonic() - started))):
                return


def _target(section: DirectorySection) -> DirectoryTarget:
    return DirectoryTarget(section.name, section.path)

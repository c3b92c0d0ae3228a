"""The service: the live sources go in, and the site comes out every interval, until it is stopped."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial

from statscache.config import AnyTarget, Config, DirectoryTarget, FedmsgSection, RsyncTarget
from statscache.config.sources import LIVE
from statscache.exceptions import ConfigurationError
from statscache.installation import Installation
from statscache.monitoring.heartbeat import PUBLISHING, Heartbeat, tell_stopping
from statscache.monitoring.metrics import shown
from statscache.publish.report import Report
from statscache.publish.workers import Progress, silent
from statscache.service import preflight
from statscache.service.amqp import subscribed
from statscache.service.consume import Consumer
from statscache.service.gap_filler import GapFiller
from statscache.service.publishing import Publishing
from statscache.service.spool import spooling
from statscache.snapshot.snapshot import Snapshot

_SECONDS_BETWEEN_LOOKS = 0.1

_log = logging.getLogger(__name__)

Tell = Callable[[Snapshot, list[Report]], None]
"""Called with each publication."""


def consume(config: Config, stopping: threading.Event, heartbeat: Heartbeat | None = None) -> None:
    """Consume the live sources until SIGTERM, SIGINT or `stopping`; all received messages are committed then.

    Args:
        config: The configuration.
        stopping: Set to end it; it is set when it ends.
        heartbeat: Called with the progress of each live source; None if nothing else runs in this process.

    Raises:
        ConfigurationError: No live source is configured, or the configuration cannot be used on this machine.
        SourceError: A source cannot be connected to.
    """
    sections = config.sources
    if heartbeat is None:
        heartbeat = Heartbeat(_required(config))
        preflight.refuse(preflight.database(config), preflight.sources(config))
    with shown(config, heartbeat), ExitStack() as sources:
        if sections.fedora_messaging is not None:
            beat = partial(heartbeat.beat, "fedora-messaging")
            sources.enter_context(subscribed(config, sections.fedora_messaging, stopping, beat))
        if sections.spool is not None:
            sources.enter_context(spooling(config, sections.spool, stopping, partial(heartbeat.beat, "spool")))
        if sections.fedmsg is not None or sections.fedora_messaging is not None:
            # Once for all buses: they bring the same messages.
            gap_filler = GapFiller(config)
            sources.callback(gap_filler.stop)
            gap_filler.start()
        try:
            if sections.fedmsg is not None:
                _consume_fedmsg(config, sections.fedmsg, stopping, partial(heartbeat.beat, "fedmsg"))
            # A signal's handler sets the event, and must not find this thread inside it.
            while not stopping.is_set():
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        finally:
            stopping.set()
            tell_stopping()


def _consume_fedmsg(
    config: Config, section: FedmsgSection, stopping: threading.Event, beat: Callable[[], None]
) -> None:
    # Importing the bus installs Twisted's reactor, which only a process that consumes should have.
    from statscache.sources.fedmsg import run_hub

    # A quiet bus would not show that messages are no longer accepted, so a failure ends the hub.
    consumer = Consumer(config, on_failure=stopping.set, on_progress=beat)
    consumer.start()
    try:
        run_hub(
            section.endpoints,
            consumer.offer,
            stopping,
            validate_signatures=section.validate_signatures,
            reject=consumer.reject,
            connected=consumer.connected,
        )
    finally:
        stopping.set()
        consumer.stop()
    _log.info("consumed: %s", consumer.outcome)


def run(config: Config, stopping: threading.Event, tell: Tell, progress: Progress = silent) -> None:
    """Consume and publish until SIGTERM, SIGINT or `stopping`; then flush, and publish the newest data.

    Args:
        config: The configuration.
        stopping: Set to end it.
        tell: Called with each publication.
        progress: Called with the progress of rendering and publishing.

    Raises:
        ConfigurationError: No live source is configured, or the configuration cannot be used on this machine.
        SourceError: A source cannot be connected to.
        PublishError: The last publication failed, or another publisher was working for too long.
    """
    heart = Heartbeat([*_required(config), PUBLISHING])
    preflight.refuse(preflight.database(config), preflight.sources(config), preflight.targets(config.publish))
    # A plugin keeps caches of its own, so each of the two threads has its own plugins.
    with closing(Installation(config)) as installation:
        _log_start(config, installation)
        publishing = Publishing(installation, tell=progress)
        thread = threading.Thread(
            target=publishing.publish_every,
            args=(config.publish.interval, stopping, tell, partial(heart.beat, PUBLISHING)),
            name="publish",
        )
        thread.start()
        try:
            consume(config, stopping, heart)
        finally:
            stopping.set()
            thread.join()
        tell(*publishing.finish())


def _log_start(config: Config, installation: Installation) -> None:
    """Log what runs: database, sources, targets, plugins."""
    _log.info("database: %s", installation.database.engine.url.render_as_string(hide_password=True))
    _log.info("sources: %s", ", ".join(config.sources.live))
    places = (f"{section.name} ({_place(section)})" for section in config.publish.targets)
    _log.info("targets, every %d s: %s", config.publish.interval, ", ".join(places) or "none")
    names = sorted(plugin.name for plugin in installation.registry)
    _log.info("plugins: %d: %s", len(names), ", ".join(names))


def _place(section: AnyTarget) -> str:
    if isinstance(section, DirectoryTarget):
        return f"directory {section.path}"
    if isinstance(section, RsyncTarget):
        return f"rsync {section.destination}"
    return f"s3 {section.bucket}"


def _required(config: Config) -> list[str]:
    """Return the names of the live sources, of which there must be one."""
    if not config.sources.live:
        tables = ", ".join(f"[sources.{name}]" for name in LIVE)
        raise ConfigurationError(f"no live source is configured: add one of the sections {tables}")
    return config.sources.live

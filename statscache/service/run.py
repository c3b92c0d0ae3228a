"""The service: the live bus goes in, and the site comes out every interval, until it is told to stop."""

import logging
import threading
from collections.abc import Callable

from statscache.config import Config, FedmsgSection
from statscache.exceptions import ConfigurationError
from statscache.publish import Report
from statscache.service.consume import Consumer
from statscache.service.heartbeat import Heartbeat, tell_stopping
from statscache.service.installation import Installation
from statscache.service.publishing import Publishing
from statscache.snapshot import Snapshot

_log = logging.getLogger(__name__)

Tell = Callable[[Snapshot, list[Report]], None]
"""Told of each publication."""


def consume(config: Config, stopping: threading.Event, heartbeat: Heartbeat | None = None) -> Consumer:
    """Consume the live bus until SIGTERM, SIGINT or `stopping`; what has arrived is committed then.

    Args:
        config: The configuration.
        stopping: Set to end it; it is set when it ends.
        heartbeat: Is told of progress, as of the part `consume`; None if nothing else runs in this process.

    Raises:
        ConfigurationError: No live source is configured.
        SourceError: The source cannot be connected to.
    """
    section = _live_source(config)
    # Importing the bus installs Twisted's reactor, which only a process that consumes should have.
    from statscache.sources.fedmsg import run_hub

    # A quiet bus would not show that nothing is accepted any longer, so a failure ends the hub.
    heart = heartbeat or Heartbeat(["consume"])
    consumer = Consumer(config, on_failure=stopping.set, on_progress=lambda: heart.beat("consume"))
    consumer.start()
    try:
        run_hub(
            section.endpoints, consumer.offer, stopping, validate_signatures=section.validate_signatures
        )
    finally:
        stopping.set()
        tell_stopping()
        consumer.stop()
    _log.info("consumed: %s", consumer.outcome)
    return consumer


def run(config: Config, stopping: threading.Event, tell: Tell) -> None:
    """Consume and publish until SIGTERM, SIGINT or `stopping`; then flush, and publish what came last.

    Raises:
        ConfigurationError: No live source is configured.
        SourceError: The source cannot be connected to.
        PublishError: The last publication failed.
    """
    _live_source(config)
    # A plugin keeps caches of its own, so each of the two threads has its own plugins.
    installation = Installation(config)
    publishing = Publishing(installation)
    heart = Heartbeat(["consume", "publish"])
    thread = threading.Thread(
        target=publishing.publish_every,
        args=(config.publish.interval, stopping, tell, lambda: heart.beat("publish")),
        name="publish",
    )
    thread.start()
    try:
        consume(config, stopping, heart)
    finally:
        stopping.set()
        thread.join()
    tell(*publishing.publish())
    installation.close()


def _live_source(config: Config) -> FedmsgSection:
    if config.sources.fedmsg is None:
        raise ConfigurationError("no live source is configured: add a section [sources.fedmsg], with endpoints")
    return config.sources.fedmsg

"""The service: the live bus goes in, and the site comes out every interval, until it is told to stop."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing

from statscache.config import Config, FedmsgSection
from statscache.exceptions import ConfigurationError
from statscache.publish import Report
from statscache.service.consume import Consumer
from statscache.service.installation import Installation
from statscache.service.publishing import PATIENCE, Publishing
from statscache.snapshot import Snapshot

_log = logging.getLogger(__name__)

Tell = Callable[[Snapshot, list[Report]], None]
"""Told of each publication."""


def consume(config: Config, stopping: threading.Event) -> Consumer:
    """Consume the live bus until SIGTERM, SIGINT or `stopping`; what has arrived is committed then.

    Raises:
        ConfigurationError: No live source is configured.
        SourceError: The source cannot be connected to.
    """
    section = _live_source(config)
    # Importing the bus installs Twisted's reactor, which only a process that consumes should have.
    from statscache.sources.fedmsg import run_hub

    # A quiet bus would not show that nothing is accepted any longer, so a failure ends the hub.
    consumer = Consumer(config, on_failure=stopping.set)
    consumer.start()
    try:
        run_hub(
            section.endpoints, consumer.offer, stopping, validate_signatures=section.validate_signatures
        )
    finally:
        stopping.set()
        consumer.stop()
    _log.info("consumed: %s", consumer.outcome)
    return consumer


def run(config: Config, stopping: threading.Event, tell: Tell) -> None:
    """Consume and publish until SIGTERM, SIGINT or `stopping`; then flush, and publish what came last.

    Raises:
        ConfigurationError: No live source is configured.
        SourceError: The source cannot be connected to.
        PublishError: The last publication failed, or another publisher was at work for too long.
    """
    _live_source(config)
    # A plugin keeps caches of its own, so each of the two threads has its own plugins.
    with closing(Installation(config)) as installation:
        publishing = Publishing(installation)
        thread = threading.Thread(
            target=publishing.publish_every, args=(config.publish.interval, stopping, tell), name="publish"
        )
        thread.start()
        try:
            consume(config, stopping)
        finally:
            stopping.set()
            thread.join()
        tell(*publishing.publish(patience=PATIENCE))


def _live_source(config: Config) -> FedmsgSection:
    if config.sources.fedmsg is None:
        raise ConfigurationError("no live source is configured: add a section [sources.fedmsg], with endpoints")
    return config.sources.fedmsg

"""Consuming from a source that keeps each message until it is acknowledged: the AMQP bus."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from statscache.config import Config, FedoraMessagingSection
from statscache.exceptions import ConsumingFailed
from statscache.service.consume import Consumer

_log = logging.getLogger(__name__)

SOURCE = "fedora-messaging"
"""The name under which the progress of this source is kept."""


@contextmanager
def subscribed(
    config: Config,
    section: FedoraMessagingSection,
    stopping: threading.Event,
    on_progress: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Consume the AMQP bus in this context, at whose end all received messages are committed and acknowledged.

    Args:
        config: The configuration.
        section: Its part for this bus.
        stopping: Set when messages can no longer be accepted.
        on_progress: Called each time after messages were accepted, or none came.

    Raises:
        ConfigurationError: fedora-messaging's configuration cannot be used.
        ConsumingFailed: The consumer had failed; the broker delivers what was not committed again.
    """
    # Importing it needs an extra.
    from statscache.sources.fedora_messaging import Subscriber, configuration

    subscriber = Subscriber(configuration(section.config), section.prefetch, config.bus.max_line)
    consumer = Consumer(config, SOURCE, stopping.set, subscriber.acknowledge, on_progress, keeps=True)
    consumer.start()
    subscriber.start(consumer.offer, consumer.missed, stopping.set, consumer.connected)
    try:
        yield
    finally:
        subscriber.cancel()
        try:
            consumer.stop()
        finally:
            subscriber.close()
    if subscriber.failure is not None:
        raise ConsumingFailed("the broker was left after an error") from subscriber.failure
    _log.info("consumed from the broker: %s", consumer.outcome)

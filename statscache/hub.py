"""The consumer that plain `fedmsg-hub` finds: entry point `statscache` of the group `moksha.consumer`.

It runs if fedmsg's configuration has `"statscache.consumer.enabled": True`. It reads the same configuration as every
command (`$STATSCACHE_CONFIG`, `./statscache.toml` or `/etc/statscache/statscache.toml`); publishing is up to
`statscache publish`.
"""

import logging
import os
import threading
from collections.abc import Sequence

from moksha.hub.hub import CentralMokshaHub
from moksha.hub.reactor import reactor
from sqlalchemy.exc import SQLAlchemyError

from statscache import config
from statscache.exceptions import ConsumingFailed, StatscacheError
from statscache.service.consume import Consumer
from statscache.service.gap_filler import GapFiller
from statscache.sources.fedmsg import BusConsumer, note_signals, stop_when
from statscache.sources.fedmsg_config import check_certificates

_log = logging.getLogger(__name__)


class StatscacheConsumer(BusConsumer):
    """Feeds the messages of a fedmsg hub to the journal and the statistics of the database.

    SIGTERM and SIGINT end the hub after all received messages are committed. If messages cannot be accepted, at the
    start or later, the hub ends with exit status 1, so that its supervisor starts it again.
    """

    def __init__(self, hub: CentralMokshaHub) -> None:
        """Start to ingest, unless fedmsg's configuration leaves the consumer disabled.

        Raises:
            SystemExit: The configuration or the database cannot be used; moksha would log any other error, and go on.
        """
        stopping = threading.Event()
        if hub.config.get(self.config_key, False):
            # A signal may arrive as soon as the bus is subscribed to, long before the hub runs.
            note_signals(stopping)
        super().__init__(hub)
        if not self._initialized:
            return
        try:
            if self.validate_signatures:
                check_certificates(hub.config)
            settings = config.load()
            self._service = Consumer(settings, on_failure=stopping.set)
            self._service.start()
        except (StatscacheError, SQLAlchemyError) as error:
            _log.critical("statscache cannot start: %s", error)
            raise SystemExit(f"statscache: {error}") from error
        self._gap_filler = GapFiller(settings)
        self._gap_filler.start()
        stop_when(stopping, hub)
        # The hub installs its own handlers later; they would stop it in the middle of an `offer`.
        reactor.callWhenRunning(note_signals, stopping)

    def offer(self, raw: bytes) -> None:
        """Accept one message; block while the inbox is full."""
        self._service.offer(raw)

    def reject(self) -> None:
        """Record a refused message."""
        self._service.reject()

    def connected(self, endpoints: int, unconnected: Sequence[str]) -> None:
        """Record the endpoints that do not answer."""
        self._service.connected(endpoints, unconnected)

    def stop(self) -> None:
        """Hand over all received messages, and return when they are committed."""
        super().stop()
        self._gap_filler.stop()
        try:
            self._service.stop()
        except ConsumingFailed as error:
            _log.critical("%s", error)
            # The reactor swallows exceptions, and moksha has no exit status.
            reactor.addSystemEventTrigger("after", "shutdown", _fail)


def _fail() -> None:
    logging.shutdown()
    os._exit(1)

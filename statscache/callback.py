"""The callback for `fedora-messaging consume --callback=statscache.callback:Callback`.

It reads the same configuration as every command (`$STATSCACHE_CONFIG`, `./statscache.toml` or
`/etc/statscache/statscache.toml`); publishing is up to `statscache publish`.

The library calls it for one message at a time, and acknowledges each when the callback returns. So each message is a
transaction of its own; for a busy bus, use `[sources.fedora-messaging]`, which commits many at once.
"""

import json
import logging
import time

from fedora_messaging.exceptions import Nack
from fedora_messaging.message import Message
from sqlalchemy.exc import SQLAlchemyError

from statscache import config
from statscache.ingest import Delivery
from statscache.installation import Installation
from statscache.service.amqp import SOURCE
from statscache.sources.fedora_messaging import envelope

PAUSE = 5.0
"""Seconds to wait before a message is returned to the queue while the database is down."""

_log = logging.getLogger(__name__)


class Callback:
    """Accepts each message into the journal and the statistics of the database, and returns when it is committed."""

    def __init__(self) -> None:
        self._installation = Installation(config.load())

    def __call__(self, message: Message) -> None:
        """Accept one message.

        Raises:
            Nack: The database does not answer; the broker keeps the message.
        """
        # The standard library's encoder writes NaN, which the parser then refuses.
        body = json.dumps(message.body).encode()
        line = envelope(message.topic, message.id, message._headers, body, self._installation.config.bus.max_line)
        ingest = self._installation.ingest
        try:
            ingest.take(Delivery(SOURCE, [line]))
            ingest.admit_due()
            ingest.catch_up()
        except SQLAlchemyError as error:
            _log.error("the database does not answer, so message %s returns to the queue: %s", message.id, error)
            time.sleep(PAUSE)
            raise Nack from error

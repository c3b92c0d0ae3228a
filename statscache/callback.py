"""The callback for `fedora-messaging consume --callback=statscache.callback:Callback`.

It works with the settings of statscache from where every command takes them (`$STATSCACHE_CONFIG`, `./statscache.toml`
or `/etc/statscache/statscache.toml`), and leaves publishing to `statscache publish`.

The library waits for each message before it takes the next, and acknowledges it when the callback returns. So each
message is a transaction of its own; for a busy bus, `[sources.fedora-messaging]` commits many at once.
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
"""Seconds after which a message goes back to the queue while the database is down."""

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
        # The standard library's encoder writes NaN, which is the parser's to refuse.
        body = json.dumps(message.body).encode()
        line = envelope(message.topic, message.id, message._headers, body, self._installation.config.bus.max_line)
        ingest = self._installation.ingest
        try:
            ingest.take(Delivery(SOURCE, [line]))
            ingest.admit_due()
            ingest.catch_up()
        except SQLAlchemyError as error:
            _log.error("the database does not answer, message %s goes back: %s", message.id, error)
            time.sleep(PAUSE)
            raise Nack from error

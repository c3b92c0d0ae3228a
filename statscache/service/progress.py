"""The sign of life of a consumer, in the database: it distinguishes a quiet bus from a dead consumer."""

import threading
import time

from statscache.store import Database, consumers
from statscache.store.consumers import ConsumerRow

SECONDS = 5.0
"""Between two signs of life."""


class Progress:
    """Tells the database now and then that a live source is consumed.

    Args:
        database: The database.
        source: The live source.
    """

    def __init__(self, database: Database, source: str) -> None:
        self._database = database
        self._source = source
        self._told = -SECONDS
        self._lock = threading.Lock()
        self._batches = 0
        self._seconds = 0.0
        self._rejected = 0

    def accepted(self, seconds: float) -> None:
        """Record a batch that was accepted, in so many seconds."""
        self._batches += 1
        self._seconds += seconds

    def rejected(self) -> None:
        """Record a message that was refused; any thread may."""
        with self._lock:
            self._rejected += 1

    def tell(self, *, at_once: bool = False) -> None:
        """Write the counters to the database, if it has been a while.

        Raises:
            SQLAlchemyError: The database does not answer; the counters are kept and written on the next call.
        """
        now = time.monotonic()
        if now - self._told < SECONDS and not at_once:
            return
        batches, seconds, rejected = self._batches, self._seconds, self._rejected
        with self._database.writing() as connection:
            row = ConsumerRow(self._source, int(time.time()), batches, round(1000 * seconds), rejected)
            consumers.add(connection, row)
        self._told = now
        self._batches -= batches
        self._seconds -= seconds
        with self._lock:
            self._rejected -= rejected

"""Record in the database that a consumer works: this distinguishes a quiet bus from a dead consumer."""

import threading
import time
from collections.abc import Sequence

from statscache.store import Database, consumers
from statscache.store.rows import ConsumerRow

SECONDS = 5.0
"""Seconds between two records."""


class Progress:
    """Records every few seconds that a live source is consumed.

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
        self._endpoints = 0
        self._unconnected = ""

    def accepted(self, seconds: float) -> None:
        """Record a batch that was accepted, in so many seconds."""
        self._batches += 1
        self._seconds += seconds

    def rejected(self) -> None:
        """Record a message that was refused; any thread may."""
        with self._lock:
            self._rejected += 1

    def connected(self, endpoints: int, unconnected: Sequence[str]) -> None:
        """Record at which addresses of the bus no one answers; any thread may."""
        self._endpoints, self._unconnected = endpoints, "\n".join(unconnected)

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
            told = ConsumerRow(
                name=self._source,
                worked_at=int(time.time()),
                batches=batches,
                milliseconds=round(1000 * seconds),
                rejected=rejected,
                endpoints=self._endpoints,
                unconnected=self._unconnected,
            )
            consumers.add(connection, told)
        self._told = now
        self._batches -= batches
        self._seconds -= seconds
        with self._lock:
            self._rejected -= rejected

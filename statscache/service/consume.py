"""Consuming: messages come in one by one from a live source, and go on in batches that are small in time and number."""

import logging
import queue
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from statscache.config import Config
from statscache.ingest import Delivery, Outcome
from statscache.service.installation import Installation

INBOX = 10_000
"""Messages that wait for the database at most; beyond that the source has to wait."""

BATCH = 2_000
"""Messages that are accepted in one transaction at most."""

BATCH_SECONDS = 1.0
"""Seconds that the first message of a batch waits for others."""

LONGEST_PAUSE = 30.0
"""Seconds between two attempts while the database is down."""

_log = logging.getLogger(__name__)


class Consumer:
    """Takes messages from a live source and sees to it that they are accepted, in a thread of its own.

    Args:
        config: The configuration.
        source: Name of the source, under which its progress is kept.
    """

    def __init__(self, config: Config, source: str = "fedmsg") -> None:
        self._installation = Installation(config)
        self._source = source
        self._inbox: queue.Queue[bytes] = queue.Queue(INBOX)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest")
        self._resumed = True
        self.outcome = Outcome()
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin to accept; what the plugins are behind is caught up between batches."""
        self._installation.ingest.admit_due()
        self._thread.start()

    def offer(self, raw: bytes) -> None:
        """Take one message; block while the inbox is full.

        Raises:
            RuntimeError: The consumer has failed; its log says why.
        """
        while self._thread.is_alive() or not self._stopping.is_set():
            if self.failure is not None:
                raise RuntimeError("the consumer has stopped after an error") from self.failure
            try:
                self._inbox.put(raw, timeout=1.0)
                return
            except queue.Full:
                continue

    def stop(self) -> None:
        """Accept what is in the inbox, and return when it is committed.

        Raises:
            RuntimeError: The consumer had failed.
        """
        self._stopping.set()
        self._thread.join()
        self._installation.close()
        if self.failure is not None:
            raise RuntimeError("the consumer has stopped after an error") from self.failure

    def _run(self) -> None:
        try:
            behind = True
            while not (self._stopping.is_set() and self._inbox.empty()):
                lines = self._gather(0.0 if behind else BATCH_SECONDS)
                if lines:
                    self._accept(lines)
                self.outcome += self._installation.ingest.admit_due()
                behind = self._installation.ingest.catch_up() and not self._stopping.is_set()
        except BaseException as error:
            _log.critical("consuming ends", exc_info=True)
            self.failure = error

    def _gather(self, patience: float) -> list[bytes]:
        """Return the messages that come within `patience` seconds, or as soon as a batch is full."""
        lines: list[bytes] = []
        deadline = time.monotonic() + patience
        while len(lines) < BATCH:
            left = deadline - time.monotonic()
            try:
                lines.append(self._inbox.get(timeout=left) if left > 0 else self._inbox.get_nowait())
            except queue.Empty:
                if left <= 0 or self._stopping.is_set():
                    break
        return lines

    def _accept(self, lines: list[bytes]) -> None:
        pause = 0.5
        delivery = Delivery(self._source, lines, live=True, resumed=self._resumed)
        while True:
            try:
                self.outcome += self._installation.ingest.take(delivery)
                self._resumed = False
                return
            except SQLAlchemyError as error:
                if self._stopping.is_set() and pause >= LONGEST_PAUSE:
                    raise
                _log.error("the database does not answer, %d messages wait: %s", len(lines), error)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

"""Consume: messages from a live source are collected into batches, limited in time and number."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from statscache.config import Config
from statscache.exceptions import ConsumingFailed
from statscache.ingest import Delivery, Outcome
from statscache.installation import Installation
from statscache.monitoring.progress import Progress
from statscache.service.backoff import Backoff
from statscache.store.outage import outage
from statscache.wording import counted

INBOX = 2_000
"""Maximum number of messages that wait for the database; beyond that the source has to wait."""

INBOX_BYTES = 32 * 1024 * 1024
"""Bytes of messages that wait for the database, beyond which the source has to wait; one message may be longer."""

BATCH = 2_000
"""Maximum number of messages accepted in one transaction."""

BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of messages at which a transaction ends."""

BATCH_SECONDS = 1.0
"""Seconds that the first message of a batch waits for others."""

CLOCK_STEP = 10.0
"""Seconds by which this machine's clock may be set, or by which the machine may sleep, before a live source is taken to
be received again."""

_log = logging.getLogger(__name__)


class _Inbox(queue.Queue[bytes]):
    """A queue that is also full when its messages have too many bytes together."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._bytes = 0

    def _qsize(self) -> int:
        return self.maxsize if self._bytes >= INBOX_BYTES else super()._qsize()

    def _put(self, item: bytes) -> None:
        super()._put(item)
        self._bytes += len(item)

    def _get(self) -> bytes:
        item = super()._get()
        self._bytes -= len(item)
        return item


class Consumer:
    """Takes messages from a live source and accepts them, in a thread of its own.

    Args:
        config: The configuration.
        source: Name of the source, under which its progress is kept.
        on_failure: Called, in that thread, when messages can no longer be accepted.
        on_commit: Called, in that thread, with the number of the oldest offered messages that are now on disk.
        on_progress: Called, in that thread, after each round: a batch was accepted, or nothing came.
        keeps: True if the source keeps messages sent while no one listens; otherwise each start leaves a gap.
    """

    def __init__(
        self,
        config: Config,
        source: str = "fedmsg",
        on_failure: Callable[[], None] = lambda: None,
        on_commit: Callable[[int], None] = lambda number: None,
        on_progress: Callable[[], None] = lambda: None,
        keeps: bool = False,
    ) -> None:
        self._installation = Installation(config)
        self._progress = Progress(self._installation.database, source)
        self._source = source
        self._on_failure = on_failure
        self._on_commit = on_commit
        self._on_progress = on_progress
        self._inbox = _Inbox(INBOX)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest")
        # What is kept for us was never missed.
        self._connected: int | None = 0 if keeps else None
        self._misses = self._noted = 0
        self._lead = _lead()
        self.outcome = Outcome()
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start accepting; plugins that are behind catch up between batches."""
        self._installation.ingest.admit_due()
        self._thread.start()

    def offer(self, raw: bytes) -> None:
        """Take one message; block while the inbox is full.

        Raises:
            ConsumingFailed: The consumer has failed; its log says why.
        """
        if self._connected is None:
            # Only a message proves that the bus is received; earlier ones of this second may have been missed.
            self._connected = int(time.time()) + 1
        while self._thread.is_alive() or not self._stopping.is_set():
            if self.failure is not None:
                raise ConsumingFailed("the consumer has stopped after an error") from self.failure
            try:
                self._inbox.put(raw, timeout=1.0)
                return
            except queue.Full:
                continue

    def reject(self) -> None:
        """Record a message that the source refused to hand over."""
        self._progress.rejected()

    def connected(self, endpoints: int, unconnected: Sequence[str]) -> None:
        """Record at which addresses of the bus no one answers."""
        self._progress.connected(endpoints, unconnected)

    def missed(self) -> None:
        """Record that messages sent until now and not received are missing."""
        self._connected = int(time.time()) + 1
        self._misses += 1

    def stop(self) -> None:
        """Accept the messages in the inbox, and return when they are committed.

        Raises:
            ConsumingFailed: The consumer had failed.
        """
        self._stopping.set()
        self._thread.join()
        self._installation.close()
        if self.failure is not None:
            raise ConsumingFailed("the consumer has stopped after an error") from self.failure

    def _run(self) -> None:
        lines: list[bytes] = []
        patience, backoff = 0.0, Backoff()
        try:
            while lines or self._noted < self._misses or not (self._stopping.is_set() and self._inbox.empty()):
                lines = lines or self._gather(patience)
                self._look_at_clock()
                try:
                    # A gap is on disk before the next message comes, for until then we may be gone.
                    if lines or self._noted < self._misses:
                        misses = self._misses
                        self._accept(lines)
                        self._noted = misses
                        self._on_commit(len(lines))
                        lines = []
                    self.outcome += self._installation.ingest.admit_due()
                    behind = self._installation.ingest.catch_up() and not self._stopping.is_set()
                    patience = 0.0 if behind else BATCH_SECONDS
                    backoff.succeeded()
                    self._progress.tell()
                    outage.answered()
                except SQLAlchemyError as error:
                    if self._stopping.is_set() and backoff.is_longest:
                        raise
                    if not outage.explains(error):
                        _log.error("%s wait for the database: %s", counted(len(lines), "message"), error)
                    time.sleep(backoff.failed())
                self._on_progress()
            self._progress.tell(at_once=True)
        except BaseException as error:
            _log.critical("consuming ends", exc_info=True)
            self.failure = error
            self._on_failure()

    def _look_at_clock(self) -> None:
        """Start receiving again if the clock was set: the start was measured with a different clock."""
        step = _lead() - self._lead
        if abs(step) < CLOCK_STEP:
            return
        _log.warning("the clock was set by %+.0f s, or the machine slept", step)
        self._lead += step
        # A source that keeps what is sent has nothing to start again, nor has one that was not received yet.
        if self._connected:
            self.missed()

    def _gather(self, patience: float) -> list[bytes]:
        """Return the messages that come within `patience` seconds, or as soon as a batch is full."""
        lines: list[bytes] = []
        size = 0
        deadline = time.monotonic() + patience
        while len(lines) < BATCH and size < BATCH_BYTES:
            left = deadline - time.monotonic()
            try:
                lines.append(self._inbox.get(timeout=left) if left > 0 else self._inbox.get_nowait())
                size += len(lines[-1])
            except queue.Empty:
                if left <= 0 or self._stopping.is_set():
                    break
        return lines

    def _accept(self, lines: list[bytes]) -> None:
        started = time.monotonic()
        self.outcome += self._installation.ingest.take(Delivery(self._source, lines, connected=self._connected))
        self._progress.accepted(time.monotonic() - started)


def _lead() -> float:
    """Return by how many seconds the clock that can be set leads the one that cannot."""
    return time.time() - time.monotonic()

"""Consuming a spool: archives that are dropped into a directory are read, one after the other."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from statscache.config import Config, SpoolSection
from statscache.exceptions import ConsumingFailed, SourceError
from statscache.ingest import Outcome
from statscache.installation import Installation
from statscache.monitoring.progress import Progress
from statscache.service.backfill import backfill
from statscache.service.backoff import Backoff
from statscache.sources.spool import Spool, Taken
from statscache.store.outage import outage

_SECONDS_BETWEEN_LOOKS = 1.0

_log = logging.getLogger(__name__)


@contextmanager
def spooling(
    config: Config, section: SpoolSection, stopping: threading.Event, on_progress: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Read files dropped into a spool, in a thread of its own, until `stopping` is set in this context.

    Args:
        config: The configuration.
        section: Its part for the spool.
        stopping: Ends it between two batches; the next run resumes the current file. It is also set
            when nothing more can be read.
        on_progress: Called, in that thread, after each round.

    Raises:
        ConfigurationError: The directory cannot be used.
        ConsumingFailed: Reading failed; the log says why.
    """
    spool = Spool(section.path)
    spooler = _Spooler(Installation(config), spool, stopping, on_progress)
    thread = threading.Thread(target=spooler.run, name="spool")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    if spooler.failure is not None:
        raise ConsumingFailed("reading the spool ended with an error") from spooler.failure


class _Spooler:
    def __init__(
        self, installation: Installation, spool: Spool, stopping: threading.Event, on_progress: Callable[[], None]
    ) -> None:
        self._installation = installation
        self._progress = Progress(installation.database, "spool")
        self._spool = spool
        self._stopping = stopping
        self._on_progress = on_progress
        self._changed = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        backoff = Backoff()
        try:
            with self._spool.watching(self._changed):
                while not self._stopping.is_set():
                    try:
                        self._step()
                        backoff.succeeded()
                        outage.answered()
                    except (SQLAlchemyError, OSError) as error:
                        if not outage.explains(error):
                            _log.error("cannot use the spool, retrying in %g s: %s", backoff.pause, error)
                        self._stopping.wait(backoff.failed())
                    self._on_progress()
        except BaseException as error:
            _log.critical("reading the spool ends", exc_info=True)
            self.failure = error
            self._stopping.set()
        finally:
            self._installation.close()

    def _step(self) -> None:
        ingest = self._installation.ingest
        self._progress.tell()
        ingest.admit_due()
        behind = ingest.catch_up()
        if (taken := self._spool.take()) is not None:
            self._read(taken)
        elif not behind:
            self._changed.wait(_SECONDS_BETWEEN_LOOKS)
            self._changed.clear()

    def _read(self, taken: Taken) -> None:
        outcome = Outcome()
        try:
            for _, part in backfill(self._installation, taken.path):
                outcome += part
                self._progress.tell()
                self._on_progress()
                if self._stopping.is_set():
                    self._spool.release(taken)
                    return
        except SourceError as error:
            # By the time that somebody reads it, the file is elsewhere.
            self._spool.fail(taken, str(error).replace(str(taken.path), taken.path.name))
        except BaseException:
            self._spool.release(taken)
            raise
        else:
            self._spool.finish(taken)
            _log.info("read %r: %s", taken.path.name, outcome)

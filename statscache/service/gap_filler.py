"""Fill gaps: while a live source is consumed, the recent past is kept complete from history.

Missed and dropped messages are fetched automatically. There is no order to wait for: a
message counts once, whether the bus or history brings it first.
"""

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from statscache.config import Config
from statscache.exceptions import StatscacheError
from statscache.ingest import Outcome
from statscache.installation import Installation
from statscache.service import history
from statscache.store.outage import outage
from statscache.timeline import HOUR

PAUSE = 600.0
"""Seconds between two checks for gaps."""

_log = logging.getLogger(__name__)


class GapFiller:
    """Keeps recent hours complete, in a thread of its own; does nothing where no history server is configured.

    Args:
        config: The configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gap filler")

    def start(self) -> None:
        """Begin with the gaps of now."""
        server = self._config.sources.datagrepper
        if server is not None and server.repair_hours:
            self._thread.start()

    def stop(self) -> None:
        """Return when all work has ended, which takes at most as long as the server is silent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            # History may be away for days, and the database for a while: the live source goes on.
            try:
                outcome = self._look()
                if outcome.read:
                    _log.info("history: %d messages, of which %d were missing", outcome.read, outcome.accepted)
            except (StatscacheError, SQLAlchemyError) as error:
                if not outage.explains(error):
                    _log.error("cannot fetch history, retrying in %g s: %s", PAUSE, error)
            except Exception:
                _log.exception("cannot fetch history, retrying in %g s", PAUSE)
            self._stopping.wait(PAUSE)

    def _look(self) -> Outcome:
        server = history.section(self._config)
        since = int(time.time() - server.repair_hours * HOUR)
        whole = Outcome()
        installation = Installation(self._config)
        try:
            wanted = history.wanted(installation, max(since, server.start or 1), None, only_gaps=False)
            for step in history.walk(installation, wanted, jobs=1, stopping=self._stopping):
                whole += step.outcome
                for part in step.lost:
                    _log.error("cannot fetch history from %d to %d: %s", part.start, part.end, part.error)
        finally:
            installation.close()
        return whole

"""Outages of the database: expected, waited for, and logged in one line when they begin and one when they end."""

import logging
import threading
import time

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from statscache.exceptions import SchemaError
from statscache.store.integrity import explain

UNAVAILABLE = (OperationalError, InterfaceError, InternalError)
"""What a database raises that does not answer, through no fault of the data."""

_log = logging.getLogger(__name__)


class Outage:
    """One for all threads of a process, which has one database.

    Attributes:
        failures: Attempts that failed since the outage began; 0 while the database answers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = 0.0
        self.failures = 0

    def answered(self) -> None:
        """Record that the database answers."""
        with self._lock:
            if self.failures:
                seconds = time.monotonic() - self._began
                _log.info("the database answers again, after %.0f s; failed attempts: %d", seconds, self.failures)
                self.failures = 0

    def explains(self, error: BaseException) -> bool:
        """Return whether an error is part of an outage, which is recorded then."""
        if not _is_outage(error):
            return False
        with self._lock:
            self.failures += 1
            if self.failures == 1:
                self._began = time.monotonic()
                _log.error("the database does not answer; everything waits until it does: %s", _reason(error))
        return True


outage = Outage()


def _is_outage(error: BaseException) -> bool:
    """Return whether an error says that the database does not answer, and not that it refused something."""
    cause = error.__cause__ if isinstance(error, SchemaError) else error
    return (cause is None or explain(cause) is None) and isinstance(cause, UNAVAILABLE)


def _reason(error: BaseException) -> str:
    """Return the first line of the error of the database's own library, without statement and parameters."""
    text = str(getattr(error, "orig", None) or error).strip()
    return text.partition("\n")[0]

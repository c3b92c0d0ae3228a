"""One publisher at a time: a lock that the system takes back when its holder dies."""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import text

from statscache.exceptions import PublisherBusy
from statscache.store.database import Database

_KEY = {"key": 0x7374617473}  # "stats"
_PAUSE = 0.2
"""Seconds between two looks whether a lock is free."""

_log = logging.getLogger(__name__)


@contextmanager
def publishing(database: Database, patience: float = 0.0) -> Iterator[None]:
    """Hold the right to publish what is in a database.

    Args:
        database: The database.
        patience: Seconds to wait for whoever holds it.

    Raises:
        PublisherBusy: Another process holds it, for longer than that.
    """
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            _await(lambda: bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), _KEY)), patience)
            try:
                yield
            finally:
                connection.scalar(text("SELECT pg_advisory_unlock(:key)"), _KEY)
        return
    name = database.engine.url.database
    if not name or name == ":memory:":
        yield
        return
    with Path(f"{name}.publishing").open("w") as file:
        _await(lambda: _is_locked(file), patience)
        yield


def _await(takes: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    if takes():
        return
    if patience:
        _log.info("another publisher is at work on this database; it is waited for, at most %g s", patience)
    while time.monotonic() < deadline:
        time.sleep(_PAUSE)
        if takes():
            return
    busy = "another publisher is at work on this database"
    mend = f"it was waited for {patience:g} s, and nothing was done: try again" if patience else "nothing was done"
    raise PublisherBusy(f"{busy}; {mend}")


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

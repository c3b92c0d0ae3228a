"""One builder of snapshots at a time, and one publisher at a target: locks that end with the process that holds them.

On SQLite they are files beside the database, `statscache.db.publishing` and one for each target. They are removed
again, unless the process was killed.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from zlib import crc32

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from statscache.exceptions import PublisherBusy
from statscache.store.database import Database

_KEY = 0x73746174  # "stat"
_PAUSE = 0.2
"""Seconds between two attempts to take a lock."""

_log = logging.getLogger(__name__)


@contextmanager
def publishing(database: Database, patience: float = 0.0) -> Iterator[None]:
    """Hold the right to build snapshots of a database, and to remove unused objects.

    Args:
        database: The database.
        patience: Seconds to wait for the process that holds it.

    Raises:
        PublisherBusy: Another process holds it, for longer than that.
    """
    with _held(database, "", patience, "on this database"):
        yield


@contextmanager
def target(database: Database, name: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the right to publish from a database to one target.

    Args:
        database: The database.
        name: The target.
        patience: Seconds to wait for the process that holds it.

    Raises:
        PublisherBusy: Another process holds it, for longer than that.
    """
    with _held(database, name, patience, f"on target {name}"):
        yield


@contextmanager
def _held(database: Database, name: str, patience: float, where: str) -> Iterator[None]:
    if not database.is_sqlite:
        keys = {"all": _KEY, "one": crc32(name.encode()) - 2**31}
        with database.engine.connect() as connection:
            taken = text("SELECT pg_try_advisory_lock(:all, :one)")
            _await(lambda: bool(connection.scalar(taken, keys)), patience, where)
            try:
                yield
            finally:
                # Where the server went away, it gave the lock back, and its error would hide the first one.
                with suppress(SQLAlchemyError):
                    connection.scalar(text("SELECT pg_advisory_unlock(:all, :one)"), keys)
        return
    path = Path(f"{database.engine.url.database}.publishing{name and '.'}{name}")
    with ExitStack() as stack:
        _await(lambda: _takes(path, stack), patience, where)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _takes(path: Path, stack: ExitStack) -> bool:
    """Lock a file, until the end of the stack, unless somebody else has locked it."""
    # Whoever can open the file can lock it, and would stop all publications: flock(2) asks for no right to write.
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    stack.enter_context(file)
    # The holder removes the file at the end; a file opened before that is no longer a lock.
    return os.fstat(file.fileno()).st_nlink > 0


def _await(takes: Callable[[], bool], patience: float, where: str) -> None:
    deadline = time.monotonic() + patience
    if takes():
        return
    if patience:
        _log.info("another publisher is working %s; waiting for it, at most %g s", where, patience)
    while time.monotonic() < deadline:
        time.sleep(_PAUSE)
        if takes():
            return
    busy = f"another publisher is working {where}"
    reason = f"waited {patience:g} s, nothing was done: try again" if patience else "nothing was done"
    raise PublisherBusy(f"{busy}; {reason}")

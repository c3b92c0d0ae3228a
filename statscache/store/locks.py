"""One publisher at a time: a lock that the system takes back when its holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from statscache.exceptions import PublisherBusy
from statscache.store.database import Database

_ADVISORY = 0x7374617473  # "stats"


@contextmanager
def publishing(database: Database) -> Iterator[None]:
    """Hold the right to publish what is in a database.

    Raises:
        PublisherBusy: Another process holds it.
    """
    busy = "another publisher is at work on this database; it publishes the same, so nothing is lost"
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY}):
                raise PublisherBusy(busy)
            try:
                yield
            finally:
                connection.scalar(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY})
        return
    name = database.engine.url.database
    if not name or name == ":memory:":
        yield
        return
    with Path(f"{name}.publishing").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PublisherBusy(busy) from error
        yield

"""One way to open the database, and two ways to use it: `reading` a snapshot and `writing` a transaction."""

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from statscache.exceptions import ConfigurationError, SchemaError
from statscache.permissions import CLOSED
from statscache.store.revision import cannot_open, explain, is_ours

_PRAGMAS = (
    "journal_mode = WAL",
    # An acknowledged message must survive a power failure, so each commit reaches the disk.
    "synchronous = FULL",
    # What is forgotten leaves no trace in free pages. `rewrite` removes what is left in others.
    "secure_delete = ON",
    "cache_size = -16384",
    # Bytes, of all connections of the process together: a service has one for each thread, and a full cache of each
    # would take a third of the memory that it may have.
    f"soft_heap_limit = {24 * 1024 * 1024}",
    # Pages. A batch of history changes thousands of pages, most of them the same as the batch before: the longer the
    # log, the fewer times they are copied into the database. This one is 128 MiB.
    "wal_autocheckpoint = 32768",
    "busy_timeout = 60000",
)

_STREAMS = "statscache_streams"
"""Where a connection keeps the server's cursors of its transaction: a list, and another for each savepoint in it."""

_OTHERS = stat.S_IRWXO

_log = logging.getLogger(__name__)


class Database:
    """The store of one installation; safe to share between threads.

    Args:
        url: An SQLAlchemy URL, such as `sqlite:///statscache.db` or `postgresql+psycopg://user@host/name`.

    Raises:
        ConfigurationError: The URL names no database that statscache can use.
    """

    def __init__(self, url: str) -> None:
        try:
            # Each worker of a target has a connection to the server, and one for its lock. Each connection of SQLite
            # has a cache of its own, so as few as possible are used.
            server = {"pool_pre_ping": True, "max_overflow": -1}
            pool: dict[str, Any] = {"pool_use_lifo": True} if url.startswith("sqlite") else server
            if url == "sqlite://":
                # A database in memory has a connection for each thread, and no queue of them.
                pool = {}
            self.engine = create_engine(make_url(url), **pool)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            message = (
                f"[database] url: {error}; expected sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME"
                " with the extra statscache[postgresql] installed"
            )
            raise ConfigurationError(message) from error
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._dry_run: Connection | None = None
        if self.is_sqlite:
            event.listen(self.engine, "do_connect", _close_to_others)
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "before_cursor_execute", _note_stream)
            event.listen(self.engine, "savepoint", _note_savepoint)
            event.listen(self.engine, "release_savepoint", _close_newest_streams)
            event.listen(self.engine, "rollback_savepoint", _close_newest_streams)
            event.listen(self.engine, "commit", _close_streams)
            event.listen(self.engine, "rollback", _close_streams)
            event.listen(self.engine, "handle_error", _close_lost_streams)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection on which every query sees the same committed state."""
        if self._dry_run is not None:
            with self._dry_run.begin_nested():
                yield self._dry_run
            return
        level: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect() as connection, connection.execution_options(**level).begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection inside one transaction, committed at the end and rolled back on an exception."""
        if self._dry_run is not None:
            with self._dry_run.begin_nested():
                yield self._dry_run
            return
        with self.engine.connect() as connection, connection.execution_options(writing=True).begin():
            yield connection

    @contextmanager
    def dry_run(self) -> Iterator[None]:
        """Roll back at the end all that this process writes meanwhile; no other process sees any of it.

        One thread at a time may use the database then. On SQLite, other processes wait before they write.
        """
        with self.engine.connect() as connection:
            transaction = connection.execution_options(writing=True).begin()
            self._dry_run = connection
            try:
                yield
            finally:
                self._dry_run = None
                transaction.rollback()

    def prepare(self) -> None:
        """Create the schema in an empty database and check it in any other.

        Raises:
            SchemaError: As for `check`.
        """
        with self._opening():
            if self.check() is None:
                self.upgrade()

    def check(self) -> str | None:
        """Return the schema's revision, which is this release's, or None if the database is empty.

        Raises:
            SchemaError: The schema is older or newer than this release's, or the database cannot be opened.
        """
        with self._opening():
            revision = self.revision()
        if revision is not None and not is_ours(revision):
            raise SchemaError(explain(revision))
        return revision

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            where = self.engine.url.render_as_string(hide_password=True)
            raise SchemaError(cannot_open(where, str(getattr(error, "orig", error)))) from error

    def upgrade(self) -> None:
        """Upgrade the database to the newest schema."""
        # Alembic takes a fifth of a command's start, and hardly any command needs it.
        from statscache.store.migrations import upgrade

        upgrade(self.engine)

    def revision(self) -> str | None:
        """Return the schema's revision, or None if the database is empty."""
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return revision

    def rewrite(self) -> bool:
        """Rewrite all pages; return whether that was possible.

        An SQLite database takes three times its room meanwhile.
        SQLite overwrites rows that are deleted, but not the copies that it left in the unused part of a page when it
        moved rows to another page. The reason why it was not possible is logged: a full disk, or others who write.
        """
        if not self.is_sqlite:
            return True
        with self.engine.connect() as connection:
            # Not in the transaction that SQLAlchemy would begin.
            cursor = connection.connection.cursor()
            try:
                cursor.execute("VACUUM")
            except sqlite3.OperationalError as error:
                _log.error("the database cannot be rewritten: %s", error)
                return False
        return True

    def wipe(self) -> bool:
        """Erase deleted rows from the database's files; return whether that was possible.

        SQLite's write-ahead log has the pages as they were until it is cut off, which must wait for those who read.
        PostgreSQL keeps dead rows until its vacuum reuses their room.
        """
        if not self.is_sqlite:
            return True
        with self.engine.connect() as connection:
            cursor = connection.connection.cursor()
            busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of an SQLite database, some of which may not exist; none for other databases."""
        if not self.is_sqlite:
            return ()
        with self.engine.connect() as connection:
            _, _, name = connection.exec_driver_sql("PRAGMA database_list").one()
        return tuple(Path(f"{name}{ending}") for ending in ("", "-wal", "-shm", "-journal", ".publishing"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _path(name: str) -> Path | None:
    """Return the file that SQLite opens by a name, where the links end that lead to it; None for one in memory."""
    if name.startswith("file:"):
        parts = urlsplit(name)
        if parse_qs(parts.query).get("mode", [""])[-1] == "memory":
            return None
        name = unquote(parts.path)
    if not name or name.startswith(":"):
        return None
    return Path(os.path.realpath(name))


def is_lost(error: BaseException) -> bool:
    """Return whether an error says that the connection to the database is gone: its user did nothing wrong."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _close_to_others(_dialect: object, _record: object, arguments: list[Any], _options: object) -> None:
    """Make or keep the files closed to everybody but owner and group of the database: they hold every message.

    SQLite makes them as the umask says. It gives its write-ahead log the mode of the database where it makes that, but
    takes one that is there as it is.
    """
    path = _path(str(arguments[0]))
    if path is None:
        return
    # The file is never opened here: to close it again would end the locks that other connections of this process have
    # on it (https://www.sqlite.org/howtocorrupt.html, 2.2), and damage the database.
    with suppress(OSError):
        os.mknod(path, stat.S_IFREG | CLOSED)
    # What is wrong with the place, SQLite tells.
    for ending in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):
            file = f"{path}{ending}"
            mode = os.stat(file).st_mode
            if mode & _OTHERS:
                os.chmod(file, stat.S_IMODE(mode) & CLOSED)


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction control begins late and never IMMEDIATE; `_begin_sqlite` does both right.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN DEFERRED")


def _note_stream(
    connection: Connection, cursor: Any, _statement: str, _parameters: object, _context: object, _many: bool
) -> None:
    # A cursor of the server has a name. One that was read to its end is closed already.
    if getattr(cursor, "name", None):
        streams = _streams(connection)[-1]
        streams[:] = [each for each in streams if not each.closed]
        streams.append(cursor)


def _streams(connection: Connection) -> list[list[Any]]:
    streams: list[list[Any]] = connection.info.setdefault(_STREAMS, [[]])
    return streams


def _note_savepoint(connection: Connection, _name: str) -> None:
    _streams(connection).append([])


def _close_newest_streams(connection: Connection, _name: str, _context: object) -> None:
    if not (connection.closed or connection.invalidated):
        _close(_streams(connection).pop())


def _close_streams(connection: Connection) -> None:
    """Close the server's cursors that were not read to their end.

    One that is closed later, when nothing refers to it, breaks the transaction that its connection is in by then.
    """
    if not (connection.closed or connection.invalidated):
        for streams in connection.info.pop(_STREAMS, ()):
            _close(streams)


def _close(streams: list[Any]) -> None:
    for cursor in streams:
        with suppress(Exception):
            cursor.close()


def _close_lost_streams(context: ExceptionContext) -> None:
    # SQLAlchemy leaves them open where the connection is gone, and forgets them with it.
    if context.is_disconnect and context.connection is not None:
        _close_streams(context.connection)

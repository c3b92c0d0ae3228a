"""PostgreSQL by its C library alone: importing psycopg takes longer than all that `status` does.

Of a query's results, only the types of our columns are understood; every other one is text.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL, c_char_p, c_int, c_void_p
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from statscache.exceptions import ConfigurationError

_RETURNS = {
    "PQconnectdb": c_void_p,
    "PQerrorMessage": c_char_p,
    "PQexec": c_void_p,
    "PQgetvalue": c_char_p,
    "PQresultErrorField": c_char_p,
}
"""What functions return that return no number."""

_TAKES = {
    "PQconnectdb": [c_char_p],
    "PQexec": [c_void_p, c_char_p],
    "PQftype": [c_void_p, c_int],
    "PQgetisnull": [c_void_p, c_int, c_int],
    "PQgetvalue": [c_void_p, c_int, c_int],
    "PQresultErrorField": [c_void_p, c_int],
}
"""What functions take that take more or less than one pointer."""

_CONNECTION_OK, _COMMAND_OK, _TUPLES_OK = 0, 1, 2
_SQLSTATE = ord("C")

# By the type's number in the catalogue pg_type; bytes come as hexadecimal digits after `\x`.
_READS: dict[int, Callable[[bytes], Any]] = {
    16: lambda text: text == b"t",
    17: lambda text: bytes.fromhex(text[2:].decode("ascii")),
    **dict.fromkeys((20, 21, 23, 1700), int),
}


class Error(Exception):
    """Something failed; SQLAlchemy knows what is derived from it by its name."""


class OperationalError(Error):
    """The server cannot be reached, or cannot do it now."""


class ProgrammingError(Error):
    """The server does not understand a statement, or it is not allowed."""


class Connection:
    """A connection that only reads, and whose queries all see the same committed state.

    Args:
        url: A URI as libpq understands it.

    Raises:
        Error: The server cannot be reached, or refuses.
        ConfigurationError: The library is not installed.
    """

    def __init__(self, url: str) -> None:
        self._library = _library()
        with _interruptible():
            self._connection = self._library.PQconnectdb(url.encode())
        if self._library.PQstatus(self._connection) != _CONNECTION_OK:
            error = self._error(None)
            self.close()
            raise error
        for statement in (
            "SET client_encoding TO 'UTF8'",
            "SET bytea_output TO 'hex'",
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        ):
            self.execute(statement)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows.

        Raises:
            Error: The server refuses it, or is gone.
        """
        library = self._library
        with _interruptible():
            result = library.PQexec(self._connection, sql.encode())
        try:
            if library.PQresultStatus(result) not in (_COMMAND_OK, _TUPLES_OK):
                raise self._error(library.PQresultErrorField(result, _SQLSTATE))
            columns = [
                (number, _READS.get(library.PQftype(result, number), bytes.decode))
                for number in range(library.PQnfields(result))
            ]
            return [
                tuple(
                    None if library.PQgetisnull(result, row, column) else read(library.PQgetvalue(result, row, column))
                    for column, read in columns
                )
                for row in range(library.PQntuples(result))
            ]
        finally:
            library.PQclear(result)

    def close(self) -> None:
        """Close the connection."""
        self._library.PQfinish(self._connection)

    def _error(self, sqlstate: bytes | None) -> Error:
        kind = ProgrammingError if sqlstate and sqlstate.startswith(b"42") else OperationalError
        return kind(self._library.PQerrorMessage(self._connection).decode(errors="replace").strip())


def _library() -> CDLL:
    """Return the library that psycopg uses: the one that comes with it, else the system's.

    Raises:
        ConfigurationError: There is none.
    """
    spec = find_spec("psycopg_binary")
    places = (Path(place).parent for place in (spec and spec.submodule_search_locations) or ())
    files = (str(file) for place in places for file in place.glob("psycopg_binary.libs/libpq-*"))
    try:
        library = _load(next(files, "libpq.so.5"))
    except OSError as error:
        raise ConfigurationError(
            f"[database] url: {error}; PostgreSQL needs the extra statscache[postgresql], or the library libpq"
        ) from error
    for name in ("PQclear", "PQfinish", "PQnfields", "PQntuples", "PQresultStatus", "PQstatus", *_RETURNS, *_TAKES):
        function = getattr(library, name)
        function.argtypes = _TAKES.get(name, [c_void_p])
        function.restype = _RETURNS.get(name, c_int)
    return library


def _load(name: str) -> CDLL:
    try:
        return CDLL(name)
    except OSError:
        # Elsewhere it is called otherwise. The search runs other programs, which take longer than all of `status`.
        from ctypes.util import find_library

        if (found := find_library("pq")) is None:
            raise
        return CDLL(found)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the process during a call: Python would only look when it returns."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""Reading the database by its driver alone: importing SQLAlchemy takes longer than all that `status` does.

A query is one SELECT in SQL that both databases understand, without parameters. The same queries are run over an open
connection of SQLAlchemy, so that a fact is read in one way.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from statscache.exceptions import SchemaError
from statscache.store.revision import explain, is_ours

if TYPE_CHECKING:
    from sqlalchemy import Connection

Query = Callable[[str], list[tuple[Any, ...]]]
"""Runs a query and returns its rows."""


def over(connection: "Connection") -> Query:
    """Return what runs queries over an open connection."""
    return lambda sql: [tuple(row) for row in connection.exec_driver_sql(sql)]


def sqlite_file(url: str) -> tuple[str, dict[str, str]]:
    """Return the file that an SQLAlchemy URL of SQLite names, and the parameters behind it."""
    name, _, parameters = url.removeprefix("sqlite://").partition("?")
    return name.removeprefix("/"), dict(parse_qsl(parameters))


@contextmanager
def reading(url: str) -> Iterator[Query | None]:
    """Give what runs queries, which all see the same committed state; None if nobody has made the database yet.

    Nothing is written, so that it is enough to have the right to read.

    Args:
        url: An SQLAlchemy URL of SQLite or PostgreSQL.

    Raises:
        SchemaError: The database cannot be opened, or its schema is not this release's.
        SQLAlchemyError: The database failed; as it would over a connection of SQLAlchemy.
    """
    with _sqlite(url) if url.startswith("sqlite:") else _postgresql(url) as query:
        if query is not None:
            revision = _revision(query, is_sqlite=url.startswith("sqlite:"))
            if revision is None:
                query = None
            elif not is_ours(revision):
                raise SchemaError(explain(revision))
        yield query


def _revision(query: Query, *, is_sqlite: bool) -> str | None:
    found = "SELECT max(name) FROM sqlite_master WHERE name = 'alembic_version'"
    ((table,),) = query(found if is_sqlite else "SELECT to_regclass('alembic_version')::text")
    return None if table is None else str(query("SELECT version_num FROM alembic_version")[0][0])


@contextmanager
def _sqlite(url: str) -> Iterator[Query | None]:
    name, parameters = sqlite_file(url)
    is_uri = name.startswith("file:")
    parameters.pop("uri", None)
    if not is_uri and not Path(name).exists():
        yield None
        return
    address = f"{name}?{urlencode(parameters)}" if is_uri else f"file:{quote(name)}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=60)) as connection:
            connection.execute("BEGIN")
            yield lambda sql: connection.execute(sql).fetchall()
    except sqlite3.Error as error:
        raise _as_sqlalchemy_would(error, sqlite3.Error) from error


@contextmanager
def _postgresql(url: str) -> Iterator[Query]:
    import psycopg

    try:
        # libpq understands the rest of the URL as SQLAlchemy does.
        with closing(psycopg.connect(url.replace("+psycopg", "", 1))) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield lambda sql: connection.execute(sql).fetchall()
    except psycopg.Error as error:
        raise _as_sqlalchemy_would(error, psycopg.Error) from error


def _as_sqlalchemy_would(error: Exception, base: type[Exception]) -> Exception:
    """Return an error of the driver as SQLAlchemy raises it, which callers know to explain."""
    from sqlalchemy.exc import DBAPIError

    return DBAPIError.instance("", None, error, base)

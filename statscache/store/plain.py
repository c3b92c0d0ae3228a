"""Reading the database by its driver alone: importing SQLAlchemy takes longer than all that `status` does.

A query is one SELECT in SQL that both databases understand, without parameters. The same queries are run over an open
connection of SQLAlchemy, so that a fact is read in one way.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from statscache.exceptions import SchemaError
from statscache.store.revision import cannot_open, explain, is_ours

if TYPE_CHECKING:
    from sqlalchemy import Connection

Query = Callable[[str], list[tuple[Any, ...]]]
"""Runs a query and returns its rows."""


def over(connection: "Connection") -> Query:
    """Return what runs queries over an open connection."""
    return lambda sql: [tuple(row) for row in connection.exec_driver_sql(sql)]


def sqlite_file(url: str) -> tuple[str, dict[str, str]]:
    """Return the file that an SQLAlchemy URL of SQLite names, and the parameters after it."""
    name, _, parameters = url.removeprefix("sqlite://").partition("?")
    return name.removeprefix("/"), dict(parse_qsl(parameters))


@contextmanager
def reading(url: str) -> Iterator[Query | None]:
    """Give what runs queries, which all see the same committed state; None if no one has made the database yet.

    Nothing is written, so that it is enough to have the right to read.

    Args:
        url: An SQLAlchemy URL of SQLite or PostgreSQL.

    Raises:
        SchemaError: The database cannot be opened, or its schema is not this release's.
        SQLAlchemyError: The database failed; as it would over a connection of SQLAlchemy.
    """
    is_sqlite = url.startswith("sqlite:")
    with ExitStack() as stack:
        try:
            query = stack.enter_context(_sqlite(url) if is_sqlite else _postgresql(url))
            revision = None if query is None else _revision(query, is_sqlite=is_sqlite)
        except Exception as error:
            # On errors alone: it takes longer to import than the rest.
            from sqlalchemy import make_url
            from sqlalchemy.exc import DBAPIError

            if not isinstance(error, DBAPIError):
                raise
            where = make_url(url).render_as_string(hide_password=True)
            raise SchemaError(cannot_open(where, str(error.orig))) from error
        if revision is not None and not is_ours(revision):
            raise SchemaError(explain(revision))
        yield query if revision is not None else None


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
    with _translated(sqlite3.Error):
        connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=60)
    with closing(connection):
        connection.execute("BEGIN")
        yield _running(lambda sql: connection.execute(sql).fetchall(), sqlite3.Error)


@contextmanager
def _postgresql(url: str) -> Iterator[Query]:
    # Only where the database is of this kind.
    from statscache.store import libpq

    with _translated(libpq.Error):
        # libpq understands the rest of the URL as SQLAlchemy does.
        connection = libpq.Connection(url.replace("+psycopg", "", 1))
    with closing(connection):
        yield _running(connection.execute, libpq.Error)


def _running(run: Query, base: type[Exception]) -> Query:
    def query(sql: str) -> list[tuple[Any, ...]]:
        with _translated(base):
            return run(sql)

    return query


@contextmanager
def _translated(base: type[Exception]) -> Iterator[None]:
    """Raise what the driver raises as SQLAlchemy does, which callers know to explain."""
    try:
        yield
    except base as error:
        from sqlalchemy.exc import DBAPIError

        raise DBAPIError.instance("", None, error, base) from error

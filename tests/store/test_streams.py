"""Results that are read in portions: none outlives its transaction, however much of it was read."""

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from servers import PostgreSQL
from statscache.store import Database

NUMBERS = text("SELECT n FROM generate_series(1, 1000) AS n").execution_options(yield_per=10)
CURSORS = text("SELECT name FROM pg_cursors WHERE name LIKE 'c\\_%'")


@pytest.fixture
def database(postgresql: PostgreSQL) -> Iterator[Database]:
    """A database of PostgreSQL; no test makes a table in it."""
    database = Database(postgresql.url("postgres"))
    yield database
    database.close()


@pytest.fixture(autouse=True)
def no_cursor_is_left() -> Iterator[None]:
    """Fail if a cursor was deleted while it was open: psycopg warns of that."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(each.message) for each in found] == []


def half_read(database: Database) -> Any:
    """Return a result that was read in part, from a transaction that has ended."""
    with database.reading() as connection:
        rows = connection.execute(NUMBERS)
        assert next(rows).n == 1
    return rows


def lose(database: Database, again: Any) -> None:
    """Query on a connection that the server ended while a result was being read."""
    with database.reading() as connection:
        rows = connection.execute(NUMBERS)
        assert next(rows).n == 1
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
        with database.writing() as other:
            other.execute(text("SELECT pg_terminate_backend(:backend, 10000)"), {"backend": backend})
        connection.execute(again)


def test_a_half_read_result_is_closed_with_its_transaction(database: Database) -> None:
    """To close it later does not touch the next transaction on that connection."""
    rows = half_read(database)
    with database.writing() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        rows.close()
        assert connection.execute(CURSORS).all() == []


def test_a_result_that_nothing_refers_to_is_closed(database: Database) -> None:
    """Its transaction goes on, by commit or by rollback, and its end closes the cursor."""
    for context in (database.reading, database.writing):
        with context() as connection:
            assert next(row.n for row in connection.execute(NUMBERS) if row.n > 5) == 6
            assert connection.scalar(text("SELECT 1")) == 1
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        next(connection.execute(NUMBERS)).n / 0


def test_a_dry_run_closes_what_its_parts_read(database: Database) -> None:
    """Savepoints end there as transactions do, and leave alone what was opened before them."""
    with database.dry_run(), database.reading() as connection:
        before = connection.execute(NUMBERS)
        assert next(before).n == 1
        with database.reading() as inner:
            assert next(inner.execute(NUMBERS)).n == 1
        assert len(connection.execute(CURSORS).all()) == 1
        with pytest.raises(ZeroDivisionError), database.writing() as inner:
            next(inner.execute(NUMBERS)).n / 0
        assert len(connection.execute(CURSORS).all()) == 1
        assert [row.n for row in before] == [*range(2, 1001)]
        half = connection.execute(NUMBERS)
        assert next(half).n == 1


@pytest.mark.parametrize("again", [NUMBERS, text("SELECT 1")], ids=["streamed", "whole"])
def test_a_result_of_a_lost_connection_is_closed(database: Database, again: Any) -> None:
    """Both what was being read, and what was asked for when the connection was found gone."""
    with pytest.raises(DBAPIError):
        lose(database, again)

"""A whole database, copied into another one of either kind: to PostgreSQL, say, when SQLite is outgrown.

Everything goes along, so the copy publishes the same snapshot under the same generation.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table, delete, func, insert, inspect, select

from statscache.exceptions import CopyRefused
from statscache.store.database import Database
from statscache.store.schema import held, metadata, object_, quarantine, segment, snapshot, source

_ROWS = 5_000
_LARGE_ROWS = 20
"""Rows copied at a time: of most tables, and of those with rows of megabytes."""

_LARGE = segment, object_, held, quarantine


def copy(origin: Database, destination: Database, others: Sequence[Table] = ()) -> Iterator[tuple[str, int]]:
    """Copy all rows, in one transaction, and yield each table's name and the number of its rows.

    Args:
        origin: The database to copy, as it is when the copy begins.
        destination: The database to copy to; its schema is created if missing.
        others: Tables besides those of the schema: those of plugins that keep rows of their own.

    Raises:
        CopyRefused: The destination is in use, or tables of the origin are not known.
        SchemaError: The destination cannot be opened, or has another release's schema.
    """
    destination.prepare()
    with origin.reading() as reading, destination.writing() as writing:
        there = set(inspect(reading).get_table_names()) - {"alembic_version"}
        tables = [table for table in (*metadata.sorted_tables, *others) if table.name in there]
        if unknown := sorted(there - {table.name for table in tables}):
            raise CopyRefused(
                f"no active plugin keeps the tables {', '.join(unknown)}: enable the plugins whose tables they are,"
                " or drop the tables; nothing was copied"
            )
        if any(writing.execute(select(table).limit(1)).first() for table in (segment, snapshot, source, held)):
            where = destination.engine.url.render_as_string(hide_password=True)
            raise CopyRefused(f"the database {where} is in use; nothing was copied: name an empty one")
        for table in tables:
            table.create(writing, checkfirst=True)
            # Whoever looks at an empty database leaves rows in it.
            writing.execute(delete(table))
            yield table.name, _copy(reading, writing, table)
            go_on_counting(writing, table)


def _copy(origin: Connection, destination: Connection, table: Table) -> int:
    number = 0
    size = _LARGE_ROWS if table in _LARGE else _ROWS
    rows = origin.execute(select(table).execution_options(yield_per=size))
    for part in rows.mappings().partitions():
        destination.execute(insert(table), [dict(row) for row in part])
        number += len(part)
    return number


def go_on_counting(connection: Connection, table: Table) -> None:
    """Let PostgreSQL number new rows after those that are there; SQLite does so by itself."""
    column = table.autoincrement_column
    if column is not None and connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(select(func.setval(sequence, func.coalesce(func.max(column), 0) + 1, False)))

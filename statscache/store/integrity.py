"""Check the database itself: its file, and that each value has the type of its column."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, LargeBinary, Table, Text, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from statscache.exceptions import Damaged
from statscache.store.invariants import REBUILD, RESTORE
from statscache.store.schema import metadata

_SHOWN = 5
_SQLITE_CORRUPT, _SQLITE_NOTADB = 11, 26
_POSTGRESQL_CORRUPTED = "XX001", "XX002"
_TYPES = ((Boolean, "integer"), (BigInteger, "integer"), (Integer, "integer"), (Text, "text"), (LargeBinary, "blob"))

_INDEX = "`statscache publish --force` makes indexes again"
REPLACE = f"{RESTORE}; or save what can be read, as docs/repair.md says"


def broken(connection: Connection) -> Iterator[str]:
    """Yield a line for each fault of an SQLite database; PostgreSQL has checksums of its own."""
    if connection.dialect.name != "sqlite":
        return
    for line in connection.exec_driver_sql(f"PRAGMA integrity_check({_SHOWN})").scalars():
        if line != "ok":
            fix = _INDEX if " index " in line else REPLACE
            yield f"the database's file is damaged: {_in_one_line(line)}; {fix}"
    for table in metadata.sorted_tables:
        wrong = " OR ".join(_has_other_type(column) for column in table.columns)
        if connection.execute(text(f'SELECT 1 FROM "{table.name}" WHERE {wrong} LIMIT 1')).first():
            fix = REBUILD if _is_of_plugin(table) else RESTORE
            yield f"a value of table {table.name} has another type than its column; {fix}"


def of_tables(connection: Connection, tables: Iterable[Table]) -> Iterator[str]:
    """Yield a line for each of these tables in which an SQLite database is damaged."""
    if connection.dialect.name != "sqlite":
        return
    for table in tables:
        lines = list(connection.exec_driver_sql(f"PRAGMA integrity_check({table.name})").scalars())
        if lines != ["ok"]:
            yield f"table {table.name} is damaged: {_in_one_line(lines[0])}; {REPLACE}"


def _in_one_line(report: str) -> str:
    """Return what SQLite reports, which may take several lines, as one."""
    return " ".join(report.split())


def explain(error: BaseException) -> Damaged | None:
    """Return the damage that an error reports; None if it reports something else."""
    if not isinstance(error, DBAPIError):
        return None
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    state = getattr(error.orig, "sqlstate", None)
    unreadable = isinstance(error, OperationalError) and "Could not decode to UTF-8" in str(error.orig)
    if code in (_SQLITE_CORRUPT, _SQLITE_NOTADB) or state in _POSTGRESQL_CORRUPTED or unreadable:
        text = str(error.orig).strip().partition("\n")[0]
        return Damaged(f"the database is damaged ({text}): `statscache db check` has details; {RESTORE}")
    return None


@contextmanager
def explained() -> Iterator[None]:
    """Raise `Damaged` for a database error that reports damage."""
    try:
        yield
    except SQLAlchemyError as error:
        if (damaged := explain(error)) is not None:
            raise damaged from error
        raise


def _has_other_type(column: Column[object]) -> str:
    expected = next(name for kind, name in _TYPES if isinstance(column.type, kind))
    null = ", 'null'" if column.nullable else ""
    return f"typeof(\"{column.name}\") NOT IN ('{expected}'{null})"


def _is_of_plugin(table: Table) -> bool:
    return "plugin" in table.primary_key.columns and table.name not in ("dirty", "dirty_keys", "hang")

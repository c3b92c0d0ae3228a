"""Merges of many rows in one statement, in the database's own upsert, and checksums that it keeps up to date.

SQLite takes the rows through the driver's `executemany`; PostgreSQL takes one array for each column, which is an order
of magnitude faster there than a statement for each row.

A checksum is a sum of a row's whole numbers, each with a weight, modulo a prime. A flipped bit changes a number by a
power of two, which the prime does not divide, so one flip in a row is always found, and several are missed once in
536 million times. It is linear: where a row's number rises by some amount, its checksum rises by that amount times the
weight, so the upsert needs not read the row. Merging into a row that decayed keeps the difference, so decay is found
however late it is looked for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar
from zlib import crc32

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Connection,
    CursorResult,
    Dialect,
    LargeBinary,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine

Merge = Callable[[Table, Any], Mapping[str, Any]]

_T = TypeVar("_T")

MODULUS = 2**29 - 3
"""The greatest prime below 2^29: products of two remainders, and sums of 16 of these, stay within 64 bits."""

NAME = "checksum"
"""Name of the column."""

_FACTOR = 48_271
"""Its powers are the weights; any numbers without relation to powers of two would do."""


class Upsert:
    """Inserts rows, merging each into the row with the same primary key if there is one.

    Args:
        table: Where to.
        merge: Given the table and the excluded (new) row, the columns to set on a row that is there already; None
            leaves such rows as they are.
    """

    def __init__(self, table: Table, merge: Merge | None = None) -> None:
        self._table = table
        self._merge = merge
        self._compiled = cache(self._compile)

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Merge `rows`, tuples in the order of the table's columns, no two with the same primary key."""
        if not rows:
            return
        statement = self._compiled(connection.dialect.name)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))
        else:
            connection.exec_driver_sql(statement, list(rows))

    def _compile(self, dialect: str) -> str:
        # The dialect that is not used is not imported.
        module = import_module(f"sqlalchemy.dialects.{dialect}")
        table = self._table
        keys = [column.name for column in table.primary_key]
        if dialect == "postgresql":
            arrays = [text(f"%s::{_array_type(column)}") for column in table.columns]
            source = select(text("*")).select_from(func.unnest(*arrays).alias("incoming"))
            insert: Any = module.insert(table).from_select([c.name for c in table.columns], source)
        else:
            insert = module.insert(table).values({c.name: bindparam(c.name) for c in table.columns})
        if self._merge is None:
            insert = insert.on_conflict_do_nothing(index_elements=keys)
        else:
            insert = insert.on_conflict_do_update(index_elements=keys, set_=self._merge(table, insert.excluded))
        # The compiler doubles the percent signs of the driver's placeholders, taking them for text.
        return str(insert.compile(dialect=module.dialect())).replace("%%s", "%s")


class Lookup:
    """Reads rows by primary key: its first columns have one value each, its last column has any number of values.

    Args:
        table: Where from; the columns of its primary key come first.
        columns: Names of the columns to read.
    """

    def __init__(self, table: Table, *columns: str) -> None:
        self._first = [column.name for column in table.primary_key]
        self._last = self._first.pop()
        self._width = len(columns)
        self._select = f"SELECT {', '.join(columns)} FROM {table.name}"

    def __call__(self, connection: Connection, first: Sequence[int], last: Sequence[int]) -> Sequence[Any]:
        """Return the rows that exist, in no order.

        Args:
            connection: The transaction.
            first: A value for each column of the primary key but the last.
            last: Values of the last one; sorted is quicker.
        """
        return self._found(connection, first, last).all() if last else []

    def columns(self, connection: Connection, first: Sequence[int], last: Sequence[int]) -> list[Sequence[Any]]:
        """Return the same column by column; SQLAlchemy takes longer to make a row than SQLite to find it."""
        rows: Sequence[Any] = []
        if last:
            result = self._found(connection, first, last)
            rows = result.cursor.fetchall()
            result.close()
        return [*zip(*rows, strict=True)] or [()] * self._width

    def _found(self, connection: Connection, first: Sequence[int], last: Sequence[int]) -> CursorResult[Any]:
        postgresql = connection.dialect.name == "postgresql"
        place = "%s" if postgresql else "?"
        among = "= ANY(%s::BIGINT[])" if postgresql else "IN (SELECT value FROM json_each(?))"
        where = "".join(f"{column} = {place} AND " for column in self._first)
        values = list(last) if postgresql else orjson.dumps(last).decode()
        statement = f"{self._select} WHERE {where}{self._last} {among}"
        return connection.exec_driver_sql(statement, (*first, values))


class Checksum:
    """The checksum of a table's rows, in its column `checksum`.

    Args:
        table: The table.
        columns: Names of the columns that are covered, all of whole numbers.
    """

    def __init__(self, table: Table, *columns: str) -> None:
        self.table = table
        self._weights = {name: pow(_FACTOR, number, MODULUS) for number, name in enumerate(columns, start=1)}

    def of(self, *values: Any) -> Any:
        """Return the checksum of a row, or of many, given whole numbers or arrays of them for each column."""
        weighed = (weight * (value % MODULUS) for weight, value in zip(self._weights.values(), values, strict=True))
        return sum(weighed) % MODULUS

    def merged(self, new: Mapping[str, Any]) -> ColumnElement[int]:
        """Return the checksum of a stored row after some of its columns got other values."""
        moved: Iterator[ColumnElement[int]] = (
            literal_column(str(self._weights[name])) * (_remainder(value) - _remainder(self.table.c[name]))
            for name, value in new.items()
        )
        return sum(moved, start=_remainder(self.table.c[NAME])) % literal_column(str(MODULUS))

    @property
    def is_wrong(self) -> ColumnElement[bool]:
        """The condition that a stored row is not what its checksum says."""
        weighed: Iterator[ColumnElement[int]] = (
            literal_column(str(weight)) * _remainder(self.table.c[name]) for name, weight in self._weights.items()
        )
        difference = sum(weighed, start=-_remainder(self.table.c[NAME])) % literal_column(str(MODULUS))
        return difference != literal_column("0")


def of_bytes(*values: bytes | int) -> int:
    """Return the checksum of a row that is written once and not merged."""
    found = 0
    for value in values:
        found = crc32(value if isinstance(value, bytes) else b"%d " % value, found)
    return found


def _remainder(value: Any) -> ColumnElement[int]:
    # A null counts as 0.
    return func.coalesce(value, literal_column("0")) % literal_column(str(MODULUS))


def _array_type(column: Column[Any]) -> str:
    if isinstance(column.type, Boolean):
        return "BOOLEAN[]"
    if isinstance(column.type, LargeBinary):
        return "BYTEA[]"
    return "BIGINT[]" if isinstance(column.type, BigInteger) else "TEXT[]"


def batches(items: Iterable[_T], number: int) -> Iterator[list[_T]]:
    """Yield the items in lists of `number`; the last may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, number)):
        yield batch


def among(column: Column[Any], values: Iterable[Any] | None = None, parameter: str = "among") -> ColumnElement[bool]:
    """Return the condition that an integer or text column is among any number of values, as one parameter.

    Args:
        column: The column.
        values: The values; None if they are given when the statement is executed.
        parameter: Name of the parameter.
    """
    of = _Values(column.type)
    return _Among(column, bindparam(parameter, type_=of) if values is None else bindparam(parameter, [*values], of))


class _Values(TypeDecorator[list[Any]]):
    """Values as one parameter: an array for PostgreSQL, JSON for SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, of: TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return ARRAY(self.of) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return values if dialect.name == "postgresql" else orjson.dumps(values).decode()


class _Among(FunctionElement[bool]):
    inherit_cache = True
    type = Boolean()

    def self_group(self, against: OperatorType | None = None) -> "_Among":
        # Else SQLAlchemy appends "= 1" for SQLite, which then looks through all rows instead of its index.
        return self


@compiles(_Among)
def _in_json(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(_Among, "postgresql")
def _in_array(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({values})"

"""Checksums of rows that the database merges: kept up to date by the same statement, without reading the row before.

A checksum is a sum of the row's whole numbers, each with a weight, modulo a prime. A flipped bit changes a number by a
power of two, which the prime does not divide, so one flip in a row is always found, and several are missed once in
536 million times. It is linear: where a row's number rises by some amount, its checksum rises by that amount times the
weight. Merging into a row that decayed keeps the difference, so decay is found however late it is looked for.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from zlib import crc32

from sqlalchemy import Table, func, literal_column
from sqlalchemy.sql.expression import ColumnElement

MODULUS = 2**29 - 3
"""The greatest prime below 2^29: products of two remainders, and sums of 16 of these, stay within 64 bits."""

NAME = "checksum"
"""Name of the column."""

_FACTOR = 48_271
"""Its powers are the weights; any numbers without relation to powers of two would do."""


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

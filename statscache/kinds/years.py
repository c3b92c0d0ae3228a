"""Years of keys, of unbounded counters: the total of each calendar year in which a key has a day.

They are in one compact column of the key's row in `key`, so that rendering a key knows all its years and reads only
the days of those that changed.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from statscache.kinds.packed import Packing, Whole, bounded, starts, sums
from statscache.kinds.tables import key
from statscache.store import changed_keys
from statscache.store.changed_keys import Keys

RECENT = 2
"""How many years the document of a key holds: that of its newest day, and those just before."""

_PACKING = Packing(
    [("year", "u1"), ("total", "<u2")],
    [("year", "<i4"), ("total", "<i8")],
)
_EPOCH = 1970
_LOWEST = -(2**31)
_ROWS_AT_ONCE = 5_000


class Years(NamedTuple):
    """Totals of keys by year, as columns of one length.

    Attributes:
        key: Digest of the key.
        year: The calendar year.
        total: The sum of that year.
    """

    key: Whole
    year: Whole
    total: Whole


def added(keys: Whole, stored: Sequence[int], data: Sequence[bytes], new: Years) -> tuple[list[bytes], Whole, Whole]:
    """Return the column `years` of these keys with more added to it, and the years that are recent no more.

    Args:
        keys: All keys of `new`, sorted, each once.
        stored: Digests of those that exist.
        data: The column `years` of these.
        new: What is to be added; a key and year may occur more than once.

    Returns:
        The column of each key; keys and years, as two columns, that were recent and are not since a later year came.

    Raises:
        OverflowError: A total would be beyond 64 bits.
    """
    known = unpacked(stored, data)
    row = np.searchsorted(keys, np.concatenate([known.key, new.key]))
    year = np.concatenate([known.year, new.year])
    of_known = row[: len(known.key)]
    before, after = newest(of_known, known.year, len(keys))[of_known], newest(row, year, len(keys))[of_known]
    left = (known.year > before - RECENT) & (known.year <= after - RECENT)
    order = np.lexsort((year, row))
    row, year = row[order], year[order]
    at = starts(row, year)
    totals = bounded(sums(np.concatenate([known.total, new.total])[order], at))
    blobs = _PACKING.pack(row[at], {"year": year[at] - _EPOCH, "total": totals}, len(keys))
    return blobs, known.key[left], known.year[left]


def newest(row: Whole, year: Whole, rows: int) -> Whole:
    """Return the greatest year of each row, given the row of each year."""
    found = np.full(rows, _LOWEST)
    np.maximum.at(found, row, year)
    return found


def unpacked(digests: Sequence[int], data: Sequence[bytes]) -> Years:
    """Return the years of keys, given the digest and the column `years` of each; those of a key ascend."""
    row, entries = _PACKING.unpack(data)
    keys = np.array(digests, np.int64)
    return Years(keys[row], entries["year"] + _EPOCH, entries["total"])


def of_all_keys(connection: Connection, plugin: int) -> Iterator[Years]:
    """Yield the years of all keys in portions, in order of the keys; the years of a key are adjacent."""
    query = select(key.c.key, key.c.years).where(key.c.plugin == plugin, key.c.years.is_not(None)).order_by(key.c.key)
    for rows in connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)).partitions():
        yield unpacked(*zip(*rows, strict=True))


def pairs(connection: Connection, plugin: int) -> Keys:
    """Return all keys with all their years."""
    return changed_keys.unpack([changed_keys.pack(of.key, of.year) for of in of_all_keys(connection, plugin)])

"""Parts of keys, of counters that divide their numbers: their numbers, and the total and first time of each part.

The parts of a key are in one compact column of its row in `key`: the number of the part, the timestamp of
the oldest message that counted for it, and its total.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, insert, select

from statscache.exceptions import DamagedStatistics
from statscache.kinds.packed import Packing, Whole, bounded, starts, sums
from statscache.kinds.tables import key, part
from statscache.store.bulk import among, of_bytes

_PACKING = Packing(
    [("part", "u1"), ("first", "<u4"), ("total", "<u2")],
    [("part", "<u4"), ("first", "<i8"), ("total", "<i8")],
)
_ROWS = select(part.c.number, part.c.name, part.c.checksum)
_ROWS_AT_ONCE = 5_000


class Parts(NamedTuple):
    """Parts of keys, as columns of one length.

    Attributes:
        key: Digest of the key.
        part: Number of the part.
        first: Timestamp of the oldest message that counted for the part.
        total: The sum of the part.
    """

    key: Whole
    part: Whole
    first: Whole
    total: Whole


def names(connection: Connection, plugin: int, numbers: Sequence[int] | None = None) -> dict[int, bytes]:
    """Return the parts of a plugin as they are stored, by number: all of them, or those with these numbers.

    Raises:
        DamagedStatistics: A row is damaged, or missing.
    """
    query = _ROWS.where(part.c.plugin == plugin)
    if numbers is not None:
        query = query.where(among(part.c.number, numbers))
    rows = connection.execute(query).all()
    for row in rows:
        _check(*row)
    # They are numbered from 1 on.
    wanted = max((row.number for row in rows), default=0) if numbers is None else len({*numbers})
    if len(rows) != wanted:
        raise DamagedStatistics("a part has no name in the database: `statscache db check` names the plugin")
    return {row.number: row.name for row in rows}


def number_of(connection: Connection, plugin: int, name: bytes) -> int | None:
    """Return the number of a part, given as it is stored; None if no key has it.

    Raises:
        DamagedStatistics: A row is damaged, or missing.
    """
    row = connection.execute(_ROWS.where(part.c.plugin == plugin, part.c.name == name)).first()
    if row is None:
        # A row that is damaged is not found by its name.
        names(connection, plugin)
        return None
    _check(*row)
    return int(row.number)


def _check(number: int, name: bytes, checksum: int) -> None:
    if checksum != of_bytes(number, name):
        raise DamagedStatistics("the name of a part is damaged in the database: `statscache db check` names the plugin")


def ranks(stored: Mapping[int, bytes]) -> Whole:
    """Return the rank of each part among the names, by the part's number; null is first."""
    rank = np.zeros(max(stored, default=0) + 1, np.int64)
    rank[sorted(stored, key=stored.__getitem__)] = np.arange(len(stored))
    return rank


def numbered(connection: Connection, plugin: int, wanted: Sequence[bytes]) -> Whole:
    """Return the numbers of parts, given as they are stored; those that are new get the next ones, from 1."""
    numbers = {name: number for number, name in names(connection, plugin).items()}
    first = max(numbers.values(), default=0) + 1
    new = dict(zip((name for name in wanted if name not in numbers), range(first, first + len(wanted)), strict=False))
    if new:
        rows = [(plugin, number, name, of_bytes(number, name)) for name, number in new.items()]
        connection.execute(insert(part), [dict(zip(part.c.keys(), row, strict=True)) for row in rows])
    numbers |= new
    return np.array([numbers[name] for name in wanted], np.int64)


def added(keys: Whole, stored: Sequence[int], data: Sequence[bytes], new: Parts) -> list[bytes]:
    """Return the column `parts` of these keys with more added to it.

    Args:
        keys: All keys of `new`, sorted, each once.
        stored: Digests of those that exist.
        data: The column `parts` of these.
        new: What is to be added.

    Raises:
        OverflowError: A total would be beyond 64 bits.
    """
    known = unpacked(stored, data)
    row = np.searchsorted(keys, np.concatenate([known.key, new.key]))
    numbers = np.concatenate([known.part, new.part])
    place = (row << 32) | numbers
    order = np.argsort(place, kind="stable")
    at = starts(place[order])
    entries = {
        "part": numbers[order[at]],
        "first": np.minimum.reduceat(np.concatenate([known.first, new.first])[order], at),
        "total": bounded(sums(np.concatenate([known.total, new.total])[order], at)),
    }
    return _PACKING.pack(row[order[at]], entries, len(keys))


def unpacked(digests: Sequence[int], data: Sequence[bytes]) -> Parts:
    """Return the parts of keys, given the digest and the column `parts` of each, in the order of the keys."""
    row, entries = _PACKING.unpack(data)
    keys = np.array(digests, np.int64)
    return Parts(keys[row], entries["part"], entries["first"], entries["total"])


def of_all_keys(connection: Connection, plugin: int) -> Iterator[Parts]:
    """Yield the parts of all keys in portions, in order of the keys; the parts of a key are adjacent."""
    query = select(key.c.key, key.c.parts).where(key.c.plugin == plugin, key.c.parts.is_not(None)).order_by(key.c.key)
    for rows in connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)).partitions():
        yield unpacked(*zip(*rows, strict=True))

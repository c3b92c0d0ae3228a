"""The newest entries of keys, of unbounded counters that keep some: what was counted last, beside how often.

Those of a key are in one compact column of its row in `key`: a line for each, its timestamp and its fields as JSON,
compressed. Of all entries of a key the newest N stay, where newest is the greatest (timestamp, fields as bytes): of
entries that are equal in both, it does not matter which is cut.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any

from sqlalchemy import Connection, select

from statscache.exceptions import DamagedStatistics
from statscache.kinds.packed import opened, sealed
from statscache.kinds.tables import key
from statscache.kinds.yields import Yields

LARGEST = 1_024
"""Bytes of the fields of one entry: each publication of a key has N of them."""

_FASTEST = 1
_ROWS_AT_ONCE = 1_000

Entry = tuple[int, bytes]
"""Timestamp of the message, and fields as canonical JSON."""


def newest(yields: Yields, most: int) -> dict[int, list[Entry]]:
    """Return the newest entries of each key, by its digest, of yields of which each is `Counted`."""
    found: dict[int, list[Entry]] = {}
    for which, timestamp in zip(yields.which.tolist(), yields.times.tolist(), strict=True):
        digest, *_, fields = yields.items[which]
        # What is summed up for many keys has none.
        if fields is not None:
            found.setdefault(digest, []).append((timestamp, fields))
    return {digest: nlargest(most, entries) for digest, entries in found.items()}


def added(
    digests: Sequence[int], stored: Mapping[int, bytes], new: Mapping[int, Sequence[Entry]], most: int
) -> list[bytes]:
    """Return the column `entries` of these keys with more added to it.

    Args:
        digests: The keys, in the order of the result.
        stored: The column of those that exist.
        new: What is to be added, by key.
        most: How many entries of a key are kept.
    """
    columns = []
    for digest in digests:
        known = [] if digest not in stored else unpacked(digest, stored[digest])
        columns.append(_packed(digest, nlargest(most, [*known, *new.get(digest, ())])))
    return columns


def _packed(digest: int, entries: Sequence[Entry]) -> bytes:
    lines = b"\n".join(b"%d %s" % entry for entry in entries)
    return sealed(zlib.compress(lines, _FASTEST), _place(digest))


def unpacked(digest: int, stored: bytes | None) -> list[Entry]:
    """Return the entries of a key, newest first, given its column `entries`.

    Raises:
        DamagedStatistics: The column is not as it was stored.
    """
    if stored is None:
        raise DamagedStatistics("a key has lost its entries in the database: `statscache db check` names the plugin")
    lines = zlib.decompress(opened(stored, _place(digest))).splitlines()
    return [(int(timestamp), fields) for timestamp, _, fields in (line.partition(b" ") for line in lines)]


def _place(digest: int) -> int:
    """Return the number that the checksum covers, so that the entries of another key are none of this one."""
    return digest & 0xFFFFFFFF


def of_all_keys(connection: Connection, plugin: int) -> Iterator[tuple[Any, list[Entry]]]:
    """Yield each key with entries, as a row with its `key`, `dimensions`, `total`, `first` and `last`, and these."""
    columns = key.c.key, key.c.dimensions, key.c.total, key.c.first, key.c.last, key.c.entries
    query = select(*columns).where(key.c.plugin == plugin, key.c.entries.is_not(None)).order_by(key.c.dimensions)
    for row in connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)):
        yield row, unpacked(row.key, row.entries)

"""Sets of members: one compact row for each bucket and key.

Members are numbered for each plugin, and a set holds numbers: a sorted array of them, or a bitmap where that is
smaller. A million sightings are then a few thousand rows, and a row that a live batch rewrites stays small.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, false, func, or_, select

from statscache.kinds import buckets
from statscache.kinds.packed import SEAL, Packing, Whole, opened, sealed, starts
from statscache.kinds.state import State
from statscache.kinds.sums import Sightings
from statscache.kinds.tables import MEMBER, member, member_set
from statscache.store.bulk import Lookup, Upsert
from statscache.timeline import Resolution

_PACKING = Packing([("member", "<u2")], [("member", "<u4")])
_BITMAP = 2
"""The first byte of a bitmap, after its checksum; those below are forms of arrays."""

_ROWS_AT_ONCE = 500

_lookup_member = Lookup(member, "digest", "number")
_lookup_set = Lookup(member_set, "key", "data")
_write_member = Upsert(member)
_write_set = Upsert(member_set, lambda table, new: {"data": new.data})


def numbered(connection: Connection, plugin: int, digests: Whole) -> Whole:
    """Return the numbers of members, given their digests; those that are new get the next ones, from 0."""
    wanted, back = np.unique(digests, return_inverse=True)
    numbers = np.full(len(wanted), -1)
    found, number = _lookup_member.columns(connection, (plugin,), wanted.tolist())
    numbers[np.searchsorted(wanted, np.array(found, np.int64))] = number
    new = np.flatnonzero(numbers < 0)
    if len(new):
        greatest = connection.scalar(select(func.max(member.c.number)).where(member.c.plugin == plugin))
        first = 0 if greatest is None else greatest + 1
        numbers[new] = np.arange(first, first + len(new))
        columns = wanted[new], numbers[new], MEMBER.of(plugin, wanted[new], numbers[new])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        _write_member(connection, [(plugin, *row) for row in rows])
    return numbers[back]


def add(connection: Connection, plugin: int, width: int, start: Whole, key: Whole, numbers: Whole) -> NDArray[np.bool_]:
    """Add members to sets, and return which of them were new there.

    Args:
        connection: The transaction.
        plugin: The number of the plugin.
        width: Seconds of the buckets, as their resolution has it.
        start: Start of the bucket of each.
        key: Digest of the key of each.
        numbers: The number of each member; each triple occurs once.
    """
    order = np.lexsort((key, start))
    at = starts(start[order], key[order])
    set_start, set_key = start[order[at]], key[order[at]]
    row = np.empty(len(order), np.int64)
    row[order] = np.repeat(np.arange(len(at)), np.diff(at, append=len(order)))
    stored: list[bytes] = []
    rows: list[int] = []
    bounds = [*starts(set_start).tolist(), len(at)]
    for first, end in pairwise(bounds):
        keys = set_key[first:end]
        found, data = _lookup_set.columns(connection, (plugin, width, int(set_start[first])), keys.tolist())
        rows += (first + np.searchsorted(keys, np.array(found, np.int64))).tolist()
        stored += data
    known_row, known = _unpacked(stored)
    there = (np.array(rows, np.int64)[known_row] << 32) | known
    place = (row << 32) | numbers
    new = np.isin(place, there, assume_unique=True, invert=True)
    changed = np.zeros(len(at), bool)
    changed[row[new]] = True
    merged = np.sort(np.concatenate([there[changed[there >> 32]], place[new]]))
    index = np.cumsum(changed) - 1
    blobs = _packed(index[merged >> 32], merged & 0xFFFFFFFF, int(np.count_nonzero(changed)))
    written = zip(set_start[changed].tolist(), set_key[changed].tolist(), blobs, strict=True)
    _write_set(connection, [(plugin, width, *row) for row in written])
    return new


class Seen(NamedTuple):
    """Members of buckets, as columns of one length, each triple once.

    Attributes:
        key: Index of the key in the batch.
        start: Start of the bucket in seconds since 1970 UTC.
        number: The number of the member.
    """

    key: Whole
    start: Whole
    number: Whole

    def in_buckets_of(self, resolution: Resolution) -> "Seen":
        """Return the members of the buckets of another resolution, in which those of self lie."""
        days, index = np.unique(self.start, return_inverse=True)
        start = np.array([resolution.floor(day) for day in days.tolist()], np.int64)[index]
        order = np.lexsort((self.number, self.key, start))
        at = order[starts(start[order], self.key[order], self.number[order])]
        return Seen(self.key[at], start[at], self.number[at])


def add_sightings(state: State, new: Sightings, resolutions: Sequence[Resolution]) -> tuple[list[int], list[set[int]]]:
    """Add the sightings of a batch to the sets of days and of longer buckets, and count what is new in each.

    Args:
        state: State of the plugin.
        new: The sightings.
        resolutions: Days first; a member that is not new in a day is not new in a longer bucket.

    Returns:
        How many members of days were new, for each key; for each resolution, the buckets in which a member was new.
    """
    daily, *longer = resolutions
    seen = Seen(new.key, new.start, numbered(state.connection, state.plugin, new.member))
    in_days = _add_in(state, daily, new.keys, seen)
    in_longer = [_add_in(state, each, new.keys, in_days.in_buckets_of(each)) for each in longer]
    totals: list[int] = np.bincount(in_days.key, minlength=len(new.keys)).tolist()
    return totals, [{*each.start.tolist()} for each in (in_days, *in_longer)]


def _add_in(state: State, resolution: Resolution, keys: Whole, seen: Seen) -> Seen:
    """Add members to sets of one resolution and their numbers to its buckets, and return those that were new."""
    is_new = add(state.connection, state.plugin, resolution.width, seen.start, keys[seen.key], seen.number)
    new = Seen(*(column[is_new] for column in seen))
    order = np.lexsort((keys[new.key], new.start))
    start, key = new.start[order], keys[new.key[order]]
    at = starts(start, key)
    counts = np.diff(at, append=len(order))
    if len(counts):
        buckets.add(state, resolution.width, start[at], key[at], counts)
    return new


def dump(connection: Connection, plugin: int) -> Iterator[tuple[int, int, int, list[int]]]:
    """Yield width, start, digest of the key and sorted digests of the members of each set, in this order."""
    query = select(member.c.number, member.c.digest).where(member.c.plugin == plugin).order_by(member.c.number)
    known = np.array([tuple(row) for row in connection.execute(query)], np.int64).reshape(-1, 2)
    digest_of = np.zeros(int(known[:, 0].max(initial=-1)) + 1, np.int64)
    digest_of[known[:, 0]] = known[:, 1]
    rows = select(member_set).where(member_set.c.plugin == plugin).order_by(*member_set.primary_key)
    for _, width, start, key, data in connection.execute(rows.execution_options(yield_per=_ROWS_AT_ONCE)):
        yield width, start, key, np.sort(digest_of[_unpacked([data])[1]]).tolist()


def counts(
    connection: Connection, plugin: int, since: Mapping[int, int] | None = None
) -> Iterator[tuple[int, int, int, int]]:
    """Yield width, start, digest of the key and number of members of each set, in this order.

    `since` has the start of the oldest set that is wanted by width, and leaves out other widths; None is for all sets.
    """
    rows = select(member_set).where(member_set.c.plugin == plugin).order_by(*member_set.primary_key)
    if since is not None:
        wanted = ((member_set.c.width == width) & (member_set.c.start >= start) for width, start in since.items())
        rows = rows.where(or_(false(), *wanted))
    for _, width, start, key, data in connection.execute(rows.execution_options(yield_per=_ROWS_AT_ONCE)):
        yield width, start, key, len(_unpacked([data])[1])


def _packed(row: Whole, numbers: Whole, rows: int) -> list[bytes]:
    """Return the blob of each set; see `Packing.pack`."""
    blobs = _PACKING.pack(row, {"member": numbers}, rows)
    at = np.append(starts(row), len(row)).tolist()
    for index, (start, end) in enumerate(pairwise(at)):
        greatest = int(numbers[end - 1])
        if greatest // 8 + 2 + SEAL < len(blobs[index]):
            bits = np.zeros(greatest + 1, np.uint8)
            bits[numbers[start:end]] = 1
            blobs[index] = sealed(bytes([_BITMAP]) + np.packbits(bits).tobytes())
    return blobs


def _unpacked(blobs: Sequence[bytes]) -> tuple[Whole, Whole]:
    """Return the index of each member's set, and the member's number, in no order.

    Raises:
        ValueError: A blob does not encode a set.
    """
    arrays = [index for index, data in enumerate(blobs) if data[SEAL : SEAL + 1] != bytes([_BITMAP])]
    row, entries = _PACKING.unpack([blobs[index] for index in arrays])
    rows, numbers = [np.array(arrays, np.int64)[row]], [entries["member"]]
    # Few sets are bitmaps, and each of these holds hundreds of members.
    for index, data in enumerate(blobs):
        if data[SEAL : SEAL + 1] == bytes([_BITMAP]):
            set_bits = np.flatnonzero(np.unpackbits(np.frombuffer(opened(data), np.uint8, offset=1)))
            rows.append(np.full(len(set_bits), index))
            numbers.append(set_bits)
    return np.concatenate(rows), np.concatenate(numbers)

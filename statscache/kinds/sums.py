"""What a batch adds to a counter, or to a count of distinct members, summed up before the database sees it.

`reduce` makes it, `merge` takes it. All of it is columns of whole numbers of 64 bits; each key is stored once, and
columns refer to it by index. Sums are exact: where 64 bits might not hold one, an error is raised, and the messages of
the batch are tried by fewer at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from math import prod
from typing import NamedTuple

import numpy as np

from statscache.kinds.key_entries import Entry
from statscache.kinds.packed import Whole
from statscache.kinds.yields import Yields
from statscache.timeline import DAY, Resolution

Counted = tuple[int, bytes, int, bytes, bytes | None]
"""One yield of a counter: the digest of its key, the key as it is stored, the amount, the part as it is stored, and the
fields of its entry as canonical JSON; None if it has no entry."""

Met = tuple[int, bytes, int]
"""One yield of a `Distinct`: the digest of its key, the key as it is stored, and the digest of the member."""

_LARGEST = 2**63 - 1
_DENSE = 4
"""Numbers are grouped by counting, not by sorting, if there are at most so many times as many as there are rows."""


class Buckets(NamedTuple):
    """Sums of keys by bucket of one width, each key and bucket once.

    Attributes:
        key: Index of the key.
        start: Start of the bucket in seconds since 1970 UTC.
        value: The sum.
    """

    key: Whole
    start: Whole
    value: Whole


@dataclass(frozen=True, slots=True)
class PartSums:
    """Sums of the parts of keys, of a counter that divides its numbers.

    Attributes:
        names: Each part as it is stored.
        key: Index of the key, for each part of a key.
        part: Index of the part.
        total: The sum of the part of the key.
        first: Timestamp of the oldest message that counted for it.
        day_key: Index of the key, for each day of a part of a key.
        day_part: Index of the part.
        day_start: Start of the day in seconds since 1970 UTC.
        day_value: The sum.
    """

    names: Sequence[bytes]
    key: Whole
    part: Whole
    total: Whole
    first: Whole
    day_key: Whole
    day_part: Whole
    day_start: Whole
    day_value: Whole


@dataclass(frozen=True, slots=True)
class Sums:
    """What a batch adds to a counter.

    Attributes:
        keys: Digest of each key, sorted.
        stored: Each key as it is stored.
        totals: The sum of each key.
        first: Timestamp of the oldest message that counted for each key.
        last: Timestamp of the newest.
        buckets: The sums by bucket, by the width of the buckets: minutes, hours and days of a bounded counter, days
            of an unbounded one that does not divide its numbers, none of one that does.
        parts: The sums by part; None where numbers are not divided.
        entries: The newest entries by digest of the key; None where none are kept.
    """

    keys: Whole
    stored: Sequence[bytes]
    totals: Whole
    first: Whole
    last: Whole
    buckets: Mapping[int, Buckets]
    parts: PartSums | None
    entries: Mapping[int, Sequence[Entry]] | None = None


@dataclass(frozen=True, slots=True)
class Sightings:
    """Which members a batch saw with which keys, each key, day and member once.

    Attributes:
        keys: Digest of each key.
        stored: Each key as it is stored.
        first: Timestamp of the oldest message of each key.
        last: Timestamp of the newest.
        key: Index of the key, for each sighting.
        start: Start of the day in seconds since 1970 UTC.
        member: Digest of the member.
    """

    keys: Whole
    stored: Sequence[bytes]
    first: Whole
    last: Whole
    key: Whole
    start: Whole
    member: Whole


class _Keys(NamedTuple):
    """The keys of some yields: digests, stored keys, index of each yield's key, oldest and newest timestamps."""

    digests: np.ndarray
    stored: list[bytes]
    of: np.ndarray
    first: np.ndarray
    last: np.ndarray


def sum_up(yields: Yields, resolutions: Sequence[Resolution], *, divided: bool) -> Sums:
    """Return the sums of a counter's yields, of which there is at least one.

    Args:
        yields: What `check` made of them: items are `Counted`.
        resolutions: Resolutions whose buckets are wanted. A bucket is left out if it would have expired when the
            batch's newest message was sent, since no later message can bring it back.
        divided: True if sums by part are wanted too.

    Raises:
        OverflowError: A sum might not fit into 64 bits.
    """
    keys = _keys(yields)
    amounts = np.array([item[2] for item in yields.items], np.int64)[yields.which]
    largest = int(np.abs(amounts).max())
    if largest * len(amounts) > _LARGEST:
        raise OverflowError(f"{len(amounts)} amounts of up to {largest} may not sum up within 64 bits")
    totals = _sums(keys.of, amounts, len(keys.digests))
    through = int(yields.times.max())
    buckets = {}
    for resolution in resolutions:
        kept = yields.times >= (resolution.kept_from(through) or 0)
        start = yields.times[kept] // resolution.width
        (start, key), value = group((start, keys.of[kept]), amounts[kept])
        buckets[resolution.width] = Buckets(key, start * resolution.width, value)
    parts = _parts(yields, keys, amounts) if divided else None
    return Sums(keys.digests, keys.stored, totals, keys.first, keys.last, buckets, parts)


def sightings(yields: Yields) -> Sightings:
    """Return which members a `Distinct` saw, of at least one yield: items are `Met`."""
    keys = _keys(yields)
    digests, members = np.unique([item[2] for item in yields.items], return_inverse=True)
    (start, key, member), _ = group((yields.times // DAY, keys.of, members[yields.which]))
    return Sightings(keys.digests, keys.stored, keys.first, keys.last, key, start * DAY, digests[member])


def group(columns: Sequence[np.ndarray], amounts: np.ndarray | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Return each combination of values that occurs, sorted, and the sum of its amounts; of 1 each if none are given.

    Args:
        columns: Whole numbers, all columns of one length.
        amounts: What is summed.

    Raises:
        OverflowError: There are more possible combinations than 64 bits can number.
    """
    if not len(columns[0]):
        empty = np.zeros(0, np.int64)
        return [empty] * len(columns), empty
    lows = [int(column.min()) for column in columns]
    sizes = [int(column.max()) - low + 1 for column, low in zip(columns, lows, strict=True)]
    if (combinations := prod(sizes)) > _LARGEST:
        raise OverflowError(f"{combinations} combinations of values do not fit into 64 bits")
    codes = np.zeros(len(columns[0]), np.int64)
    for column, low, size in zip(columns, lows, sizes, strict=True):
        codes = codes * size + (column - low)
    if amounts is not None and (amounts == 1).all():
        amounts = None
    if combinations <= _DENSE * len(codes):
        counts = np.bincount(codes)
        found = np.flatnonzero(counts)
        sums = counts[found] if amounts is None else _sums(codes, amounts, len(counts))[found]
    elif amounts is None:
        found, sums = np.unique(codes, return_counts=True)
    else:
        found, which = np.unique(codes, return_inverse=True)
        sums = _sums(which, amounts, len(found))
    values = []
    for low, size in zip(reversed(lows), reversed(sizes), strict=True):
        found, value = np.divmod(found, size)
        values.append(value + low)
    return values[::-1], sums


def _keys(yields: Yields) -> _Keys:
    stored: dict[int, bytes] = {item[0]: item[1] for item in yields.items}
    items = np.array([item[0] for item in yields.items], np.int64)
    digests, of_item = np.unique(items, return_inverse=True)
    # An item that no yield refers to any more, because its messages do not count, has no key here.
    occurring, of = np.unique(of_item[yields.which], return_inverse=True)
    digests = digests[occurring]
    first = np.full(len(digests), yields.times.max())
    np.minimum.at(first, of, yields.times)
    last = np.zeros(len(digests), np.int64)
    np.maximum.at(last, of, yields.times)
    return _Keys(digests, [stored[digest] for digest in digests.tolist()], of, first, last)


def _parts(yields: Yields, keys: _Keys, amounts: np.ndarray) -> PartSums:
    numbers: dict[bytes, int] = {}
    # What no yield refers to any more is left out here too, so that no part is stored of which no key has any.
    used = np.zeros(len(yields.items), bool)
    used[yields.which] = True
    of_item = np.zeros(len(yields.items), np.int64)
    of_item[used] = [numbers.setdefault(item[3], len(numbers)) for item in compress(yields.items, used.tolist())]
    part = of_item[yields.which]
    (of_key, of_part), totals = group((keys.of, part), amounts)
    first = np.full(len(of_key), yields.times.max())
    # Both columns are sorted, and so are their codes.
    codes = of_key * len(numbers) + of_part
    np.minimum.at(first, np.searchsorted(codes, keys.of * len(numbers) + part), yields.times)
    (day_key, day_part, day), day_value = group((keys.of, part, yields.times // DAY), amounts)
    return PartSums([*numbers], of_key, of_part, totals, first, day_key, day_part, day * DAY, day_value)


def _sums(which: np.ndarray, amounts: np.ndarray, number: int) -> np.ndarray:
    """Return the exact sum of the amounts of each of so many groups."""
    sums = np.zeros(number, np.int64)
    np.add.at(sums, which, amounts)
    return sums

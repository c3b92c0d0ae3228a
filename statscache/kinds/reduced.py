"""What a batch adds to the state of counters and of sets, as columns: what `reduce` makes and `merge` takes.

Each key is stored once, and columns refer to it by index. All numbers are whole numbers of 64 bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from statscache.kinds.packed import Whole


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
    """

    keys: Whole
    stored: Sequence[bytes]
    totals: Whole
    first: Whole
    last: Whole
    buckets: Mapping[int, Buckets]
    parts: PartSums | None


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

"""How often each value occurs in each bucket of time: all that a statistic needs that depends on few attributes alone.

One tally serves all statistics of a batch that depend on the same attributes, and is counted by built-in functions,
which loop in C.
"""

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from statscache.timeline import floor

Value = Hashable
"""What a message has of the attributes on which a statistic depends: one attribute's value, or a tuple of several."""

Answers = Mapping[Value, Sequence[Any]]
"""What a plugin yields, checked, of each message that has a value."""


class Tally(NamedTuple):
    """Some messages by their value.

    Attributes:
        counts: How many messages of a bucket have a value, by the bucket's start.
        first: Timestamp of the oldest message of each value.
        last: Timestamp of the newest.
    """

    counts: Mapping[int, Mapping[Any, int]]
    first: Mapping[Any, int]
    last: Mapping[Any, int]


def tally(values: Sequence[Value], times: Sequence[int], width: int) -> Tally:
    """Return the tally of messages of these values and timestamps, oldest first, in buckets of `width` seconds."""
    counts: dict[int, Mapping[Any, int]] = {}
    at = 0
    while at < len(times):
        start = floor(times[at], width)
        end = bisect_left(times, start + width, at)
        counts[start] = Counts(values[at:end])
        at = end
    return Tally(
        counts=counts,
        first=dict(zip(reversed(values), reversed(times), strict=True)),
        last=dict(zip(values, times, strict=True)),
    )

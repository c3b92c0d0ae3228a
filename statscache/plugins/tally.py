"""How often each value occurs in each bucket of time: all that a statistic needs that depends on few attributes alone.

One tally serves all statistics of a batch that depend on the same attributes, and is counted by built-in functions,
which loop in C.
"""

from collections import Counter as Counts
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

Value = Hashable
"""What a message has of the attributes on which a statistic depends: one attribute's value, or a tuple of several."""

Answers = Mapping[Value, Sequence[Any]]
"""What a plugin yields, checked, of each message that has a value."""


class Tally(NamedTuple):
    """Some messages by their value.

    Attributes:
        counts: How many messages have a value and were sent in the bucket that begins at a time.
        first: Timestamp of the oldest message of each value.
        last: Timestamp of the newest.
    """

    counts: Mapping[tuple[Any, int], int]
    first: Mapping[Any, int]
    last: Mapping[Any, int]


def tally(values: Sequence[Value], times: Sequence[int], width: int) -> Tally:
    """Return the tally of messages that have these values and timestamps, in buckets of `width` seconds."""
    if times != sorted(times):
        order = sorted(range(len(times)), key=times.__getitem__)
        values, times = [values[index] for index in order], [times[index] for index in order]
    starts = [time - time % width for time in times]
    return Tally(
        counts=Counts(zip(values, starts, strict=True)),
        first=dict(zip(reversed(values), reversed(times), strict=True)),
        last=dict(zip(values, times, strict=True)),
    )

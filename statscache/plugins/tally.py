"""How many messages there are of each topic and minute: all that a statistic needs that depends on the topic alone.

One tally serves all such statistics of a batch, and is counted by built-in functions, which loop in C.
"""

from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from statscache.timeline import MINUTE


class Tally(NamedTuple):
    """Messages of one topic.

    Attributes:
        first: Timestamp of the oldest.
        last: Timestamp of the newest.
        minutes: How many there are in each minute, by the minute's start.
    """

    first: int
    last: int
    minutes: Mapping[int, int]


def tally(
    topics: Mapping[str, Sequence[int]], times: Sequence[int], places: Sequence[int | None] | None = None
) -> dict[str, Tally]:
    """Return the tally of each topic of which there is a message.

    Args:
        topics: For each topic, which messages it has.
        times: Timestamps of all messages.
        places: None for each message that does not count; left out where all do.
    """
    tallies = {}
    for topic, indices in topics.items():
        counting = indices if places is None else [index for index in indices if places[index] is not None]
        if counting:
            sent = [times[index] for index in counting]
            tallies[topic] = Tally(min(sent), max(sent), Counts([time - time % MINUTE for time in sent]))
    return tallies

"""Combining: what a plugin made of messages is summed up for its merge, as far as that needs no database.

Which messages count must be known, or assumed: a copy does not, nor what was sent before a plugin's beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from statscache.ingest.observing import Observed, observer, said
from statscache.kinds.base import Observation
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.scrubbing import scrub
from statscache.store.records import Records


@dataclass(frozen=True, slots=True)
class Placed:
    """Messages with their places in the journal: `places[index]` is None for one that does not count."""

    records: Sequence[bytes] | Records
    places: Sequence[int | None]

    @property
    def all_count(self) -> bool:
        """Whether all of the messages count, as far as can be told at a glance."""
        return isinstance(self.places, range)

    def since(self, moment: int | None, times: Sequence[int]) -> "Placed":
        """Return the same, where messages of before `moment` do not count; all if it is None.

        Args:
            moment: Seconds since 1970 UTC.
            times: Timestamps of the messages.
        """
        if moment is None or all(time >= moment for time in times):
            return self
        places = [place if time >= moment else None for place, time in zip(self.places, times, strict=True)]
        return replace(self, places=places)


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that counts, and on which a plugin raised, or which the database refused for it.

    Attributes:
        index: Of the message in its batch.
        size: Bytes of its record.
        reason: What was said.
    """

    index: int
    size: int
    reason: str


@dataclass(slots=True)
class Combined:
    """What one plugin made of a batch, as its merge takes it.

    Attributes:
        value: What `Plugin.combine` returned; None if nothing counts.
        oldest: Timestamp of the oldest message of which something counts; None if nothing does.
        newest: Timestamp of the newest one.
        error: Why there is no value though something counts: a single message may be to blame.
        failures: The messages that count on which it raised, in order.
        trailing_failures: How many of the last messages it raised on, one after the other.
        messages: How many messages it was given.
        seconds: Wall-clock time that it took to observe them.
        parts: What it was made of, to tell poison from the rest; None in what another process has made.
    """

    value: Any = None
    oldest: int | None = None
    newest: int | None = None
    error: str | None = None
    failures: list[Failure] = field(default_factory=list)
    trailing_failures: int = 0
    messages: int = 0
    seconds: float = 0.0
    parts: tuple[Observed, Placed] | None = None


def combine(plugin: Plugin, observed: Observed, placed: Placed) -> Combined:
    """Sum up what a plugin observed of the messages that count."""
    if plugin.kind.newest is not None:
        _observe_newest(plugin, plugin.kind.newest, observed, placed)
    combined = Combined(
        failures=[
            Failure(index, len(placed.records[index]), reason)
            for index, reason in observed.failures
            if placed.places[index] is not None
        ],
        trailing_failures=observed.trailing_failures,
        messages=observed.messages,
        seconds=observed.seconds,
        parts=(observed, placed),
    )
    times: Sequence[int]
    # What a kind brings of its own is foreign code.
    try:
        if plugin.depends_on is not None:
            answers = observed.answers
            tally = observed.columns.tally(plugin.depends_on, plugin.kind.tallied, placed.places)
            counted = [value for value in tally.first if answers.get(value)]
            times = [times[value] for value in counted for times in (tally.first, tally.last)]
            combined.value = plugin.kind.combine_values(tally, answers) if counted else None
        else:
            new = _counting(observed.observations, placed)
            times = [item[0] for item in new]
            combined.value = plugin.kind.combine(new) if new else None
    except (Exception, SystemExit) as error:
        combined.error = said(error)
    else:
        combined.oldest, combined.newest = min(times, default=None), max(times, default=None)
    return combined


def singly(plugin: Plugin, observed: Observed, placed: Placed) -> list[Observation]:
    """Return what a plugin observed of the messages that count, message by message."""
    if plugin.depends_on is None:
        return [*_counting(observed.observations, placed)]
    columns, answers = observed.columns, observed.answers
    return [
        (timestamp, "", index, item)
        for timestamp, index, value in zip(
            columns.times, columns.indices, columns.values(plugin.depends_on), strict=True
        )
        if placed.places[index] is not None
        for item in answers.get(value, ())
    ]


def _counting(observations: Sequence[Observation], placed: Placed) -> Sequence[Observation]:
    if placed.all_count:
        return observations
    return [item for item in observations if placed.places[item[2]] is not None]


def _observe_newest(plugin: Plugin, most: int, observed: Observed, placed: Placed) -> None:
    """Let a plugin observe the newest messages that count, until it has yielded as much as can matter."""
    look = observer(plugin, observed)
    times, indices = observed.columns.times, observed.columns.indices
    last = 0
    for at in sorted(range(len(times)), key=times.__getitem__, reverse=True):
        # Which of several messages of one second is the newest is for the plugin's merge to say.
        if len(observed.observations) >= most and times[at] < last:
            return
        last = times[at]
        if placed.places[indices[at]] is not None:
            message = Message.from_record(placed.records[indices[at]])
            look(indices[at], scrub(message, plugin.suppressed) if plugin.suppressed else message)

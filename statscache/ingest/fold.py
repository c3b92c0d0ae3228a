"""Folding: what a plugin makes of messages, and how that is merged into its state.

`observe` needs no database and runs before the transaction begins. `fold` merges in a savepoint of its own; what the
database refuses is halved until the poison is alone, and that one message is set aside for that plugin.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import Any, Self

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from statscache.message import Message, TopicOnly
from statscache.plugins import Counter, Plugin, State
from statscache.plugins.contract import Dirty, Observation
from statscache.plugins.tally import Tally, tally
from statscache.scrubbing import scrub
from statscache.store import positions, quarantine
from statscache.store.positions import Position

MAX_FAILURES = 1_000
"""Messages in a row on which a plugin may raise before it is suspended."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Observed:
    """What one plugin made of a sequence of messages.

    Attributes:
        observations: What the plugin yielded, in order; those of one message stand together.
        topics: What it yields of every message of a topic, where it declares that this depends on the topic alone.
        failures: Index of the message and the error, where the plugin raised.
        trailing_failures: How many of the last messages it raised on, one after the other.
        messages: How many messages it was given.
        seconds: Wall-clock time that it took.
    """

    observations: list[Observation] = field(default_factory=list)
    topics: dict[str, list[Any]] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    trailing_failures: int = 0
    messages: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Placed:
    """Messages with their places in the journal.

    Attributes:
        records: Their lines in the journal.
        places: Their numbers there; None for a copy, which does not count.
        source: Who delivered them.
        times: Their timestamps.
        topics: For each topic, the indices of its messages.
    """

    records: Sequence[bytes]
    places: Sequence[int | None]
    source: str
    times: Sequence[int]
    topics: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, messages: Sequence[Message], places: Sequence[int | None], source: str) -> Self:
        """Return these messages, which have these places."""
        topics: dict[str, list[int]] = {}
        for index, message in enumerate(messages):
            topics.setdefault(message.topic, []).append(index)
        return cls([message.record() for message in messages], places, source, [m.timestamp for m in messages], topics)

    @property
    def has_copies(self) -> bool:
        """Whether any of the messages does not count."""
        return not isinstance(self.places, range)

    def since(self, moment: int | None) -> "Placed":
        """Return the same, where messages of before `moment` do not count; all if it is None."""
        if moment is None or all(time >= moment for time in self.times):
            return self
        places = [place if time >= moment else None for place, time in zip(self.places, self.times, strict=True)]
        return replace(self, places=places)

    @cached_property
    def tally(self) -> Mapping[str, Tally]:
        """How many messages count, by topic and minute."""
        return tally(self.topics, self.times, self.places if self.has_copies else None)


def observe(plugin: Plugin, messages: Sequence[tuple[int, Message]], observed: Observed) -> None:
    """Let a plugin observe messages, given with their index, and add what it yields to `observed`.

    People who are left out are not in what it is shown. The yields of one message count together or not at all.
    """
    if plugin.by_topic:
        topics: dict[str, list[int]] = {}
        for index, message in messages:
            topics.setdefault(message.topic, []).append(index)
        observe_topics(plugin, topics, observed)
        return
    if plugin.suppressed:
        messages = [(index, scrub(message, plugin.suppressed)) for index, message in messages]
    observations = observed.observations
    append = observations.append
    check = plugin.check
    observe_one = plugin.observe
    number = 0
    trailing = observed.trailing_failures
    started = time.perf_counter()
    for index, message in messages:
        number += 1
        # A plugin is foreign code: whatever it raises sets this one message aside.
        try:
            for item in observe_one(message) or ():
                append((message.timestamp, message.id, index, check(item)))
            trailing = 0
        except (Exception, SystemExit) as error:
            while observations and observations[-1][2] == index:
                observations.pop()
            observed.failures.append((index, _said(error)))
            trailing += 1
    observed.seconds += time.perf_counter() - started
    observed.messages += number
    observed.trailing_failures = trailing


def observe_topics(plugin: Plugin, topics: Mapping[str, Sequence[int]], observed: Observed) -> None:
    """Let a plugin that depends on the topic alone observe `topics`, each given with the indices of its messages.

    Where it raises, it raises on all messages of the topic.
    """
    failed: dict[int, str] = {}
    started = time.perf_counter()
    for topic, indices in topics.items():
        observed.messages += len(indices)
        # A plugin is foreign code: whatever it raises sets the messages of this one topic aside.
        try:
            observed.topics[topic] = [plugin.check(item) for item in plugin.observe(TopicOnly(topic)) or ()]
        except (Exception, SystemExit) as error:
            failed.update(dict.fromkeys(indices, _said(error)))
    observed.seconds += time.perf_counter() - started
    if failed:
        observed.failures.extend(sorted(failed.items()))
        order = sorted(index for indices in topics.values() for index in indices)
        observed.trailing_failures = sum(1 for _ in takewhile(failed.__contains__, reversed(order)))


def fold(
    connection: Connection,
    plugin: Plugin,
    row: Position,
    observed: Observed,
    placed: Placed,
    *,
    through: int | None,
    budget: float,
) -> int:
    """Merge what a plugin observed into its state, and move everything in `row` but its position.

    Args:
        connection: The transaction; it holds the lock on `row`.
        plugin: The plugin.
        row: Its row, which the caller saves.
        observed: What it made of the messages.
        placed: The messages and their places.
        through: The journal's, with these messages in it.
        budget: Seconds that the plugin may take for them before it is suspended.

    Returns:
        The number of messages that were set aside for this plugin.
    """
    set_aside = raised = _set_aside(connection, plugin, observed.failures, placed)
    state = State(connection, row.id, through, row.newest)
    dirty: set[Dirty] = set()
    refused: dict[int, str] = {}
    if plugin.by_topic:
        times = _merge_topics(plugin, state, observed, placed, dirty, refused)
    else:
        new: Sequence[Observation] = observed.observations
        if placed.has_copies:
            new = [item for item in new if placed.places[item[2]] is not None]
        times = _merge(plugin, state, new, dirty, refused)
    if dirty or refused:
        row.revision += 1
        positions.mark(connection, row, dirty)
        set_aside += _set_aside(connection, plugin, list(refused.items()), placed)
    if times:
        row.oldest = min(times) if row.oldest is None else min(row.oldest, min(times))
        row.newest = max(times) if row.newest is None else max(row.newest, max(times))
    # A replay of messages on which the plugin raised long ago says nothing new against it.
    _judge(plugin, row, observed, min(observed.trailing_failures, raised), budget)
    return set_aside


def _merge(
    plugin: Plugin, state: State, new: Sequence[Observation], dirty: set[Dirty], refused: dict[int, str]
) -> list[int]:
    """Merge what was observed, and return the times of what was not refused."""
    if not new:
        return []
    error = _attempt(state, lambda: plugin.merge(state, new), dirty)
    if error is None:
        return [item[0] for item in new]
    indices = sorted({item[2] for item in new})
    if len(indices) == 1:
        refused[indices[0]] = error
        return []
    middle = indices[len(indices) // 2]
    times = _merge(plugin, state, [item for item in new if item[2] < middle], dirty, refused)
    return times + _merge(plugin, state, [item for item in new if item[2] >= middle], dirty, refused)


def _merge_topics(
    plugin: Plugin, state: State, observed: Observed, placed: Placed, dirty: set[Dirty], refused: dict[int, str]
) -> list[int]:
    """Merge what was observed of topics, and return the times of the first and last that was not refused."""
    assert isinstance(plugin, Counter)
    counter = plugin
    counted = {
        topic: (found, observed.topics[topic]) for topic, found in placed.tally.items() if observed.topics.get(topic)
    }
    if not counted:
        return []
    if _attempt(state, lambda: counter.merge_topics(state, list(counted.values())), dirty) is None:
        return [time for found, _ in counted.values() for time in (found.first, found.last)]
    # Message by message, the poison can be told from the rest.
    new = [
        (placed.times[index], "", index, item)
        for topic, (_, items) in counted.items()
        for index in placed.topics[topic]
        if placed.places[index] is not None
        for item in items
    ]
    return _merge(plugin, state, new, dirty, refused)


def _attempt(state: State, merge: Callable[[], set[Dirty]], dirty: set[Dirty]) -> str | None:
    """Merge in a savepoint, and return what went wrong; nothing is merged then."""
    savepoint = state.connection.begin_nested()
    # A merge is foreign code where a plugin brings its own; a database that is down is no fault of the data.
    try:
        dirty |= merge()
        savepoint.commit()
    except (OperationalError, InterfaceError, InternalError):
        raise
    except (Exception, SystemExit) as error:
        savepoint.rollback()
        return _said(error)
    return None


def _set_aside(
    connection: Connection, plugin: Plugin, failures: Sequence[tuple[int, str]], placed: Placed
) -> int:
    number = 0
    for index, reason in failures:
        place = placed.places[index]
        if place is not None:
            size = len(placed.records[index])
            quarantine.keep_message(connection, plugin.name, place, reason, placed.source, size)
            number += 1
    return number


def _judge(plugin: Plugin, row: Position, observed: Observed, failures: int, budget: float) -> None:
    all_failed = observed.trailing_failures == observed.messages
    row.failures = failures + (row.failures if all_failed else 0)
    if row.failures >= MAX_FAILURES:
        row.suspended = f"it raised on {row.failures} messages in a row, at last {observed.failures[-1][1]:.300}"
    elif observed.seconds > budget:
        row.suspended = f"it took {observed.seconds:.1f} s for one batch; {budget:g} s are allowed"
    if row.suspended:
        _log.error(
            "plugin %s is suspended: %s; mend it, then `statscache plugins --resume %s`",
            plugin.name,
            row.suspended,
            plugin.name,
        )


def _said(error: BaseException) -> str:
    # What a plugin raises is its own class, whose text is foreign code too.
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__

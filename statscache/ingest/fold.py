"""Folding: what a plugin makes of messages, and how that is merged into its state.

`observe` needs no database and runs before the transaction begins. `fold` merges in a savepoint of its own; what the
database refuses is halved until the poison is alone, and that one message is set aside for that plugin.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from statscache.ingest.columns import Columns, deriving, excerpt
from statscache.message import Message
from statscache.plugins import Plugin, State
from statscache.plugins.contract import Dirty, Observation
from statscache.plugins.tally import Value
from statscache.scrubbing import scrub
from statscache.store import positions, quarantine
from statscache.store.positions import Position

MAX_FAILURES = 1_000
"""Messages in a row on which a plugin may raise before it is suspended."""

_KNOWN_VALUES = 8_000
_KNOWN_LENGTH = 300

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Observed:
    """What one plugin made of a sequence of messages.

    Attributes:
        observations: What the plugin yielded, in order; those of one message stand together.
        columns: The messages, where it declares on what it depends, or where the newest are all that matter.
        answers: What it yields of each message that has a value, where it declares on what it depends.
        failures: Index of the message and the error, where the plugin raised.
        trailing_failures: How many of the last messages it raised on, one after the other.
        messages: How many messages it was given.
        seconds: Wall-clock time that it took.
    """

    observations: list[Observation] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    answers: dict[Value, list[Any]] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    trailing_failures: int = 0
    messages: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Placed:
    """Messages with their places in the journal: `places[index]` is None for a copy, which does not count."""

    records: Sequence[bytes]
    places: Sequence[int | None]
    source: str

    @property
    def has_copies(self) -> bool:
        """Whether any of the messages does not count."""
        return not isinstance(self.places, range)

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


def observe(plugin: Plugin, messages: Sequence[tuple[int, Message]], observed: Observed) -> None:
    """Let a plugin observe messages, given with their index, and add what it yields to `observed`.

    People who are left out are not in what it is shown. The yields of one message count together or not at all.
    """
    if plugin.suppressed:
        messages = [(index, scrub(message, plugin.suppressed)) for index, message in messages]
    if plugin.depends_on is not None or plugin.newest is not None:
        observe_columns(plugin, Columns.of(messages, deriving=deriving(plugin.depends_on or ())), observed, {})
    else:
        _observe_each(plugin, messages, observed)


def _observe_each(plugin: Plugin, messages: Iterable[tuple[int, Message]], observed: Observed) -> None:
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


def observe_columns(plugin: Plugin, columns: Columns, observed: Observed, known: dict[Value, list[Any]]) -> None:
    """Let a plugin that declares on which attributes it depends observe each value once, of messages given as columns.

    Where it raises, it raises on all messages that have the value. Of what the newest are all that matter, nothing is
    observed before it is known what counts.

    Args:
        plugin: The plugin.
        columns: The messages.
        observed: What it makes of them.
        known: What it yielded of values before, to which new ones are added.
    """
    observed.columns = columns
    if plugin.depends_on is None:
        return
    values = columns.values(plugin.depends_on)
    distinct = [*dict.fromkeys(values)]
    answers = dict(zip(distinct, map(known.get, distinct), strict=True))
    observed.answers = {value: items for value, items in answers.items() if items is not None}
    raised: dict[Value, str] = {}
    started = time.perf_counter()
    for value in [value for value, items in answers.items() if items is None]:
        # A plugin is foreign code: whatever it raises sets the messages that have this value aside.
        try:
            items = plugin.observe(excerpt(plugin.depends_on, value)) or ()
            checked = observed.answers[value] = [plugin.check(item) for item in items]
        except (Exception, SystemExit) as error:
            raised[value] = _said(error)
            continue
        if len(known) >= _KNOWN_VALUES:
            known.clear()
        # What is remembered must be short: the bus decides how many people a message names.
        if len(repr(value)) <= _KNOWN_LENGTH:
            known[value] = checked
    observed.seconds += time.perf_counter() - started
    observed.messages += len(values)
    if raised:
        places = zip(columns.indices, values, strict=True)
        observed.failures.extend((index, raised[value]) for index, value in places if value in raised)
        observed.trailing_failures = sum(1 for _ in takewhile(raised.__contains__, reversed(values)))


def _observe_newest(plugin: Plugin, most: int, observed: Observed, placed: Placed) -> None:
    """Let a plugin observe the newest messages that count, until it has yielded as much as can matter."""

    def newest() -> Iterator[tuple[int, Message]]:
        times, indices = observed.columns.times, observed.columns.indices
        last = 0
        for at in sorted(range(len(times)), key=times.__getitem__, reverse=True):
            # Which of several messages of one second is the newest is for the plugin's merge to say.
            if len(observed.observations) >= most and times[at] < last:
                return
            last = times[at]
            if placed.places[indices[at]] is not None:
                message = Message.from_record(placed.records[indices[at]])
                yield indices[at], scrub(message, plugin.suppressed) if plugin.suppressed else message

    _observe_each(plugin, newest(), observed)


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
    if plugin.newest is not None:
        _observe_newest(plugin, plugin.newest, observed, placed)
    set_aside = raised = _set_aside(connection, plugin, observed.failures, placed)
    state = State(connection, row.id, through, row.newest)
    dirty: set[Dirty] = set()
    refused: dict[int, str] = {}
    if plugin.depends_on is not None:
        times = _merge_values(plugin, plugin.depends_on, state, observed, placed, dirty, refused)
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


def _merge_values(
    plugin: Plugin,
    attributes: tuple[str, ...],
    state: State,
    observed: Observed,
    placed: Placed,
    dirty: set[Dirty],
    refused: dict[int, str],
) -> list[int]:
    """Merge what was observed of values; return times of what was not refused, the first and the last among them."""
    columns, answers = observed.columns, observed.answers
    tally = columns.tally(attributes, plugin.tallied, placed.places)
    counted = [value for value in tally.first if answers.get(value)]
    if not counted:
        return []
    if _attempt(state, lambda: plugin.merge_values(state, tally, answers), dirty) is None:
        return [times[value] for value in counted for times in (tally.first, tally.last)]
    # Message by message, the poison can be told from the rest.
    new = [
        (timestamp, "", index, item)
        for timestamp, index, value in zip(columns.times, columns.indices, columns.values(attributes), strict=True)
        if placed.places[index] is not None
        for item in answers.get(value, ())
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


def _set_aside(connection: Connection, plugin: Plugin, failures: Sequence[tuple[int, str]], placed: Placed) -> int:
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

"""Folding: what a plugin makes of messages, and how that is merged into its state.

`observe` needs no database and runs before the transaction begins. `fold` merges in a savepoint of its own; what the
database refuses is halved until the poison is alone, and that one message is set aside for that plugin.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from statscache.message import Message
from statscache.plugins import Plugin, State
from statscache.plugins.contract import Dirty, Observation
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
        failures: Index of the message and the error, where the plugin raised.
        trailing_failures: How many of the last messages it raised on, one after the other.
        messages: How many messages it was given.
        seconds: Wall-clock time that it took.
    """

    observations: list[Observation] = field(default_factory=list)
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


def observe(plugin: Plugin, messages: Iterable[tuple[int, Message]], observed: Observed) -> None:
    """Let a plugin observe messages, given with their index, and add what it yields to `observed`.

    The yields of one message count together or not at all.
    """
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
    new: Sequence[Observation] = observed.observations
    if placed.has_copies:
        new = [item for item in new if placed.places[item[2]] is not None]
    set_aside = raised = _set_aside(connection, plugin, observed.failures, placed)
    if new:
        row.revision += 1
        dirty: set[Dirty] = set()
        refused: dict[int, str] = {}
        _merge(plugin, State(connection, row.id, through, row.newest), new, dirty, refused)
        positions.mark(connection, row, dirty)
        if refused:
            set_aside += _set_aside(connection, plugin, list(refused.items()), placed)
            new = [item for item in new if item[2] not in refused]
        times = [item[0] for item in new]
        if times:
            row.oldest = min(times) if row.oldest is None else min(row.oldest, min(times))
            row.newest = max(times) if row.newest is None else max(row.newest, max(times))
    # A replay of messages on which the plugin raised long ago says nothing new against it.
    _judge(plugin, row, observed, min(observed.trailing_failures, raised), budget)
    return set_aside


def _merge(
    plugin: Plugin, state: State, new: Sequence[Observation], dirty: set[Dirty], refused: dict[int, str]
) -> None:
    savepoint = state.connection.begin_nested()
    # A merge is foreign code where a plugin brings its own; a database that is down is no fault of the data.
    try:
        dirty |= plugin.merge(state, new)
        savepoint.commit()
    except (OperationalError, InterfaceError, InternalError):
        raise
    except (Exception, SystemExit) as error:
        savepoint.rollback()
        indices = sorted({item[2] for item in new})
        if len(indices) == 1:
            refused[indices[0]] = _said(error)
            return
        middle = indices[len(indices) // 2]
        _merge(plugin, state, [item for item in new if item[2] < middle], dirty, refused)
        _merge(plugin, state, [item for item in new if item[2] >= middle], dirty, refused)


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

"""Folding: what a plugin makes of messages, and how that is merged into its state.

`observe` needs no database and runs before the transaction begins. `merge` runs in a savepoint of its own; what the
database refuses is halved until the poison is alone, and that one message is set aside for that plugin.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        observations: Index of the message and what the plugin yielded for it, where it yielded anything.
        failures: Index of the message and the error, where the plugin raised.
        trailing_failures: How many of the last messages it raised on, one after the other.
        all_failed: Whether it raised on all of them.
        seconds: Wall-clock time that it took.
    """

    observations: list[tuple[int, Observation]]
    failures: list[tuple[int, str]]
    trailing_failures: int
    all_failed: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Placed:
    """Messages with their places in the journal: `positions[index]` is None for a copy, which does not count."""

    messages: Sequence[Message]
    positions: Sequence[int | None]
    source: str


def observe(plugin: Plugin, messages: Sequence[Message], indices: Iterable[int]) -> Observed:
    """Let a plugin observe the messages at `indices`; the yields of one message are collected before any counts."""
    observations: list[tuple[int, Observation]] = []
    failures: list[tuple[int, str]] = []
    trailing = total = 0
    check = plugin.check
    started = time.perf_counter()
    for index in indices:
        message = messages[index]
        total += 1
        # A plugin is foreign code: whatever it raises sets this one message aside.
        try:
            items = [check(item) for item in plugin.observe(message) or ()]
        except Exception as error:
            failures.append((index, f"{type(error).__name__}: {error}"))
            trailing += 1
            continue
        trailing = 0
        if items:
            observations.append((index, Observation(message.timestamp, message.id, items)))
    seconds = time.perf_counter() - started
    return Observed(observations, failures, trailing, trailing == total, seconds)


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
    new = [(index, item) for index, item in observed.observations if placed.positions[index] is not None]
    set_aside = 0
    if new:
        row.revision += 1
        state = State(connection, row.id, through, row.newest)
        dirty: set[Dirty] = set()
        refused: list[tuple[int, str]] = []
        _merge(plugin, state, new, dirty, refused)
        positions.mark(connection, row, dirty)
        failed = {index for index, _ in refused}
        times = [item.timestamp for index, item in new if index not in failed]
        if times:
            row.oldest = min(times) if row.oldest is None else min(row.oldest, *times)
            row.newest = max(times) if row.newest is None else max(row.newest, *times)
        set_aside += _set_aside(connection, plugin, refused, placed)
    set_aside += _set_aside(connection, plugin, observed.failures, placed)
    _judge(plugin, row, observed, budget)
    return set_aside


def _merge(
    plugin: Plugin,
    state: State,
    observations: list[tuple[int, Observation]],
    dirty: set[Dirty],
    refused: list[tuple[int, str]],
) -> None:
    savepoint = state.connection.begin_nested()
    # A merge is foreign code where a plugin brings its own; a database that is down is no fault of the data.
    try:
        dirty |= plugin.merge(state, [item for _, item in observations])
        savepoint.commit()
    except (OperationalError, InterfaceError, InternalError):
        raise
    except Exception as error:
        savepoint.rollback()
        if len(observations) == 1:
            refused.append((observations[0][0], f"{type(error).__name__}: {error}"))
            return
        middle = len(observations) // 2
        _merge(plugin, state, observations[:middle], dirty, refused)
        _merge(plugin, state, observations[middle:], dirty, refused)


def _set_aside(
    connection: Connection, plugin: Plugin, failures: Sequence[tuple[int, str]], placed: Placed
) -> int:
    number = 0
    for index, reason in failures:
        position = placed.positions[index]
        if position is not None:
            size = len(placed.messages[index].content)
            quarantine.keep_message(connection, plugin.name, position, reason, placed.source, size)
            number += 1
    return number


def _judge(plugin: Plugin, row: Position, observed: Observed, budget: float) -> None:
    row.failures = observed.trailing_failures + (row.failures if observed.all_failed else 0)
    if row.failures >= MAX_FAILURES:
        row.suspended = f"it raised on {row.failures} messages in a row, at last {observed.failures[-1][1]:.300}"
    elif observed.seconds > budget:
        row.suspended = f"it took {observed.seconds:.1f} s for one batch; {budget:g} s are allowed"
    if row.suspended:
        _log.error(
            "plugin %s is suspended: %s; mend it, then `statscache rebuild %s`", plugin.name, row.suspended, plugin.name
        )

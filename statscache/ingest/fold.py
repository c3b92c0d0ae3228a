"""Folding: how what plugins made of messages is merged into their state.

Each plugin merges in a savepoint of its own; what the database refuses is halved until the poison is alone, and that
one message is set aside for that plugin.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from statscache.ingest.observing import Observed, observer, said
from statscache.message import Message
from statscache.plugins import Plugin, State
from statscache.plugins.contract import Dirty, Observation, Tallying
from statscache.scrubbing import scrub
from statscache.store import positions, quarantine
from statscache.store.positions import Position
from statscache.store.records import Records

MAX_FAILURES = 1_000
"""Messages in a row on which a plugin may raise before it is suspended."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """Messages with their places in the journal: `places[index]` is None for a copy, which does not count."""

    records: Sequence[bytes] | Records
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
    if isinstance(plugin, Tallying) and plugin.depends_on is not None:
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
    plugin: Tallying,
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
        return said(error)
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

"""Folding: how what plugins made of messages is merged into their state.

Each plugin merges in a savepoint of its own; what the database refuses is halved until the poison is alone, and that
one message is set aside for that plugin.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from statscache.ingest.combining import Combined, Failure, singly
from statscache.ingest.observing import said
from statscache.kinds.base import Dirty, Observation
from statscache.plugins import Plugin, State
from statscache.store import positions, quarantine
from statscache.store.positions import Position

MAX_FAILURES = 1_000
"""Messages in a row on which a plugin may raise before it is suspended."""

_log = logging.getLogger(__name__)


class Unresolved(Exception):
    """What another process has summed up does not hold, or is refused in part; it has to be made anew."""


def fold(
    connection: Connection,
    plugin: Plugin,
    row: Position,
    combined: Combined,
    *,
    places: Sequence[int | None],
    source: str,
    through: int | None,
    budget: float,
) -> int:
    """Merge what a plugin made of messages into its state, and move everything in `row` but its position.

    Args:
        connection: The transaction; it holds the lock on `row`.
        plugin: The plugin.
        row: Its row, which the caller saves.
        combined: What it made of the messages.
        places: Those of the messages in the journal; None for a copy. A message may have one and not count.
        source: Whose messages they are.
        through: The journal's, with these messages in it.
        budget: Seconds that the plugin may take for them before it is suspended.

    Returns:
        The number of messages that were set aside for this plugin.

    Raises:
        Unresolved: The database refused a part, and all was made by another process; the transaction must not commit.
    """
    failures = combined.failures
    state = State(connection, row.id, through, row.newest)
    dirty: set[Dirty] = set()
    oldest, newest = combined.oldest, combined.newest
    error = combined.error
    if error is None and oldest is not None:
        error = _attempt(state, lambda: plugin.kind.merge(state, combined.value), dirty)
    if error is not None:
        if combined.parts is None:
            raise Unresolved
        refused: dict[int, str] = {}
        times = _bisect(plugin, state, singly(plugin, *combined.parts), error, dirty, refused)
        oldest, newest = min(times, default=None), max(times, default=None)
        records = combined.parts[1].records
        failures = failures + [Failure(index, len(records[index]), reason) for index, reason in refused.items()]
    for failure in failures:
        place = places[failure.index]
        assert place is not None
        quarantine.keep_message(connection, plugin.name, place, failure.reason, source, failure.size)
    if dirty or len(failures) > len(combined.failures):
        row.revision += 1
        documents = [(each.document, each.number) for each in dirty if not each.keys]
        positions.mark(connection, row, documents, b"".join(each.keys for each in dirty))
    if oldest is not None and newest is not None:
        row.oldest = oldest if row.oldest is None else min(row.oldest, oldest)
        row.newest = newest if row.newest is None else max(row.newest, newest)
    _judge(plugin, row, combined, budget)
    return len(failures)


def _bisect(
    plugin: Plugin,
    state: State,
    new: Sequence[Observation],
    error: str,
    dirty: set[Dirty],
    refused: dict[int, str],
) -> list[int]:
    """Merge what is not to blame for the error that all of it came to, and return the times of that."""
    indices = sorted({item[2] for item in new})
    if len(indices) < 2:
        refused.update(dict.fromkeys(indices, error))
        return []
    middle = indices[len(indices) // 2]
    times: list[int] = []
    for half in ([item for item in new if item[2] < middle], [item for item in new if item[2] >= middle]):
        said_of_half = _attempt(state, partial(_merge, plugin, state, half), dirty)
        if said_of_half is None:
            times += [item[0] for item in half]
        else:
            times += _bisect(plugin, state, half, said_of_half, dirty, refused)
    return times


def _merge(plugin: Plugin, state: State, new: Sequence[Observation]) -> set[Dirty]:
    return plugin.kind.merge(state, plugin.kind.combine(new))


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


def _judge(plugin: Plugin, row: Position, combined: Combined, budget: float) -> None:
    # A replay of messages on which the plugin raised long ago says nothing new against it.
    failures = min(combined.trailing_failures, len(combined.failures))
    all_failed = combined.trailing_failures == combined.messages
    row.failures = failures + (row.failures if all_failed else 0)
    if row.failures >= MAX_FAILURES:
        last = combined.failures[-1].reason
        row.suspended = f"it raised on {row.failures} messages in a row, at last {last:.300}"
    elif combined.seconds > budget:
        row.suspended = f"it took {combined.seconds:.1f} s for one batch; {budget:g} s are allowed"
    if row.suspended:
        _log.error(
            "plugin %s is suspended: %s; mend it, then `statscache plugins --resume %s`",
            plugin.name,
            row.suspended,
            plugin.name,
        )

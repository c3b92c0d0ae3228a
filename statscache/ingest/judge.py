"""Decide whether a plugin is broken, or a sender sends messages that it cannot process.

A broken plugin is suspended, so that it costs nothing until somebody fixes it. Whoever may send a message must not be
able to have that done. So a plugin that fails is shown its *witness* again, a message that it counted before: if it
takes that one as it should, the others are to blame, which are quarantined, and it goes on.

A rebuild does not lose the witness. Where there is none, as for a new plugin, or the journal has lost it, one is looked
for in the journal. Only a plugin that has not taken a single one of the messages looked at there is suspended at once:
no one could tell then whether it ever worked.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from statscache.ingest.observe import shown
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.plugins.registry import wants
from statscache.scrubbing import scrub
from statscache.store import journal
from statscache.store.positions import Position
from statscache.store.records import Records

MAX_FAILURES = 1_000
"""Messages in a row on which a plugin may fail before it is looked at."""

BUDGET_BYTES = 32 * 1024 * 1024
"""Bytes of messages for which the time budget is; fewer have as much, and more have more in proportion."""

_RUNS = 5
_LONG = 1.0
"""Runs by which a witness is measured, and seconds beyond which one of them is enough."""

_SEGMENTS = 20
_SEARCH_SECONDS = 5.0
"""Segments of the journal in which a witness is looked for, and seconds after which that is given up."""

_log = logging.getLogger(__name__)


def of_time(
    connection: Connection,
    plugin: Plugin,
    row: Position,
    seconds: float,
    records: Sequence[bytes] | Records,
    budget: float,
) -> str | None:
    """Return the reason to suspend a plugin that took longer than its budget; None if the messages are to blame.

    Args:
        connection: The transaction.
        plugin: The plugin.
        row: Its row.
        seconds: How long it took to observe the messages.
        records: Records of the messages.
        budget: Seconds that it may take for `BUDGET_BYTES`.
    """
    size = sum(len(records[index]) for index in range(len(records)))
    allowed = budget * max(1.0, size / BUDGET_BYTES)
    if seconds <= allowed:
        return None
    witness = _witness(connection, plugin, row, search=True)
    if witness is not None and witness.seconds / witness.size * size < allowed / 2:
        _log.warning("plugin %s took %.1f s for %d bytes, and is quick with others", plugin.name, seconds, size)
        return None
    return f"it took {seconds:.1f} s for one batch; {allowed:g} s are allowed"


def of_failures(
    connection: Connection, plugin: Plugin, row: Position, reason: str, *, raised: bool = False
) -> str | None:
    """Return the reason to suspend a plugin that failed on too many messages in a row; None if they are to blame.

    Args:
        connection: The transaction.
        plugin: The plugin.
        row: Its row.
        reason: What is said of the failures.
        raised: True if it raised on them. What the database refused of others, only a message that counted tells.
    """
    if _witness(connection, plugin, row, search=raised) is None:
        return reason
    _log.warning("plugin %s: %s; it still takes what it counted before, and goes on", plugin.name, reason)
    row.failures = 0
    return None


class _Witness(NamedTuple):
    """A message that a plugin takes as it should: its bytes, and the seconds that it took."""

    size: int
    seconds: float


def _witness(connection: Connection, plugin: Plugin, row: Position, *, search: bool) -> _Witness | None:
    """Return how a plugin took the message that it counted before; if there is none, another one that it takes.

    None if it does not take that message, or if none is found.
    """
    known = None if row.witness is None else journal.record(connection, row.witness)
    if known is not None:
        seconds = _seconds(plugin, known)
        return None if seconds is None else _Witness(len(known), seconds)
    if not search:
        return None
    until = time.monotonic() + _SEARCH_SECONDS
    for place, record in _spread(connection):
        message = Message.from_record(record)
        if wants(plugin, message.name) and (seconds := _seconds(plugin, record)) is not None:
            row.witness = place
            return _Witness(len(record), seconds)
        if time.monotonic() > until:
            break
    return None


def _spread(connection: Connection) -> Iterator[tuple[int, bytes]]:
    """Yield position and record of messages from all over the journal, newest segment first."""
    firsts = journal.starts(connection)[::-1]
    for first in firsts[:: -(-len(firsts) // _SEGMENTS) or 1]:
        if (segment := journal.following(connection, first - 1)) is not None:
            yield from enumerate(segment.data.split(b"\n"), segment.first)


def _seconds(plugin: Plugin, record: bytes) -> float | None:
    """Return how long a plugin takes to observe a message; None if it raises, or makes nothing of it.

    It is the least of a few runs: caches may be cold in the first, and a busy machine makes any of them longer.
    """
    least = _once(plugin, record)
    for _ in range(_RUNS - 1):
        if least is None or least > _LONG:
            break
        again = _once(plugin, record)
        least = None if again is None else min(least, again)
    return least


def _once(plugin: Plugin, record: bytes) -> float | None:
    message = Message.from_record(record)
    started = time.perf_counter()
    # A plugin is foreign code.
    try:
        left = scrub(message, plugin.suppressed) if plugin.suppressed else message
        items = [plugin.kind.check(item) for item in plugin.observe(shown(plugin, left)) or ()]
    except (Exception, SystemExit):
        return None
    return time.perf_counter() - started if items else None

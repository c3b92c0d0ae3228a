"""Decide whether a plugin is broken, or a sender sends messages that it cannot process.

A broken plugin is suspended, so that it costs nothing until somebody fixes it. Whoever may send a message must not be
able to have that done. So a plugin that fails is shown its *witness* again, a message that it counted before: if it
takes that one as it should, the others are to blame: these are quarantined, and it goes on.
"""

import logging
import time
from collections.abc import Sequence

from sqlalchemy import Connection

from statscache.ingest.columns import shown
from statscache.ingest.reduce import PluginResult
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.scrubbing import scrub
from statscache.store import journal
from statscache.store.positions import Position
from statscache.store.records import Records

MAX_FAILURES = 1_000
"""Messages in a row on which a plugin may fail before it is looked at."""

BUDGET_BYTES = 32 * 1024 * 1024
"""Bytes of messages for which the time budget is; fewer have as much, and more have more in proportion."""

_log = logging.getLogger(__name__)


def of_observing(
    connection: Connection,
    plugin: Plugin,
    row: Position,
    result: PluginResult,
    records: Sequence[bytes] | Records,
    budget: float,
) -> str | None:
    """Return why a plugin must be suspended before its yields are merged; None if it need not.

    Args:
        connection: The transaction.
        plugin: The plugin.
        row: Its row, in which the failures in a row are counted.
        result: What it made of the messages.
        records: Records of the messages.
        budget: Seconds that it may take for `BUDGET_BYTES`.
    """
    # A replay of messages on which the plugin raised long ago says nothing new against it.
    failures = min(result.trailing_failures, len(result.failures))
    all_failed = result.trailing_failures == result.messages
    row.failures = failures + (row.failures if all_failed else 0)
    if row.failures >= MAX_FAILURES:
        last = result.failures[-1].reason if result.failures else ""
        reason = f"it raised on {row.failures} messages in a row, at last {last:.300}"
        return of_failures(connection, plugin, row, reason)
    if result.seconds <= budget:
        return None
    size = sum(len(records[index]) for index in range(len(records)))
    allowed = budget * max(1.0, size / BUDGET_BYTES)
    if result.seconds <= allowed:
        return None
    witness = _witness(connection, row)
    if witness is None and len(result.yields):
        witness = records[int(result.yields.messages[len(result.yields) // 2])]
    seconds = None if witness is None else _seconds(plugin, witness)
    if witness is not None and seconds is not None and seconds / len(witness) * size < allowed / 2:
        _log.warning("plugin %s took %.1f s for %d bytes, and is quick with others", plugin.name, result.seconds, size)
        return None
    return f"it took {result.seconds:.1f} s for one batch; {allowed:g} s are allowed"


def of_failures(connection: Connection, plugin: Plugin, row: Position, reason: str) -> str | None:
    """Return the reason to suspend a plugin that failed on too many messages in a row; None if they are to blame."""
    witness = _witness(connection, row)
    if witness is None or _seconds(plugin, witness) is None:
        return reason
    _log.warning("plugin %s: %s; it still takes what it counted before, and goes on", plugin.name, reason)
    row.failures = 0
    return None


def _witness(connection: Connection, row: Position) -> bytes | None:
    return None if row.witness is None else journal.record(connection, row.witness)


def _seconds(plugin: Plugin, record: bytes) -> float | None:
    """Return how long a plugin takes to observe a message; None if it raises."""
    message = Message.from_record(record)
    started = time.perf_counter()
    # A plugin is foreign code.
    try:
        left = scrub(message, plugin.suppressed) if plugin.suppressed else message
        for item in plugin.observe(shown(plugin, left)) or ():
            plugin.kind.check(item)
    except (Exception, SystemExit):
        return None
    return time.perf_counter() - started

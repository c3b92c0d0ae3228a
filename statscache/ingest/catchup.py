"""A plugin that is behind the journal's end catches up from the journal; no source is read again."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from statscache.exceptions import MergeFailed
from statscache.ingest.fold import fold
from statscache.ingest.lifecycle import has_missed, may_fold, reset
from statscache.ingest.observe import observe_records
from statscache.ingest.prepare import gc_paused
from statscache.ingest.reduce import PluginResult, reduce_plugin
from statscache.plugins import Plugin
from statscache.plugins.watch import Watch
from statscache.store import dropped_keys, journal, positions, quarantine
from statscache.store.database import Database
from statscache.store.positions import Position
from statscache.store.quarantine import Quarantined
from statscache.wording import counted

STEP = 50_000
"""Maximum number of messages folded in one transaction."""

STEP_BYTES = 32 * 1024 * 1024
"""Bytes of messages at which a transaction ends."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages of the journal that a plugin has to fold next, in one transaction.

    Attributes:
        after: Position of the plugin before them.
        places: Their positions, which may have holes.
        records: Their records.
        folded: Position of the plugin behind them.
        complete_from: Timestamp before which they do not count for this plugin; None if all do.
        rewrites: The journal's number of rewrites when they were read.
        dropped: Patterns of keys that the plugin does not count.
    """

    after: int
    places: Sequence[int]
    records: Sequence[bytes]
    folded: int
    complete_from: int | None
    rewrites: int
    dropped: tuple[str, ...]


def take_chunk(read: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return the next messages of the journal, as position and record, as many as are folded in one transaction."""
    taken: list[tuple[int, bytes]] = []
    size = 0
    for place, record in read:
        taken.append((place, record))
        size += len(record)
        if len(taken) >= STEP or size >= STEP_BYTES:
            break
    return taken


def next_chunk(database: Database, plugin: Plugin, after: int | None = None) -> Chunk | None:
    """Return the next chunk for a plugin to fold; None if there is none or the plugin may not fold.

    A plugin that has missed messages is put back to the beginning of the journal first.

    Args:
        database: The database.
        plugin: The plugin.
        after: Position from which on to read; the default is the position of the plugin.
    """
    with database.reading() as connection:
        row = positions.load(connection).get(plugin.name)
        if row is not None and may_fold(row, plugin):
            return _read(connection, row, row.position if after is None else after)
    if row is None or after is not None or not has_missed(row, plugin):
        return None
    _start_over(database, plugin)
    return next_chunk(database, plugin)


@gc_paused()
def look(plugin: Plugin, chunk: Chunk, watch: Watch) -> PluginResult:
    """Return a plugin's yields of a chunk; this needs no database, so any process can do it."""
    plugin.dropped = chunk.dropped
    with watch.observing():
        watch.note(plugin, f"{counted(len(chunk.records), 'message')} from position {chunk.after + 1} of the journal")
        observed, times = observe_records(plugin, chunk.records, watch)
        counts = times >= (chunk.complete_from or 0)
        watch.note(plugin, f"its yields of {counted(observed.messages, 'message')}")
        return reduce_plugin(plugin, observed, counts, times, chunk.records, watch)


@gc_paused()
def commit(database: Database, plugin: Plugin, chunk: Chunk, result: PluginResult, budget: float, watch: Watch) -> bool:
    """Fold a plugin's yields of a chunk; return True if it is still behind the journal's end and may go on."""
    try:
        return _commit(database, plugin, chunk, result, budget, watch, savepoints=False)
    except MergeFailed:
        return _commit(database, plugin, chunk, result, budget, watch, savepoints=True)


def _commit(
    database: Database,
    plugin: Plugin,
    chunk: Chunk,
    result: PluginResult,
    budget: float,
    watch: Watch,
    *,
    savepoints: bool,
) -> bool:
    with database.writing() as connection:
        # The journal's lock makes the last step end at its very end, however fast others append.
        end = journal.lock(connection)
        _log.debug("transaction begins: %s catches up with %d messages", plugin.name, len(chunk.records))
        locked = positions.lock(connection, [positions.load(connection)[plugin.name].id])[plugin.name]
        now = locked.position, locked.complete_from, end.rewrites
        is_old = now != (chunk.after, chunk.complete_from, chunk.rewrites)
        if is_old or not may_fold(locked, plugin):
            return locked.position < end.position
        with watch.working(plugin, f"its yields of {counted(result.messages, 'message')}"):
            fold(
                connection,
                plugin,
                locked,
                result,
                places=chunk.places,
                records=chunk.records,
                source="journal",
                through=end.through,
                budget=budget,
                savepoints=savepoints,
            )
        if locked.suspended is None:
            locked.position = chunk.folded
        positions.save(connection, [locked])
    _log.debug("transaction has committed: %s has folded %d", plugin.name, locked.position)
    return locked.position < end.position and locked.suspended is None


def step(database: Database, plugin: Plugin, budget: float, watch: Watch) -> bool:
    """Fold the next messages of the journal into a plugin that is behind; return True if it still is."""
    if (chunk := next_chunk(database, plugin)) is None:
        return False
    return commit(database, plugin, chunk, look(plugin, chunk, watch), budget, watch)


def retry(database: Database, plugin: Plugin, item: Quarantined, budget: float, watch: Watch) -> bool:
    """Let a plugin retry a message that was quarantined for it; return True if it is settled.

    It is settled if the message counts now, and also if it is no longer quarantined because another process retried it.
    A plugin that is suspended, or whose state is of another release, folds nothing, and so retries nothing.
    """
    assert item.position is not None
    with database.writing() as connection:
        end = journal.lock(connection)
        row = positions.lock(connection, [positions.load(connection)[plugin.name].id])[plugin.name]
        number = quarantine.find(connection, plugin.name, item.position)
        if number is None:
            return True
        record = journal.record(connection, item.position)
        if record is None or item.position > row.position or not may_fold(row, plugin):
            return False
        chunk = Chunk(
            item.position - 1,
            [item.position],
            [record],
            item.position,
            row.complete_from,
            end.rewrites,
            _dropped(connection, row),
        )
        result = look(plugin, chunk, watch)
        if result.failures:
            return False
        quarantine.drop(connection, (number,))
        failures, row.failures = row.failures, 0
        with watch.working(plugin, f"message {item.position} of the journal"):
            failed = fold(
                connection,
                plugin,
                row,
                result,
                places=chunk.places,
                records=chunk.records,
                source=item.source,
                through=end.through,
                budget=float("inf"),
                savepoints=True,
            )
        # An old message says nothing about how the plugin fares with those that come now.
        row.failures = failures
        positions.save(connection, [row])
        return failed == 0


def _read(connection: Connection, row: Position, after: int) -> Chunk | None:
    end = journal.head(connection)
    if after >= end.position:
        return None
    read = take_chunk(journal.read(connection, after, end.position))
    places = [position for position, _ in read]
    # What was removed from the journal leaves holes, also at its end.
    folded = places[-1] if places else end.position
    records = [record for _, record in read]
    return Chunk(after, places, records, folded, row.complete_from, end.rewrites, _dropped(connection, row))


def _dropped(connection: Connection, row: Position) -> tuple[str, ...]:
    return dropped_keys.load(connection).get(row.name, ())


def _start_over(database: Database, plugin: Plugin) -> None:
    with database.writing() as connection:
        journal.lock(connection)
        row = positions.lock(connection, [positions.load(connection)[plugin.name].id])[plugin.name]
        # Another process may have been faster.
        if has_missed(row, plugin):
            _log.info("plugin %s is rebuilt: the journal has lost messages that it had not folded", plugin.name)
            reset(connection, plugin, row)
            # The gate takes it for another version, so that the loss of rows is explained.
            positions.render_all(connection, row)

"""A plugin that is behind the journal's end catches up from the journal; no source is read again."""

import logging
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection

from statscache.exceptions import MergeFailed
from statscache.ingest.fold import fold
from statscache.ingest.lifecycle import reset
from statscache.ingest.observe import SLICE, Columns, Observed, Observer, derives, observe_values, sees_newest_only
from statscache.ingest.prepare import gc_paused
from statscache.ingest.reduce import PluginResult, reduce_plugin
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.scrubbing import scrub
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
        folded: Position of the plugin after them.
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
        row = positions.find(connection, plugin.name)
        if row is not None and row.may_fold(plugin.state_version):
            return _read(connection, row, row.position if after is None else after)
    if row is None or after is not None or not row.has_missed(plugin.state_version):
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
        watch.note(plugin, "its yields")
        return reduce_plugin(plugin, observed, counts, times, chunk.records, watch)


def observe_records(
    plugin: Plugin, records: Sequence[bytes], watch: Watch, skipped: Collection[int] = ()
) -> tuple[Observed, np.ndarray]:
    """Let a plugin observe messages of the journal, and return its yields with all their timestamps.

    Args:
        plugin: The plugin.
        records: The messages.
        watch: Called with the message that the plugin looks at.
        skipped: Indices of messages that it must not see.
    """
    interested = Registry([plugin]).interested
    deriving = derives(plugin.depends_on or ())
    observer, columns = Observer(plugin), Columns()
    times, indices = array("q"), array("q")
    # A slice at a time, because parsed bodies take several times the memory of records.
    for start in range(0, len(records), SLICE):
        messages = [*map(Message.from_record, records[start : start + SLICE])]
        times.extend([message.timestamp for message in messages])
        wanted = [
            (index, message)
            for index, message in enumerate(messages, start)
            if index not in skipped and interested(message.name)
        ]
        indices.extend([index for index, _ in wanted])
        if plugin.depends_on is not None:
            shown = [scrub(message, plugin.suppressed) if plugin.suppressed else message for _, message in wanted]
            derived = [message.derived for message in shown] if deriving else []
            columns.extend([message.timestamp for message in shown], [message.topic for message in shown], derived)
        elif not sees_newest_only(plugin):
            for index, message in wanted:
                watch.begin(plugin, message)
                observer.look(index, message)
    at = np.array(indices, np.int64)
    if sees_newest_only(plugin):
        observed = Observed(candidates=at)
    elif plugin.depends_on is None:
        observed = observer.observed()
    else:
        observed = observe_values(plugin, columns, {})
        observed.yields = replace(observed.yields, messages=at[observed.yields.messages])
        observed.failures = [(indices[row], reason) for row, reason in observed.failures]
    return observed, np.array(times, np.int64)


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
        if is_old or not locked.may_fold(plugin.state_version):
            return locked.position < end.position
        with watch.working(plugin, "its yields"):
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
        if record is None or item.position > row.position or not row.may_fold(plugin.state_version):
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
        if row.has_missed(plugin.state_version):
            _log.info("plugin %s is rebuilt: the journal has lost messages that it had not folded", plugin.name)
            reset(connection, plugin, row)
            # The gate takes it for another version, so that the loss of rows is explained.
            positions.render_all(connection, row)

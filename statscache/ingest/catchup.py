"""A plugin that is behind the journal's end catches up from the journal; nobody asks the archive again."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from statscache import canonical
from statscache.ingest import collector
from statscache.ingest.combining import Combined, Placed, combine
from statscache.ingest.fold import Unresolved, fold
from statscache.ingest.observing import Observed, observe
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.settings import plain
from statscache.plugins.watch import Watch
from statscache.store import journal, positions, quarantine
from statscache.store.database import Database
from statscache.store.positions import Position
from statscache.store.quarantine import SetAside
from statscache.wording import counted

STEP = 10_000
"""Messages that are folded in one transaction at most."""

STEP_BYTES = 16 * 1024 * 1024
"""Bytes of messages at which a transaction ends."""

_log = logging.getLogger(__name__)


def version_of(plugin: Plugin) -> str:
    """Return what the state of a plugin depends on besides messages: its version, its settings, who is left out."""
    settings = canonical.digest(canonical.identity(plain(plugin.settings)))[:16] if plugin.settings else "-"
    version = f"{plugin.version} {settings}"
    if not plugin.suppressed:
        return version
    return f"{version} {canonical.digest(canonical.identity(sorted(plugin.suppressed)))[:16]}"


def is_behind(stored: str, ours: str) -> bool:
    """Return whether state of version `stored` has to be folded anew for `ours`; never by an older release."""
    stored = stored.removesuffix(positions.MISSED)
    return stored != ours and int(stored.split()[0]) <= int(ours.split()[0])


def register(connection: Connection, plugin: Plugin) -> None:
    """Make a plugin known to the database, at the beginning of the journal and without state."""
    positions.register(connection, plugin.name, version_of(plugin), journal.removed(connection).until)
    row = positions.load(connection)[plugin.name]
    _clear(connection, plugin, row)
    positions.save(connection, [row])


def reset(connection: Connection, plugin: Plugin, row: Position) -> None:
    """Put a plugin back to the beginning of the journal, without state; its documents stay published meanwhile.

    Of days of which the journal has lost messages, it counts none.
    """
    quarantine.drop_plugin(connection, plugin.name)
    row.version = version_of(plugin)
    row.position = row.failures = 0
    row.oldest = row.newest = row.suspended = None
    row.complete_from = journal.removed(connection).until
    _clear(connection, plugin, row)
    row.revision += 1
    positions.save(connection, [row])
    positions.mark(connection, row, [(positions.EVERYTHING, 0)])


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages of the journal that a plugin has to fold next, in one transaction.

    Attributes:
        after: Position of the plugin before them.
        places: Their positions, which may have holes.
        records: Their lines.
        folded: Position of the plugin behind them.
        complete_from: Timestamp before which they do not count for this plugin; None if all do.
        rewrites: The journal's number of rewrites when they were read.
    """

    after: int
    places: Sequence[int]
    records: Sequence[bytes]
    folded: int
    complete_from: int | None
    rewrites: int


def portion(read: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return the next messages of those that are read of the journal, as many as are folded in one transaction."""
    taken: list[tuple[int, bytes]] = []
    size = 0
    for place, record in read:
        taken.append((place, record))
        size += len(record)
        if len(taken) >= STEP or size >= STEP_BYTES:
            break
    return taken


def stretch(database: Database, plugin: Plugin, after: int | None = None) -> Stretch | None:
    """Return what a plugin has to fold next, or None if there is nothing, or it may not.

    One that has missed messages is put back to the beginning of the journal first.

    Args:
        database: Whose journal.
        plugin: The plugin.
        after: From where on; else from the position of the plugin.
    """
    with database.reading() as connection:
        row = positions.load(connection).get(plugin.name)
        if row is not None and _may_fold(row, plugin):
            return _read(connection, row, row.position if after is None else after)
    if row is None or after is not None or not _has_missed(row, plugin):
        return None
    _begin_anew(database, plugin)
    return stretch(database, plugin)


@collector.paused()
def look(plugin: Plugin, stretch: Stretch, watch: Watch) -> Combined:
    """Let a plugin observe a stretch of the journal, and sum it up; needs no database, so any process can do it."""
    messages = [Message.from_record(line) for line in stretch.records]
    interested = Registry([plugin]).interested
    wanted = [pair for pair in enumerate(messages) if interested(pair[1].name)]
    observed = Observed()
    times = [message.timestamp for message in messages]
    placed = Placed(stretch.records, stretch.places).since(stretch.complete_from, times)
    with watch.observing():
        if wanted:
            watch.note(plugin, f"{counted(len(wanted), 'message')} from {wanted[0][1].id}")
            observe(plugin, wanted, observed)
        watch.note(plugin, f"what it made of {counted(observed.messages, 'message')}")
        return combine(plugin, observed, placed)


@collector.paused()
def commit(
    database: Database, plugin: Plugin, stretch: Stretch, combined: Combined, budget: float, watch: Watch
) -> bool:
    """Fold what a plugin made of a stretch; return whether it is behind the journal's end, and may go on."""
    try:
        with database.writing() as connection:
            # The journal's lock makes the last step end at its very end, however fast others append.
            end = journal.lock(connection)
            _log.debug("transaction begins: %s catches up with %d messages", plugin.name, len(stretch.records))
            locked = positions.lock(connection, [positions.load(connection)[plugin.name].id])[plugin.name]
            now = locked.position, locked.complete_from, end.rewrites
            is_old = now != (stretch.after, stretch.complete_from, stretch.rewrites)
            if is_old or not _may_fold(locked, plugin):
                return locked.position < end.position
            with watch.working(plugin, f"what it made of {counted(combined.messages, 'message')}"):
                fold(
                    connection,
                    plugin,
                    locked,
                    combined,
                    places=stretch.places,
                    source="journal",
                    through=end.through,
                    budget=budget,
                )
            locked.position = stretch.folded
            positions.save(connection, [locked])
        _log.debug("transaction has committed: %s has folded %d", plugin.name, locked.position)
        return locked.position < end.position and locked.suspended is None
    except Unresolved:
        pass
    return commit(database, plugin, stretch, look(plugin, stretch, watch), budget, watch)


def step(database: Database, plugin: Plugin, budget: float, watch: Watch) -> bool:
    """Fold the next messages of the journal into a plugin that is behind; return whether it still is."""
    if (ahead := stretch(database, plugin)) is None:
        return False
    return commit(database, plugin, ahead, look(plugin, ahead, watch), budget, watch)


def retry(database: Database, plugin: Plugin, item: SetAside, budget: float, watch: Watch) -> bool:
    """Let a plugin try again a message that was set aside for it; return whether that is settled.

    It is if the message counts now, and also if it is set aside no longer: then somebody else has seen to it.
    A plugin that is suspended, or whose state is of another release, folds nothing, and so tries nothing again.
    """
    assert item.position is not None
    with database.writing() as connection:
        end = journal.lock(connection)
        row = positions.lock(connection, [positions.load(connection)[plugin.name].id])[plugin.name]
        number = quarantine.find(connection, plugin.name, item.position)
        if number is None:
            return True
        record = journal.record(connection, item.position)
        if record is None or item.position > row.position or not _may_fold(row, plugin):
            return False
        observed = Observed()
        failures = row.failures
        message = Message.from_record(record)
        with watch.working(plugin, f"message {item.position} of the journal"):
            observe(plugin, [(0, message)], observed)
            if observed.failures:
                return False
            quarantine.drop(connection, (number,))
            places = [item.position]
            placed = Placed([record], places).since(row.complete_from, [message.timestamp])
            failed = fold(
                connection,
                plugin,
                row,
                combine(plugin, observed, placed),
                places=places,
                source=item.source,
                through=end.through,
                budget=budget,
            )
        # An old message says nothing of how the plugin fares with those that come now.
        row.failures = failures
        positions.save(connection, [row])
        return failed == 0


def _read(connection: Connection, row: Position, after: int) -> Stretch | None:
    end = journal.head(connection)
    if after >= end.position:
        return None
    read = portion(journal.read(connection, after, end.position))
    places = [position for position, _ in read]
    # What was removed from the journal leaves holes, also at its end.
    folded = places[-1] if places else end.position
    return Stretch(after, _dense(places), [line for _, line in read], folded, row.complete_from, end.rewrites)


def _begin_anew(database: Database, plugin: Plugin) -> None:
    with database.writing() as connection:
        journal.lock(connection)
        row = positions.lock(connection, [positions.load(connection)[plugin.name].id])[plugin.name]
        # Another process may have been faster.
        if _has_missed(row, plugin):
            _log.info("plugin %s is folded anew: the journal has lost messages that it had not folded", plugin.name)
            reset(connection, plugin, row)
            # The gate takes it for another version: that it counts less is explained.
            positions.save_rendered(connection, row, row.rendered_through, None)


def _dense(places: Sequence[int]) -> Sequence[int]:
    """Return the same places, as a range if they have no holes."""
    whole = range(places[0], places[-1] + 1) if places else range(0)
    return whole if len(whole) == len(places) else places


def _clear(connection: Connection, plugin: Plugin, row: Position) -> None:
    # A plugin may bring tables of its own; if these cannot be made, it is suspended, and the others run.
    try:
        with connection.begin_nested():
            plugin.kind.clear(connection, row.id)
    except Exception as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        mend = f"mend it, then `statscache rebuild {plugin.name}`"
        row.suspended = f"its state could not be made empty: {type(error).__name__}: {error!s:.300}; {mend}"


def _has_missed(row: Position, plugin: Plugin) -> bool:
    return row.suspended is None and row.version == version_of(plugin) + positions.MISSED


def _may_fold(row: Position, plugin: Plugin) -> bool:
    return row.suspended is None and row.version == version_of(plugin)

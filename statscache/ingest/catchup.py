"""A plugin that is behind the journal's end catches up from the journal; nobody asks the archive again."""

import logging
from itertools import islice

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from statscache import canonical
from statscache.ingest import collector
from statscache.ingest.fold import Observed, Placed, fold, observe
from statscache.ingest.watch import Watch
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.store import journal, positions, quarantine
from statscache.store.database import Database
from statscache.store.positions import Position
from statscache.store.quarantine import SetAside

STEP = 10_000
"""Messages that are folded in one transaction."""

_log = logging.getLogger(__name__)


def version_of(plugin: Plugin) -> str:
    """Return what the state of a plugin depends on besides messages: its version, its settings, who is left out."""
    settings = canonical.digest(canonical.identity(dict(plugin.settings)))[:16] if plugin.settings else "-"
    version = f"{plugin.version} {settings}"
    if not plugin.suppressed:
        return version
    return f"{version} {canonical.digest(canonical.identity(sorted(plugin.suppressed)))[:16]}"


def is_behind(stored: str, ours: str) -> bool:
    """Return whether state of version `stored` has to be folded anew for `ours`; never by an older release."""
    return stored != ours and int(stored.split()[0]) <= int(ours.split()[0])


def register(connection: Connection, plugin: Plugin) -> None:
    """Make a plugin known to the database, at the beginning of the journal and without state."""
    positions.register(connection, plugin.name, version_of(plugin))
    row = positions.load(connection)[plugin.name]
    _clear(connection, plugin, row)
    positions.save(connection, [row])


def reset(connection: Connection, plugin: Plugin, row: Position) -> None:
    """Put a plugin back to the beginning of the journal, without state; its documents stay published meanwhile."""
    quarantine.drop_plugin(connection, plugin.name)
    row.version = version_of(plugin)
    row.position = row.failures = 0
    row.oldest = row.newest = row.suspended = None
    _clear(connection, plugin, row)
    row.revision += 1
    positions.save(connection, [row])
    positions.mark(connection, row, [(positions.EVERYTHING, 0)])


@collector.paused()
def step(database: Database, plugin: Plugin, budget: float, watch: Watch) -> bool:
    """Fold the next messages of the journal into a plugin that is behind; return whether it still is."""
    with database.reading() as connection:
        row = positions.load(connection).get(plugin.name)
        end = journal.head(connection)
        if row is None or not _may_fold(row, plugin) or row.position >= end.position:
            return False
        records = [line for _, line in islice(journal.read(connection, row.position, end.position), STEP)]
    messages = [Message.from_record(line) for line in records]
    interested = Registry([plugin]).interested
    wanted = [pair for pair in enumerate(messages) if interested(pair[1].name)]
    observed = Observed()
    if wanted:
        with watch.observing():
            watch.begin(plugin, len(wanted), wanted[0][1].id)
            observe(plugin, wanted, observed)
    with database.writing() as connection:
        # The journal's lock makes the last step end at its very end, however fast others append.
        end = journal.lock(connection)
        _log.debug("transaction begins: %s catches up with %d messages", plugin.name, len(messages))
        locked = positions.lock(connection, [row.id])[plugin.name]
        if locked.position != row.position or not _may_fold(locked, plugin):
            return locked.position < end.position
        first = row.position + 1
        placed = Placed(records, range(first, first + len(records)), "journal")
        fold(connection, plugin, locked, observed, placed, through=end.through, budget=budget)
        locked.position = row.position + len(messages)
        positions.save(connection, [locked])
    _log.debug("transaction has committed: %s has folded %d", plugin.name, locked.position)
    return locked.position < end.position and locked.suspended is None


def retry(database: Database, plugin: Plugin, item: SetAside, budget: float) -> bool:
    """Let a plugin try again a message that was set aside for it; return whether it now counts."""
    assert item.position is not None
    with database.writing() as connection:
        end = journal.lock(connection)
        row = positions.lock(connection, [positions.load(connection)[plugin.name].id])[plugin.name]
        record = journal.record(connection, item.position)
        if record is None or item.position > row.position:
            return False
        observed = Observed()
        observe(plugin, [(0, Message.from_record(record))], observed)
        if observed.failures:
            return False
        quarantine.drop(connection, (item.id,))
        placed = Placed([record], [item.position], item.source)
        failed = fold(connection, plugin, row, observed, placed, through=end.through, budget=budget)
        positions.save(connection, [row])
        return failed == 0


def _clear(connection: Connection, plugin: Plugin, row: Position) -> None:
    # A plugin may bring tables of its own; if these cannot be made, it is suspended, and the others run.
    try:
        with connection.begin_nested():
            plugin.clear(connection, row.id)
    except Exception as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        mend = f"mend it, then `statscache rebuild {plugin.name}`"
        row.suspended = f"its state could not be made empty: {type(error).__name__}: {error!s:.300}; {mend}"


def _may_fold(row: Position, plugin: Plugin) -> bool:
    return row.suspended is None and row.version == version_of(plugin)

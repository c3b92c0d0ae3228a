"""When a plugin begins, begins again, and pauses: rows of `plugin` in the database, apart from folding."""

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from statscache import kinds
from statscache.exceptions import KeysRefused
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.store import dropped_keys, hangs, journal, positions, quarantine
from statscache.store.database import Database, is_lost
from statscache.store.positions import Position

_log = logging.getLogger(__name__)


class Lifecycle:
    """The plugins of a registry in one database."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    def start(self) -> None:
        """Register new plugins, reset those whose version or settings have changed, and record which are active."""
        with self._database.reading() as connection:
            rows = positions.load(connection)
            self.load_dropped(connection)
            recorded = positions.active(connection)
        active = {plugin.name for plugin in self._registry}
        problems = {(problem.name, problem.reason) for problem in self._registry.problems}
        due = any(self._is_due(rows.get(plugin.name), plugin) for plugin in self._registry)
        if not due and recorded == (active, problems):
            return
        with self._database.writing() as connection:
            journal.lock(connection)
            rows = positions.load(connection)
            versions = {plugin.name: plugin.state_version for plugin in self._registry if plugin.name not in rows}
            new = positions.register(connection, versions, journal.removed(connection).until)
            for plugin in self._registry:
                if plugin.name in new:
                    _clear(connection, plugin, new[plugin.name])
                elif self._is_due(row := rows[plugin.name], plugin):
                    _log.info("plugin %s has changed: it is rebuilt from the journal", plugin.name)
                    reset(connection, plugin, positions.lock(connection, [row.id])[plugin.name])
            positions.save(connection, [*new.values()])
            positions.activate(connection, active, problems)

    def _is_due(self, row: Position | None, plugin: Plugin) -> bool:
        return row is None or is_outdated(row.version, plugin.state_version)

    def behind(self) -> list[tuple[str, int]]:
        """Return which plugins are behind the journal's end, and by how many messages."""
        with self._database.reading() as connection:
            end = journal.head(connection).position
            rows = positions.load(connection)
        return [
            (plugin.name, end - rows[plugin.name].position)
            for plugin in self._registry
            if plugin.name in rows and rows[plugin.name].position < end and not rows[plugin.name].suspended
        ]

    def rebuild(self, names: Sequence[str]) -> None:
        """Put plugins back to the beginning of the journal.

        Raises:
            UnknownPlugin: One of the names is not an active plugin; nothing was changed.
        """
        plugins = [self._registry.get(name) for name in names]
        with self._database.writing() as connection:
            journal.lock(connection)
            rows = positions.load(connection)
            for plugin in plugins:
                reset(connection, plugin, positions.lock(connection, [rows[plugin.name].id])[plugin.name])
            kinds.remove_strays(connection)

    def load_dropped(self, connection: Connection) -> None:
        """Let all plugins leave out the keys that were dropped of them, by whatever process."""
        dropped = dropped_keys.load(connection)
        for plugin in self._registry:
            plugin.dropped = dropped.get(plugin.name, ())

    def drop_keys(self, name: str, pattern: str) -> int:
        """Remove the keys of a plugin of which a part matches a pattern, and count them no more.

        Neither needs messages of the journal. When the plugin first and last counted something stays as it was.

        Returns:
            The number of keys that were removed.

        Raises:
            UnknownPlugin: No active plugin has that name.
            KeysRefused: The plugin has no keys; or its state is that of another release or of other settings.
        """
        plugin = self._registry.get(name)
        if not plugin.kind.follows_from_yields or not plugin.dimensions:
            raise KeysRefused(f"{name} has no keys that could be dropped")
        with self._database.writing() as connection:
            journal.lock(connection)
            row = positions.lock(connection, [positions.load(connection)[name].id])[name]
            if row.version != plugin.state_version:
                raise KeysRefused(f"the state of {name} is another release's, or of other settings: run it with these")
            dropped_keys.add(connection, name, pattern)
            self.load_dropped(connection)
            digests = kinds.digests_of_matching(connection, row.id, pattern)
            if digests:
                plugin.kind.drop_keys(connection, row.id, digests)
                row.revision += 1
                positions.save(connection, [row])
                # The gate takes it for another version, so that the loss of rows is explained.
                positions.render_all(connection, row)
        return len(digests)

    def restore_keys(self, name: str, pattern: str) -> bool:
        """Count keys again that were dropped by this pattern, from the beginning of the journal.

        Returns:
            Whether the pattern was there.

        Raises:
            UnknownPlugin: No active plugin has that name.
        """
        plugin = self._registry.get(name)
        with self._database.writing() as connection:
            journal.lock(connection)
            if not dropped_keys.remove(connection, lambda of, each: (of, each) == (name, pattern)):
                return False
            self.load_dropped(connection)
            fold_again(connection, plugin, positions.lock(connection, [positions.load(connection)[name].id])[name])
        return True

    def suspend(self, name: str, reason: str | None) -> None:
        """Suspend a plugin; without a reason, let it resume where it stopped."""
        with self._database.writing() as connection:
            row = positions.load(connection).get(name)
            if row is not None:
                locked = positions.lock(connection, [row.id])[name]
                locked.suspended, locked.failures = reason, 0
                positions.save(connection, [locked])


def is_outdated(stored: str, ours: str) -> bool:
    """Return True if state of version `stored` has to be rebuilt for `ours`; an older release never rebuilds."""
    return stored != ours and int(stored.split()[0]) <= int(ours.split()[0])


def reset(connection: Connection, plugin: Plugin, row: Position) -> None:
    """Reset a plugin to the beginning of the journal, without state; its documents stay published meanwhile.

    It counts nothing of days from which the journal has lost messages.
    """
    quarantine.drop_plugin(connection, plugin.name)
    hangs.drop(connection, plugin.name)
    plugin.avoided = frozenset()
    row.version = plugin.state_version
    row.missed = False
    row.position = row.failures = 0
    row.oldest = row.newest = row.suspended = None
    row.complete_from = journal.removed(connection).until
    _clear(connection, plugin, row)
    row.revision += 1
    row.is_sound = True
    positions.save(connection, [row])
    positions.mark(connection, row, [(positions.EVERYTHING, 0)])


def fold_again(connection: Connection, plugin: Plugin, row: Position) -> None:
    """Reset a plugin to the beginning of the journal; a suspended one stays suspended."""
    suspended = row.suspended
    reset(connection, plugin, row)
    if suspended is not None:
        row.suspended = suspended
        positions.save(connection, [row])
    # The gate takes it for another version, even if the rows go.
    positions.render_all(connection, row)


def empty(connection: Connection, row: Position) -> None:
    """Clear the state of a plugin that is not active, or of another version."""
    kinds.clear(connection, row.id)
    row.position, row.oldest, row.newest = 0, None, None
    row.complete_from = journal.removed(connection).until
    positions.save(connection, [row])
    positions.render_all(connection, row)


def _clear(connection: Connection, plugin: Plugin, row: Position) -> None:
    # A plugin may bring tables of its own. If these cannot be made, it is suspended, and the others run.
    try:
        with connection.begin_nested():
            plugin.kind.clear(connection, row.id)
    except Exception as error:
        if is_lost(error):
            raise
        fix = f"fix it, then run `statscache rebuild {plugin.name}`"
        row.suspended = f"its state could not be cleared: {type(error).__name__}: {error!s:.300}; {fix}"

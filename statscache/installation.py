"""One installation: its configuration, database and plugins, opened and checked."""

import ctypes
from contextlib import suppress

from statscache.config import Config, PluginsSection, PrivacySection
from statscache.ingest import Ingest
from statscache.ingest.watchdog import Watchdog
from statscache.plugins.registry import Registry, load
from statscache.store import Database

_M_ARENA_MAX = -8
"""The parameter of glibc's mallopt(3) for the number of its arenas."""


def load_plugins(plugins: PluginsSection, privacy: PrivacySection) -> Registry:
    """Load the plugins that a configuration enables, with their settings, in any process.

    Raises:
        ConfigurationError: The configuration does not fit the installed plugins.
    """
    registry = load(
        plugins.enabled,
        plugins.settings,
        disabled=plugins.disabled,
        shared=plugins.shared,
        people=privacy.people,
    )
    for plugin in registry:
        plugin.suppressed = frozenset(privacy.suppressed)
    return registry


class Installation:
    """The opened installation, with which every job starts.

    Args:
        config: The configuration.

    Attributes:
        config: The configuration.
        database: The database, with this release's schema.
        registry: The plugins that the configuration enables.
        watchdog: Ends the process when a plugin hangs.
        ingest: Accepts messages into the database; every plugin is registered there.

    Raises:
        ConfigurationError: The database's URL is wrong, or the configuration does not fit the installed plugins.
        SchemaError: The database cannot be opened, or has another release's schema.
    """

    def __init__(self, config: Config) -> None:
        _share_memory()
        self.config = config
        plugins = config.plugins
        self.registry: Registry = load_plugins(plugins, config.privacy)
        self.database = Database(config.database.url)
        self.database.prepare()
        self.watchdog = Watchdog(plugins.hang_note, plugins.hang_timeout)
        self.ingest = Ingest(
            self.database,
            self.registry,
            config.bus.environments,
            plugins.time_budget,
            self.watchdog,
            config.bus.max_kept,
            config.journal.keep,
            config.bus.max_line,
        )
        self.ingest.start()
        self.watchdog.report(self.ingest)

    def close(self) -> None:
        """Close the database, and remove the note of a hang."""
        self.watchdog.close()
        self.database.close()


def _share_memory() -> None:
    """Let all threads take memory from one place, so that what one of them freed is used by the others.

    With glibc each thread has an arena of its own otherwise, which keeps the greatest size that it ever had: consuming,
    rendering and sending to each target added up to some 50 MB that were free. Threads of Python hardly ever allocate
    at the same time. Other C libraries have no such function, and no such arenas.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)

"""One installation: its configuration, database and plugins, opened and checked."""

from statscache.config import Config, PluginsSection, PrivacySection
from statscache.ingest import Ingest
from statscache.ingest.watchdog import Watchdog
from statscache.memory import share_freed
from statscache.plugins.registry import Registry, load
from statscache.store import Database


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
        share_freed()
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

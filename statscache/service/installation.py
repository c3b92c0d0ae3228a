"""One installation: its configuration, database and plugins, opened and checked."""

from functools import cached_property

from statscache.config import Config
from statscache.ingest import Ingest
from statscache.plugins.registry import Registry, load
from statscache.service.watchdog import Watchdog
from statscache.store import Database


class Installation:
    """What every job starts from.

    Args:
        config: The configuration.

    Raises:
        ConfigurationError: The database's URL is wrong.
        SchemaError: The database cannot be opened, or has another release's schema.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.database = Database(config.database.url)
        self.database.prepare()

    @cached_property
    def registry(self) -> Registry:
        """The plugins that the configuration enables."""
        return load(self.config.plugins.enabled, self.config.plugins.settings)

    @cached_property
    def ingest(self) -> Ingest:
        """The door of the database, with every plugin registered there."""
        plugins = self.config.plugins
        watchdog = Watchdog(plugins.hang_note, plugins.hang_timeout)
        ingest = Ingest(self.database, self.registry, self.config.bus.environments, plugins.time_budget, watchdog)
        ingest.start()
        watchdog.report(ingest)
        return ingest

    def close(self) -> None:
        """Close the database."""
        self.database.close()

"""Maintenance of the journal while nothing else is to be done."""

import logging
from collections.abc import Sequence

from statscache.store import compaction, journal
from statscache.store.database import Database
from statscache.timeline import DAY

_log = logging.getLogger(__name__)


class JournalMaintenance:
    """Merges small segments of the journal, and removes old ones; a little at a time.

    Args:
        database: Whose journal.
        plugins: Names of the plugins that are enabled.
        keep: Days for which the journal is kept; None forever.
    """

    def __init__(self, database: Database, plugins: Sequence[str], keep: int | None) -> None:
        self._database = database
        self._plugins = plugins
        self._keep = keep
        # Up to where nothing is left to merge, and the day for which old segments were looked for.
        self._settled = 0
        self._day: int | None = None

    def step(self) -> None:
        """Do a bounded part of the pending work, if there is any."""
        settled = compaction.merge_small(self._database, self._settled)
        self._settled = self._settled if settled is None else settled
        if self._keep is None:
            return
        with self._database.reading() as connection:
            through = journal.head(connection).through
        # What is old changes with the day. What was in use then goes on another.
        if through is not None and through // DAY != self._day:
            self._day = through // DAY
            if number := compaction.remove_old(self._database, self._plugins, self._keep):
                _log.info("removed %d messages from the journal, which is kept for %d days", number, self._keep)

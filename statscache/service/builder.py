"""Build the snapshot that is due, and render everything again where the database is damaged."""

import logging
import math
import time
from collections.abc import Iterable

from statscache import kinds
from statscache.exceptions import Damaged, DamagedStatistics
from statscache.installation import Installation
from statscache.publish.targets import Targets
from statscache.render.render import Renderer
from statscache.render.result import RenderedPlugin
from statscache.snapshot import damage
from statscache.snapshot.build import build
from statscache.snapshot.snapshot import Snapshot
from statscache.store import integrity, invariants, journal, positions

REPAIR_PAUSE = 600.0
"""Seconds from a repair that failed to the next."""

_log = logging.getLogger(__name__)


class Builder:
    """Builds the snapshots of an installation.

    Args:
        installation: The installation.
        renderer: Makes the files.
        targets: Where they are published; the generation of the next one exceeds those found there.
    """

    def __init__(self, installation: Installation, renderer: Renderer, targets: Targets) -> None:
        self._installation = installation
        self._renderer = renderer
        self._targets = targets
        self._repairs_from = -math.inf

    def build(
        self,
        *,
        force: bool = False,
        resume: bool = False,
        slow_interval: float = 0.0,
        most: int | None = None,
        found: Damaged | None = None,
    ) -> tuple[Snapshot, list[RenderedPlugin]]:
        """Build the snapshot that is due; its generation exceeds that of every target, as far as known.

        Where the database is damaged, as `found` says or as turns out, everything is rendered again.

        Raises:
            Damaged: What is damaged cannot be rendered again.
        """
        database, ahead = self._installation.database, self._targets.ahead
        if found is None or time.monotonic() < self._repairs_from:
            # What the last repair could not put right of one target stops no other.
            try:
                with integrity.explained():
                    if force:
                        self._refuse_broken("everything is to be rendered again")
                    self._installation.ingest.admit_due()
                    return build(
                        database,
                        self._renderer,
                        generation=ahead,
                        force=force,
                        resume=resume,
                        slow_interval=slow_interval,
                        most=most,
                    )
            except Damaged as error:
                if force:
                    raise
                found = error
        with integrity.explained():
            return self._repair(found, resume=resume)

    def _repair(self, found: Damaged, *, resume: bool) -> tuple[Snapshot, list[RenderedPlugin]]:
        if time.monotonic() < self._repairs_from:
            raise found
        _log.error("the database is damaged, and everything is rendered again from the statistics: %s", found)
        self._repairs_from = time.monotonic() + REPAIR_PAUSE
        database = self._installation.database
        self._refuse_broken(str(found))
        done = build(database, self._renderer, generation=self._targets.ahead, resume=resume, repair=True)
        _log.warning("damaged files were rendered again: generation %d", done[0].generation)
        return done

    def refuse_unrendered(self, rendered: Iterable[RenderedPlugin]) -> None:
        """Say which plugins could not be rendered again, though they counted nothing since they were.

        Raises:
            DamagedStatistics: There are some.
        """
        with self._installation.database.reading() as connection:
            through, pending = journal.head(connection).through, positions.pending(connection)
        stuck = [each.info.name for each in rendered if each.state == "stale"]
        settled = {each.info.name for each in rendered if damage.is_settled(each.row, through, pending)}
        if damaged := [name for name in stuck if name in settled]:
            raise DamagedStatistics(
                f"{', '.join(damaged)} could not be rendered again, though nothing was counted since: the log says why,"
                " and `statscache db check` whether their statistics are damaged. Their documents stay as they were,"
                " and the rest is published"
            )

    def _refuse_broken(self, why: str) -> None:
        """Refuse to render everything from statistics that are damaged.

        Raises:
            DamagedStatistics: They are, as far as that can be told without a recount; the text says why it matters.
        """
        with self._installation.database.reading() as connection:
            broken = [*integrity.of_tables(connection, kinds.state_tables())]
            broken += invariants.broken(connection, kinds.invariants(), only_more=True)
        if broken:
            raise DamagedStatistics(f"{why}; and nothing can be rendered again: {'; '.join(broken)}")

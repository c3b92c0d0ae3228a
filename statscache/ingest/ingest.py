"""Ingest: a delivery is accepted exactly once, and every plugin keeps up with the journal.

A message goes one way: `prepare` parses it and lets plugins observe it, `reduce` sums up what they yielded, `accept`
writes it to the journal, `fold` merges the sums. The last three are one transaction.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from statscache.bounds import MAX_LINE
from statscache.exceptions import MergeFailed
from statscache.ingest import catchup
from statscache.ingest.accept import accept, move_source, places
from statscache.ingest.delivery import Delivery, Outcome
from statscache.ingest.fold import fold
from statscache.ingest.lifecycle import Lifecycle
from statscache.ingest.maintenance import JournalMaintenance
from statscache.ingest.prepare import Batch, Preparer, gc_paused
from statscache.ingest.reduce import Reduction, reduce
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.store import hangs, journal, positions, quarantine, sources, suppression
from statscache.store.database import Database
from statscache.store.journal import Head
from statscache.store.outage import UNAVAILABLE
from statscache.store.positions import Position
from statscache.store.quarantine import Quarantined
from statscache.store.suppression import Suppression

MAX_KEPT = 256 * 1024 * 1024
"""Default quota in bytes for malformed lines, and again for messages of the future."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What another process has to know to prepare a delivery as this one would.

    Attributes:
        suspended: Names of the plugins that see no messages.
        suppression: The people who were forgotten.
        avoided: Ids of the messages on which each plugin hung, by its name.
        identity_key: With which identities are digested.
    """

    suspended: frozenset[str]
    suppression: Suppression
    avoided: Mapping[str, frozenset[str]]
    identity_key: bytes


class Ingest:
    """Accepts deliveries into the journal of one database and folds them into the plugins' state.

    Several processes may each have one on the same database. It is safe for one thread at a time.

    Args:
        database: The database.
        registry: The plugins that fold.
        environments: Those whose messages are accepted; empty for all.
        budget: Seconds that a plugin may take for one batch before it is suspended.
        watch: Called with what the plugins are doing.
        max_kept: Quota in bytes for malformed lines, and again for messages of the future.
        keep: Days for which the journal is kept; None forever.
        max_line: Maximum bytes of a line.

    Attributes:
        plugins: When each plugin begins, begins again and pauses.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        environments: Collection[str] = ("prod",),
        budget: float = 30.0,
        watch: Watch | None = None,
        max_kept: int = MAX_KEPT,
        keep: int | None = None,
        max_line: int = MAX_LINE,
    ) -> None:
        self.database = database
        self.registry = registry
        self.plugins = Lifecycle(database, registry)
        self._budget = budget
        self._max_kept = max_kept
        self._watch = watch or Watch()
        self._preparer = Preparer(registry, environments, self._watch, max_line)
        self._identity_key = b""
        self._maintenance = JournalMaintenance(database, [plugin.name for plugin in registry], keep)

    def start(self) -> None:
        """Make the database ready for these plugins: new ones start at the beginning, changed ones are rebuilt."""
        with self.database.reading() as connection:
            self._preparer.forget(suppression.load(connection))
            self._identity_key = journal.identity_key(connection)
            hung = hangs.load(connection)
        self._preparer.identify_with(self._identity_key)
        for plugin in self.registry:
            plugin.avoided = hung.get(plugin.name, frozenset())
        self.plugins.start()
        self._leave_out_suspended()

    def worker_context(self) -> WorkerContext:
        """Return what another process has to know to prepare a delivery as this one would, for now."""
        avoided = {plugin.name: plugin.avoided for plugin in self.registry}
        return WorkerContext(self._preparer.suspended, self._preparer.suppression, avoided, self._identity_key)

    def prepare(self, delivery: Delivery) -> Batch:
        """Have every plugin observe a delivery that is taken later, perhaps together with others."""
        return self._preparer.prepare(delivery)

    @gc_paused()
    def take(self, delivery: Delivery, prepared: Batch | None = None) -> Outcome:
        """Accept a delivery in one transaction; when this returns, it is on disk.

        If the database refuses a delivery, it is divided until the line to blame is alone, which is quarantined.

        Args:
            delivery: What a source delivered.
            prepared: The batch that was made of it, if one was.
        """
        batch = self.prepare(delivery) if prepared is None else prepared
        try:
            try:
                return self._commit(delivery, batch, savepoints=False)
            except MergeFailed:
                return self._commit(delivery, batch, savepoints=True)
        except UNAVAILABLE:
            raise
        except Exception as error:
            if delivery.pieces:
                return self._take_pieces(delivery.pieces)
            lines = [*delivery.lines]
            if len(lines) > 1:
                return self._take_halves(delivery, lines)
            if not lines:
                raise
            _log.exception("the database refused a message, which is quarantined")
            refused = (lines[0], f"the database refused it: {type(error).__name__}: {error}")
        outcome = self.take(replace(delivery, lines=(), oversize=[*delivery.oversize, refused]))
        outcome.read += 1
        return outcome

    def _commit(self, delivery: Delivery, batch: Batch, *, savepoints: bool) -> Outcome:
        with self.database.writing() as connection:
            outcome = self._write(connection, delivery, batch, savepoints)
            # Lines that were held say nothing about how the source fares.
            if not delivery.held:
                move_source(connection, delivery, batch.times, outcome)
        _log.debug("transaction has committed: %d new messages", outcome.accepted)
        return outcome

    def _take_pieces(self, pieces: Sequence[Delivery]) -> Outcome:
        outcome = Outcome()
        for piece in pieces:
            outcome += self.take(piece)
        return outcome

    def _take_halves(self, delivery: Delivery, lines: Sequence[bytes]) -> Outcome:
        middle = len(lines) // 2
        with self.database.reading() as connection:
            row = sources.load(connection, delivery.source)
        # What was read is complete only with the second half.
        offset = row.offset if row else 0
        held = delivery.held
        outcome = self.take(replace(delivery, lines=lines[:middle], held=held[:middle], offset=offset, oversize=()))
        outcome += self.take(replace(delivery, lines=lines[middle:], held=held[middle:]))
        return outcome

    def _write(self, connection: Connection, delivery: Delivery, batch: Batch, savepoints: bool) -> Outcome:
        _log.debug("transaction begins: %d messages of %s", len(batch.times), delivery.source)
        before = journal.lock(connection)
        rows = self._load(connection)
        if before.rewrites != batch.rewrites:
            # Somebody was forgotten since: without them, the messages are others. Or keys were dropped.
            self._preparer.forget(suppression.load(connection))
            self.plugins.load_dropped(connection)
            batch = self._preparer.prepare(delivery)
        current = [plugin for plugin in self.registry if _is_current(rows.get(plugin.name), plugin, before)]
        known = journal.find(connection, batch.identities)
        complete_from = {name: row.complete_from for name, row in rows.items() if row.complete_from is not None}
        reduction = reduce(batch, known, current, complete_from, self._watch)
        end, outcome = accept(connection, before, delivery, batch, reduction, self._max_kept)
        if outcome.accepted:
            outcome.failures = self._fold(connection, before, end, rows, batch, reduction, delivery.source, savepoints)
        return outcome

    def _fold(
        self,
        connection: Connection,
        before: Head,
        end: Head,
        rows: Mapping[str, Position],
        batch: Batch,
        reduction: Reduction,
        source: str,
        savepoints: bool,
    ) -> int:
        locked = positions.lock(connection, [rows[name].id for name in reduction.results])
        numbers = places(before, reduction.new)
        failures = 0
        with self._watch.observing():
            for name, result in reduction.results.items():
                plugin, row = self.registry.get(name), locked[name]
                self._watch.note(plugin, "its yields")
                failures += fold(
                    connection,
                    plugin,
                    row,
                    result,
                    places=numbers,
                    records=batch.records,
                    source=source,
                    through=end.through,
                    budget=self._budget,
                    savepoints=savepoints,
                )
                if row.suspended is None:
                    row.position = end.position
        positions.save(connection, [*locked.values()])
        return failures

    def _load(self, connection: Connection) -> Mapping[str, Position]:
        """Return the rows of all plugins; suspended ones see no more messages, in any process."""
        rows = positions.load(connection)
        self._preparer.leave_out(frozenset(name for name, row in rows.items() if row.suspended is not None))
        return rows

    def _leave_out_suspended(self) -> None:
        with self.database.reading() as connection:
            self._load(connection)

    def catch_up(self) -> bool:
        """Fold one step of the journal into each plugin that is behind; return True if any still is.

        When none is, small segments of the journal are merged, and old ones are removed.
        """
        behind = False
        for plugin in self.registry:
            behind |= catchup.step(self.database, plugin, self._budget, self._watch)
        if not behind:
            self._maintenance.step()
        return behind

    def avoid(self, name: str, message: str) -> int:
        """Do not show a plugin the message of this id again, and return on how many it hung so far."""
        with self.database.writing() as connection:
            hangs.add(connection, name, message)
            hung = hangs.load(connection)[name]
        for plugin in self.registry:
            if plugin.name == name:
                plugin.avoided = hung
        return len(hung)

    def suspend(self, name: str, reason: str) -> None:
        """Keep a plugin from folding until it is resumed."""
        self.plugins.suspend(name, reason)
        self._leave_out_suspended()

    def resume(self, name: str) -> None:
        """Let a suspended plugin fold again; it catches up from where it stopped.

        Raises:
            UnknownPlugin: There is no active plugin of this name.
        """
        self.plugins.suspend(self.registry.get(name).name, None)
        self._leave_out_suspended()

    def retry(self, item: Quarantined) -> bool:
        """Retry a quarantined item; return True if it is settled: it counts now, or is no longer quarantined."""
        if item.plugin is not None:
            return catchup.retry(self.database, self.registry.get(item.plugin), item, self._budget, self._watch)
        with self.database.reading() as connection:
            raw = quarantine.load(connection, item)
        if raw is None:
            return True
        delivery = Delivery(item.source, [raw])
        batch = self._preparer.prepare(delivery)
        if batch.malformed:
            return False
        try:
            with self.database.writing() as connection:
                # If it is quarantined again, as a message of the future for which there is no room, it has a new
                # number.
                quarantine.drop(connection, (item.id,))
                outcome = self._write(connection, delivery, batch, savepoints=True)
        except UNAVAILABLE:
            raise
        except Exception:
            _log.exception("the database refused quarantined line %d again", item.id)
            return False
        return not outcome.quarantined

    def admit_due(self) -> Outcome:
        """Accept the held messages whose time has come."""
        outcome = Outcome()
        while True:
            with self.database.reading() as connection:
                due = sources.due(connection, 1_000)
            if not due:
                return outcome
            for name in sorted({row.source for row in due}):
                mine = [row for row in due if row.source == name]
                outcome += self.take(Delivery(name, [row.data for row in mine], held=[row.digest for row in mine]))


def _is_current(row: Position | None, plugin: Plugin, before: Head) -> bool:
    return row is not None and row.position == before.position and row.may_fold(plugin.state_version)

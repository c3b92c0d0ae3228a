"""The door of the database: deliveries go in, exactly once, and every plugin keeps up with the journal."""

import logging
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, compress

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from statscache.ingest import catchup, collector, hearing
from statscache.ingest.addition import Addition, add_up
from statscache.ingest.batch import Batch, Preparer
from statscache.ingest.fold import Unresolved, fold
from statscache.ingest.outcome import Delivery, Outcome
from statscache.ingest.upkeep import Upkeep
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.store import journal, positions, quarantine, sources, suppression
from statscache.store.database import Database
from statscache.store.journal import Head
from statscache.store.quarantine import SetAside
from statscache.store.suppression import Suppression
from statscache.wording import counted

KEPT = 256 * 1024 * 1024
"""Bytes of what is no message, and of messages of the future, that are kept if nothing else is configured."""

_UNAVAILABLE = (OperationalError, InterfaceError, InternalError)
"""What a database raises that does not answer, through no fault of the data."""

Rows = Mapping[str, positions.Position]
"""The rows of all plugins, by name."""

_log = logging.getLogger(__name__)


class Ingest:
    """Accepts deliveries into the journal of one database and folds them into the plugins' state.

    Several processes may each have one on the same database; safe for one thread at a time.

    Args:
        database: Where to.
        registry: The plugins that fold.
        environments: Those whose messages are accepted; empty for all.
        budget: Seconds that a plugin may take for one batch before it is suspended.
        watch: Is told what the plugins are doing.
        kept: Bytes of what is no message that are kept, and as many of messages of the future.
        keep: Days for which the journal is kept; None for ever.

    Attributes:
        sums_hold: Whether what another process summed up of the last delivery held, so that it had better do so again;
            else it had better send all that plugins observed.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        environments: Collection[str] = ("prod",),
        budget: float = 30.0,
        watch: Watch | None = None,
        kept: int = KEPT,
        keep: int | None = None,
    ) -> None:
        self.database = database
        self.registry = registry
        self._budget = budget
        self._kept = kept
        self._watch = watch or Watch()
        self._preparer = Preparer(registry, environments, self._watch)
        self._complete_from: Mapping[str, int] = {}
        self.sums_hold = True
        self._upkeep = Upkeep(database, [plugin.name for plugin in registry], keep)

    def start(self) -> None:
        """Make the database ready for these plugins: new ones start at the beginning, changed ones start anew."""
        with self.database.reading() as connection:
            rows = self._rows(connection)
            self._preparer.suppression = suppression.load(connection)
        versions = {plugin.name: catchup.version_of(plugin) for plugin in self.registry}
        if all(name in rows and not catchup.is_behind(rows[name].version, ours) for name, ours in versions.items()):
            return
        with self.database.writing() as connection:
            journal.lock(connection)
            rows = self._rows(connection)
            for plugin in self.registry:
                row = rows.get(plugin.name)
                version = catchup.version_of(plugin)
                if row is None:
                    catchup.register(connection, plugin)
                elif catchup.is_behind(row.version, version):
                    _log.info("plugin %s has changed: it is folded anew from the journal", plugin.name)
                    catchup.reset(connection, plugin, positions.lock(connection, [row.id])[plugin.name])
            self._rows(connection)

    @collector.paused()
    def take(self, delivery: Delivery, made: Addition | Batch | None = None) -> Outcome:
        """Accept a delivery in one transaction; when this returns, it is on disk.

        A delivery that the database refuses is halved until the poison is alone, which goes into quarantine.

        Args:
            delivery: What a source has delivered.
            made: What another process has made of it, if one did; where that does not hold, it is made anew.
        """
        elsewhere = made is not None
        made = self._preparer.prepare(delivery) if made is None else made
        try:
            with self.database.writing() as connection:
                before = journal.lock(connection)
                rows = self._rows(connection)
                if isinstance(made, Batch):
                    addition = self._add_up(connection, before, rows, delivery, made)
                else:
                    addition = self._confirm(connection, before, made)
                outcome = self._accept(connection, before, rows, delivery, addition)
                # What was held says nothing of how the source fares.
                if not delivery.held:
                    hearing.move(connection, delivery, addition.times, outcome.accepted)
            _log.debug("transaction has committed: %d new messages", outcome.accepted)
            if elsewhere:
                would_hold = not outcome.failures and not (outcome.known and outcome.accepted)
                self.sums_hold = isinstance(made, Addition) or would_hold
            return outcome
        except Unresolved:
            self.sums_hold = False
        except _UNAVAILABLE:
            raise
        except Exception as error:
            if len(delivery.lines) > 1:
                return self._take_halves(delivery)
            if not delivery.lines:
                raise
            _log.exception("the database refused a message, which is set aside")
            refused = (delivery.lines[0], f"the database refused it: {type(error).__name__}: {error}")
            outcome = self.take(replace(delivery, lines=(), oversize=[*delivery.oversize, refused]))
            outcome.read += 1
            return outcome
        return self.take(delivery)

    def _take_halves(self, delivery: Delivery) -> Outcome:
        middle = len(delivery.lines) // 2
        # What was read is complete only with the second half.
        row = self._source(delivery.source)
        offset = row.offset if row else 0
        lines, held = delivery.lines, delivery.held
        outcome = self.take(replace(delivery, lines=lines[:middle], held=held[:middle], offset=offset, oversize=()))
        outcome += self.take(replace(delivery, lines=lines[middle:], held=held[middle:]))
        return outcome

    def _source(self, name: str) -> sources.SourceRow | None:
        with self.database.reading() as connection:
            return sources.load(connection, name)

    def _add_up(self, connection: Connection, before: Head, rows: Rows, delivery: Delivery, batch: Batch) -> Addition:
        """Make of a batch all that can be made before its rows are written, without anybody who was forgotten since."""
        if before.rewrites != batch.rewrites:
            self._preparer.suppression = suppression.load(connection)
            batch = self._preparer.prepare(delivery)
        known = journal.find(connection, batch.identities)
        plugins = [plugin for plugin in self.registry if _keeps_up(rows.get(plugin.name), plugin, before)]
        return add_up(batch, known, plugins, self._complete_from, self._watch)

    def _confirm(self, connection: Connection, before: Head, addition: Addition) -> Addition:
        """Return what another process has made, if it holds; nothing is new in it if the journal knows it as a whole.

        Raises:
            Unresolved: It does not.
        """
        if (addition.rewrites, addition.complete_from) != (before.rewrites, self._complete_from):
            raise Unresolved
        known = journal.find(connection, addition.identities)
        # History that is read once more is known as a whole, mostly.
        confirmed = addition.without_new(known) if known else addition
        if confirmed is None:
            raise Unresolved
        return confirmed

    def _accept(
        self, connection: Connection, before: Head, rows: Rows, delivery: Delivery, addition: Addition
    ) -> Outcome:
        _log.debug("transaction begins: %d messages of %s", len(addition.times), delivery.source)
        outcome = Outcome(
            read=len(delivery.lines),
            accepted=addition.accepted,
            known=addition.known,
            conflicts=addition.conflicts,
            foreign=addition.foreign,
        )
        sources.release(connection, delivery.held)
        self._keep(connection, delivery.source, addition)
        outcome.held, outcome.set_aside = len(addition.held), len(addition.malformed)
        end = before
        if addition.segments:
            new = compress(addition.identities, (place is not None for place in addition.places))
            end = journal.append(connection, before, addition.segments, [*new])
            outcome.failures = self._fold(connection, before, end, rows, addition, delivery.source)
        if outcome.known or outcome.foreign:
            journal.count(connection, known=outcome.known, conflicts=outcome.conflicts, foreign=outcome.foreign)
        return outcome

    def _keep(self, connection: Connection, source: str, addition: Addition) -> None:
        """Keep what is no message, and messages of the future, which are no message to us once these are too many."""
        if addition.held:
            room = self._kept - sources.bytes_held(connection)
            sizes = accumulate(len(raw) for _, _, raw in addition.held)
            fitting = bisect_right([*sizes], room)
            reason = f"of the future, of which {self._kept} bytes are held already ([bus] max_kept)"
            addition.malformed += [(raw, reason) for _, _, raw in addition.held[fitting:]]
            del addition.held[fitting:]
            sources.hold(connection, [(digest, due, source, raw) for digest, due, raw in addition.held])
        for raw, reason in addition.malformed:
            quarantine.keep_bytes(connection, raw, reason, source)
        if addition.malformed and (gone := quarantine.discard(connection, self._kept)):
            _log.warning("%d of what was set aside first is kept no longer ([bus] max_kept)", gone)

    def _fold(
        self, connection: Connection, before: Head, end: Head, rows: Rows, addition: Addition, source: str
    ) -> int:
        # Another process may have summed up for plugins that do not keep up.
        current = [
            rows[plugin.name]
            for plugin in self.registry
            if plugin.name in addition.combined and _keeps_up(rows.get(plugin.name), plugin, before)
        ]
        locked = positions.lock(connection, [row.id for row in current])
        places = [place and before.position + place for place in addition.places]
        failures = 0
        with self._watch.observing():
            for plugin in self.registry:
                row = locked.get(plugin.name)
                if row is None:
                    continue
                combined = addition.combined[plugin.name]
                self._watch.note(plugin, f"what it made of {counted(combined.messages, 'message')}")
                failures += fold(
                    connection,
                    plugin,
                    row,
                    combined,
                    places=places,
                    source=source,
                    through=end.through,
                    budget=self._budget,
                )
                row.position = end.position
        positions.save(connection, list(locked.values()))
        return failures

    def _rows(self, connection: Connection) -> Rows:
        """Return the rows of all plugins; those that are suspended, here or by another process, observe no more."""
        rows = positions.load(connection)
        self._preparer.leave_out(frozenset(name for name, row in rows.items() if row.suspended is not None))
        self._complete_from = {name: row.complete_from for name, row in rows.items() if row.complete_from is not None}
        return rows

    def catch_up(self) -> bool:
        """Fold one step of the journal into each plugin that is behind; return whether any still is.

        When none is, the journal is taken care of: small segments are merged, and those of old days go.
        """
        behind = False
        for plugin in self.registry:
            behind |= catchup.step(self.database, plugin, self._budget, self._watch)
        if not behind:
            self._upkeep.step()
        return behind

    def behind(self) -> list[tuple[str, int]]:
        """Return which plugins are behind the journal's end, and by how many messages."""
        with self.database.reading() as connection:
            end = journal.head(connection).position
            rows = positions.load(connection)
        return [
            (plugin.name, end - rows[plugin.name].position)
            for plugin in self.registry
            if plugin.name in rows and rows[plugin.name].position < end and not rows[plugin.name].suspended
        ]

    def rebuild(self, names: Sequence[str]) -> None:
        """Put plugins back to the beginning of the journal; `catch_up` then folds it anew.

        Raises:
            UnknownPlugin: One of the names is no active plugin; nothing was changed.
        """
        plugins = [self.registry.get(name) for name in names]
        with self.database.writing() as connection:
            journal.lock(connection)
            rows = positions.load(connection)
            for plugin in plugins:
                row = positions.lock(connection, [rows[plugin.name].id])[plugin.name]
                catchup.reset(connection, plugin, row)

    def suspend(self, name: str, reason: str) -> None:
        """Keep a plugin from folding until it is resumed."""
        self._set_suspended(name, reason)

    def resume(self, name: str) -> None:
        """Let a suspended plugin fold again; it catches up from where it stopped.

        Raises:
            UnknownPlugin: No active plugin is named so.
        """
        self._set_suspended(self.registry.get(name).name, None)

    @property
    def suspended(self) -> frozenset[str]:
        """Names of the plugins that need not observe anything, as far as is known here."""
        return self._preparer.suspended

    @property
    def suppression(self) -> Suppression:
        """Who was forgotten, as far as is known here."""
        return self._preparer.suppression

    @property
    def complete_from(self) -> Mapping[str, int]:
        """Timestamps before which messages do not count for a plugin, by its name, as far as is known here."""
        return self._complete_from

    def _set_suspended(self, name: str, reason: str | None) -> None:
        with self.database.writing() as connection:
            row = positions.load(connection).get(name)
            if row is not None:
                locked = positions.lock(connection, [row.id])[name]
                locked.suspended, locked.failures = reason, 0
                positions.save(connection, [locked])
                self._rows(connection)

    def retry(self, item: SetAside) -> bool:
        """Try again what was set aside; return whether that is settled: it counts now, or is set aside no longer."""
        if item.position is not None:
            plugin = self.registry.get(item.plugin)
            return catchup.retry(self.database, plugin, item, self._budget, self._watch)
        with self.database.reading() as connection:
            raw = quarantine.load(connection, item)
        if raw is None:
            return True
        batch = self._preparer.prepare(Delivery(item.source, [raw]))
        if batch.malformed:
            return False
        try:
            with self.database.writing() as connection:
                delivery = Delivery(item.source, [raw])
                before = journal.lock(connection)
                rows = self._rows(connection)
                addition = self._add_up(connection, before, rows, delivery, batch)
                self._accept(connection, before, rows, delivery, addition)
                quarantine.drop(connection, (item.id,))
        except _UNAVAILABLE:
            raise
        except Exception:
            _log.exception("the database refused what was set aside under %d once more", item.id)
            return False
        return True

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


def _keeps_up(row: positions.Position | None, plugin: Plugin, before: Head) -> bool:
    return (
        row is not None
        and row.suspended is None
        and row.position == before.position
        and row.version == catchup.version_of(plugin)
    )

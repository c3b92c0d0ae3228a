"""Last stage: merge a plugin's yields into its state.

Hardly any merge fails, so a transaction is first tried without savepoints: for these, SQLite writes each page that
changes once more. If a merge fails, the transaction is begun again, and each plugin merges in a savepoint of its own.
Yields that the database refuses are then halved until the message to blame is alone, which is quarantined for that
plugin. A plugin that is suspended folds nothing of the messages at hand, and sees them again when it is resumed.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import Connection

from statscache.exceptions import Damaged, MergeFailed
from statscache.ingest import judge
from statscache.ingest.observe import describe
from statscache.ingest.reduce import Failure, PluginResult
from statscache.kinds.state import Dirty, State
from statscache.kinds.yields import Yields
from statscache.plugins import Plugin
from statscache.store import positions, quarantine
from statscache.store.outage import UNAVAILABLE
from statscache.store.positions import Position
from statscache.store.records import Records

_log = logging.getLogger(__name__)


def fold(
    connection: Connection,
    plugin: Plugin,
    row: Position,
    result: PluginResult,
    *,
    places: Sequence[int] | np.ndarray,
    records: Sequence[bytes] | Records,
    source: str,
    through: int | None,
    budget: float,
    savepoints: bool,
) -> int:
    """Merge a plugin's yields into its state, or suspend it; update all in `row` except its position.

    Args:
        connection: The transaction, which holds the lock on `row`.
        plugin: The plugin.
        row: Its row, which the caller saves.
        result: What it made of the messages.
        places: Positions of the messages in the journal.
        records: Records of the messages.
        source: Whose messages they are.
        through: The journal's, with these messages in it.
        budget: Seconds that the plugin may take for 32 MiB of them before it is suspended.
        savepoints: True to merge in savepoints, so that the rest of the transaction stays if a merge fails.

    Returns:
        The number of messages that were quarantined for this plugin.

    Raises:
        MergeFailed: The merge failed without a savepoint.
    """
    merging = _Merging(plugin, State(connection, row.id, through, row.newest), savepoints)
    reason = _reason_to_suspend(connection, plugin, row, result, records, budget)
    if reason is None:
        try:
            reason = merging.merge(result)
        except Damaged as error:
            # No message is to blame, and the other plugins go on.
            row.suspended = f"its statistics are damaged in the database: {error}"
            _log.error("plugin %s is suspended: %s; `statscache rebuild` counts again", plugin.name, row.suspended)
            return 0
    if reason is not None:
        _suspend(plugin, row, reason)
        return 0
    refused = [Failure(index, len(records[index]), why) for index, why in merging.refused.items()]
    if refused and merging.oldest is None:
        row.failures += len(refused)
        if row.failures >= judge.MAX_FAILURES:
            reason = f"{row.failures} messages in a row were refused, at last {refused[-1].reason:.300}"
            if (reason := judge.of_failures(connection, plugin, row, reason)) is not None:
                _suspend(plugin, row, reason)
                return 0
    elif len(result.yields) and not refused:
        row.witness = int(places[int(result.yields.messages[-1])])
    failures = [(int(places[each.index]), each.reason, each.size) for each in (*result.failures, *refused)]
    if failures:
        quarantine.add_messages(connection, plugin.name, failures, source)
    if merging.dirty or refused:
        row.revision += 1
        documents = [(each.document, each.number) for each in merging.dirty if not each.keys]
        positions.mark(connection, row, documents, b"".join(each.keys for each in merging.dirty))
    if merging.oldest is not None and merging.newest is not None:
        row.oldest = merging.oldest if row.oldest is None else min(row.oldest, merging.oldest)
        row.newest = merging.newest if row.newest is None else max(row.newest, merging.newest)
    return len(failures)


def _reason_to_suspend(
    connection: Connection,
    plugin: Plugin,
    row: Position,
    result: PluginResult,
    records: Sequence[bytes] | Records,
    budget: float,
) -> str | None:
    """Count the messages in a row on which a plugin raised, and return why its yields must not be merged, or None."""
    # A replay of messages on which the plugin raised long ago says nothing new against it.
    failures = min(result.trailing_failures, len(result.failures))
    all_failed = result.trailing_failures == result.messages
    row.failures = failures + (row.failures if all_failed else 0)
    if row.failures >= judge.MAX_FAILURES:
        last = result.failures[-1].reason if result.failures else ""
        reason = f"it raised on {row.failures} messages in a row, at last {last:.300}"
        return judge.of_failures(connection, plugin, row, reason, raised=True)
    if result.seconds > budget:
        return judge.of_time(connection, plugin, row, result.seconds, records, budget)
    return None


def _suspend(plugin: Plugin, row: Position, reason: str) -> None:
    row.suspended = reason
    fix = f"fix it, then run `statscache plugins --resume {plugin.name}`"
    _log.error("plugin %s is suspended: %s; %s", plugin.name, reason, fix)


class _Merging:
    """The merge of one plugin's yields, and what followed from it.

    Args:
        plugin: The plugin.
        state: Its state.
        savepoints: True to merge in savepoints.

    Attributes:
        dirty: Documents that changed.
        oldest: Timestamp of the oldest message of which a yield was merged; None before the first.
        newest: Timestamp of the newest one.
        refused: The error of each message that was left out, by its index.
    """

    def __init__(self, plugin: Plugin, state: State, savepoints: bool) -> None:
        self._plugin = plugin
        self._state = state
        self._savepoints = savepoints
        self.dirty: set[Dirty] = set()
        self.oldest: int | None = None
        self.newest: int | None = None
        self.refused: dict[int, str] = {}

    def merge(self, result: PluginResult) -> str | None:
        """Merge all that counts; if the database refuses it, all but the messages that are to blame.

        Returns:
            Why the plugin is to be suspended, if too many messages are to blame; then nothing was merged.

        Raises:
            MergeFailed: The merge failed without a savepoint.
            Damaged: What is stored is damaged, and nothing was merged.
        """
        if not len(result.yields):
            return None
        error = result.error
        if error is None:
            error = self._attempt(lambda: self._merge_reduced(result.reduced))
        if error is None:
            self._count(result.yields)
            return None
        if not self._savepoints:
            raise MergeFailed(error)
        savepoint = self._state.connection.begin_nested()
        try:
            self._bisect(result.yields, error)
        except Damaged:
            savepoint.rollback()
            raise
        if len(self.refused) < judge.MAX_FAILURES:
            savepoint.commit()
            return None
        savepoint.rollback()
        return f"{len(self.refused)} messages of one batch were refused, at last {[*self.refused.values()][-1]:.300}"

    def _bisect(self, yields: Yields, error: str) -> None:
        if len(self.refused) >= judge.MAX_FAILURES:
            return
        indices = np.unique(yields.messages)
        if len(indices) < 2:
            self.refused |= dict.fromkeys(indices.tolist(), error)
            return
        middle = indices[len(indices) // 2]
        for chosen in (yields.messages < middle, yields.messages >= middle):
            # A half costs what it holds, not what the batch does.
            half = yields.only(chosen).compact()
            error_of_half = self._attempt(partial(self._merge_yields, half))
            if error_of_half is None:
                self._count(half)
            else:
                self._bisect(half, error_of_half)

    def _merge_yields(self, yields: Yields) -> set[Dirty]:
        return self._merge_reduced(self._plugin.kind.reduce_kept(yields))

    def _merge_reduced(self, reduced: Any) -> set[Dirty]:
        return set() if reduced is None else self._plugin.kind.merge(self._state, reduced)

    def _attempt(self, merge: Callable[[], set[Dirty]]) -> str | None:
        """Merge, and return the error; then nothing was merged if there is a savepoint.

        Raises:
            Damaged: What is stored is damaged; there is a savepoint, and nothing was merged.
        """
        savepoint = self._state.connection.begin_nested() if self._savepoints else None
        # A kind may be foreign code. A database that is down is not the fault of the data.
        try:
            self.dirty |= merge()
            if savepoint is not None:
                savepoint.commit()
        except UNAVAILABLE:
            raise
        except (Exception, SystemExit) as error:
            if savepoint is not None:
                savepoint.rollback()
                if isinstance(error, Damaged):
                    raise
            return describe(error)
        return None

    def _count(self, yields: Yields) -> None:
        oldest, newest = int(yields.times.min()), int(yields.times.max())
        self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)
        self.newest = newest if self.newest is None else max(self.newest, newest)
        # Yields whose keys were dropped move the plugin's time too, and their merge marks nothing.
        if self._plugin.dropped and newest > (self._state.newest or 0):
            resolutions = self._plugin.kind.resolutions
            self.dirty |= {Dirty("latest"), *(Dirty(each.name, each.period(newest).start) for each in resolutions)}

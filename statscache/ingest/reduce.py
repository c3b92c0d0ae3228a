"""Second stage, a batch becomes a reduction: which messages are new, and what each plugin's merge takes of them.

A copy does not count, nor does a message from before a plugin's beginning.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from statscache.ingest.observe import Observed, describe, observe_newest
from statscache.ingest.prepare import Batch
from statscache.kinds.yields import NOTHING, Yields
from statscache.plugins import Plugin
from statscache.plugins.watch import Watch
from statscache.store.journal import Identities, Identity
from statscache.store.records import Records
from statscache.wording import counted

Known = Mapping[int, Sequence[Identity]]
"""Identities of messages in the journal, by the digest of the id."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that counts, on which a plugin raised or which the database refused for it.

    Attributes:
        index: Index of the message in its batch.
        size: Bytes of its record.
        reason: The error, for people.
    """

    index: int
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class PluginResult:
    """One plugin's result for a batch, in the form that its merge takes.

    Attributes:
        yields: Its yields that count.
        reduced: What `Kind.reduce` made of them; None if there are none, or if it raised.
        error: What `Kind.reduce` raised; None if it did not. A single message may be to blame.
        failures: The messages that count on which the plugin raised, in order.
        trailing_failures: How many messages in a row, up to the last one, it raised on.
        messages: How many messages it saw.
        seconds: Wall-clock time that it took to observe them.
    """

    yields: Yields = NOTHING
    reduced: Any = None
    error: str | None = None
    failures: Sequence[Failure] = ()
    trailing_failures: int = 0
    messages: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a batch adds to the database.

    Attributes:
        new: True for each of its messages that is not a copy.
        conflicts: Number of copies whose content differs from the message that they are copies of.
        results: What each plugin made of the new messages, by its name.
    """

    new: np.ndarray
    conflicts: int
    results: Mapping[str, PluginResult]


def reduce(
    batch: Batch, known: Known, plugins: Iterable[Plugin], complete_from: Mapping[str, int], watch: Watch
) -> Reduction:
    """Return the rows that a batch adds to the database.

    Args:
        batch: The batch.
        known: The identities in the journal that may be those of its messages.
        plugins: Those that fold it.
        complete_from: Timestamps before which messages do not count for a plugin, by its name, where there is one.
        watch: Called with what the plugins are doing.
    """
    new, conflicts = _new(batch.identities, known)
    results = {}
    with watch.observing():
        # A delivery that is known as a whole is common: history that is read again.
        for plugin in plugins if new.any() else ():
            if (observed := batch.observed.get(plugin.name)) is not None:
                watch.note(plugin, f"its yields of {counted(observed.messages, 'message')}")
                since = complete_from.get(plugin.name)
                counts = new if since is None else new & (batch.times >= since)
                results[plugin.name] = reduce_plugin(plugin, observed, counts, batch.times, batch.records, watch)
    return Reduction(new, conflicts, results)


def reduce_plugin(
    plugin: Plugin,
    observed: Observed,
    counts: np.ndarray,
    times: np.ndarray,
    records: Sequence[bytes] | Records,
    watch: Watch,
) -> PluginResult:
    """Return a plugin's result for the messages that count.

    Args:
        plugin: The plugin.
        observed: What it made of all messages.
        counts: True for each message that counts.
        times: Timestamps of the messages.
        records: Records of the messages.
        watch: Called with what the plugin is doing.
    """
    if observed.candidates is not None:
        assert plugin.kind.newest is not None
        candidates = observed.candidates[counts[observed.candidates]]
        observed = observe_newest(plugin, plugin.kind.newest, candidates, times, records, watch)
        watch.note(plugin, f"its yields of {counted(observed.messages, 'message')}")
    yields = observed.yields.of(counts)
    reduced = error = None
    # A kind may be foreign code too.
    try:
        reduced = plugin.kind.reduce(yields) if len(yields) else None
    except (Exception, SystemExit) as raised:
        error = describe(raised)
    failures = [Failure(index, len(records[index]), reason) for index, reason in observed.failures if counts[index]]
    return PluginResult(
        yields, reduced, error, failures, observed.trailing_failures, observed.messages, observed.seconds
    )


def _new(identities: Identities, known: Known) -> tuple[np.ndarray, int]:
    """Return True for each message that is neither in the journal nor earlier in the batch, and count conflicts."""
    new = np.ones(len(identities.digests), bool)
    if not known and len(np.unique(identities.digests)) == len(new):
        return new, 0
    met: dict[int, list[Identity]] = {digest: [*same] for digest, same in known.items()}
    conflicts = 0
    for index, identity in enumerate(identities.rows()):
        day, digest, content = identity
        same = met.setdefault(digest, [])
        original = next((other for other in same if abs(other[0] - day) <= 1), None)
        if original is None:
            same.append(identity)
        else:
            new[index] = False
            conflicts += original[2] != content
    return new, conflicts

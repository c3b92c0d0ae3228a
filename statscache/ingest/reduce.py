"""Second stage, a batch becomes a reduction: which messages are new, and what each plugin's merge takes of them.

A copy does not count, nor does a message from before a plugin's beginning.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from statscache.ingest.observe import Observed, Observer, describe
from statscache.ingest.prepare import Batch
from statscache.kinds.yields import NOTHING, Yields
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.plugins.watch import Watch
from statscache.store.journal import Identities, Identity
from statscache.store.records import Records

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
        reduced: What `Kind.reduce` made of those whose keys were not dropped; None if there are none, or if it raised.
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
                watch.note(plugin, "its yields")
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
        watch.note(plugin, "its yields")
    yields = observed.yields.of(counts)
    reduced = error = None
    # A kind may be foreign code too.
    try:
        reduced = plugin.kind.reduce_kept(yields)
    except (Exception, SystemExit) as raised:
        error = describe(raised)
    failures = [Failure(index, len(records[index]), reason) for index, reason in observed.failures if counts[index]]
    return PluginResult(
        yields, reduced, error, failures, observed.trailing_failures, observed.messages, observed.seconds
    )


def observe_newest(
    plugin: Plugin,
    most: int,
    candidates: np.ndarray,
    times: np.ndarray,
    records: Sequence[bytes] | Records,
    watch: Watch,
) -> Observed:
    """Let a plugin observe the newest messages, until it has yielded as much as can matter.

    Args:
        plugin: The plugin.
        most: How many yields of the newest messages can matter.
        candidates: Indices of the messages that count.
        times: Timestamps of all messages of the batch.
        records: Records of the same.
        watch: Called with the message that the plugin looks at.
    """
    observer = Observer(plugin)
    last = 0
    looked: list[int] = []
    order = candidates[np.argsort(times[candidates], kind="stable")[::-1]].tolist()
    read: dict[int, bytes] = {}
    size = most
    for place, index in enumerate(order):
        # The plugin's merge decides which of several messages of one second is the newest.
        if len(observer) >= most and times[index] < last:
            break
        if index not in read:
            # Some at once and by index: one by one, records that are far apart would each inflate a segment.
            read = {each: records[each] for each in sorted(order[place : place + size])}
            size *= 2
        last = times[index]
        looked.append(index)
        message = Message.from_record(read[index])
        watch.begin(plugin, message)
        observer.look(index, message)
    observed = observer.observed()
    observed.failures.sort()
    # The newest message was looked at first.
    failed = {index for index, _ in observed.failures}
    observed.trailing_failures = len([*takewhile(failed.__contains__, looked)])
    return observed


def _new(identities: Identities, known: Known) -> tuple[np.ndarray, int]:
    """Return True for each message that is neither in the journal nor earlier in the batch, and count conflicts."""
    new = np.ones(len(identities.digests), bool)
    digests, times_met = np.unique(identities.digests, return_counts=True)
    doubtful = np.isin(identities.digests, np.append(digests[times_met > 1], np.array([*known], np.int64)))
    met: dict[int, list[Identity]] = {digest: [*same] for digest, same in known.items()}
    conflicts = 0
    for index, identity in zip(np.flatnonzero(doubtful).tolist(), identities.only(doubtful).rows(), strict=True):
        day, digest, content = identity
        same = met.setdefault(digest, [])
        original = next((other for other in same if abs(other[0] - day) <= 1), None)
        if original is None:
            same.append(identity)
        else:
            new[index] = False
            conflicts += original[2] != content
    return new, conflicts

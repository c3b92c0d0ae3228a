"""First stage, a delivery becomes a batch: parse, sort out, observe. It needs no database.

This is the hot path. A message is finished before the next one is parsed, while its body is in the processor's cache.
What outlives it are its record, compressed segment by segment, its identity, and what plugins made of it.
"""

import gc
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import NamedTuple

import numpy as np

from statscache import canonical
from statscache.bounds import KEPT_OF_OVERSIZE, MAX_LINE
from statscache.derivation import Derived
from statscache.exceptions import MalformedMessage
from statscache.ingest.delivery import Delivery
from statscache.ingest.observe import (
    SLICE,
    Answers,
    Columns,
    Observed,
    Observer,
    derives,
    observe_values,
    sees_newest_only,
)
from statscache.message import address, envelope
from statscache.parsing import parse
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.scrubbing import scrub
from statscache.store.journal import Digest, Identities, digest_with
from statscache.store.records import Records
from statscache.store.suppression import Suppression
from statscache.timeline import DAY

TOLERANCE = 300
"""Seconds by which a message may be ahead of this machine's clock before it is held."""

OWN_CATEGORY = "statscache"
"""The category of statscache's own announcements, which are never counted."""

_CACHED_ROUTES = 50_000


@dataclass(slots=True)
class Batch:
    """The messages of one delivery, sorted by their fate, and the yields of plugins.

    Attributes:
        records: Records of the messages that may enter the journal, in order of delivery.
        identities: Identities of the same messages.
        times: Timestamps of the same messages.
        observed: What each plugin made of them, by its name; a plugin that is suspended is missing.
        malformed: Bytes and reason of each malformed line.
        held: Digest, due time and bytes of each message of the future.
        foreign: UTC day, and digest of the id, of each message of other environments, and of statscache's own.
        read: Number of lines, those that were too long left out.
        rewrites: The journal's number of rewrites when the list of the forgotten was read.
    """

    records: Records
    identities: Identities
    times: np.ndarray
    observed: dict[str, Observed]
    malformed: Sequence[tuple[bytes, str]]
    held: Sequence[tuple[int, int, bytes]]
    foreign: Sequence[tuple[int, int]]
    read: int
    rewrites: int

    @staticmethod
    def joined(batches: "Sequence[Batch]") -> "Batch":
        """Return one batch of several deliveries in sequence."""
        starts = accumulate((len(batch.times) for batch in batches), initial=0)
        # A batch without messages has not even asked the plugins that observe by value.
        parts = [(start, batch.observed) for start, batch in zip(starts, batches, strict=False) if len(batch.times)]
        names = set(parts[0][1]).intersection(*(observed for _, observed in parts)) if parts else ()
        return Batch(
            records=Records.joined(batch.records for batch in batches),
            identities=Identities.joined([batch.identities for batch in batches]),
            times=np.concatenate([batch.times for batch in batches]),
            observed={name: Observed.joined([(start, observed[name]) for start, observed in parts]) for name in names},
            malformed=[line for batch in batches for line in batch.malformed],
            held=[line for batch in batches for line in batch.held],
            foreign=[message for batch in batches for message in batch.foreign],
            read=sum(batch.read for batch in batches),
            # If somebody was forgotten in between, this is not what the journal says, and all is prepared again.
            rewrites=min(batch.rewrites for batch in batches),
        )


@dataclass(slots=True)
class _Draft:
    """A batch while its lines are parsed; `digests` has 8 bytes of the id and 8 of the record for each message."""

    records: Records = field(default_factory=Records)
    digests: bytearray = field(default_factory=bytearray)
    columns: Columns = field(default_factory=Columns)
    malformed: list[tuple[bytes, str]] = field(default_factory=list)
    held: list[tuple[int, int, bytes]] = field(default_factory=list)
    foreign: list[tuple[int, int]] = field(default_factory=list)
    read: int = 0


class _Route(NamedTuple):
    """What a topic decides: whether its messages are foreign, and which plugins observe them one by one."""

    foreign: bool
    wanting: tuple[Plugin, ...]


@contextmanager
def gc_paused() -> Iterator[None]:
    """Keep Python's cyclic garbage collector from running in this context.

    It would visit all objects of a batch again and again, up to a tenth of the whole cost, and find nothing: messages,
    records and yields are trees, which are freed when the last reference to them goes.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Preparer:
    """Turns deliveries into batches.

    Args:
        registry: The plugins that observe.
        environments: Those whose messages are accepted; empty for all.
        watch: Called with what the plugins are doing.
        max_line: Maximum bytes of a line, from any source.
    """

    def __init__(
        self, registry: Registry, environments: Collection[str], watch: Watch, max_line: int = MAX_LINE
    ) -> None:
        self._registry = registry
        self._environments = frozenset(environments)
        self._watch = watch
        self._max_line = max_line
        self._one_by_one = [plugin for plugin in registry if plugin.depends_on is None and not sees_newest_only(plugin)]
        self._answers: dict[Plugin, Answers] = {plugin: {} for plugin in registry if plugin.depends_on is not None}
        self._deriving = any(derives(plugin.depends_on or ()) for plugin in registry)
        self._suppressed = frozenset().union(*(plugin.suppressed for plugin in registry))
        self.forget(Suppression())
        self._routes: dict[str, _Route] = {}
        self._suspended: frozenset[str] = frozenset()
        self._digest: Digest | None = None

    def identify_with(self, key: bytes) -> None:
        """Digest identities with the secret of the database that they are for; do this before the first delivery."""
        self._digest = digest_with(key)

    def forget(self, suppression: Suppression) -> None:
        """Remove the names of these people from what may enter the database."""
        self._suppression = suppression
        self._forgetting = bool(suppression)

    @property
    def suppression(self) -> Suppression:
        """The people who were forgotten."""
        return self._suppression

    @property
    def suspended(self) -> frozenset[str]:
        """Names of the plugins that see no messages."""
        return self._suspended

    def leave_out(self, suspended: frozenset[str]) -> None:
        """Show no messages to the plugins of these names, and to all others again: a plugin that hung would hang."""
        if suspended != self._suspended:
            self._suspended = suspended
            self._routes.clear()

    @gc_paused()
    def prepare(self, delivery: Delivery) -> Batch:
        """Parse the lines of a delivery, and let every plugin observe the acceptable messages."""
        draft = _Draft(malformed=list(delivery.oversize))
        observers = {plugin: Observer(plugin) for plugin in self._one_by_one if plugin.name not in self._suspended}
        latest = int(time.time()) + TOLERANCE
        with self._watch.observing():
            lines = iter(delivery.lines)
            while part := [*islice(lines, SLICE)]:
                self._parse(draft, observers, part, latest)
            draft.records.close()
            observed = {plugin.name: observer.observed() for plugin, observer in observers.items()}
            observed |= self._observe_columns(draft.columns)
        malformed = draft.malformed
        if self._forgetting:
            forgotten = self._suppression.scrub_bytes
            malformed = [(forgotten(raw), forgotten(reason.encode()).decode()) for raw, reason in malformed]
        times = draft.columns.times
        digests = np.frombuffer(draft.digests, ">i8").reshape(-1, 2).astype(np.int64)
        return Batch(
            records=draft.records,
            identities=Identities(times // DAY, digests[:, 0], digests[:, 1]),
            times=times,
            observed=observed,
            malformed=malformed,
            held=draft.held,
            foreign=draft.foreign,
            read=draft.read,
            rewrites=self._suppression.rewrites,
        )

    def _parse(self, draft: _Draft, observers: Mapping[Plugin, Observer], lines: Sequence[bytes], latest: int) -> None:
        digest = self._digest
        if digest is None:
            raise RuntimeError("the key of identities was not loaded: call Ingest.start first")
        routes, suppressed, deriving, begin = self._routes, self._suppressed, self._deriving, self._watch.begin
        index = len(draft.columns)
        records: list[bytes] = []
        digests: list[bytes] = []
        times: list[int] = []
        topics: list[str] = []
        derived: list[Derived] = []
        forgetting, most = self._forgetting, self._max_line
        draft.read += len(lines)
        for raw in lines:
            # Every source's lines pass here; before that, a source bounds what it holds in memory.
            if len(raw) > most and len(raw) - raw.endswith(b"\n") > most:
                reason = f"it has {len(raw)} bytes; at most {most} are taken ([bus] max_line)"
                draft.malformed.append((raw[:KEPT_OF_OVERSIZE], reason))
                continue
            try:
                message = parse(raw)
            except MalformedMessage as error:
                draft.malformed.append((raw.strip(), str(error)))
                continue
            timestamp, topic = message.timestamp, message.topic
            route = routes.get(topic) or self._route(topic)
            if route.foreign:
                identity = int.from_bytes(digest(message.id.encode()), "big", signed=True)
                draft.foreign.append((timestamp // DAY, identity))
            elif timestamp > latest:
                left = self._suppression.scrub(message) if forgetting else message
                held = raw.strip() if left is message else envelope(left.record())
                draft.held.append((canonical.digest64(held), timestamp - TOLERANCE, held))
            else:
                # A copy is recognized by what was sent, before names are removed.
                digests += digest(message.id.encode()), digest(message.record())
                if forgetting:
                    message = self._suppression.scrub(message)
                records.append(message.record())
                times.append(timestamp)
                topics.append(topic)
                if suppressed:
                    message = scrub(message, suppressed)
                if deriving:
                    derived.append(message.derived)
                for plugin in route.wanting:
                    begin(plugin, message)
                    observers[plugin].look(index, message)
                index += 1
        draft.records.extend(records, times)
        draft.digests += b"".join(digests)
        draft.columns.extend(times, topics, derived)

    def _observe_columns(self, columns: Columns) -> Iterator[tuple[str, Observed]]:
        """Yield the results of plugins that observe a batch by value, or only its newest messages."""
        if not len(columns):
            return
        for plugin in self._registry:
            if plugin.name in self._suspended:
                continue
            if sees_newest_only(plugin):
                yield plugin.name, Observed(candidates=np.arange(len(columns)))
            elif plugin.depends_on is not None:
                self._watch.note(plugin, "the values that it depends on")
                yield plugin.name, observe_values(plugin, columns, self._answers[plugin])

    def _route(self, topic: str) -> _Route:
        if len(self._routes) >= _CACHED_ROUTES:
            self._routes.clear()
        category, environment, name = address(topic)
        ours = environment is None or not self._environments or environment in self._environments
        interested = self._registry.interested(name)
        wanting = tuple(
            plugin for plugin in self._one_by_one if plugin in interested and plugin.name not in self._suspended
        )
        route = _Route(not ours or category == OWN_CATEGORY, wanting)
        self._routes[topic] = route
        return route

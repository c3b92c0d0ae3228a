"""The first half of acceptance, which needs no database: parse, sort out, observe.

This is the hot path. All is done with a message before the next one is parsed, while its body is in the processor's
cache; what outlives it are its record, which is packed slice by slice, its identity and what was made of it.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from struct import unpack
from typing import Any, NamedTuple

from xxhash import xxh3_64_digest

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.ingest.columns import Columns, deriving
from statscache.ingest.observing import Observed, observe_columns, observer
from statscache.ingest.outcome import Delivery
from statscache.kinds.tally import Value
from statscache.message import Message, address, envelope
from statscache.parsing import parse
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry, wants
from statscache.plugins.watch import Watch
from statscache.scrubbing import scrub
from statscache.store.journal import Identity
from statscache.store.records import Records
from statscache.store.suppression import Suppression
from statscache.timeline import DAY
from statscache.wording import counted

TOLERANCE = 300
"""Seconds by which a message may be ahead of this machine's clock before it is held."""

OWN_CATEGORY = "statscache"
"""The category of what statscache announces itself, which is never counted."""

SLICE = 64
"""Messages whose records are packed together."""

_CACHED_ROUTES = 50_000


@dataclass(slots=True)
class Batch:
    """The messages of one delivery, sorted by fate.

    Attributes:
        records: The journal's lines of what may enter it, in order of delivery.
        identities: Of the same messages.
        columns: The same messages by the attributes on which plugins depend.
        observed: What each plugin made of them, by index into `records`.
        malformed: Bytes and reason of what is no message.
        held: Digest, due time and bytes of messages of the future.
        foreign: Number of messages of other environments and of our own.
        rewrites: The journal's number of rewrites when it was known who was forgotten.
    """

    records: Records = field(default_factory=Records)
    identities: list[Identity] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    observed: dict[str, Observed] = field(default_factory=dict)
    malformed: list[tuple[bytes, str]] = field(default_factory=list)
    held: list[tuple[int, int, bytes]] = field(default_factory=list)
    foreign: int = 0
    rewrites: int = 0


class _Route(NamedTuple):
    """What a topic decides: whether its messages are foreign, and which plugins want them."""

    foreign: bool
    wanting: tuple[Plugin, ...]


class Preparer:
    """Turns deliveries into batches.

    Args:
        registry: The plugins that observe.
        environments: Those whose messages are accepted; empty for all.
        watch: Is told what the plugins are doing.

    Attributes:
        suppression: Who was forgotten, and is left out of what may enter the database.
    """

    def __init__(self, registry: Registry, environments: Collection[str], watch: Watch) -> None:
        self._registry = registry
        self._environments = frozenset(environments)
        self._watch = watch
        self._columnar = [
            plugin for plugin in registry if plugin.depends_on is not None or plugin.kind.newest is not None
        ]
        self._known: dict[Plugin, dict[Value, list[Any]]] = {plugin: {} for plugin in self._columnar}
        self._deriving = any(deriving(plugin.depends_on or ()) for plugin in registry)
        self._suppressed = frozenset().union(*(plugin.suppressed for plugin in registry))
        self.suppression = Suppression()
        self._routes: dict[str, _Route] = {}
        self._suspended: frozenset[str] = frozenset()

    @property
    def suspended(self) -> frozenset[str]:
        """Names of the plugins that are shown no messages."""
        return self._suspended

    def leave_out(self, suspended: frozenset[str]) -> None:
        """Show no messages to the plugins of these names, and to all others again: what hangs would hang once more."""
        if suspended != self._suspended:
            self._suspended = suspended
            self._routes.clear()

    def prepare(self, delivery: Delivery) -> Batch:
        """Parse the lines of a delivery, and let every plugin observe what may be accepted."""
        batch = Batch(malformed=list(delivery.oversize), rewrites=self.suppression.rewrites)
        batch.observed = {plugin.name: Observed() for plugin in self._registry if plugin.name not in self._suspended}
        looks = {
            plugin: observer(plugin, batch.observed[plugin.name])
            for plugin in self._registry
            if plugin not in self._columnar and plugin.name in batch.observed
        }
        latest = int(time.time()) + TOLERANCE
        with self._watch.observing():
            for start in range(0, len(delivery.lines), SLICE):
                self._prepare_slice(batch, looks, delivery.lines[start : start + SLICE], latest)
            self._observe_columns(batch)
        if self.suppression:
            forgotten = self.suppression.scrub_bytes
            batch.malformed = [(forgotten(raw), forgotten(said.encode()).decode()) for raw, said in batch.malformed]
        return batch

    def _prepare_slice(
        self, batch: Batch, looks: Mapping[Plugin, Callable[[int, Message], None]], lines: Sequence[bytes], latest: int
    ) -> None:
        routes, suppressed, deriving, begin = self._routes, self._suppressed, self._deriving, self._watch.begin
        columns = batch.columns
        index = first = len(columns.times)
        records: list[bytes] = []
        digests: list[bytes] = []
        forgetting = bool(self.suppression)
        for raw in lines:
            try:
                message = parse(raw)
            except MalformedMessage as error:
                batch.malformed.append((raw.strip(), str(error)))
                continue
            timestamp, topic = message.timestamp, message.topic
            route = routes.get(topic) or self._route(topic)
            if route.foreign:
                batch.foreign += 1
            elif timestamp > latest:
                left = self.suppression.scrub(message) if forgetting else message
                held = raw.strip() if left is message else envelope(left.record())
                batch.held.append((canonical.digest64(held), timestamp - TOLERANCE, held))
            else:
                # A copy is known by what was sent.
                digests += xxh3_64_digest(message.id.encode()), xxh3_64_digest(message.record())
                if forgetting:
                    message = self.suppression.scrub(message)
                records.append(message.record())
                columns.times.append(timestamp)
                columns.topics.append(topic)
                if suppressed:
                    message = scrub(message, suppressed)
                if deriving:
                    columns.derived.append(message.derived)
                for plugin in route.wanting:
                    begin(plugin, message)
                    looks[plugin](index, message)
                index += 1
        batch.records.extend(records)
        halves = unpack(f">{len(digests)}q", b"".join(digests))
        days = [time // DAY for time in columns.times[first:]]
        batch.identities += zip(days, halves[::2], halves[1::2], strict=True)

    def _observe_columns(self, batch: Batch) -> None:
        """Let the plugins that declare on which attributes they depend observe what occurs in the batch."""
        columns = batch.columns
        columns.indices = range(len(batch.records))
        for plugin in self._columnar:
            if plugin.name not in self._suspended:
                wanted = columns.only(partial(wants, plugin)) if plugin.topics else columns
                if wanted.times:
                    about = f"{counted(len(wanted.times), 'message')}, the first on {wanted.topics[0]:.200}"
                    self._watch.note(plugin, about)
                    observe_columns(plugin, wanted, batch.observed[plugin.name], self._known[plugin])

    def _route(self, topic: str) -> _Route:
        if len(self._routes) >= _CACHED_ROUTES:
            self._routes.clear()
        category, environment, name = address(topic)
        ours = environment is None or not self._environments or environment in self._environments
        wanting = tuple(
            plugin
            for plugin in self._registry.interested(name)
            if plugin not in self._columnar and plugin.name not in self._suspended
        )
        route = _Route(not ours or category == OWN_CATEGORY, wanting)
        self._routes[topic] = route
        return route

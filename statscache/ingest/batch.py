"""The first half of acceptance, which needs no database: parse, sort out, observe.

This is the hot path. A delivery is worked off in small slices, so that the parsed messages of a slice are still in the
processor's cache when the plugins look at them; what outlives a slice are records, identities and yields.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from struct import unpack
from typing import NamedTuple

from xxhash import xxh3_64_digest

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.ingest.fold import Observed, observe, observe_topics
from statscache.ingest.outcome import Delivery
from statscache.message import Message, address, parse
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.store.journal import Identity
from statscache.timeline import DAY
from statscache.wording import counted

TOLERANCE = 300
"""Seconds by which a message may be ahead of this machine's clock before it is held."""

OWN_CATEGORY = "statscache"
"""The category of what statscache announces itself, which is never counted."""

SLICE = 16
"""Messages that are parsed and observed together."""

_CACHED_ROUTES = 50_000


@dataclass(slots=True)
class Batch:
    """The messages of one delivery, sorted by fate.

    Attributes:
        records: The journal's lines of what may enter it, in order of delivery.
        identities: Of the same messages.
        times: Their timestamps.
        topics: Where in `records` the messages of each topic are.
        observed: What each plugin made of them, by index into `records`.
        malformed: Bytes and reason of what is no message.
        held: Digest, due time and bytes of messages of the future.
        foreign: Number of messages of other environments and of our own.
    """

    records: list[bytes] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    topics: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    observed: dict[str, Observed] = field(default_factory=dict)
    malformed: list[tuple[bytes, str]] = field(default_factory=list)
    held: list[tuple[int, int, bytes]] = field(default_factory=list)
    foreign: int = 0


class _Route(NamedTuple):
    """What a topic decides: whether its messages are foreign, and which plugins want them."""

    foreign: bool
    wanting: tuple[Callable[[tuple[int, Message]], None], ...]


class Preparer:
    """Turns deliveries into batches.

    Args:
        registry: The plugins that observe.
        environments: Those whose messages are accepted; empty for all.
        watch: Is told what the plugins are doing.
    """

    def __init__(self, registry: Registry, environments: Collection[str], watch: Watch) -> None:
        self._registry = registry
        self._environments = frozenset(environments)
        self._watch = watch
        self._wanted: dict[Plugin, list[tuple[int, Message]]] = {
            plugin: [] for plugin in registry if not plugin.by_topic
        }
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
        batch = Batch(malformed=list(delivery.oversize))
        batch.observed = {
            plugin.name: Observed() for plugin in self._registry if plugin.name not in self._suspended
        }
        latest = int(time.time()) + TOLERANCE
        with self._watch.observing():
            for start in range(0, len(delivery.lines), SLICE):
                self._prepare_slice(batch, delivery.lines[start : start + SLICE], latest)
            self._ask_of_topics(batch)
        return batch

    def _prepare_slice(self, batch: Batch, lines: Sequence[bytes], latest: int) -> None:
        index = len(batch.records)
        for messages in self._wanted.values():
            messages.clear()
        digests: list[bytes] = []
        add_record, add_time, topics, routes = batch.records.append, batch.times.append, batch.topics, self._routes
        for raw in lines:
            try:
                message = parse(raw)
            except MalformedMessage as error:
                batch.malformed.append((raw.strip(), str(error)))
                continue
            topic, timestamp = message.topic, message.timestamp
            route = routes.get(topic) or self._route(topic)
            if route.foreign:
                batch.foreign += 1
            elif timestamp > latest:
                held = raw.strip()
                batch.held.append((canonical.digest64(held), timestamp - TOLERANCE, held))
            else:
                pair = index, message
                for want in route.wanting:
                    want(pair)
                record = message.record()
                add_record(record)
                add_time(timestamp)
                topics[topic].append(index)
                digests += xxh3_64_digest(message.id.encode()), xxh3_64_digest(record)
                index += 1
        days = [timestamp // DAY for timestamp in batch.times[len(batch.identities) :]]
        halves = unpack(f">{len(digests)}q", b"".join(digests))
        batch.identities.extend(zip(days, halves[::2], halves[1::2], strict=True))
        for plugin, messages in self._wanted.items():
            if messages:
                self._watch.begin(plugin, messages)
                observe(plugin, messages, batch.observed[plugin.name])

    def _ask_of_topics(self, batch: Batch) -> None:
        """Let the plugins that depend on the topic alone observe each topic of the batch."""
        for plugin in self._registry:
            if plugin.by_topic and plugin.name not in self._suspended:
                interested = self._registry.interested
                topics = {
                    topic: indices
                    for topic, indices in batch.topics.items()
                    if plugin in interested(address(topic).name)
                }
                if topics:
                    self._watch.note(plugin, f"{counted(len(topics), 'topic')} from {next(iter(topics)):.200}")
                    observe_topics(plugin, topics, batch.observed[plugin.name])

    def _route(self, topic: str) -> _Route:
        if len(self._routes) >= _CACHED_ROUTES:
            self._routes.clear()
        category, environment, name = address(topic)
        ours = environment is None or not self._environments or environment in self._environments
        wanting = tuple(
            self._wanted[plugin].append
            for plugin in self._registry.interested(name)
            if not plugin.by_topic and plugin.name not in self._suspended
        )
        route = _Route(not ours or category == OWN_CATEGORY, wanting)
        self._routes[topic] = route
        return route

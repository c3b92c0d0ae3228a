"""The first half of acceptance, which needs no database: parse, sort out, observe.

This is the hot path. A delivery is worked off in small slices, so that the parsed messages of a slice are still in the
processor's cache when the plugins look at them; what outlives a slice are records, identities and yields.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from struct import unpack
from typing import Any, NamedTuple

from xxhash import xxh3_64_digest

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.ingest.columns import Columns, deriving
from statscache.ingest.fold import Observed, observe, observe_columns
from statscache.ingest.outcome import Delivery
from statscache.message import Message, address, envelope
from statscache.parsing import parse
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry, wants
from statscache.plugins.tally import Value
from statscache.plugins.watch import Watch
from statscache.scrubbing import scrub
from statscache.store.journal import Identity
from statscache.store.suppression import Suppression
from statscache.timeline import DAY
from statscache.wording import counted

TOLERANCE = 300
"""Seconds by which a message may be ahead of this machine's clock before it is held."""

OWN_CATEGORY = "statscache"
"""The category of what statscache announces itself, which is never counted."""

SLICE = 64
"""Messages that are parsed and observed together."""

_CACHED_ROUTES = 50_000


@dataclass(slots=True)
class Batch:
    """The messages of one delivery, sorted by fate.

    Attributes:
        records: The journal's lines of what may enter it, in order of delivery.
        identities: Of the same messages.
        times: Their timestamps.
        columns: The same messages by the attributes on which plugins depend.
        observed: What each plugin made of them, by index into `records`.
        malformed: Bytes and reason of what is no message.
        held: Digest, due time and bytes of messages of the future.
        foreign: Number of messages of other environments and of our own.
        rewrites: The journal's number of rewrites when it was known who was forgotten.
    """

    records: list[bytes] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    observed: dict[str, Observed] = field(default_factory=dict)
    malformed: list[tuple[bytes, str]] = field(default_factory=list)
    held: list[tuple[int, int, bytes]] = field(default_factory=list)
    foreign: int = 0
    rewrites: int = 0


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

    Attributes:
        suppression: Who was forgotten, and is left out of what may enter the database.
    """

    def __init__(self, registry: Registry, environments: Collection[str], watch: Watch) -> None:
        self._registry = registry
        self._environments = frozenset(environments)
        self._watch = watch
        self._columnar = [plugin for plugin in registry if plugin.depends_on is not None or plugin.newest is not None]
        self._known: dict[Plugin, dict[Value, list[Any]]] = {plugin: {} for plugin in self._columnar}
        self._deriving = any(deriving(plugin.depends_on or ()) for plugin in registry)
        self._suppressed = frozenset().union(*(plugin.suppressed for plugin in registry))
        self._wanted: dict[Plugin, list[tuple[int, Message]]] = {
            plugin: [] for plugin in registry if plugin not in self._columnar
        }
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
        latest = int(time.time()) + TOLERANCE
        with self._watch.observing():
            for start in range(0, len(delivery.lines), SLICE):
                self._prepare_slice(batch, delivery.lines[start : start + SLICE], latest)
            self._observe_columns(batch)
        if self.suppression:
            forgotten = self.suppression.scrub_bytes
            batch.malformed = [(forgotten(raw), forgotten(said.encode()).decode()) for raw, said in batch.malformed]
        return batch

    def _prepare_slice(self, batch: Batch, lines: Sequence[bytes], latest: int) -> None:
        index = len(batch.records)
        for messages in self._wanted.values():
            messages.clear()
        accepted: list[Message] = []
        digests: list[bytes] = []
        routes = self._routes
        forgetting = bool(self.suppression)
        for raw in lines:
            try:
                message = parse(raw)
            except MalformedMessage as error:
                batch.malformed.append((raw.strip(), str(error)))
                continue
            timestamp = message.timestamp
            route = routes.get(message.topic) or self._route(message.topic)
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
                for want in route.wanting:
                    want((index, message))
                accepted.append(message)
                index += 1
        self._keep(batch, accepted, digests)
        for plugin, messages in self._wanted.items():
            if messages:
                self._watch.begin(plugin, messages)
                observe(plugin, messages, batch.observed[plugin.name])

    def _keep(self, batch: Batch, accepted: Sequence[Message], digests: Sequence[bytes]) -> None:
        """Add to the batch what outlives the slice of these messages; `digests` are of id and record of each."""
        times = [message.timestamp for message in accepted]
        halves = unpack(f">{len(digests)}q", b"".join(digests))
        batch.identities += zip([time // DAY for time in times], halves[::2], halves[1::2], strict=True)
        batch.records += [message.record() for message in accepted]
        batch.times += times
        batch.columns.times += times
        batch.columns.topics += [message.topic for message in accepted]
        if self._deriving:
            names = self._suppressed
            shown = [scrub(message, names) for message in accepted] if names else accepted
            batch.columns.derived += [message.derived for message in shown]

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
            self._wanted[plugin].append
            for plugin in self._registry.interested(name)
            if plugin in self._wanted and plugin.name not in self._suspended
        )
        route = _Route(not ours or category == OWN_CATEGORY, wanting)
        self._routes[topic] = route
        return route

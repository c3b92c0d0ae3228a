"""The first half of acceptance, which needs no database: parse, sort out, observe."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.ingest.fold import Observed, observe
from statscache.ingest.outcome import Delivery
from statscache.message import Message, parse
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.store.journal import Identity
from statscache.timeline import DAY

TOLERANCE = 300
"""Seconds by which a message may be ahead of this machine's clock before it is held."""

OWN_CATEGORY = "statscache"
"""The category of what statscache announces itself, which is never counted."""


@dataclass(slots=True)
class Batch:
    """The messages of one delivery, sorted by fate.

    Attributes:
        messages: What may enter the journal, in order of delivery.
        identities: Of the same messages.
        records: Their lines in the journal.
        observed: What each plugin made of them, by index into `messages`.
        malformed: Bytes and reason of what is no message.
        held: Digest, due time and bytes of messages of the future.
        foreign: Number of messages of other environments and of our own.
    """

    messages: list[Message] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    observed: dict[str, Observed] = field(default_factory=dict)
    malformed: list[tuple[bytes, str]] = field(default_factory=list)
    held: list[tuple[int, int, bytes]] = field(default_factory=list)
    foreign: int = 0


def prepare(
    delivery: Delivery, environments: Collection[str], registry: Registry, watch: Callable[[Plugin, int], None]
) -> Batch:
    """Parse the lines of a delivery and let every plugin observe what may be accepted.

    Args:
        delivery: The lines.
        environments: Those whose messages are accepted; empty for all.
        registry: The plugins.
        watch: Told before a plugin begins, so that a hang can be laid at its door.
    """
    batch = Batch(malformed=list(delivery.oversize))
    latest = int(time.time()) + TOLERANCE
    for raw in delivery.lines:
        try:
            message = parse(raw)
        except MalformedMessage as error:
            batch.malformed.append((raw, str(error)))
            continue
        environment = message.environment
        foreign = environment is not None and environments and environment not in environments
        if foreign or message.category == OWN_CATEGORY:
            batch.foreign += 1
        elif message.timestamp > latest:
            batch.held.append((canonical.digest64(raw), message.timestamp - TOLERANCE, raw))
        else:
            batch.messages.append(message)
            batch.records.append(message.record())
            batch.identities.append(_identity(message))
    batch.observed = observe_all(batch.messages, registry, watch)
    return batch


def observe_all(
    messages: Sequence[Message], registry: Registry, watch: Callable[[Plugin, int], None]
) -> dict[str, Observed]:
    """Let every plugin observe the messages on its topics."""
    indices: dict[Plugin, list[int]] = {plugin: [] for plugin in registry}
    interested = registry.interested
    for index, message in enumerate(messages):
        for plugin in interested(message.name):
            indices[plugin].append(index)
    observed: dict[str, Observed] = {}
    for plugin, wanted in indices.items():
        watch(plugin, len(wanted))
        observed[plugin.name] = observe(plugin, messages, wanted)
    return observed


def _identity(message: Message) -> Identity:
    return Identity(
        message.timestamp // DAY, canonical.digest64(message.id.encode()), canonical.digest64(message.content)
    )



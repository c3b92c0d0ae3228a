"""The document `status`: the state of the service. It is outside the snapshot."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from statscache.schemas.parts import Count, Interval, PluginState, Time, documented


@documented
class JournalHealth(TypedDict):
    """The journal, and what was not accepted into it."""

    messages: Count
    """Accepted messages."""
    known: Count
    """Copies that were delivered and not counted again."""
    conflicts: Count
    """Copies whose content differed; the first is kept."""
    foreign: Count
    """Messages of other environments, and statscache's own."""
    held: Count
    """Messages of the future that are held until their time."""
    quarantined: Count
    """Malformed lines."""
    discarded: Count
    """The oldest of them, deleted because of the quota."""
    removed: Count
    """Accepted messages that were removed from the journal."""
    segments: Count
    """Segments of the journal."""
    bytes: Count
    """Bytes of the journal."""
    stored_bytes: Count
    """The same, compressed."""


@documented
class SourceHealth(TypedDict):
    """A live source."""

    name: str
    """Name."""
    newest: Time | None
    """Timestamp of the newest message that it delivered."""
    accepted: Count
    """Messages that were accepted from it."""
    seen_at: Time
    """When it last delivered."""


@documented
class ConsumerHealth(TypedDict):
    """The state of the consumers of a live source."""

    name: str
    """Name of the source."""
    worked_at: Time
    """When one of them last looked for messages, also where the bus is quiet."""
    rejected: Count
    """Messages that were refused because they have no valid signature."""
    unconnected: Count
    """Addresses of the bus at which no one answers."""


@documented
class PluginHealth(TypedDict):
    """The state of a plugin."""

    name: str
    """Name."""
    state: PluginState
    """`ok` if it is up to date."""
    reason: str
    """Why it is not `ok`; else empty."""
    behind: Count
    """Messages of the journal that it has not folded."""
    pending: Count
    """Keys, periods of series and windows that changed since its slow documents were last updated."""
    last_event: Time | None
    """Newest event that was counted."""
    quarantined: Count
    """Messages that are quarantined for it."""


@documented
class LoadProblem(TypedDict):
    """A plugin that could not be loaded."""

    name: str
    """Name of the plugin or the entry point."""
    reason: str
    """Why."""


@documented
class TargetHealth(TypedDict):
    """The state of a place to which snapshots are published."""

    name: str
    """Name."""
    generation: Annotated[int, Field(ge=1)] | None
    """Generation that was published there; null before the first."""
    ok: bool
    """True if the last attempt succeeded, and it is not behind; false before the first."""


@documented
class Oversize(TypedDict):
    """A document that exceeds its size limit."""

    path: str
    """Readable path."""
    size: Count
    """Bytes."""
    limit: Count
    """Size limit in bytes."""


@documented
class Health(TypedDict):
    """The state of the service."""

    through: Time | None
    """Timestamp of the newest message."""
    slow_through: Time | None
    """Timestamp of the newest message that the slow documents of the current snapshot know; null before the first."""
    journal: JournalHealth
    """The journal, and what was not accepted into it."""
    sources: list[SourceHealth]
    """Live sources."""
    consumers: list[ConsumerHealth]
    """The consumers of live sources, by name."""
    plugins: list[PluginHealth]
    """The plugins, by name."""
    problems: list[LoadProblem]
    """Plugins that could not be loaded."""
    targets: list[TargetHealth]
    """The places that are published to, by name, as of the publication before."""
    oversize: list[Oversize]
    """Documents that exceed their size limit, by path."""
    held: bool
    """True if an older snapshot was made current, and stays so until publishing is resumed."""
    gaps: list[Interval]
    """What is known to be missing."""


@documented
class Status(TypedDict):
    """Health, as of the last publication. It names no person and quotes no message."""

    schema: Literal["statscache/status/1"]
    """Type and version."""
    through: Time | None
    """Timestamp of the newest message."""
    slow_through: Time | None
    """Timestamp of the newest message that the slow documents of the current snapshot know; null before the first."""
    journal: JournalHealth
    """The journal, and what was not accepted into it."""
    sources: list[SourceHealth]
    """Live sources."""
    consumers: list[ConsumerHealth]
    """The consumers of live sources, by name."""
    plugins: list[PluginHealth]
    """The plugins, by name."""
    problems: list[LoadProblem]
    """Plugins that could not be loaded."""
    targets: list[TargetHealth]
    """The places that are published to, by name, as of the publication before."""
    oversize: list[Oversize]
    """Documents that exceed their size limit, by path."""
    held: bool
    """True if an older snapshot was made current, and stays so until publishing is resumed."""
    gaps: list[Interval]
    """What is known to be missing."""
    generated_at: Time
    """When it was written."""
    generation: Annotated[int, Field(ge=1)]
    """Generation of the current snapshot."""

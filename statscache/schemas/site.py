"""The documents about the site: index, changes, entities, manifests; the first two are outside the snapshot."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from statscache.schemas.parts import Count, Digest, Interval, ObjectName, PluginState, Reference, Time, documented

EntryType = Literal["file", "tree", "subtree", "split"]


@documented
class Signature(TypedDict):
    """A signature of the whole index, all but the signatures."""

    algorithm: Literal["ed25519"]
    """How it was made."""
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """The first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    signature: str
    """The signature, in base64."""


@documented
class IndexedPlugin(TypedDict):
    """A plugin, as the index presents it."""

    name: str
    """Name, as in paths."""
    title: str
    """Heading."""
    summary: str
    """One line."""
    definition: str
    """What is counted as one."""
    subject: str
    """What it is about: `people`, `packages`, `releng`, `review`, `bus` or `other`."""
    kind: str
    """The merge that it uses, such as `Counter`."""
    unit: str
    """What the numbers count."""
    dimensions: list[str]
    """The parts of a key, in order."""
    topics: list[str]
    """Patterns of the topics that are looked at; empty: all."""
    unbounded: bool
    """True if there is one document for each key."""
    people: bool
    """True if keys are people."""
    headline: dict[str, str]
    """Dimension and value of the rows that make the number for a badge; empty: all rows."""
    not_added_up: list[str]
    """What its numbers must not be added up over: names of dimensions, and `timestamp` for buckets of time."""
    entities: dict[str, str]
    """Dimension and what it names, `person`, `package`, `release` or `topic`, if that has a page of its own."""
    state: PluginState
    """All but `ok` keep their last good documents."""
    last_event: Time | None
    """Newest event that was counted."""
    since: Time | None
    """Start of the first day for which its numbers are complete; null before its first data."""
    gaps: list[Interval]
    """The whole days from then on of which something is missing; zero in them is unknown."""
    complete_from: Time | None
    """Counts start here because older messages were removed from the journal; null if complete."""
    documents: list[Reference]
    """Its fixed documents, by path."""


EntityName = tuple[str, int, int]


@documented
class Entities(TypedDict):
    """Which of an entity have been counted, for search."""

    schema: Literal["statscache/entities/1"]
    """Type and version."""
    entity: str
    """What they are: `person`, `package`, `release` or `topic`."""
    plugins: list[str]
    """The plugins that count them; a name refers to them by bits."""
    count: Count
    """Names in all."""
    shards: dict[str, int]
    """Prefix in lower case, and the number of names in the shard of that prefix."""
    names: NotRequired[list[EntityName]]
    """All names, in the order of shards; absent if there are more than 500."""


@documented
class EntityNames(TypedDict):
    """One shard: the names that begin with a prefix, except those in shards of a longer one."""

    schema: Literal["statscache/entity-names/1"]
    """Type and version."""
    entity: str
    """What the names are: as in `entities`."""
    prefix: str
    """What they begin with, in lower case."""
    names: list[EntityName]
    """Name, rank (bits of the greatest total), and the plugins that counted it as a sum of 2 to the power of place."""


@documented
class Index(TypedDict):
    """The pointer: which snapshot is current, and what can be found in it."""

    schema: Literal["statscache/index/1"]
    """Type and version."""
    installation: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    """Id of the database that publishes here, the same in its copies."""
    generation: Annotated[int, Field(ge=1)]
    """Rises with each snapshot."""
    snapshot: Digest
    """Id of the snapshot: SHA-256 of the bytes of its root manifest."""
    manifest: str
    """Path of the root manifest."""
    parent: Digest | None
    """Id of the snapshot before."""
    generated_at: Time
    """When this pointer was written."""
    expires_at: Time
    """`generated_at` + 3 intervals; past it, the publisher is late."""
    interval: Annotated[int, Field(ge=1)]
    """Seconds between two publications."""
    through: Time | None
    """Timestamp of the newest message."""
    slow_through: Time | None
    """Timestamp of the newest message that its slow documents know."""
    signatures: list[Signature]
    """Signatures; empty where nothing is signed."""
    plugins: list[IndexedPlugin]
    """The plugins, by name."""


@documented
class Changes(TypedDict):
    """What a snapshot changed since its parent."""

    added: list[str]
    """JSON and CSV documents that are new."""
    changed: list[str]
    """Those that have other bytes."""
    removed: list[str]
    """Those that are gone."""
    truncated: bool
    """True if paths are left out of the three lists."""
    documents: Count
    """JSON and CSV documents that were added, changed or removed."""
    files: Count
    """All files, pages and plots included."""


@documented
class ChangedSnapshot(TypedDict):
    """A retained snapshot, and what it changed."""

    generation: Annotated[int, Field(ge=1)]
    """Its generation."""
    snapshot: Digest
    """Its id."""
    parent: Digest | None
    """The id of the snapshot before."""
    through: Time | None
    """Its `through`."""
    created_at: Time
    """When it was made."""
    added: list[str]
    """JSON and CSV documents that are new."""
    changed: list[str]
    """Those that have other bytes."""
    removed: list[str]
    """Those that are gone."""
    truncated: bool
    """True if paths are left out of the three lists."""
    documents: Count
    """JSON and CSV documents that were added, changed or removed."""
    files: Count
    """All files, pages and plots included."""


@documented
class ChangeLog(TypedDict):
    """What each retained snapshot changed."""

    schema: Literal["statscache/changes/1"]
    """Type and version."""
    snapshots: list[ChangedSnapshot]
    """Newest first."""


@documented
class ObjectEntry(TypedDict):
    """An entry of a directory with an object."""

    type: EntryType
    """A file, a directory, one of the two subtrees of the root, or a part of a large directory."""
    object: ObjectName
    """Name of the object."""
    size: Count
    """Its bytes."""


@documented
class PathEntry(TypedDict):
    """A file that is published at its path only."""

    type: Literal["path"]
    """A file without an object."""
    digest: Digest
    """SHA-256 of its bytes."""
    size: Count
    """Its bytes."""


ManifestEntry = ObjectEntry | PathEntry


@documented
class Manifest(TypedDict):
    """The names in one directory of a snapshot."""

    schema: Literal["statscache/manifest/1"]
    """Type and version."""
    split: bool
    """True if the entries are parts of one large directory."""
    entries: dict[str, ManifestEntry]
    """What the directory holds, by name."""

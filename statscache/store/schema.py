"""The tables of the framework. Text compares by code point and bytes by value on both databases: order is the same.

The state of plugins is in tables of its own, declared on the same `metadata` by `statscache.kinds.tables`.

Times are whole seconds since 1970 UTC. `dirty` names what has to be rendered: a row is written in the transaction that
changed the state, and goes when a render of all documents that saw this change has been committed. Who was forgotten is
in `suppressed`, as a digest with the journal's `salt`; `rewrites` rises with each of them, and whenever the journal's
content changes. `identity_key` is random and secret: with it, the digests in `message_id` are made. `installation` is
random and public: the index of a target names it. The plugins that are `active`, and the `problem`s of others, are
those of the process that opened the database last. A row of `quarantine` is a message of the journal on which a plugin
raised (`plugin` and `position`), or a malformed line (`digest` and `data`).

Objects that the tree does not need are in `dropped` if a snapshot before did, with the first one that did not; in
`unreferenced` if no snapshot ever did; and in `pending_deletion` if they must go from every target at once.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

Serial = BigInteger().with_variant(Integer(), "sqlite")
CodePoints = Text().with_variant(Text(collation="C"), "postgresql")

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head", BigInteger, nullable=False),
    Column("through", BigInteger),
    Column("known", BigInteger, nullable=False),
    Column("conflicts", BigInteger, nullable=False),
    Column("foreign_messages", BigInteger, nullable=False),
    Column("discarded", BigInteger, nullable=False, server_default="0"),
    Column("removed", BigInteger, nullable=False, server_default="0"),
    Column("removed_until", BigInteger),
    Column("rewrites", BigInteger, nullable=False, server_default="0"),
    Column("salt", LargeBinary),
    Column("identity_key", LargeBinary, nullable=False),
    Column("installation", CodePoints, nullable=False),
)

segment = Table(
    "segment",
    metadata,
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("messages", BigInteger, nullable=False),
    Column("oldest", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

message_id = Table(
    "message_id",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", BigInteger, primary_key=True, autoincrement=False),
    Column("content", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

foreign_message = Table(
    "foreign_message",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

suppressed = Table(
    "suppressed",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
)

held = Table(
    "held",
    metadata,
    Column("digest", BigInteger, primary_key=True, autoincrement=False),
    Column("due", BigInteger, nullable=False, index=True),
    Column("source", CodePoints, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

hang = Table(
    "hang",
    metadata,
    Column("plugin", CodePoints, primary_key=True),
    Column("message", CodePoints, primary_key=True),
)
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("plugin", CodePoints),
    Column("digest", BigInteger),
    Column("reason", CodePoints, nullable=False),
    Column("source", CodePoints, nullable=False),
    Column("position", BigInteger),
    Column("size", BigInteger, nullable=False),
    Column("data", LargeBinary),
    Column("quarantined_at", BigInteger, nullable=False),
    UniqueConstraint("plugin", "position"),
    UniqueConstraint("digest"),
)

source = Table(
    "source",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("newest", BigInteger),
    Column("heard", BigInteger),
    Column("offset", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

consumer = Table(
    "consumer",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("worked_at", BigInteger, nullable=False),
    Column("batches", BigInteger, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("endpoints", BigInteger, nullable=False),
    Column("unconnected", CodePoints, nullable=False),
)

coverage = Table(
    "coverage",
    metadata,
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, primary_key=True, autoincrement=False),
    Column("complete", Boolean, primary_key=True, autoincrement=False),
)

plugin = Table(
    "plugin",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("name", CodePoints, nullable=False, unique=True),
    Column("version", CodePoints, nullable=False),
    Column("missed", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("oldest", BigInteger),
    Column("newest", BigInteger),
    Column("failures", BigInteger, nullable=False),
    Column("suspended", CodePoints),
    Column("complete_from", BigInteger),
    Column("witness", BigInteger),
    Column("rendered_version", CodePoints),
    Column("rendered_basis", CodePoints),
    Column("rendered_coverage", CodePoints),
    Column("loss_explained", Boolean, nullable=False),
    Column("fast_through", BigInteger),
    Column("fast_revision", BigInteger, nullable=False),
    Column("slow_through", BigInteger),
    Column("slow_revision", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
)

problem = Table(
    "problem",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("reason", CodePoints, primary_key=True),
)

dirty = Table(
    "dirty",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("document", CodePoints, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

dirty_keys = Table(
    "dirty_keys",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

object_ = Table(
    "object",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

tree = Table(
    "tree",
    metadata,
    Column("directory", CodePoints, primary_key=True),
    Column("shard", BigInteger, primary_key=True, autoincrement=False),
    Column("name", CodePoints, primary_key=True),
    Column("type", CodePoints, nullable=False),
    Column("object", CodePoints, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

directory_part = Table(
    "directory_part",
    metadata,
    Column("directory", CodePoints, primary_key=True),
    Column("prefix", CodePoints, primary_key=True),
    Column("entries", BigInteger, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    Column("object", CodePoints, nullable=False),
    Column("size", BigInteger, nullable=False),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("id", CodePoints, nullable=False),
    Column("parent", CodePoints),
    Column("through", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("current_until", BigInteger, nullable=False),
    Column("manifest", CodePoints, nullable=False),
    Column("origin", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("summary", LargeBinary, nullable=False),
    Column("digest", CodePoints, nullable=False),
)

target = Table(
    "target",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("generation", BigInteger),
    Column("snapshot", CodePoints),
    Column("published_at", BigInteger),
    Column("requests", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Column("invalidation_due", Boolean, nullable=False),
    Column("sending", BigInteger),
    Column("trying_since", BigInteger),
    Column("due_at", BigInteger),
    Column("error", CodePoints),
)

place = Table(
    "place",
    metadata,
    Column("place", CodePoints, primary_key=True),
    Column("target", CodePoints, nullable=False),
    Column("reached_at", BigInteger, nullable=False),
)

dropped_key = Table(
    "dropped_key",
    metadata,
    Column("plugin", CodePoints, primary_key=True),
    Column("pattern", CodePoints, primary_key=True),
)

dropped = Table(
    "dropped",
    metadata,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("object", CodePoints, primary_key=True, index=True),
    Column("dropped_at", BigInteger, nullable=False),
)

unreferenced = Table(
    "unreferenced",
    metadata,
    Column("object", CodePoints, primary_key=True),
    Column("since", BigInteger, nullable=False),
)

pending_deletion = Table(
    "pending_deletion",
    metadata,
    Column("object", CodePoints, primary_key=True),
)

unneeded = dropped, unreferenced, pending_deletion
"""The tables that name objects which the tree does not need, or not any more."""

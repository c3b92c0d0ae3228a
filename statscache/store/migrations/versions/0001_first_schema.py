"""The first schema."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def whole(column: str) -> sa.CheckConstraint:
    """Return the constraint that keeps SQLite from storing a sum beyond 64 bits, which it would make a float."""
    return sa.CheckConstraint(f"{column} BETWEEN -9223372036854775807 AND 9223372036854775807")


def upgrade() -> None:
    """Create all tables, and the journal's one row."""
    op.create_table(
        "bucket",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("width", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        whole("value"),
        sa.PrimaryKeyConstraint("plugin", "width", "start", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consumer",
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("worked_at", sa.BigInteger(), nullable=False),
        sa.Column("batches", sa.BigInteger(), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("endpoints", sa.BigInteger(), nullable=False),
        sa.Column("unconnected", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "coverage",
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("complete", sa.Boolean(), autoincrement=False, nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("start", "end", "complete"),
    )
    op.create_table(
        "dirty",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", CODE_POINTS, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "document", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dirty_keys",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "revision"),
    )
    op.create_table(
        "dropped",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("object", CODE_POINTS, nullable=False),
        sa.Column("dropped_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "object"),
    )
    op.create_table(
        "entry",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "key", "timestamp", "message", "index"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "held",
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("source", CODE_POINTS, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "unreferenced",
        sa.Column("object", CODE_POINTS, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("object"),
    )
    op.create_table(
        "pending_deletion",
        sa.Column("object", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("object"),
    )
    op.create_index(op.f("ix_dropped_object"), "dropped", ["object"], unique=False)
    op.create_index(op.f("ix_held_due"), "held", ["due"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=True),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("conflicts", sa.BigInteger(), nullable=False),
        sa.Column("foreign_messages", sa.BigInteger(), nullable=False),
        sa.Column("discarded", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("removed", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("removed_until", sa.BigInteger(), nullable=True),
        sa.Column("rewrites", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("identity_key", sa.LargeBinary(), nullable=False),
        sa.Column("installation", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "key",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dimensions", sa.LargeBinary(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=True),
        sa.Column("years", sa.LargeBinary(), nullable=True),
        sa.Column("entries", sa.LargeBinary(), nullable=True),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        whole("total"),
        sa.PrimaryKeyConstraint("plugin", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "key_quarter",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quarter", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "quarter", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "member",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_member_plugin_number", "member", ["plugin", "number"], unique=True)
    op.create_table(
        "member_set",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("width", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "width", "start", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "foreign_message",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("day", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "message_id",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "object",
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "part",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plugin",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("version", CODE_POINTS, nullable=False),
        sa.Column("missed", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=True),
        sa.Column("newest", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("suspended", CODE_POINTS, nullable=True),
        sa.Column("complete_from", sa.BigInteger(), nullable=True),
        sa.Column("witness", sa.BigInteger(), nullable=True),
        sa.Column("rendered_version", CODE_POINTS, nullable=True),
        sa.Column("rendered_basis", CODE_POINTS, nullable=True),
        sa.Column("rendered_coverage", CODE_POINTS, nullable=True),
        sa.Column("loss_explained", sa.Boolean(), nullable=False),
        sa.Column("fast_through", sa.BigInteger(), nullable=True),
        sa.Column("fast_revision", sa.BigInteger(), nullable=False),
        sa.Column("slow_through", sa.BigInteger(), nullable=True),
        sa.Column("slow_revision", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "problem",
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("reason", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("name", "reason"),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("plugin", CODE_POINTS, nullable=True),
        sa.Column("digest", sa.BigInteger(), nullable=True),
        sa.Column("reason", CODE_POINTS, nullable=False),
        sa.Column("source", CODE_POINTS, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("quarantined_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("plugin", "position"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "segment",
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("first"),
    )
    op.create_table(
        "directory_part",
        sa.Column("directory", CODE_POINTS, nullable=False),
        sa.Column("prefix", CODE_POINTS, nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("object", CODE_POINTS, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("directory", "prefix"),
    )
    op.create_table(
        "snapshot",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", CODE_POINTS, nullable=False),
        sa.Column("parent", CODE_POINTS, nullable=True),
        sa.Column("through", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("current_until", sa.BigInteger(), nullable=False),
        sa.Column("manifest", CODE_POINTS, nullable=False),
        sa.Column("origin", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.Column("summary", sa.LargeBinary(), nullable=False),
        sa.Column("digest", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("generation"),
    )
    op.create_table(
        "source",
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=True),
        sa.Column("heard", sa.BigInteger(), nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "span",
        sa.Column("plugin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("stop", sa.BigInteger(), nullable=True),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sa.Column("fields_checksum", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_span_plugin_moved", "span", ["plugin", "moved"], unique=False)
    op.create_table(
        "suppressed",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "hang",
        sa.Column("plugin", CODE_POINTS, nullable=False),
        sa.Column("message", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("plugin", "message"),
    )
    op.create_table(
        "dropped_key",
        sa.Column("plugin", CODE_POINTS, nullable=False),
        sa.Column("pattern", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("plugin", "pattern"),
    )
    op.create_table(
        "place",
        sa.Column("place", CODE_POINTS, nullable=False),
        sa.Column("target", CODE_POINTS, nullable=False),
        sa.Column("reached_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_table(
        "target",
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("snapshot", CODE_POINTS, nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("invalidation_due", sa.Boolean(), nullable=False),
        sa.Column("sending", sa.BigInteger(), nullable=True),
        sa.Column("trying_since", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("error", CODE_POINTS, nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tree",
        sa.Column("directory", CODE_POINTS, nullable=False),
        sa.Column("shard", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("type", CODE_POINTS, nullable=False),
        sa.Column("object", CODE_POINTS, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("directory", "shard", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_tree_object"), "tree", ["object"], unique=False)
    row = (
        "INSERT INTO journal (id, head, known, conflicts, foreign_messages, identity_key, installation)"
        " VALUES (1, 0, 0, 0, 0, :key, :installation)"
    )
    values = {"key": secrets.token_bytes(32), "installation": secrets.token_hex(16)}
    op.get_bind().execute(sa.text(row), values)

"""The tables of plugins' state, declared on the metadata of the framework's own tables.

All of them have a column `plugin`, the number of the plugin in this database. Times are whole seconds since 1970 UTC. A
column `key` holds 64 bits of a digest of the encoded key, whose bytes are stored once, in the table `key`.

What would be many small rows is one compact row (`statscache.kinds.packed`): the days of a key in a calendar quarter
(`key_quarter`, by the number of quarters since 1970), the totals of a key's parts (`key.parts`) and years
(`key.years`), its newest entries (`key.entries`), and the members of a bucket (`member_set`). In them a part is a
number of `part`, and a member a number of `member`, which has 64 bits of the digest of the member's name; the name is
not stored.

Rows have a `checksum`, compact rows one within, so that decay is found when they are read: see
`statscache.store.bulk`.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import BigInteger, CheckConstraint, Column, Connection, Index, LargeBinary, Table, func, select

from statscache.kinds import keys
from statscache.store.bulk import Checksum, Upsert
from statscache.store.schema import metadata, plugin


def _whole(column: str) -> CheckConstraint:
    """Return the constraint that a sum stays within 64 bits; SQLite would go on with a float beyond them."""
    return CheckConstraint(f"{column} BETWEEN -9223372036854775807 AND 9223372036854775807")


key = Table(
    "key",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("dimensions", LargeBinary, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("parts", LargeBinary),
    Column("years", LargeBinary),
    Column("entries", LargeBinary),
    Column("checksum", BigInteger, nullable=False),
    _whole("total"),
    sqlite_with_rowid=False,
)

bucket = Table(
    "bucket",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("width", BigInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    _whole("value"),
    sqlite_with_rowid=False,
)

part = Table(
    "part",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", LargeBinary, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

key_quarter = Table(
    "key_quarter",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("quarter", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

member = Table(
    "member",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_member_plugin_number", member.c.plugin, member.c.number, unique=True)

member_set = Table(
    "member_set",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("width", BigInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

span = Table(
    "span",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger),
    Column("stop", BigInteger),
    Column("moved", BigInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("fields", LargeBinary, nullable=False),
    Column("fields_checksum", BigInteger, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_span_plugin_moved", span.c.plugin, span.c.moved)

entry = Table(
    "entry",
    metadata,
    Column("plugin", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("timestamp", BigInteger, primary_key=True, autoincrement=False),
    Column("message", LargeBinary, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("value", LargeBinary, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

KEY = Checksum(key, "plugin", "key", "total", "first", "last")
BUCKET = Checksum(bucket, "plugin", "width", "start", "key", "value")
MEMBER = Checksum(member, "plugin", "digest", "number")
SPAN = Checksum(span, "plugin", "key", "start", "stop", "moved", "timestamp", "index", "fields_checksum")

_add_names = Upsert(key)


def add_key_names(connection: Connection, plugin: int, names: Iterable[keys.Key]) -> None:
    """Store the keys of a plugin that counts nothing by key, where they are not yet."""
    digests = {name: keys.digest(name) for name in names}
    rows = [
        (plugin, digest, keys.stored(name), 0, 0, 0, None, None, None, KEY.of(plugin, digest, 0, 0, 0))
        for name, digest in digests.items()
    ]
    _add_names(connection, rows)


def numbers_of_keys(connection: Connection) -> dict[int, int]:
    """Return the number of keys of each plugin that has any, by the id of the plugin."""
    query = select(key.c.plugin, func.count()).group_by(key.c.plugin)
    return {row[0]: row[1] for row in connection.execute(query)}


class Matching(NamedTuple):
    """Keys of a plugin that match a pattern.

    Attributes:
        all: How many keys the plugin has.
        matching: How many of them match.
        newest: The newest of these: key, total, and timestamp of the oldest message that counted for it.
    """

    all: int
    matching: int
    newest: list[tuple[keys.Key, int, int]]


def matching_keys(connection: Connection, name: str, pattern: str, most: int) -> Matching:
    """Return which keys of a plugin have a part that matches a pattern, as in a shell.

    Args:
        connection: A reading connection.
        name: Name of the plugin.
        pattern: The pattern.
        most: Maximum number of keys to list.
    """
    query = select(key.c.dimensions, key.c.total, key.c.first).join(plugin, plugin.c.id == key.c.plugin)
    number = matching = 0
    newest: list[tuple[keys.Key, int, int]] = []
    for row in connection.execute(query.where(plugin.c.name == name).order_by(key.c.first.desc())):
        number += 1
        of = keys.load(row.dimensions)
        if keys.is_dropped(of, (pattern,)):
            matching += 1
            if len(newest) < most:
                newest.append((of, row.total, row.first))
    return Matching(number, matching, newest)


def digests_of_matching(connection: Connection, number: int, pattern: str) -> list[int]:
    """Return the digests of the keys of a plugin, given by number, of which a part matches a pattern."""
    rows = connection.execute(select(key.c.key, key.c.dimensions).where(key.c.plugin == number))
    return [row.key for row in rows if keys.is_dropped(keys.load(row.dimensions), (pattern,))]

"""What must hold in the tables of kinds, as `statscache db check` looks for what breaks it."""

from collections.abc import Iterable, Mapping
from functools import cache

from sqlalchemy import Connection, Select, Table, bindparam, select

from statscache import canonical
from statscache.kinds.tables import BUCKET, KEY, MEMBER, SPAN, entry, key, part, span
from statscache.store.bulk import Checksum, of_bytes
from statscache.store.invariants import REBUILD, STRAY, Invariant
from statscache.store.schema import plugin
from statscache.timeline import DAILY, HOURLY, MINUTELY

KEY_HAS_PLUGIN = Invariant(
    "a row of key belongs to no plugin",
    "SELECT plugin FROM key EXCEPT SELECT id FROM plugin",
    STRAY,
)


def _other_digests(connection: Connection) -> str | None:
    rows = connection.execute(select(key.c.plugin, key.c.key, key.c.dimensions).execution_options(yield_per=10_000))
    wrong = next((row.plugin for row in rows if canonical.digest64(row.dimensions) != row.key), None)
    return connection.scalar(select(plugin.c.name).where(plugin.c.id == wrong)) or wrong


KEY_IS_ITS_DIGEST = Invariant("the digest of a key is not that of its dimensions", _other_digests, REBUILD)


_CHECKED: Mapping[str, Checksum] = {of.table.name: of for of in (KEY, BUCKET, SPAN, MEMBER)}


def is_damaged(connection: Connection, number: int, tables: Iterable[Table], since: Mapping[int, int]) -> bool:
    """Return whether a row of a plugin is not what its checksum says; see `Kind.refuse_damaged`."""
    for table in tables:
        if table.name not in _CHECKED:
            continue
        places: list[dict[str, int]] = [{}]
        if "width" in table.c:
            places = [{"width": width, "start": start} for width, start in since.items()]
        query = _wrong_row(table)
        if any(connection.execute(query, {"plugin": number, **place}).first() is not None for place in places):
            return True
    return False


@cache
def _wrong_row(table: Table) -> Select[tuple[int]]:
    """Return the query for a damaged row of a plugin, and of a `width` from a `start` on where the table has these."""
    query = select(table.c.plugin).where(table.c.plugin == bindparam("plugin"), _CHECKED[table.name].is_wrong)
    if "width" in table.c:
        query = query.where(table.c.width == bindparam("width"), table.c.start >= bindparam("start"))
    return query.limit(1)


def _decayed(connection: Connection) -> str | None:
    for of in _CHECKED.values():
        query = select(plugin.c.name).join(of.table, of.table.c.plugin == plugin.c.id).where(of.is_wrong)
        if (name := connection.scalar(query.limit(1))) is not None:
            return f"{name} ({of.table.name})"
    return None


IS_ITS_CHECKSUM = Invariant("a row of a statistic is not what its checksum says", _decayed, REBUILD)

KEYS = KEY_HAS_PLUGIN, KEY_IS_ITS_DIGEST, IS_ITS_CHECKSUM


def _other_entries(connection: Connection) -> str | None:
    rows = connection.execute(select(entry).execution_options(yield_per=10_000))
    wrong = next((row.plugin for row in rows if row.checksum != of_bytes(*row[1:6])), None)
    return connection.scalar(select(plugin.c.name).where(plugin.c.id == wrong)) or wrong


def _other_fields(connection: Connection) -> str | None:
    columns = span.c.plugin, span.c.message, span.c.fields, span.c.fields_checksum
    rows = connection.execute(select(*columns).execution_options(yield_per=10_000))
    wrong = next((row.plugin for row in rows if row.fields_checksum != of_bytes(row.message, row.fields)), None)
    return connection.scalar(select(plugin.c.name).where(plugin.c.id == wrong)) or wrong


def _other_parts(connection: Connection) -> str | None:
    wrong = next((r.plugin for r in connection.execute(select(part)) if r.checksum != of_bytes(r.number, r.name)), None)
    return connection.scalar(select(plugin.c.name).where(plugin.c.id == wrong)) or wrong


PART_IS_ITS_CHECKSUM = Invariant("the name of a part is not what its checksum says", _other_parts, REBUILD)
ENTRY_IS_ITS_CHECKSUM = Invariant("an entry is not what its checksum says", _other_entries, REBUILD)
FIELDS_ARE_THEIR_CHECKSUM = Invariant("the fields of a span are not what their checksum says", _other_fields, REBUILD)


def has_key(table: Table) -> Invariant:
    """Return the invariant that each row of a table belongs to a key."""
    return Invariant(
        f"a row of {table.name} belongs to no key",
        f"SELECT COALESCE(p.name, 'no plugin') FROM {table.name} t LEFT JOIN plugin p ON p.id = t.plugin"
        " LEFT JOIN key k ON k.plugin = t.plugin AND k.key = t.key WHERE k.key IS NULL",
        REBUILD,
    )


def has_row(table: Table) -> Invariant:
    """Return the invariant that each key of a plugin that has rows in a table has one."""
    return Invariant(
        f"a key has no row of {table.name}",
        f"SELECT p.name FROM key k JOIN plugin p ON p.id = k.plugin LEFT JOIN {table.name} t"
        " ON t.plugin = k.plugin AND t.key = k.key"
        f" WHERE t.key IS NULL AND k.plugin IN (SELECT plugin FROM {table.name})",
        REBUILD,
    )


def _days(connection: Connection) -> str | None:
    from statscache.kinds import packed_sums

    return packed_sums.days(connection)


def _parts(connection: Connection) -> str | None:
    from statscache.kinds import packed_sums

    return packed_sums.parts_of_keys(connection)


def _years(connection: Connection) -> str | None:
    from statscache.kinds import packed_sums

    return packed_sums.years_of_keys(connection)


def _members(connection: Connection) -> str | None:
    from statscache.kinds import packed_sums

    return packed_sums.members(connection)


def _entries(connection: Connection) -> str | None:
    from statscache.kinds import packed_sums

    return packed_sums.entries_of_keys(connection)


DAYS_ADD_UP = Invariant("the days of a key do not add up to its total", _days, REBUILD)
PARTS_ADD_UP = Invariant("the parts of a key do not add up to its total", _parts, REBUILD)
YEARS_ADD_UP = Invariant("the years of a key do not add up to its total", _years, REBUILD)
ENTRIES_ARE_OF_THEIR_KEY = Invariant("the entries of a key are not of its time", _entries, REBUILD)
MEMBERS_ARE_COUNTED = Invariant("the members of a bucket are not as many as its number", _members, REBUILD)

ADDING_UP = (
    Invariant(
        "the days of a key do not add up to its total",
        "SELECT p.name FROM key k JOIN plugin p ON p.id = k.plugin JOIN (SELECT plugin, key, SUM(value) AS sum"
        " FROM bucket WHERE width = 86400 GROUP BY plugin, key) s ON s.plugin = k.plugin AND s.key = k.key"
        " WHERE s.sum <> k.total",
        REBUILD,
    ),
    *(
        Invariant(
            f"the {unit} of a key do not add up to its {sums}",
            "SELECT p.name FROM plugin p JOIN (SELECT plugin FROM ("
            f"SELECT plugin, key, start, value FROM bucket WHERE width = {coarse.width} AND start >= :{unit}"
            f" AND plugin IN (SELECT plugin FROM bucket WHERE width = {fine.width})"
            f" UNION ALL SELECT plugin, key, start - start % {coarse.width}, -value FROM bucket"
            f" WHERE width = {fine.width} AND start >= :{unit}"
            ") rows GROUP BY plugin, key, start HAVING SUM(value) <> 0) s ON s.plugin = p.id",
            REBUILD,
        )
        for unit, fine, sums, coarse in (("minutes", MINUTELY, "hours", HOURLY), ("hours", HOURLY, "days", DAILY))
    ),
)
"""Buckets of days add up to totals, and finer buckets to coarser ones."""

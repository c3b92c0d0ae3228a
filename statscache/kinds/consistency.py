"""What must hold in the tables of kinds, as `statscache db check` looks for what breaks it."""

from sqlalchemy import Connection, Table, select

from statscache.store.invariants import REBUILD, RESTORE, Invariant
from statscache.store.schema import plugin
from statscache.timeline import DAILY, HOURLY, MINUTELY

KEY_HAS_PLUGIN = Invariant(
    "a row of key belongs to no plugin",
    "SELECT plugin FROM key WHERE plugin NOT IN (SELECT id FROM plugin)",
    RESTORE,
)


def _other_digests(connection: Connection) -> str | None:
    from statscache import canonical
    from statscache.kinds.tables import key

    rows = connection.execute(select(key.c.plugin, key.c.key, key.c.dimensions).execution_options(yield_per=10_000))
    wrong = next((row.plugin for row in rows if canonical.digest64(row.dimensions) != row.key), None)
    return connection.scalar(select(plugin.c.name).where(plugin.c.id == wrong)) or wrong


KEY_IS_ITS_DIGEST = Invariant("the digest of a key is not that of its dimensions", _other_digests, REBUILD)

KEYS = KEY_HAS_PLUGIN, KEY_IS_ITS_DIGEST


def has_key(table: Table) -> Invariant:
    """Return the invariant that each row of a table belongs to a key."""
    return Invariant(
        f"a row of {table.name} belongs to no key",
        f"SELECT p.name FROM {table.name} t JOIN plugin p ON p.id = t.plugin"
        " LEFT JOIN key k ON k.plugin = t.plugin AND k.key = t.key WHERE k.key IS NULL",
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


DAYS_ADD_UP = Invariant("the days of a key do not add up to its total", _days, REBUILD)
PARTS_ADD_UP = Invariant("the parts of a key do not add up to its total", _parts, REBUILD)
YEARS_ADD_UP = Invariant("the years of a key do not add up to its total", _years, REBUILD)
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

"""The entities that dimensions name, which have pages and can be searched for, and which ones a plugin has counted."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from statscache.kinds import keys
from statscache.kinds.keys import OTHER
from statscache.kinds.tables import key
from statscache.scrubbing import NOBODY
from statscache.store.bulk import among

ENTITIES = ("person", "package", "release", "topic")
"""All that a dimension can name, in the order in which pages list them."""

_ROWS_AT_ONCE = 5_000


class Counted(NamedTuple):
    """A name that occurs in the keys of one plugin, and the sum of these keys."""

    name: str
    total: int


def all_counted(connection: Connection, plugin: int, at: int) -> Iterator[Counted]:
    """Yield the names of all keys of a plugin; one that is in several keys comes as often.

    Args:
        connection: Where the state is.
        plugin: The number of the plugin.
        at: Which part of its keys is the name.
    """
    query = select(key.c.dimensions, key.c.total).where(key.c.plugin == plugin)
    for rows in connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)).partitions():
        yield from _named(rows, at)


def counted(connection: Connection, plugin: int, digests: Collection[int]) -> Iterator[Counted]:
    """Yield the names of some keys, given by digest, of a plugin whose keys have one part."""
    query = select(key.c.dimensions, key.c.total).where(key.c.plugin == plugin)
    yield from _named(connection.execute(query.where(among(key.c.key, [*digests]))), 0)


def digests_of(names: Iterable[str]) -> list[int]:
    """Return the digests of the keys that have a name as their only part."""
    return [keys.digest((name,)) for name in names]


def _named(rows: Iterable[tuple[bytes, int]], at: int) -> Iterator[Counted]:
    for dimensions, total in rows:
        name = keys.load(dimensions)[at]
        # What stands for many, or for somebody who was forgotten, has no page.
        if name and name not in (OTHER, NOBODY):
            yield Counted(name, total)

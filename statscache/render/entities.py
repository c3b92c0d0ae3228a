"""The names of entities, for search: which people, packages, releases and topics have been counted, and by whom.

Names are filed in shards by their first characters, in lower case, so that a reader completes a name among 100,000 by
fetching a few kilobytes. Whatever names the bus makes up, no shard grows beyond a bound, and there are few for their
number. A name is listed once it has a document.

Only the shards of names whose numbers changed are made again. All of it is a function of the plugins' state:
the shards that there are follow from the set of names, and ranks from their totals.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import Connection

from statscache import canonical, layout, schemas
from statscache.kinds import entities as counted
from statscache.kinds.entities import Counted
from statscache.plugins import Plugin
from statscache.render.documents import Document
from statscache.store import changed_keys, published
from statscache.store.bulk import batches
from statscache.store.changed_keys import Digests

MOST_IN_INDEX = 500
"""Names of an entity that its index lists itself; those of one with more are in shards only."""

MOST_IN_SHARD = 1_000
"""Names in a shard before it is divided by the next character."""

MOST_BYTES_IN_SHARD = 64 * 1024
"""Bytes of the names in a shard, in UTF-8, before the same."""

_AT_ONCE = 2_000
"""Names whose details are looked up at a time."""

_SHORTEST, _LONGEST = 2, 64
"""Characters by which a shard is named."""

_NOT_ASCII = re.compile(r"[^ -~]")


class Source(NamedTuple):
    """One plugin that counts an entity.

    Attributes:
        plugin: The plugin.
        number: By which tables refer to it.
        changed: Digests of the keys whose documents were made since the names were; None where all are to be looked at.
        waiting: Sorted digests of the keys of which a document may not be made yet; None where that may be any.
    """

    plugin: Plugin
    number: int
    changed: Digests | None
    waiting: Digests | None


class _Known(NamedTuple):
    """The details of a name.

    Attributes:
        rank: Bits of its greatest total in any plugin: it changes when that doubles.
        plugins: The plugins that counted it, as bits in their order in the index.
    """

    rank: int = 0
    plugins: int = 0


_Names = dict[str, _Known]


def make(
    connection: Connection,
    entity: str,
    sources: Sequence[Source],
    add: Callable[[Document], None],
    *,
    everything: bool,
) -> set[str]:
    """Make the documents of one entity that may have changed; return the paths of all that it has now.

    Args:
        connection: The render's database snapshot, which holds the documents of the previous one.
        entity: The entity.
        sources: The plugins that count it, by name.
        add: Called with each document as it is made: a sender may have made up 100,000 names.
        everything: True to make them from the state alone, as when names may have gone.
    """
    names = [source.plugin.name for source in sources]
    before = None if everything else _load(connection, entity, "index.json")
    if before is None or before["plugins"] != names:
        before = None
    sizes: dict[str, int] = dict(before["shards"]) if before else {}
    few = _Few(_loaded(before))

    def save(prefix: str, held: _Names) -> None:
        sizes[prefix] = len(held)
        few.add(held)
        shard: schemas.EntityNames = {
            "schema": "statscache/entity-names/1",
            "entity": entity,
            "prefix": prefix,
            "names": _listed(held),
        }
        add(Document(layout.entity_names(entity, prefix), canonical.dumps(shard)))

    if before is None:
        for prefix, held in _divided(_all(connection, sources), _SHORTEST):
            save(prefix, held)
    else:
        for prefix, new in _changed(connection, sources, tuple(sizes)):
            document = _shard(connection, entity, prefix) if sizes.get(prefix) else None
            if _says(document, new):
                continue
            held = _loaded(document)
            gone = set(held)
            sizes.pop(prefix, None)
            for part, left in _divided(held | new, max(_SHORTEST, len(prefix))):
                gone.difference_update(left)
                save(part, left)
            few.remove(gone)
    count = sum(sizes.values())
    index: schemas.Entities = {
        "schema": "statscache/entities/1",
        "entity": entity,
        "plugins": names,
        "count": count,
        "shards": dict(sorted(sizes.items())),
    }
    if count <= MOST_IN_INDEX:
        index["names"] = _listed(few.names)
    add(Document(layout.entities(entity), canonical.dumps(index)))
    return {layout.entities(entity), *(layout.entity_names(entity, prefix) for prefix in sizes)}


class _Few:
    """The names of the index, while they are few enough for it.

    Args:
        names: Those of the index before.
    """

    def __init__(self, names: _Names) -> None:
        self.names = names

    def add(self, names: _Names) -> None:
        # With more names than that in shards, the index lists none.
        if len(self.names) <= MOST_IN_INDEX:
            self.names |= names

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self.names.pop(name, None)


def _all(connection: Connection, sources: Sequence[Source]) -> _Names:
    """Return all names that any of the plugins has counted."""
    found: _Names = {}
    for bit, source in enumerate(sources):
        _add(found, bit, _of(connection, source))
    return found


def _changed(
    connection: Connection, sources: Sequence[Source], shards: Collection[str]
) -> Iterator[tuple[str, _Names]]:
    """Yield the names whose documents were made, by the shard that they belong to, given those that there are."""
    whole = {source.number: dict(_of(connection, source)) for source in sources if source.changed is None}
    names = {name for totals in whole.values() for name in totals}
    for source in sources:
        for digests in batches(() if source.changed is None else source.changed.tolist(), _AT_ONCE):
            names.update(each.name for each in counted.counted(connection, source.number, digests))
    filed = _filed(names, shards)
    names.clear()
    for portion in _portions(filed):
        of_portion = [name for prefix in portion for name in filed[prefix]]
        digests = counted.digests_of(of_portion)
        found: _Names = {}
        for bit, source in enumerate(sources):
            if source.number in whole:
                totals = whole[source.number]
                _add(found, bit, ((name, totals[name]) for name in of_portion if name in totals))
            else:
                there = counted.counted(connection, source.number, digests)
                _add(found, bit, _with_document(connection, source, there))
        for prefix in portion:
            if new := {name: found[name] for name in filed.pop(prefix) if name in found}:
                yield prefix, new


def _portions(filed: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield the shards some at a time, so that few names are in memory with all their details."""
    portion, size = list[str](), 0
    for prefix in list(filed):
        portion.append(prefix)
        size += len(filed[prefix])
        if size >= _AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _with_document(connection: Connection, source: Source, names: Iterable[Counted]) -> Iterator[Counted]:
    """Yield those of the names that have a document, which was made in this render or before."""
    if not source.plugin.unbounded or (source.waiting is not None and not len(source.waiting)):
        yield from names
        return
    for portion in batches(names, _AT_ONCE):
        waits = np.ones(len(portion), bool)
        if source.waiting is not None:
            waits = changed_keys.are_in(counted.digests_of(each.name for each in portion), source.waiting)
        waiting = {
            layout.key_document(source.plugin.name, (each.name,)): each
            for each, is_waiting in zip(portion, waits.tolist(), strict=True)
            if is_waiting
        }
        wanted = [path.rpartition("/")[2] for path in waiting]
        there = published.entries(connection, layout.keys_root(source.plugin.name), wanted, "data") if wanted else {}
        yield from (each for each, is_waiting in zip(portion, waits.tolist(), strict=True) if not is_waiting)
        yield from (waiting[path] for path in there)


def _of(connection: Connection, source: Source) -> Iterable[tuple[str, int]]:
    """Return each name that a plugin has counted, once, and its total."""
    at = next(at for at, name in enumerate(source.plugin.dimensions) if name in source.plugin.entities)
    names = _with_document(connection, source, counted.all_counted(connection, source.number, at))
    if len(source.plugin.dimensions) == 1:
        return names
    sums: dict[str, int] = {}
    for name, total in names:
        sums[name] = sums.get(name, 0) + total
    return sums.items()


def _add(found: _Names, bit: int, names: Iterable[tuple[str, int]]) -> None:
    """Add what one plugin has counted."""
    for name, total in names:
        known = found.get(name, _Known())
        found[name] = _known(max(known.rank, max(0, total).bit_length()), known.plugins | 1 << bit)


@lru_cache(maxsize=4096)
def _known(rank: int, plugins: int) -> _Known:
    """Return the details of a name; names share them, for they have few different ones."""
    return _Known(rank, plugins)


def _divided(names: _Names, depth: int) -> Iterator[tuple[str, _Names]]:
    """Yield the shards of names that agree in the characters before the one at `depth`; `names` is empty then."""
    groups: dict[str, _Names] = {}
    while names:
        name, known = names.popitem()
        groups.setdefault(_filing(name)[:depth], {})[name] = known
    while groups:
        prefix, held = groups.popitem()
        if _fits(held):
            yield prefix, held
        elif len(prefix) == depth < _LONGEST:
            yield from _divided(held, depth + 1)
        else:
            yield prefix, _last(held)


def _filing(name: str) -> str:
    """Return what a name is filed by: its lower case, in ASCII alone, so that shards are few."""
    return _NOT_ASCII.sub(lambda found: f"_{ord(found[0]):x}.", name.lower())


def _fits(names: _Names) -> bool:
    return len(names) <= MOST_IN_SHARD and sum(len(name.encode()) for name in names) <= MOST_BYTES_IN_SHARD


def _last(names: _Names) -> _Names:
    """Return the last names, in order, that fit a shard.

    They differ in case only, or after the last character by which shards are divided. Of those that differ in case,
    the one in lower case is the last. Which are the last does not depend on when they came.
    """
    left: _Names = {}
    size = 0
    for name in sorted(names, reverse=True):
        size += len(name.encode())
        if len(left) >= MOST_IN_SHARD or size > MOST_BYTES_IN_SHARD:
            break
        left[name] = names[name]
    return left


def _filed(names: Iterable[str], shards: Collection[str]) -> dict[str, list[str]]:
    """Return names by the shard that they belong to, given those that there are."""
    divided = {prefix[:depth] for prefix in shards for depth in range(_SHORTEST, len(prefix))}
    found: dict[str, list[str]] = {}
    for name in names:
        filing, depth = _filing(name), _SHORTEST
        while filing[:depth] in divided and depth < len(filing):
            depth += 1
        found.setdefault(filing[:depth], []).append(name)
    return found


def _listed(names: _Names) -> list[tuple[str, int, int]]:
    return [(name, *names[name]) for name in sorted(names)]


def _says(document: Mapping[str, Any] | None, names: _Names) -> bool:
    """Return True if a document of names says the same of each of these; most often, for ranks change rarely."""
    rows = document["names"] if document else ()
    return {name: (rank, plugins) for name, rank, plugins in rows if name in names} == names


def _loaded(document: Mapping[str, Any] | None) -> _Names:
    rows = document.get("names", ()) if document else ()
    return {name: _known(rank, plugins) for name, rank, plugins in rows}


def _shard(connection: Connection, entity: str, prefix: str) -> dict[str, Any]:
    found = _load(connection, entity, layout.shard_name(prefix))
    if found is None:
        raise published.differs(published.location("data", layout.entity_root(entity)))
    return found


def _load(connection: Connection, entity: str, name: str) -> dict[str, Any] | None:
    """Return a document of the previous snapshot; None if it had none of that name."""
    found = published.entries(connection, layout.entity_root(entity), [name], "data")
    if not found:
        return None
    (entry,) = found.values()
    document: dict[str, Any] = orjson.loads(published.load(connection, entry.object))
    return document

"""The names of entities, for search: which people, packages, releases and topics have been counted, and by whom.

Names are filed in shards by their first characters, in lower case, so that a reader completes a name among 100,000 by
fetching a few kilobytes. Whatever names the bus makes up, no shard grows beyond a bound, and there are few for their
number. A name is listed once it has a document.

Only the shards of names whose numbers changed are made again. All of it is a function of the plugins' state:
the shards that there are follow from the set of names, and ranks from their totals.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from statscache import canonical, layout, schemas
from statscache.kinds import entities as counted
from statscache.kinds import keys
from statscache.kinds.entities import Counted
from statscache.plugins import Plugin
from statscache.render.documents import Document
from statscache.store import published

MOST_IN_INDEX = 500
"""Names of an entity that its index lists itself; those of one with more are in shards only."""

MOST_IN_SHARD = 1_000
"""Names in a shard before it is divided by the next character."""

MOST_BYTES_IN_SHARD = 64 * 1024
"""Bytes of the names in a shard, in UTF-8, before the same."""

_SHORTEST, _LONGEST = 2, 64
"""Characters by which a shard is named."""

_NOT_ASCII = re.compile(r"[^ -~]")


class Source(NamedTuple):
    """One plugin that counts an entity.

    Attributes:
        plugin: The plugin.
        number: By which tables refer to it.
        changed: Digests of the keys that changed since the names were made; None where all are to be looked at.
        waiting: Digests of the keys of which a document may not be made yet; None where that may be any.
    """

    plugin: Plugin
    number: int
    changed: Collection[int] | None
    waiting: Collection[int] | None = ()


class _Known(NamedTuple):
    """The details of a name.

    Attributes:
        rank: Bits of its greatest total in any plugin: it changes when that doubles.
        plugins: The plugins that counted it, as bits in their order in the index.
    """

    rank: int = 0
    plugins: int = 0


_Names = dict[str, _Known]


class Made(NamedTuple):
    """The result for one entity: the documents that may have changed, and the paths of all that it has now."""

    documents: list[Document]
    paths: set[str]


def make(connection: Connection, entity: str, sources: Sequence[Source], *, everything: bool) -> Made:
    """Make the documents of one entity that may have changed; all of them, if `everything`.

    Args:
        connection: The render's database snapshot, which holds the documents of the previous one.
        entity: The entity.
        sources: The plugins that count it, by name.
        everything: True to make them from the state alone, as when names may have gone.
    """
    names = [source.plugin.name for source in sources]
    dropped = set[str]()
    before = None if everything else _load(connection, entity, "index.json")
    if before is None or before["plugins"] != names:
        shards = dict(_divided(_all(connection, sources), _SHORTEST))
        sizes = {prefix: len(held) for prefix, held in shards.items()}
    else:
        sizes = dict(before["shards"])
        shards = {}
        for prefix, new in _filed(_changed(connection, sources), sizes).items():
            document = _shard(connection, entity, prefix) if sizes.get(prefix) else None
            if _says(document, new):
                continue
            held = _loaded(document)
            sizes.pop(prefix, None)
            made = dict(_divided(held | new, max(_SHORTEST, len(prefix))))
            dropped |= held.keys() - {name for left in made.values() for name in left}
            shards |= made
        sizes |= {prefix: len(held) for prefix, held in shards.items()}
    count = sum(sizes.values())
    index: schemas.Entities = {
        "schema": "statscache/entities/1",
        "entity": entity,
        "plugins": names,
        "count": count,
        "shards": dict(sorted(sizes.items())),
    }
    if count <= MOST_IN_INDEX:
        everyone = {name: known for name, known in _loaded(before).items() if name not in dropped}
        for held in shards.values():
            everyone |= held
        index["names"] = _listed(everyone)
    documents = [Document(layout.entities(entity), canonical.dumps(index))]
    for prefix, held in shards.items():
        shard: schemas.EntityNames = {
            "schema": "statscache/entity-names/1",
            "entity": entity,
            "prefix": prefix,
            "names": _listed(held),
        }
        documents.append(Document(layout.entity_names(entity, prefix), canonical.dumps(shard)))
    paths = {layout.entities(entity), *(layout.entity_names(entity, prefix) for prefix in sizes)}
    return Made(documents, paths)


def _all(connection: Connection, sources: Sequence[Source]) -> _Names:
    """Return all names that any of the plugins has counted."""
    found: _Names = {}
    for bit, source in enumerate(sources):
        _add(found, bit, _of(connection, source))
    return found


def _changed(connection: Connection, sources: Sequence[Source]) -> _Names:
    """Return the names whose numbers changed in any of the plugins."""
    looked_at = [source for source in sources if source.changed is None]
    whole = {source.number: _summed(_of(connection, source)) for source in looked_at}
    names = {name for of in whole.values() for name in of}
    for source in sources:
        if source.changed:
            names.update(each.name for each in counted.counted(connection, source.number, source.changed))
    digests = counted.digests_of(names)
    found: _Names = {}
    for bit, source in enumerate(sources):
        if source.number in whole:
            _add(found, bit, (Counted(*each) for each in whole[source.number].items()))
        else:
            _add(found, bit, _with_document(connection, source, counted.counted(connection, source.number, digests)))
    return found


def _with_document(connection: Connection, source: Source, names: Iterator[Counted]) -> Iterator[Counted]:
    """Yield those of the names that have a document, which was made in this render or before."""
    if not source.plugin.unbounded or (source.waiting is not None and not len(source.waiting)):
        yield from names
        return
    waiting: list[Counted] = []
    for each in names:
        if source.waiting is None or keys.digest((each.name,)) in source.waiting:
            waiting.append(each)
        else:
            yield each
    paths = [layout.key_document(source.plugin.name, (each.name,)) for each in waiting]
    wanted = [path.rpartition("/")[2] for path in paths]
    there = published.entries(connection, layout.keys_root(source.plugin.name), wanted, "site") if wanted else {}
    yield from (each for each, path in zip(waiting, paths, strict=True) if path in there)


def _of(connection: Connection, source: Source) -> Iterator[Counted]:
    at = next(at for at, name in enumerate(source.plugin.dimensions) if name in source.plugin.entities)
    return _with_document(connection, source, counted.all_counted(connection, source.number, at))


def _summed(names: Iterable[Counted]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, total in names:
        sums[name] = sums.get(name, 0) + total
    return sums


def _add(found: _Names, bit: int, names: Iterable[Counted]) -> None:
    """Add what one plugin has counted."""
    for name, total in _summed(names).items():
        known = found.get(name, _Known())
        found[name] = _Known(max(known.rank, max(0, total).bit_length()), known.plugins | 1 << bit)


def _divided(names: _Names, depth: int) -> Iterator[tuple[str, _Names]]:
    """Yield the shards of names that agree in the characters before the one at `depth`."""
    groups: dict[str, _Names] = {}
    for name, known in names.items():
        groups.setdefault(_filing(name)[:depth], {})[name] = known
    for prefix, held in groups.items():
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


def _filed(names: _Names, shards: Collection[str]) -> dict[str, _Names]:
    """Return names by the shard that they belong to, given those that there are."""
    divided = {prefix[:depth] for prefix in shards for depth in range(_SHORTEST, len(prefix))}
    found: dict[str, _Names] = {}
    for name, known in names.items():
        filing, depth = _filing(name), _SHORTEST
        while filing[:depth] in divided and depth < len(filing):
            depth += 1
        found.setdefault(filing[:depth], {})[name] = known
    return found


def _listed(names: _Names) -> list[tuple[str, int, int]]:
    return [(name, *names[name]) for name in sorted(names)]


def _says(document: Mapping[str, Any] | None, names: _Names) -> bool:
    """Return True if a document of names says the same of each of these; most often, for ranks change rarely."""
    rows = document["names"] if document else ()
    return {name: (rank, plugins) for name, rank, plugins in rows if name in names} == names


def _loaded(document: Mapping[str, Any] | None) -> _Names:
    rows = document.get("names", ()) if document else ()
    return {name: _Known(rank, plugins) for name, rank, plugins in rows}


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

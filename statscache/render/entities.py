"""The names of entities, for search: which people, packages, releases and topics have been counted, and by whom.

Names are filed in shards by their first characters, in lower case, so that a reader completes a name among 100,000 by
fetching a few kilobytes. Only the shards of names whose numbers changed are made again. All of it is a function of the
plugins' state: the shards that there are follow from the set of names, and ranks from their totals.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from statscache import canonical, layout, schemas
from statscache.kinds import entities as counted
from statscache.kinds.entities import Counted
from statscache.plugins import Plugin
from statscache.render.documents import Document
from statscache.store import published

MOST_IN_INDEX = 500
"""Names of an entity that its index lists itself; those of one with more are in shards only."""

MOST_IN_SHARD = 1_000
"""Names in a shard before it is divided by the next character."""

_SHORTEST, _LONGEST = 2, 4
"""Characters by which a shard is named."""


class Source(NamedTuple):
    """One plugin that counts an entity.

    Attributes:
        plugin: The plugin.
        number: By which tables refer to it.
        changed: Digests of the keys that changed since the names were made; None where all are to be looked at.
    """

    plugin: Plugin
    number: int
    changed: Collection[int] | None


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
    before = None if everything else _load(connection, entity, "index.json")
    if before is None or before["plugins"] != names:
        shards = dict(_divided(_all(connection, sources), _SHORTEST))
        sizes = {prefix: len(held) for prefix, held in shards.items()}
    else:
        sizes = dict(before["shards"])
        shards = {}
        for prefix, new in _filed(_changed(connection, sources), sizes).items():
            held = _loaded(_shard(connection, entity, prefix)) if sizes.pop(prefix, 0) else {}
            shards |= dict(_divided(held | new, len(prefix)))
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
        everyone = _loaded(before) if before else {}
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
            _add(found, bit, counted.counted(connection, source.number, digests))
    return found


def _of(connection: Connection, source: Source) -> Iterator[Counted]:
    at = next(at for at, name in enumerate(source.plugin.dimensions) if name in source.plugin.entities)
    return counted.all_counted(connection, source.number, at)


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
        groups.setdefault(name.lower()[:depth], {})[name] = known
    for prefix, held in groups.items():
        if len(held) > MOST_IN_SHARD and len(prefix) == depth < _LONGEST:
            yield from _divided(held, depth + 1)
        else:
            yield prefix, held


def _filed(names: _Names, shards: Collection[str]) -> dict[str, _Names]:
    """Return names by the shard that they belong to, given those that there are."""
    divided = {prefix[:depth] for prefix in shards for depth in range(_SHORTEST, len(prefix))}
    found: dict[str, _Names] = {}
    for name, known in names.items():
        lower, depth = name.lower(), _SHORTEST
        while lower[:depth] in divided and depth < len(lower):
            depth += 1
        found.setdefault(lower[:depth], {})[name] = known
    return found


def _listed(names: _Names) -> list[tuple[str, int, int]]:
    return [(name, *names[name]) for name in sorted(names)]


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

"""The published tree as the database holds it: which file has which bytes, and the bytes.

A *directory* is a path relative to a subtree, `""` for the subtree itself; the two subtrees are `data` and `site`. An
object's name is the SHA-256 of its bytes and the extension of the file, which decides its content type. Bytes of files
that targets have no object of, documents of keys, are kept by their SHA-256 alone.

Whatever is read is checked, so that bits that decay are never published: an object against the digest in its name, the
rows of a directory against the checksum in `directory_part`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import zstandard
from sqlalchemy import BindParameter, Connection, bindparam, func, select

from statscache import canonical, layout
from statscache.exceptions import DamagedObject, DamagedSnapshot
from statscache.store.bulk import Upsert, among
from statscache.store.schema import directory_part, object_, tree

FILES = ("file", "path")
"""Types of entries that are files."""

BUDGETS = {"latest": 100_000, "series": 1_000_000}
"""Bytes that a document of each kind may have, for those who fetch it often."""

_insert_objects = Upsert(object_)

_place: BindParameter[str] = bindparam("place")
_OBJECT = select(object_.c.size, object_.c.data).where(object_.c.name == bindparam("name"))
_OBJECTS = select(object_.c.name, object_.c.size, object_.c.data).where(among(object_.c.name, parameter="names"))
_KNOWN = select(object_.c.name).where(among(object_.c.name, parameter="names"))
_DIRECTORY = select(tree).where(tree.c.directory == _place).order_by(tree.c.name)
_DIRECTORIES = select(tree).where(among(tree.c.directory, parameter="places"))
_CHECKSUMS = select(directory_part.c.directory, directory_part.c.checksum).where(
    among(directory_part.c.directory, parameter="places"), directory_part.c.prefix == ""
)
_CHECKSUM = select(directory_part.c.checksum).where(directory_part.c.directory == _place, directory_part.c.prefix == "")
_COUNT = select(func.count()).where(tree.c.directory == _place, tree.c.type.in_(FILES))
# All that begins so, by code point, and in the index: "0" is the character after "/".
_BELOW = (
    select(tree.c.directory, tree.c.name)
    .where(
        tree.c.type.in_(FILES),
        (tree.c.directory == _place)
        | (tree.c.directory > bindparam("deeper")) & (tree.c.directory < bindparam("deeper_end")),
    )
    .execution_options(yield_per=1_000)
)


class Entry(NamedTuple):
    """One name in a directory.

    Attributes:
        type: `file`, or `path`, a file that is published at its path only; `tree`, a directory; `split`, part of one.
        object: Name of the object; of a `path`, the digest of its bytes, by which this database keeps them.
        size: Bytes.
    """

    type: str
    object: str
    size: int


DIGITS = 15
"""Hexadecimal digits of SHA-256(name) by which a directory can be split: as many as fit a signed 64-bit integer."""


@lru_cache(maxsize=4096)
def shard_of(name: str) -> int:
    """Return the first `DIGITS` digits of SHA-256(name), by which a large directory is split."""
    return int(canonical.digest(name.encode())[:DIGITS], 16)


def store(connection: Connection, objects: Mapping[str, bytes]) -> list[str]:
    """Store objects by name, and return the names of those that were not there already."""
    there = set(connection.scalars(_KNOWN, {"names": list(objects)}))
    compressor = zstandard.ZstdCompressor()
    new = {name: data for name, data in objects.items() if name not in there}
    _insert_objects(connection, [(name, len(data), compressor.compress(data)) for name, data in new.items()])
    return list(new)


def checksum(place: str, shard: int, name: str, entry: Entry) -> int:
    """Return 64 bits of the digest of a row of the table `tree`; those of a directory are the sum of its rows'."""
    # What decayed may have another type than its column.
    return canonical.digest64("\0".join(map(str, (place, shard, name, *entry))).encode())


def total(checksums: Iterable[int]) -> int:
    """Return the sum of checksums, as a signed number of 64 bits."""
    return (sum(checksums) + 2**63) % 2**64 - 2**63


def load(connection: Connection, name: str) -> bytes:
    """Return the bytes of an object.

    Raises:
        DamagedObject: There is no object of that name, or its bytes differ.
    """
    return _opened(name, connection.execute(_OBJECT, {"name": name}).one_or_none())


def load_all(connection: Connection, names: Collection[str]) -> dict[str, bytes]:
    """Return the bytes of objects by name, at once.

    Raises:
        DamagedObject: There is no object of one of the names, or its bytes differ.
    """
    rows = connection.execute(_OBJECTS, {"names": list(names)})
    found = {name: (size, data) for name, size, data in rows}
    return {name: _opened(name, found.get(name)) for name in names}


def every(connection: Connection) -> Iterator[tuple[str, bytes | None]]:
    """Yield name and bytes of every object, None for the bytes of one that is damaged, with flat memory."""
    query = select(object_.c.name, object_.c.size, object_.c.data).execution_options(yield_per=100)
    for name, size, data in connection.execute(query):
        try:
            yield name, _opened(name, (size, data))
        except DamagedObject:
            yield name, None


def _opened(name: str, row: Any) -> bytes:
    """Return the bytes of an object, given its size and its compressed bytes, or None if it has no row."""
    if row is None:
        raise DamagedObject(f"object {name} is missing from the database")
    size, stored = row
    try:
        # The frame says how much memory it needs, and a damaged one may ask for any amount.
        if zstandard.frame_content_size(stored) == size:
            data = zstandard.ZstdDecompressor().decompress(stored)
            if canonical.digest(data) == name.partition(".")[0]:
                return data
    except (zstandard.ZstdError, TypeError, ValueError):
        pass
    raise DamagedObject(f"object {name} is damaged in the database: its bytes do not match its name")


def unknown(connection: Connection, names: Collection[str]) -> set[str]:
    """Return those names of objects that are not in the database."""
    return set(names).difference(connection.scalars(_KNOWN, {"names": list(names)}))


def entries(connection: Connection, directory: str, names: Iterable[str] | None, part: str) -> dict[str, Entry]:
    """Return the entries of a directory in one subtree by path; only those of `names`, if given.

    Raises:
        DamagedSnapshot: All entries are asked for, and they are not those that were stored.
    """
    place = location(part, directory)
    query = _DIRECTORY
    wanted = None if names is None else set(names)
    if wanted is not None:
        # With a second condition on the names, the database would look up every shard with every name.
        query = query.where(among(tree.c.shard, sorted(map(shard_of, wanted))))
    prefix = f"{directory}/" if directory else ""
    rows = connection.execute(query, {"place": place}).all()
    found = {row.name: Entry(row.type, row.object, row.size) for row in rows if wanted is None or row.name in wanted}
    if wanted is None:
        check(connection, place, (checksum(place, row.shard, row.name, found[row.name]) for row in rows))
    return {prefix + name: entry for name, entry in found.items()}


def directories(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Entry]]:
    """Return all entries of directories by path, given and returned by subtree and directory.

    Raises:
        DamagedSnapshot: They are not those that were stored.
    """
    places = {location(part, directory): (part, directory) for part, directory in wanted}
    found: dict[str, dict[str, Entry]] = {place: {} for place in places}
    checksums: dict[str, list[int]] = {place: [] for place in places}
    for row in connection.execute(_DIRECTORIES, {"places": [*places]}):
        entry = Entry(row.type, row.object, row.size)
        found[row.directory][f"{places[row.directory][1]}/{row.name}"] = entry
        checksums[row.directory].append(checksum(row.directory, row.shard, row.name, entry))
    rows = connection.execute(_CHECKSUMS, {"places": [*places]})
    stored = {row.directory: row.checksum for row in rows}
    for place in places:
        if stored.get(place, 0) != total(checksums[place]):
            raise differs(place)
    return {places[place]: entries for place, entries in found.items()}


def check(connection: Connection, place: str, rows: Iterable[int]) -> None:
    """Compare the rows of a directory, given their checksums, with the checksum of the directory.

    Raises:
        DamagedSnapshot: They are not those that were stored.
    """
    stored = connection.scalar(_CHECKSUM, {"place": place}) or 0
    if stored != total(rows):
        raise differs(place)


def differs(place: str) -> DamagedSnapshot:
    """Return the error that says that the rows of a directory are not those that were stored."""
    where = place.partition("/")[2] or place
    return DamagedSnapshot(f"the database holds other rows of the published directory {where or '/'} than were stored")


def lookup(connection: Connection, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
    """Return the entries that exist of `files`, pairs of location and name, by the same pairs."""
    wanted = set(files)
    pairs = sorted({(place, shard_of(name)) for place, name in wanted})
    if connection.dialect.name == "postgresql":
        arrays: Any = tuple(list(column) for column in zip(*pairs, strict=True)) or ([], [])
        found = "FROM unnest(%s::TEXT[], %s::BIGINT[]) AS wanted (directory, shard) JOIN tree USING (directory, shard)"
    else:
        arrays = (orjson.dumps(pairs).decode(),)
        # CROSS JOIN makes SQLite go through the pairs and look each up.
        found = (
            "FROM json_each(?) AS wanted CROSS JOIN tree ON tree.directory = json_extract(wanted.value, '$[0]')"
            " AND tree.shard = json_extract(wanted.value, '$[1]')"
        )
    columns = "tree.directory, tree.name, tree.type, tree.object, tree.size"
    rows = connection.exec_driver_sql(f"SELECT {columns} {found}", arrays)
    return {(place, name): Entry(*entry) for place, name, *entry in rows if (place, name) in wanted}


def count(connection: Connection, directory: str, part: str) -> int:
    """Return the number of files in a directory of one subtree."""
    return connection.scalar(_COUNT, {"place": location(part, directory)}) or 0


def below(connection: Connection, directory: str, part: str, objects: Collection[str] | None = None) -> Iterator[str]:
    """Yield the paths of all files below a directory in one subtree, however deep; only of these objects, if given.

    The tree may not change meanwhile.
    """
    here = location(part, directory)
    query = _BELOW
    if objects is not None:
        query = query.where(among(tree.c.object, list(objects)))
    for row in connection.execute(query, {"place": here, "deeper": f"{here}/", "deeper_end": f"{here}0"}):
        yield f"{row.directory.partition('/')[2]}/{row.name}"


def oversize(connection: Connection, plugins: Iterable[str]) -> list[dict[str, str | int]]:
    """Return the documents of plugins that are larger than their budget: `path`, `size` and `limit`, by path."""
    names = list(plugins)
    roots = [location("data", layout.plugin_root(name)) for name in names]
    series = [location("data", layout.all_series(name)) for name in names]
    resolutions = select(tree.c.directory, tree.c.name).where(among(tree.c.directory, series))
    periods = [f"{row.directory}/{row.name}" for row in connection.execute(resolutions)]
    documents = select(tree.c.directory, tree.c.name, tree.c.size).where(
        among(tree.c.directory, roots + periods), tree.c.type == "file", tree.c.size > min(BUDGETS.values())
    )
    found: list[dict[str, str | int]] = []
    for directory, name, size in connection.execute(documents):
        kind = "series" if directory in periods else name.partition(".")[0]
        if size > BUDGETS.get(kind, size):
            path = f"{directory.partition('/')[2]}/{name}"
            found.append({"path": path, "size": size, "limit": BUDGETS[kind]})
    return sorted(found, key=lambda document: document["path"])


def location(part: str, directory: str) -> str:
    """Return the key of a directory of a subtree in the table `tree`."""
    return f"{part}/{directory}" if directory else part

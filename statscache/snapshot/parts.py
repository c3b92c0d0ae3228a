"""Manifests of directories: a directory with more than 64 entries is split by digit, as a Merkle tree.

A part is named by its prefix: the first hexadecimal digits of SHA-256(name) of all names in it. A part with more than
64 entries is split by the next digit. So how a directory is split depends on its names alone, and one changed name
makes one part and those above it again: O(log N) small manifests.

The table `directory_part` has a row with the empty prefix for each directory, and one for each part of a directory that
is split. Its checksum is the sum of those of the rows of `tree` in it. So whatever is made of these rows is known to be
made of what was stored, and of what changed: rows that decayed, or are lost, are an error, and are in no manifest.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from statscache import layout
from statscache.snapshot import manifest
from statscache.store import published
from statscache.store.bulk import Upsert, among
from statscache.store.published import DIGITS, Entry
from statscache.store.schema import directory_part, tree

AT_ONCE = 4_096
"""Entries of a part that is read at once."""

_HEX = "0123456789abcdef"
_BATCH = 1_000

_WHOLE = select(directory_part).where(
    among(directory_part.c.directory, parameter="places"), directory_part.c.prefix == ""
)
_ENTRIES = (
    select(tree.c.shard, tree.c.name, tree.c.type, tree.c.object, tree.c.size)
    .where(
        tree.c.directory == bindparam("place"),
        tree.c.shard >= bindparam("first"),
        tree.c.shard < bindparam("end"),
    )
    .order_by(tree.c.shard)
    .limit(AT_ONCE + 1)
)

_put = Upsert(
    directory_part, lambda table, new: {name: new[name] for name in ("entries", "checksum", "object", "size")}
)


class Part(NamedTuple):
    """The state in the database of a directory, or of a part of one.

    Attributes:
        entries: Number of its rows in the table `tree`.
        checksum: The sum of their checksums.
        object: Name of its manifest.
        size: Bytes of its manifest.
    """

    entries: int
    checksum: int
    object: str
    size: int


class Parts:
    """Makes the manifests of directories whose entries in the table `tree` changed.

    Args:
        connection: The transaction.
        store: Stores the bytes of a manifest, and returns its name.
        drop: Called with the names of the manifests that a directory was split into before.
    """

    def __init__(
        self, connection: Connection, store: Callable[[bytes], str], drop: Callable[[Iterable[str]], None]
    ) -> None:
        self._connection = connection
        self._store = store
        self._drop = drop
        self._rows: dict[tuple[str, str], Part] = {}

    def update(self, directories: Mapping[str, "array[int]"]) -> dict[str, Entry | None]:
        """Return the manifest of each directory, None for one without entries.

        Args:
            directories: By location, in turns, the shard of a name that changed, and by how much the checksum did.

        Raises:
            DamagedSnapshot: Rows are not those that were stored.
        """
        rows = self._connection.execute(_WHOLE, {"places": list(directories)})
        known = {row.directory: Part(*row[2:]) for row in rows}
        return {place: self._directory(place, changes, known.get(place)) for place, changes in directories.items()}

    def flush(self) -> None:
        """Write the rows of the parts that were made."""
        _put(self._connection, [(*key, *made) for key, made in self._rows.items()])
        self._rows.clear()

    def _directory(self, place: str, changes: "array[int]", before: Part | None) -> Entry | None:
        made = self._part(place, "", sorted(zip(changes[::2], changes[1::2], strict=True)), before)
        if made is not None:
            self._save(place, "", made)
        elif before is not None:
            self._connection.execute(
                delete(directory_part).where(directory_part.c.directory == place, directory_part.c.prefix == "")
            )
        return None if made is None else Entry("tree" if "/" in place else "subtree", made.object, made.size)

    def _part(self, place: str, prefix: str, changes: Sequence[tuple[int, int]], before: Part | None) -> Part | None:
        """Return a part in which entries changed, given their shards in order and the changes of the checksum."""
        made = self._updated(place, prefix, changes, before)
        known = before.checksum if before is not None else 0
        if (made.checksum if made is not None else 0) != published.total([known, *(change for _, change in changes)]):
            raise published.differs(place)
        return made

    def _updated(self, place: str, prefix: str, changes: Sequence[tuple[int, int]], before: Part | None) -> Part | None:
        if not _is_split(prefix, before):
            return self._made(place, prefix)
        assert before is not None
        if before.entries <= min(AT_ONCE, manifest.LARGEST * len(changes)):
            # To read it all at once reads no more than to read each of its parts.
            self._forget(place, prefix)
            return self._made(place, prefix)
        parts = self._below(place, prefix)
        if layout.object_name("manifest.json", _listed(parts)) != before.object:
            raise published.differs(place)
        for digit, group in groupby(changes, lambda change: _digit(change[0], len(prefix))):
            old = parts.pop(digit, None)
            new = self._part(place, prefix + digit, list(group), old)
            if old is not None and old != new:
                self._drop([old.object])
            if new is not None:
                parts[digit] = new
                self._save(place, prefix + digit, new)
            elif old is not None:
                gone = directory_part.c.directory == place, directory_part.c.prefix == prefix + digit
                self._connection.execute(delete(directory_part).where(*gone))
        if sum(each.entries for each in parts.values()) <= manifest.LARGEST:
            self.flush()
            self._forget(place, prefix)
            return self._made(place, prefix)
        return self._split(parts)

    def _made(self, place: str, prefix: str) -> Part | None:
        """Return a part made from the table `tree` alone; its own parts have no rows yet."""
        rows = self._entries(place, prefix)
        return self._of_rows(place, prefix, rows) if len(rows) <= AT_ONCE else self._of_parts(place, prefix)

    def _of_parts(self, place: str, prefix: str) -> Part:
        parts = {}
        for digit in _HEX:
            if (made := self._made(place, prefix + digit)) is not None:
                parts[digit] = made
                self._save(place, prefix + digit, made)
        return self._split(parts)

    def _of_rows(self, place: str, prefix: str, rows: Sequence[tuple[int, str, Entry]]) -> Part | None:
        if not rows:
            return None
        if len(rows) <= manifest.LARGEST or len(prefix) == DIGITS:
            data = manifest.dumps((name, entry) for _, name, entry in rows)
            checksums = (published.checksum(place, shard, name, entry) for shard, name, entry in rows)
            return Part(len(rows), published.total(checksums), self._store(data), len(data))
        parts = {}
        for digit, group in groupby(rows, lambda row: _digit(row[0], len(prefix))):
            made = self._of_rows(place, prefix + digit, list(group))
            assert made is not None
            parts[digit] = made
            self._save(place, prefix + digit, made)
        return self._split(parts)

    def _split(self, parts: Mapping[str, Part]) -> Part:
        data, made = _listed(parts), parts.values()
        entries, checksum = sum(each.entries for each in made), published.total(each.checksum for each in made)
        return Part(entries, checksum, self._store(data), len(data))

    def _save(self, place: str, prefix: str, made: Part) -> None:
        self._rows[place, prefix] = made
        if len(self._rows) >= _BATCH:
            self.flush()

    def _forget(self, place: str, prefix: str) -> None:
        """Delete the rows of all parts of a part: it is made of the table `tree` again."""
        # All that begins so, by code point: "g" is the character after the last digit.
        below = (
            directory_part.c.directory == place,
            directory_part.c.prefix > prefix,
            directory_part.c.prefix < f"{prefix}g",
        )
        self._drop(self._connection.scalars(select(directory_part.c.object).where(*below)))
        self._connection.execute(delete(directory_part).where(*below))

    def _below(self, place: str, prefix: str) -> dict[str, Part]:
        """Return the parts that a part is split into, by their digit."""
        wanted = among(directory_part.c.prefix, [prefix + digit for digit in _HEX])
        rows = self._connection.execute(select(directory_part).where(directory_part.c.directory == place, wanted))
        return {row.prefix[-1]: Part(*row[2:]) for row in rows}

    def _entries(self, place: str, prefix: str) -> list[tuple[int, str, Entry]]:
        """Return shard, name and entry of all in a part, in order of shard; one more than `AT_ONCE` at most."""
        bits = 4 * (DIGITS - len(prefix))
        first = int(prefix or "0", 16) << bits
        rows = self._connection.execute(_ENTRIES, {"place": place, "first": first, "end": first + (1 << bits)})
        return [(shard, name, Entry(*entry)) for shard, name, *entry in rows]


def made_of(place: str, rows: Sequence[tuple[int, str, Entry]]) -> dict[str, Part]:
    """Return the parts that a directory has, by prefix, given shard, name and entry of all its rows, in order."""
    found: dict[str, Part] = {}

    def make(prefix: str, rows: Sequence[tuple[int, str, Entry]]) -> Part:
        checksum = published.total(published.checksum(place, shard, name, entry) for shard, name, entry in rows)
        if len(rows) <= manifest.LARGEST or len(prefix) == DIGITS:
            data = manifest.dumps((name, entry) for _, name, entry in rows)
        else:
            groups = groupby(rows, lambda row: _digit(row[0], len(prefix)))
            below = {digit: make(prefix + digit, list(group)) for digit, group in groups}
            found.update({prefix + digit: part for digit, part in below.items()})
            data = _listed(below)
        return Part(len(rows), checksum, layout.object_name("manifest.json", data), len(data))

    if rows:
        found[""] = make("", rows)
    return found


def _listed(parts: Mapping[str, Part]) -> bytes:
    """Return the manifest of a part that is split, given its parts by digit."""
    return manifest.dumps(
        ((digit, Entry("split", made.object, made.size)) for digit, made in parts.items()), split=True
    )


def _is_split(prefix: str, known: Part | None) -> bool:
    return known is not None and known.entries > manifest.LARGEST and len(prefix) < DIGITS


def _digit(shard: int, number: int) -> str:
    """Return a digit of a shard; the first has the number 0."""
    return _HEX[shard >> 4 * (DIGITS - 1 - number) & 15]

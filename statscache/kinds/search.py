"""Where names can be in stored state, for forgetting and for a person's export.

A kind declares every column of its tables that can hold a name (`Kind.searched`); `key.dimensions` is searched always.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Table, select

from statscache import canonical
from statscache.kinds import key_entries, keys, tables
from statscache.scrubbing import is_within, occurs, spellings, texts


@dataclass(frozen=True, slots=True)
class Searched(ABC):
    """A column that can hold names.

    Attributes:
        table: Its table, which has a column `plugin`.
        column: Its name.
    """

    table: Table
    column: str

    @abstractmethod
    def plugins(self, connection: Connection, names: frozenset[str]) -> Iterator[int]:
        """Yield the numbers of plugins in whose rows one of the names occurs, perhaps more than once."""

    def _rows(self, connection: Connection, *where: ColumnElement[bool]) -> Iterator[tuple[int, Any]]:
        query = select(self.table.c.plugin, self.table.c[self.column]).where(*where)
        return ((plugin, value) for plugin, value in connection.execute(query))


class StoredKeys(Searched):
    """A column of keys, or parts of keys, as they are stored."""

    def plugins(self, connection: Connection, names: frozenset[str]) -> Iterator[int]:
        return (plugin for plugin, stored in self._rows(connection) if holds(stored, names))


class JSON(Searched):
    """A column of canonical JSON."""

    def plugins(self, connection: Connection, names: frozenset[str]) -> Iterator[int]:
        for plugin, value in self._rows(connection):
            if is_within(value, names) and any(occurs(text, names) for text in texts(orjson.loads(value))):
                yield plugin


class KeyEntries(Searched):
    """The entries of keys; see `statscache.kinds.key_entries`."""

    def plugins(self, connection: Connection, names: frozenset[str]) -> Iterator[int]:
        for plugin, digest, stored in connection.execute(
            select(self.table.c.plugin, self.table.c.key, self.table.c[self.column]).where(
                self.table.c[self.column].is_not(None)
            )
        ):
            entries = [fields for _, fields in key_entries.unpacked(digest, stored)]
            held = [fields for fields in entries if is_within(fields, names)]
            if any(occurs(text, names) for fields in held for text in texts(orjson.loads(fields))):
                yield plugin


class Digests(Searched):
    """A column of digests of names (see `member_digest`)."""

    def plugins(self, connection: Connection, names: frozenset[str]) -> Iterator[int]:
        return (plugin for plugin, _ in self._rows(connection, self.table.c[self.column].in_(member_digests(names))))


@dataclass(frozen=True, slots=True)
class Mentions:
    """Where names occur in the state.

    Attributes:
        keys: Digests of the keys that hold one, by the number of the plugin.
        elsewhere: Numbers of the plugins whose state holds one elsewhere.
    """

    keys: dict[int, list[int]] = field(default_factory=dict)
    elsewhere: set[int] = field(default_factory=set)


def mentions(connection: Connection, names: frozenset[str], searched: Iterable[Searched]) -> Mentions:
    """Return where names occur in the state of all plugins, whether these are installed or not."""
    found = Mentions()
    key = tables.key.c
    for plugin, digest, stored in connection.execute(select(key.plugin, key.key, key.dimensions)):
        if holds(stored, names):
            found.keys.setdefault(plugin, []).append(digest)
    for each in dict.fromkeys(searched):
        found.elsewhere.update(each.plugins(connection, names))
    return found


def holds(stored: bytes, names: frozenset[str]) -> bool:
    """Return True if a part of a key, given as it is stored, holds one of the names."""
    return any(part and occurs(part, names) for part in keys.load(stored))


def is_in_table(connection: Connection, table: Table, names: frozenset[str]) -> bool:
    """Return True if any text of any row of a table holds one of the names."""
    rows = connection.execute(select(table))
    return any(occurs(text, names) for row in rows for value in row for text in texts(value))


@lru_cache(maxsize=8_192)
def member_digest(name: str) -> int:
    """Return the digest by which a member is kept.

    Raises:
        UnicodeEncodeError: The name holds a lone surrogate.
    """
    return canonical.digest64(name.encode())


def member_digests(names: frozenset[str]) -> list[int]:
    """Return the digests of names in the ways in which they are mostly written."""
    return [member_digest(name) for name in sorted(spellings(names))]


def readable(value: Any) -> Any:
    """Return a value of a row of state as JSON can say it; bytes are text, and mostly JSON."""
    if isinstance(value, tuple | list):
        return [readable(part) for part in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value if isinstance(value, bool | int | float | dict) or value is None else str(value)

"""The contract of a kind: what a plugin's observations become, from the check of one yield to what forgetting removes.

A `Kind` object is made for one plugin and knows everything that differs between kinds, so that no other module compares
kinds. All that it stores must be a commutative merge: the state is a function of the *set* of messages (law 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from sqlalchemy import Connection, Table, delete

from statscache.kinds.keys import Key
from statscache.kinds.keys import load as load_key
from statscache.kinds.yields import Yields
from statscache.timeline import Resolution


class Statistic(Protocol):
    """What a kind reads of the plugin that it is made for; see `statscache.plugins.contract.Plugin`."""

    name: ClassVar[str]
    unit: ClassVar[str]
    dimensions: ClassVar[tuple[str, ...]]
    unbounded: ClassVar[bool]
    people: ClassVar[bool]
    settings: Mapping[str, Any]


class Dirty(NamedTuple):
    """A document whose bytes may have changed: `latest`, or a resolution's name and period; or documents of `keys`.

    Attributes:
        document: Its name.
        number: For a resolution, the start of the period in seconds since 1970 UTC.
        keys: For keys, all that changed; see `statscache.store.changed_keys`.
    """

    document: str
    number: int = 0
    keys: bytes = b""


@dataclass(frozen=True, slots=True)
class State:
    """What a kind stores for one plugin, as one transaction sees it.

    Attributes:
        connection: The transaction.
        plugin: The number of the plugin in this database.
        through: Timestamp of the newest accepted message: the clock of everything published. None before the first.
        newest: Timestamp of the newest message that this plugin counted. None before the first.
    """

    connection: Connection
    plugin: int
    through: int | None
    newest: int | None = None


Days = dict[str, list[tuple[int, int]]]
"""Start of the day in seconds since 1970 UTC and value, oldest first, by year."""


class KeyPart(NamedTuple):
    """What is published of one part of a key's numbers, of a plugin that divides them."""

    name: str | None
    total: int
    days: Days


class KeyDocument(NamedTuple):
    """What is published of one key of an unbounded plugin; times in seconds since 1970 UTC.

    `parts` is None where the plugin does not divide its numbers; else `part` is the field of a part's name.
    """

    key: Key
    total: int
    first: int
    last: int
    days: Days
    part: str | None = None
    parts: list[KeyPart] | None = None


class Column(NamedTuple):
    """A field of the rows of `latest` that a kind provides.

    Attributes:
        name: In documents.
        heading: Above a column of a table.
        is_number: True if it is a number, False if it is a moment in seconds since 1970 UTC.
    """

    name: str
    heading: str
    is_number: bool = True


class Kind(ABC):
    """The merge of one plugin, and everything that follows from it.

    Args:
        plugin: The plugin that the kind is made for.

    Attributes:
        name: Of the kind, as published.
        tables: The tables that hold its state; each has a column `plugin`.
        columns: The fields of the rows of `latest` besides dimensions and a plugin's own.
        takes_depends_on: True if a plugin may declare `depends_on`.
    """

    name: ClassVar[str]
    tables: ClassVar[tuple[Table, ...]]
    columns: ClassVar[tuple[Column, ...]] = ()
    takes_depends_on: ClassVar[bool] = False

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Register the kind, unless it is a variant of one that is."""
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            _kinds[cls.name] = cls

    @classmethod
    def column_names(cls) -> tuple[str, ...]:
        """Return the names of the fields that the kind provides in rows."""
        return tuple(column.name for column in cls.columns)

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The resolutions in which series are published, finest first; none unless the kind has buckets."""
        return ()

    @property
    def windows(self) -> tuple[int, ...]:
        """The widths in seconds of the buckets whose ends make `latest` change without an event."""
        return ()

    @property
    def newest(self) -> int | None:
        """How many yields of the newest messages are all that can matter of a batch; None where older ones can."""
        return None

    @abstractmethod
    def check(self, item: Any) -> Any:
        """Return what `observe` yielded in the form that `reduce` takes.

        Raises:
            YieldError: This kind cannot count it.
        """

    @abstractmethod
    def reduce(self, yields: Yields) -> Any:
        """Return what `merge` takes of at least one yield: summed up as far as that needs no database.

        Another process may do it, so the result can be pickled.
        """

    @abstractmethod
    def merge(self, state: State, reduced: Any) -> set[Dirty]:
        """Merge what `reduce` returned into the stored state, and return which documents that concerns."""

    def clear(self, connection: Connection, plugin: int) -> None:
        """Remove all stored state of the plugin, which is about to fold the journal again."""
        for table in self.tables:
            connection.execute(delete(table).where(table.c.plugin == plugin))

    @abstractmethod
    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        """Yield the stored state, row by row in a declared order, for a recount to compare with."""

    @abstractmethod
    def latest(self, state: State) -> list[dict[str, Any]]:
        """Return the flat records of the `latest` document, sorted as the published format says."""

    def series(self, state: State, resolution: Resolution, start: int, end: int) -> list[list[Any]]:
        """Return the rows `[timestamp, *dimensions, value]` of the buckets in `[start, end)`, sorted so."""
        return []

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        """Return the start of one bucket in each period that has a row, oldest first."""
        return []

    def key_documents(self, state: State, digests: Sequence[int]) -> Iterator[KeyDocument]:
        """Yield what is published of each of these keys that exists."""
        return iter(())

    def all_keys(self, state: State) -> list[int]:
        """Return the digests of all keys that have a document of their own."""
        return []

    def record(self, stored: bytes) -> dict[str, Any]:
        """Return the fields of the dimensions of a key, given as it is stored."""
        return dict(zip(self.plugin.dimensions, load_key(stored), strict=True))


_kinds: dict[str, type[Kind]] = {}


def kinds() -> Mapping[str, type[Kind]]:
    """Return every kind by its name. A kind is registered when its class, which has a `name`, is defined."""
    return _kinds

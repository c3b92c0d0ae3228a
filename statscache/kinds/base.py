"""The contract of a kind: what a plugin's observations become, from the check of one yield to what forgetting removes.

A `Kind` object is made for one plugin and knows everything that differs between kinds, so that no other module compares
kinds. A class that has a `name` is registered when it is defined. All that a kind stores must be a commutative merge:
the state is a function of the *set* of messages (law 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from sqlalchemy import Connection, Table, delete

from statscache.exceptions import PluginError
from statscache.kinds import consistency, keys, lost_rows
from statscache.kinds.keys import MOST, Key
from statscache.kinds.keys import load as load_key
from statscache.kinds.presentation import Column, Headline, Partial, Row, counted, ranked
from statscache.kinds.search import Searched, readable
from statscache.kinds.state import Dirty, Extent, KeyDocument, State
from statscache.kinds.tables import key
from statscache.kinds.yields import Yields
from statscache.scrubbing import occurs, texts
from statscache.store.bulk import among
from statscache.store.intervals import Interval
from statscache.store.invariants import Invariant
from statscache.timeline import Resolution
from statscache.windows import Window

if TYPE_CHECKING:
    from statscache.store.changed_keys import Keys


class Statistic(Protocol):
    """What a kind reads of the plugin that it is made for; see `statscache.plugins.contract.Plugin`."""

    name: ClassVar[str]
    unit: ClassVar[str]
    dimensions: ClassVar[tuple[str, ...]]
    headline: ClassVar[Mapping[str, str]]
    entities: ClassVar[Mapping[str, str]]
    not_added_up: ClassVar[tuple[str, ...]]
    featured: ClassVar[bool]
    failures: ClassVar[Mapping[str, Collection[str]]]
    unbounded: ClassVar[bool]
    people: ClassVar[bool]
    settings: Mapping[str, Any]


class Kind(ABC):
    """The merge of one plugin, and everything that follows from it.

    Args:
        plugin: The plugin that the kind is made for.

    Attributes:
        name: Name of the kind, as published.
        description: What it is, for people.
        note: What readers of a table of `latest` must know.
        rows_are: What rows are that have no number, given the `unit`.
        rows_are_events: True if each row of `latest` is something that happened, and the newest are listed: the page of
            a person, package, release or topic shows those that name it.
        columns: The fields of the rows of `latest` besides dimensions and a plugin's own, in the order of CSV.
        card_columns: Those of them that a small card shows of a plugin without dimensions, in order.
        ordered_by: The name of the column whose greatest numbers come first on a page. None: that of `main_column`, or
            in a kind without one the newest first if rows have times, else the order of `latest`.
        counts_members: True if numbers say how many different ones there are, which add up over nothing.
        tables: The tables that hold its state; each has a column `plugin`.
        searched: The columns of these tables that can hold names, besides `key.dimensions`.
        invariants: What must hold in these tables.
        takes_depends_on: True if a plugin may declare `depends_on`.
        takes_unbounded: True if a plugin may declare `unbounded`: `key_documents` and `keys_showing` are implemented.
        follows_from_yields: True if the state is a function of what was yielded: it can be counted again elsewhere, and
            the difference of yields tells what forgetting removes. Else `forget_in_rows` has to do it.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    note: ClassVar[str] = ""
    rows_are: ClassVar[str] = "rows"
    rows_are_events: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = ()
    card_columns: ClassVar[tuple[Column, ...]] = ()
    ordered_by: ClassVar[str | None] = None
    counts_members: ClassVar[bool] = False
    tables: ClassVar[tuple[Table, ...]]
    searched: ClassVar[tuple[Searched, ...]] = ()
    invariants: ClassVar[tuple[Invariant, ...]] = ()
    takes_depends_on: ClassVar[bool] = False
    takes_unbounded: ClassVar[bool] = False
    follows_from_yields: ClassVar[bool] = True

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Register the kind, unless it has no name of its own: then it is a variant of one that has.

        Raises:
            PluginError: Another kind has its name, or a column of it that is not the same.
        """
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            if cls.name in registered:
                owner = registered[cls.name].__module__
                raise PluginError(f"kind {cls.name}: {owner} has it already; choose another name")
            # What is shown of a field is looked up by its name alone.
            if other := next((each for each in cls.columns if shared_columns.get(each.name, each) != each), None):
                raise PluginError(
                    f"kind {cls.name}: another kind has a column {other.name}, with other attributes; choose another"
                    f" name, or make it {shared_columns[other.name]}"
                )
            registered[cls.name] = cls
            shared_columns.update({column.name: column for column in cls.columns})

    @classmethod
    def column_names(cls) -> tuple[str, ...]:
        """Return the names of the fields that the kind provides in rows."""
        return tuple(column.name for column in cls.columns)

    @cached_property
    def taken(self) -> frozenset[str]:
        """The names that fields of a row's value cannot have: the dimensions, and the fields that the kind provides."""
        return frozenset((*self.plugin.dimensions, *self.column_names()))

    def fields_of_latest(self) -> tuple[str, ...]:
        """Return the names of the fields in rows of `latest` that are known without a row, besides the dimensions."""
        return self.column_names()

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
        """The number of newest yields of a batch that can matter; None if older ones can."""
        return None

    @abstractmethod
    def check(self, item: Any) -> Any:
        """Return a yield of `observe` in the form that `reduce` takes.

        Raises:
            YieldError: This kind cannot count it.
        """

    def key(self, dimensions: tuple[str, ...], given: Any) -> Key:
        """Return a key that `observe` yielded, with `(other)` for what is not admitted.

        Raises:
            YieldError: It is not a key of these dimensions.
        """
        return keys.check(dimensions, given)

    def bounded(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return what counts of the yields of one message, given in the form that `check` returns.

        That is the first `MOST` of them, and what `others` makes of the rest.
        """
        return items if len(items) <= MOST else [*items[:MOST], *self.others(items[MOST:])]

    def others(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return what stands for the yields of a message that has too many; nothing in a kind that does not sum."""
        return ()

    def key_of(self, checked: Any) -> Key:
        """Return the key that a yield counts for, given in the form that `check` returns; empty if it has none."""
        return ()

    def reduce_kept(self, yields: Yields) -> Any:
        """Return what `reduce` returns of those yields whose keys were not dropped; None if there are none."""
        if self.plugin.dropped and len(yields):
            kept = [not keys.is_dropped(self.key_of(item), self.plugin.dropped) for item in yields.items]
            yields = yields.only(np.array(kept, bool)[yields.which])
        return self.reduce(yields) if len(yields) else None

    @abstractmethod
    def reduce(self, yields: Yields) -> Any:
        """Return the argument for `merge` from at least one yield, reduced as far as possible without the database.

        Another process may do it, so the result can be pickled.
        """

    @abstractmethod
    def merge(self, state: State, reduced: Any) -> set[Dirty]:
        """Merge what `reduce` returned into the stored state, and return which documents that concerns."""

    def drop_keys(self, connection: Connection, plugin: int, digests: Collection[int]) -> None:
        """Remove all that is stored of keys, as if nothing had counted for them."""
        for table in self.tables:
            if "key" in table.c:
                gone = among(table.c.key, [*digests])
                connection.execute(delete(table).where(table.c.plugin == plugin, gone))

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

    def omitted(self, state: State, resolution: Resolution, start: int, end: int) -> int:
        """Return how many keys `series` leaves out of the buckets in `[start, end)`, being too many."""
        return 0

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        """Return the start of one bucket in each period that has a row, oldest first."""
        return []

    def key_documents(self, state: State, changed: "Keys | None") -> Iterator[KeyDocument]:
        """Yield the documents of keys, given these and the years of each that changed; None means everything."""
        return iter(())

    def keys_showing(self, state: State, days: Sequence[Interval]) -> "Keys":
        """Return the keys, and years of each, whose documents say whether these days (one or more) are known."""
        raise NotImplementedError(f"a {self.name} has no documents of keys")

    # For people.

    @property
    def has_times(self) -> bool:
        """True if rows have times: a page then shows the newest first."""
        return any(not column.is_number for column in self.columns)

    def main_column(self, rows: Sequence[Row], partial: Partial) -> Column | None:
        """Return the column by whose numbers keys are compared now; None for a kind without numbers.

        Args:
            rows: Rows of `latest`.
            partial: The windows that are not wholly known; they are taken only where there is nothing else.
        """
        return None

    @property
    def not_added_up(self) -> tuple[str, ...]:
        """Over what numbers must not be added up: names of dimensions, and `timestamp` for buckets of time."""
        return self.not_added_up_of(type(self.plugin))

    @classmethod
    def not_added_up_of(cls, plugin: "type[Statistic]") -> tuple[str, ...]:
        """Return the same of a plugin's class."""
        return ("timestamp", *plugin.dimensions) if cls.counts_members else plugin.not_added_up

    @property
    def is_additive(self) -> bool:
        """True if the numbers of several buckets may be added up."""
        return "timestamp" not in self.not_added_up

    @property
    def adds_up(self) -> bool:
        """True if the sum of the numbers of the headline's rows of `latest` is one of all that was counted."""
        return {*self.not_added_up} <= {"timestamp", *self.plugin.headline}

    def is_in_headline(self, row: Row) -> bool:
        """Return True if a row is one of those that make the headline."""
        return all(row[name] == value for name, value in self.plugin.headline.items())

    def count_keys(self, state: State) -> int | None:
        """Return how many keys there are, of a plugin that is unbounded; None of any other."""
        return None

    def headline(
        self, rows: Sequence[Row], label: Callable[[Row], str], partial: Partial, keys: int | None = None
    ) -> Headline | None:
        """Return the one number that says most about the plugin now; None before there is any.

        Args:
            rows: Rows of `latest`.
            label: Returns the key of a row as people read it.
            partial: The windows that are not wholly known, each with the time from which it is known.
            keys: How many keys there are, where `latest` says it.
        """
        if not rows:
            return None
        column = self.main_column(rows, partial)
        if column is None:
            return Headline(len(rows), "row" if len(rows) == 1 else self.rows_are.format(unit=self.plugin.unit))
        caption = f"{counted(self.plugin.unit, self.plugin.headline)} {column.words}"
        if column.window is not None and column.window.name in partial:
            return Headline(None, caption, partial[column.window.name])
        rows = [row for row in rows if self.is_in_headline(row)]
        if self.adds_up or not rows:
            return Headline(sum(row[column.name] for row in rows), caption)
        top, value = ranked(rows, column.name, label)[0]
        name = next((name for name in reversed(self.plugin.dimensions) if name not in self.plugin.headline), "key")
        return Headline(value, f"{caption}: {top}, the most of any {name}", top=top)

    @property
    def badge_window(self) -> Window | None:
        """The window whose sum is the plugin's badge; None if it has no badge."""
        return None

    # Forgetting a person.

    def own_key(self, checked: Any) -> tuple[int, bytes] | None:
        """Return digest and stored form of the key that a yield counts for; None if `remove_keys` cannot undo it."""
        return None

    def remove_keys(self, state: State, digests: Collection[int]) -> Extent | None:
        """Remove keys from the state, and return the rest; None if the plugin has to fold the journal again."""
        return None

    def forget_in_rows(self, connection: Connection, names: Collection[str]) -> bool:
        """Have the author's rows forget a person; return False if there was nothing to do. It may raise anything."""
        return False

    def mentions(self, connection: Connection, names: frozenset[str]) -> bool:
        """Return True if rows of the plugin that do not follow from its yields hold one of the names."""
        return False

    @property
    def own_tables(self) -> tuple[Table, ...]:
        """The tables of this plugin alone, which `clear` makes."""
        return ()

    def export(
        self, connection: Connection, plugin: int, through: int | None, names: frozenset[str]
    ) -> Iterator[list[Any]]:
        """Yield the rows of the state that are about a person, as JSON can say them."""
        for row in self.dump(connection, plugin, through):
            shown = readable(row)
            if self._is_about(shown, names):
                yield shown

    def refuse_damaged(self, state: State, since: Mapping[int, int], *, slow: bool) -> None:
        """Look for decay in the rows that documents are about to be made of.

        Args:
            state: State of the plugin.
            since: By width of buckets, the start of the oldest that may be read; others are not looked at.
            slow: True if slow documents are. Else the keys of an unbounded plugin are left to them: there are too many
                to look at all of them each minute.

        Raises:
            DamagedStatistics: There is some.
        """
        tables = [table for table in self.tables if slow or table is not key or not self.plugin.unbounded]
        if consistency.is_damaged(state.connection, state.plugin, tables, since) or (
            slow
            and (
                lost_rows.have_no_key(state.connection, state.plugin, tables, since) or self.has_lost_rows(state, since)
            )
        ):
            raise keys.damaged(self.plugin.name)

    def has_lost_rows(self, state: State, since: Mapping[int, int]) -> bool:
        """Return whether a row is missing that other rows say must exist; see `refuse_damaged`."""
        return False

    def _is_about(self, row: list[Any], names: frozenset[str]) -> bool:
        return any(occurs(text, names) for text in texts(row))

    def record(self, stored: bytes) -> dict[str, Any]:
        """Return the fields of the dimensions of a key, given as it is stored."""
        return dict(zip(self.plugin.dimensions, load_key(stored), strict=True))


registered: dict[str, type[Kind]] = {}
"""Every kind by its name; `statscache.kinds.registry` has what concerns all of them."""

shared_columns: dict[str, Column] = {}
"""The columns of all kinds by name: kinds share those of one name."""

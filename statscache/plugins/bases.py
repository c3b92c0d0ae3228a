"""The bases that authors derive from, except `Table`: their own attributes, and queries for `documents`."""

from collections.abc import Collection, Iterator, Mapping
from types import EllipsisType
from typing import Any, ClassVar, final

from statscache.kinds import CounterByKeyKind, CounterKind, DistinctKind, LatestKind, LogKind, SpanKind
from statscache.kinds.keys import Key
from statscache.kinds.state import State
from statscache.plugins.contract import Plugin
from statscache.plugins.validation import is_dimension

MOST_ENTRIES = 50
"""Maximum number of entries of a key: each publication writes those of every key that changed."""


class Counter(Plugin):
    """Counts by key: `observe` yields a key, or a key and a whole amount, such as `(("copr",), 3)`.

    Published are totals and trailing windows in `latest`, and series by minute (kept 2 days), hour (kept 90 days) and
    day (kept forever); of an unbounded counter the 100 greatest and one document for each key.

    Attributes:
        breakdown: A further dimension that divides the numbers of each key, such as `category`: `observe` then yields
            keys with one more part at the end, and the document of a key has `parts`. Only unbounded counters have it.
        by_minute: True if a bounded counter has a series by minute. Each publication writes these of every plugin, so
            turn it off if the last hour does not matter. A change needs another `version`.
        entries: How many of the newest messages that counted the document of a key lists, of an unbounded counter:
            each yield of `observe` is then a key and a dict of fields, such as `(("bash",), {"state": "complete"})`,
            and counts one. A change needs another `version`.
        listed: By dimension, the values that a bounded counter lists in `latest` and series; keys with others are for
            documents of its own, by way of `leaders`. A dimension that is not named lists all.
    """

    kind_class = CounterKind
    kind: CounterKind
    breakdown: ClassVar[str | None] = None
    by_minute: ClassVar[bool] = True
    entries: ClassVar[int] = 0
    listed: ClassVar[Mapping[str, Collection[str]]] = {}

    @classmethod
    def _faults(cls) -> Iterator[str]:
        yield from super()._faults()
        if unknown := cls.listed.keys() - {*cls.dimensions}:
            yield f"`listed` names {sorted(unknown)}; give names of `dimensions`"
        if cls.listed and cls.unbounded:
            yield "`listed` is for counters that are not `unbounded`"
        if type(cls.entries) is not int or not 0 <= cls.entries <= MOST_ENTRIES:
            yield f"`entries` is {cls.entries!r}; give a whole number up to {MOST_ENTRIES}"
        elif cls.entries and not cls.unbounded:
            yield "`entries` are of the documents of keys, which only `unbounded` counters have"
        if cls.breakdown is None:
            return
        if not is_dimension(cls.breakdown) or cls.breakdown in cls.dimensions:
            yield f"`breakdown` is {cls.breakdown!r}; give it a name as dimensions have, and none of theirs"
        if not cls.unbounded:
            yield "`breakdown` divides the documents of keys, which only `unbounded` counters have"

    def _make_kind(self) -> CounterKind:
        return CounterByKeyKind(self) if self.unbounded else CounterKind(self)

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield `latest` and a ranking for each document in `trailing`.

        Override it, and yield from this one, to publish more. One whose `trailing` names other documents than rankings
        yields `latest`, whose rows the method `latest` returns, and these itself.
        """
        yield from super().documents(state)
        for name, days in self.trailing.items():
            yield name, {"rows": self.leaders(state, days=days)}

    def columns_of(self, document: str) -> tuple[str, ...]:
        """Return the fields of the rows of a document; those of a ranking are the dimensions and `value`."""
        ranking = document in self.trailing and document not in self.columns
        return (*self.dimensions, "value") if ranking else super().columns_of(document)

    @final
    def leaders(
        self,
        state: State,
        *,
        days: int | None = None,
        part: str | EllipsisType | None = ...,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return the keys with the greatest sums as records of their dimensions and `value`, for `documents`.

        Ties are in order of the key. A window costs a pass over the keys of an unbounded counter.

        Args:
            state: What `documents` was given.
            days: Over how many whole UTC days before the day of `through`; None for everything.
            part: Only this part of the breakdown; None is a part too.
            limit: Maximum number of keys.
        """
        return self.kind.leaders(state, days, part, limit)

    @final
    def newcomers(self, state: State, days: int = 365, *, part: str | EllipsisType | None = ...) -> list[list[int]]:
        """Return `[start of the day, number of keys that were seen first on it]`, oldest first, for `documents`.

        Days without one are left out. A late message moves a key to an earlier day. It costs a pass over the keys.

        Args:
            state: What `documents` was given.
            days: For how many whole UTC days before the day of `through`.
            part: Seen first in this part of the breakdown; None is a part too.
        """
        return self.kind.newcomers(state, days, part)

    @final
    def newest(self, state: State, *, since: int, limit: int = 50) -> list[dict[str, Any]]:
        """Return the keys that were first seen since a time, newest first, as records of dimensions and `timestamp`.

        Ties are in order of the key. A late message makes a key older.

        Args:
            state: What `documents` was given.
            since: Keys that were seen before this time, in seconds since 1970 UTC, are left out.
            limit: Maximum number of keys.
        """
        return self.kind.newest_keys(state, since, limit)

    @final
    def newcomers_by_part(self, state: State, days: int = 365) -> list[tuple[int, str | None, int]]:
        """Return day, part of the breakdown, and number of keys first seen in it that day, in that order.

        This is `newcomers` for all parts at once.

        Raises:
            DocumentError: The plugin does not divide its numbers.
        """
        return self.kind.newcomers_by_part(state, days)


class Distinct(Plugin):
    """Counts different members by key: `observe` yields a key and a member, such as `(("git",), "ralph")`.

    Published are exact uniques by day, ISO week and month, and those of the last whole one of each in `latest`. All
    are kept forever, and so are the digests of members (a late message may name one that is known): at most two
    bytes for each member in each day, week and month, or four beyond 65,536 members.
    """

    kind_class = DistinctKind


class _Newest(Plugin):
    """The queries of `Latest` and `Log` for `documents`."""

    kind_class = LatestKind
    kind: LatestKind

    @final
    def values(self, state: State) -> Iterator[tuple[Key, int, dict[str, Any]]]:
        """Yield key, timestamp and fields of each entry, sorted as `latest`, for `documents`."""
        return self.kind.values(state)


class Latest(_Newest):
    """The newest value of each key, however old: `observe` yields a key and a dict of fields."""

    kind_class = LatestKind


class Log(_Newest):
    """The newest entries of each key, newest first: `observe` yields a key and a dict of fields.

    Attributes:
        entries: How many entries are kept of each key.
    """

    kind_class = LogKind
    entries: ClassVar[int] = 100


class Span(Plugin):
    """Times of things that start and stop: `observe` yields `(key, "start")` or `(key, "stop")`, perhaps with fields.

    A third item is a dict of fields; the newest is kept. The spans that changed last are published.

    Attributes:
        shown: How many spans `latest` has; all are kept.
        longest: Seconds after which a span without a stop is unknown rather than in progress: its stop may never have
            been announced. None if it may take any time. If a gap follows its start, it is unknown at once.
    """

    kind_class = SpanKind
    shown: ClassVar[int] = 200
    longest: ClassVar[int | None] = None

    @classmethod
    def _faults(cls) -> Iterator[str]:
        yield from super()._faults()
        if type(cls.shown) is not int or cls.shown < 1:
            yield f"`shown` is {cls.shown!r}; give a whole number from 1"
        if cls.longest is not None and (type(cls.longest) is not int or cls.longest < 1):
            yield f"`longest` is {cls.longest!r}; give seconds, such as 86400, or None"

"""`Counter`: sums of whole amounts, by key and by bucket of time.

A bounded counter keeps buckets of three widths, filed by time. An unbounded one (people, packages, topics) keeps days
only, filed by key, so that the document of one key is read without touching the others; these may be divided by a part.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import EllipsisType
from typing import Any, ClassVar

from sqlalchemy import Connection, Select, delete, func, select

from statscache.exceptions import YieldError
from statscache.plugins import buckets, keys, sums
from statscache.plugins.contract import (
    Days,
    Dirty,
    KeyDocument,
    KeyPart,
    Observation,
    Plugin,
    State,
    check_key,
    is_dimension,
)
from statscache.plugins.sums import Counted, Sums
from statscache.plugins.tally import Tally
from statscache.store.bulk import Upsert, among
from statscache.store.schema import bucket, key, key_day, key_part
from statscache.timeline import DAILY, DAY, HOUR, HOURLY, MINUTELY, Resolution, floor

LEADERS = 100
"""Rows of `latest` of an unbounded counter."""

_LARGEST = 2**53
_CACHED_KEYS = 100_000

_add_days = Upsert(key_day, lambda table, new: {"value": table.c.value + new.value})


def _adding_parts(least: Callable[..., Any]) -> Upsert:
    return Upsert(
        key_part,
        lambda table, new: {"total": table.c.total + new.total, "first": least(table.c.first, new.first)},
    )


_add_parts = {"sqlite": _adding_parts(func.min), "postgresql": _adding_parts(func.least)}


class Counter(Plugin):
    """Counts by key: `observe` yields a key, or a key and a whole amount, such as `(("copr",), 3)`.

    Published are totals and trailing windows in `latest`, and series by minute (kept 2 days), hour (kept 90 days) and
    day (kept for ever); of an unbounded counter the 100 greatest and one document for each key.

    Attributes:
        breakdown: By what the numbers of each key are divided, such as `category`: `observe` then yields keys with one
            more part at the end, and the document of a key has `parts`. Only unbounded counters have it.
    """

    kind = "Counter"
    breakdown: ClassVar[str | None] = None

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        super().__init__(settings)
        self._checked: dict[Any, Counted] = {}
        self._weighted = False
        self._names = self.dimensions if self.breakdown is None else (*self.dimensions, self.breakdown)

    @classmethod
    def faults(cls) -> Iterator[str]:
        if cls.breakdown is None:
            return
        if not is_dimension(cls.breakdown) or cls.breakdown in cls.dimensions:
            yield f"`breakdown` is {cls.breakdown!r}; give it a name as dimensions have, and none of theirs"
        if not cls.unbounded:
            yield "`breakdown` divides the documents of keys, which only `unbounded` counters have"
        if cls.by_topic:
            yield "`breakdown` divides what is observed of messages: it goes not with `by_topic`"

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        return () if self.unbounded else (MINUTELY, HOURLY, DAILY)

    @property
    def windows(self) -> tuple[int, ...]:
        return (DAY,) if self.unbounded else (HOUR, DAY)

    def check(self, item: Any) -> Counted:
        try:
            return self._checked.get(item) or self._check_new(item)
        except TypeError:
            return self._check_new(item)

    def _check_new(self, item: Any) -> Counted:
        if type(item) is tuple and len(item) == 2 and type(item[0]) is tuple:
            name, amount = item
            if type(amount) is not int or not -_LARGEST < amount < _LARGEST:
                raise YieldError(f"the amount of {name!r:.200} must be a whole number below 2^53; got {amount!r:.200}")
            self._weighted = True
            digest, stored, _, part = self._checked.get(check_key(self._names, name)) or self._check_new(name)
            return digest, stored, amount, part
        name = check_key(self._names, item)
        if len(self._checked) >= _CACHED_KEYS:
            self._checked.clear()
        divided = len(self.dimensions)
        whole = name[:divided]
        checked = self._checked[name] = keys.digest(whole), keys.stored(whole), 1, keys.stored(name[divided:])
        return checked

    def merge(self, state: State, observations: Sequence[Observation]) -> set[Dirty]:
        if self.breakdown is not None:
            self._merge_parts(state, observations)
        return self._add(state, sums.of_messages(observations, self._width, weighted=self._weighted))

    def merge_topics(self, state: State, counted: Sequence[tuple[Tally, Sequence[Counted]]]) -> set[Dirty]:
        """Merge what was observed of topics, given with their tallies; as `merge` does with what is of messages."""
        return self._add(state, sums.of_topics(counted, self._width))

    @property
    def _width(self) -> int:
        return DAY if self.unbounded else self.resolutions[0].width

    def _add(self, state: State, new: Sums) -> set[Dirty]:
        buckets.add_keys(
            state.connection,
            [
                (state.plugin, digest, new.stored[digest], total, new.first[digest], new.last[digest])
                for digest, total in new.totals.items()
            ],
        )
        if not self.unbounded:
            return self._merge_buckets(state, new.buckets)
        # Days that are divided by parts stand there by part.
        if self.breakdown is None:
            days = new.buckets.items()
            _add_days(
                state.connection,
                [(state.plugin, digest, start, b"", value) for start, of in days for digest, value in of.items()],
            )
        return {Dirty("latest"), *(Dirty("key", digest) for digest in new.totals)}

    def _merge_parts(self, state: State, observations: Sequence[Observation]) -> None:
        ordered = sorted(observations, key=itemgetter(0))
        times = [row[0] for row in ordered]
        counted: list[Counted] = [row[3] for row in ordered]
        parts = [(item[0], item[3]) for item in counted]
        amounts = [item[2] for item in counted] if self._weighted else None
        first = dict(zip(reversed(parts), reversed(times), strict=True))
        totals = sums.add_up(parts, amounts)
        _add_parts[state.connection.dialect.name](
            state.connection,
            [(state.plugin, digest, part, total, first[digest, part]) for (digest, part), total in totals.items()],
        )
        days = sums.add_up([(floor(time, DAY), *part) for time, part in zip(times, parts, strict=True)], amounts)
        _add_days(
            state.connection,
            [(state.plugin, digest, start, part, value) for (start, digest, part), value in days.items()],
        )

    def _merge_buckets(self, state: State, new: Mapping[int, Mapping[int, int]]) -> set[Dirty]:
        dirty = {Dirty("latest")}
        for resolution in self.resolutions:
            kept_from = buckets.kept_from(resolution, state.through)
            width = resolution.width
            rolled: dict[tuple[int, int], int] = defaultdict(int)
            for start, of in new.items():
                if start >= kept_from:
                    bucket_start = start - start % width
                    for digest, value in of.items():
                        rolled[bucket_start, digest] += value
            rows = [(state.plugin, width, start, digest, value) for (start, digest), value in rolled.items()]
            buckets.add(state.connection, rows)
            starts = {start for start, _ in rolled}
            dirty |= {Dirty(resolution.name, resolution.period(start).start) for start in starts}
            buckets.drop_expired(state, resolution)
        return dirty

    def clear(self, connection: Connection, plugin: int) -> None:
        for table in (key, bucket, key_day, key_part):
            connection.execute(delete(table).where(table.c.plugin == plugin))

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from buckets.dump(connection, plugin, self.resolutions, through)
        if not self.unbounded:
            return
        names = buckets.names(connection, plugin)
        days = select(key_day).where(key_day.c.plugin == plugin)
        for row in connection.execute(days.order_by(key_day.c.key, key_day.c.start, key_day.c.part)):
            yield ("1d", row.start, names[row.key], row.part, row.value)
        parts = select(key_part).where(key_part.c.plugin == plugin)
        for row in connection.execute(parts.order_by(key_part.c.key, key_part.c.part)):
            yield ("part", names[row.key], row.part, row.total, row.first)

    def latest(self, state: State) -> list[dict[str, Any]]:
        query = select(key.c.key, key.c.dimensions, key.c.total).where(key.c.plugin == state.plugin)
        if self.unbounded:
            query = query.order_by(key.c.total.desc(), key.c.dimensions).limit(LEADERS)
        else:
            query = query.order_by(key.c.dimensions)
        rows = state.connection.execute(query).all()
        if not rows or state.through is None:
            return []
        day = floor(state.through, DAY)
        hour = floor(state.through, HOUR)
        windows = {"last_7d": (DAILY, day - 7 * DAY, day), "last_30d": (DAILY, day - 30 * DAY, day)}
        if not self.unbounded:
            windows["last_24h"] = (HOURLY, hour - DAY, hour)
        trailing = {
            name: _sums_of(state, start, end, [row.key for row in rows])
            if self.unbounded
            else buckets.sums(state, resolution, start, end)
            for name, (resolution, start, end) in windows.items()
        }
        return [
            {
                **self.record(row.dimensions),
                "total": row.total,
                **{name: of.get(row.key, 0) for name, of in trailing.items()},
            }
            for row in rows
        ]

    def series(self, state: State, resolution: Resolution, start: int, end: int) -> list[list[Any]]:
        return buckets.series(state, resolution, start, end)

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        return buckets.starts(state, resolution)

    def key_documents(self, state: State, digests: Sequence[int]) -> Iterator[KeyDocument]:
        days: dict[int, dict[bytes, Days]] = {digest: {} for digest in digests}
        query = select(key_day).where(key_day.c.plugin == state.plugin, among(state.connection, key_day.c.key, digests))
        for row in state.connection.execute(query.order_by(key_day.c.key, key_day.c.part, key_day.c.start)):
            year = DAILY.period(row.start).label
            days[row.key].setdefault(row.part, {}).setdefault(year, []).append((row.start, row.value))
        query = select(key).where(key.c.plugin == state.plugin, among(state.connection, key.c.key, digests))
        for row in state.connection.execute(query):
            name, of = keys.load(row.dimensions), days[row.key]
            if self.breakdown is None:
                yield KeyDocument(name, row.total, row.first, row.last, of.get(b"", {}))
            else:
                parts = [KeyPart(keys.load(part)[0], _total(each), each) for part, each in of.items()]
                yield KeyDocument(name, row.total, row.first, row.last, _added(of.values()), self.breakdown, parts)

    def leaders(
        self,
        state: State,
        *,
        days: int | None = None,
        part: str | EllipsisType | None = ...,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return the keys with the greatest sums as records of their dimensions and `value`, for `documents`.

        Ties stand in order of the key. A window costs a pass over the keys of an unbounded counter.

        Args:
            state: What `documents` was given.
            days: Over how many whole UTC days before the day of `through`; None for everything.
            part: Only this part of the breakdown; None is a part too.
            limit: How many at most.
        """
        query = self._all_time(state, part) if days is None else self._in_days(state, days, part)
        if query is None:
            return []
        query = query.order_by(query.selected_columns.value.desc(), key.c.dimensions).limit(limit)
        rows = state.connection.execute(query)
        return [{**self.record(row.dimensions), "value": int(row.value)} for row in rows]

    def newcomers(
        self, state: State, days: int = 365, *, part: str | EllipsisType | None = ...
    ) -> list[list[int]]:
        """Return `[start of the day, number of keys that were seen first on it]`, oldest first, for `documents`.

        Days without one are left out. A late message moves a key to an earlier day. It costs a pass over the keys.

        Args:
            state: What `documents` was given.
            days: For how many whole UTC days before the day of `through`.
            part: Seen first in this part of the breakdown; None is a part too.
        """
        if state.through is None:
            return []
        table = key if part is ... else key_part
        day = (table.c.first - table.c.first % DAY).label("day")
        end = floor(state.through, DAY)
        query = select(day, func.count()).where(
            table.c.plugin == state.plugin, table.c.first >= end - days * DAY, table.c.first < end
        )
        if part is not ...:
            query = query.where(key_part.c.part == self._stored(part))
        return [[start, number] for start, number in state.connection.execute(query.group_by(day).order_by(day))]

    def _all_time(self, state: State, part: str | EllipsisType | None) -> Select[Any]:
        if part is ...:
            return select(key.c.dimensions, key.c.total.label("value")).where(key.c.plugin == state.plugin)
        return (
            select(key.c.dimensions, key_part.c.total.label("value"))
            .join(key, (key.c.plugin == key_part.c.plugin) & (key.c.key == key_part.c.key))
            .where(key_part.c.plugin == state.plugin, key_part.c.part == self._stored(part))
        )

    def _in_days(self, state: State, days: int, part: str | EllipsisType | None) -> Select[Any] | None:
        if state.through is None:
            return None
        end = floor(state.through, DAY)
        start = end - days * DAY
        table = key_day if self.unbounded else bucket
        query = (
            select(key.c.dimensions, func.sum(table.c.value).label("value"))
            .join(key, (key.c.plugin == table.c.plugin) & (key.c.key == table.c.key))
            .where(key.c.plugin == state.plugin, key.c.last >= start, table.c.start >= start, table.c.start < end)
            .group_by(key.c.dimensions)
        )
        if not self.unbounded:
            query = query.where(bucket.c.width == DAY)
        return query if part is ... else query.where(key_day.c.part == self._stored(part))

    def _stored(self, part: str | EllipsisType | None) -> bytes:
        """Return a part as it is stored.

        Raises:
            ValueError: The plugin does not divide its numbers.
        """
        if self.breakdown is None or isinstance(part, EllipsisType):
            raise ValueError(f"plugin {self.name} was asked for the part {part!r}, but declares no `breakdown`")
        return keys.stored((part,))

    def all_keys(self, state: State) -> list[int]:
        if not self.unbounded:
            return []
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))


def _sums_of(state: State, start: int, end: int, digests: list[int]) -> dict[int, int]:
    """Return the sum of the days in `[start, end)` of each of these keys of an unbounded counter."""
    query = select(key_day.c.key, func.sum(key_day.c.value)).where(
        key_day.c.plugin == state.plugin,
        among(state.connection, key_day.c.key, digests),
        key_day.c.start >= start,
        key_day.c.start < end,
    )
    return {digest: int(total) for digest, total in state.connection.execute(query.group_by(key_day.c.key))}


def _total(days: Days) -> int:
    return sum(value for year in days.values() for _, value in year)


def _added(divided: Iterable[Days]) -> Days:
    """Return the days of all parts added up."""
    sums: dict[int, int] = defaultdict(int)
    for days in divided:
        for year in days.values():
            for start, value in year:
                sums[start] += value
    added: Days = {}
    for start in sorted(sums):
        added.setdefault(DAILY.period(start).label, []).append((start, sums[start]))
    return added

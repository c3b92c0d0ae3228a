"""`Counter`: sums of whole amounts, by key and by bucket of time.

A bounded counter keeps buckets of three widths, filed by time. An unbounded one (people, packages, topics) keeps days
only, filed by key, so that the document of one key is read without touching the others.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from statscache.exceptions import YieldError
from statscache.plugins import keys, sums
from statscache.plugins.contract import Dirty, KeyDocument, Observation, Plugin, State, check_key
from statscache.plugins.sums import Counted, Sums
from statscache.plugins.tally import Tally
from statscache.store.bulk import Upsert, among
from statscache.store.schema import bucket, key, key_day
from statscache.timeline import DAILY, DAY, HOUR, HOURLY, MINUTELY, Resolution, floor

LEADERS = 100
"""Rows of `latest` of an unbounded counter."""

_LARGEST = 2**53
_CACHED_KEYS = 100_000

_add_buckets = Upsert(bucket, lambda table, new: {"value": table.c.value + new.value})
_add_days = Upsert(key_day, lambda table, new: {"value": table.c.value + new.value})


def _adding_keys(least: Callable[..., Any], greatest: Callable[..., Any]) -> Upsert:
    return Upsert(
        key,
        lambda table, new: {
            "total": table.c.total + new.total,
            "first": least(table.c.first, new.first),
            "last": greatest(table.c.last, new.last),
        },
    )


_add_keys = {
    "sqlite": _adding_keys(func.min, func.max),
    "postgresql": _adding_keys(func.least, func.greatest),
}


class Counter(Plugin):
    """Counts by key: `observe` yields a key, or a key and a whole amount, such as `(("copr",), 3)`.

    Published are totals and trailing windows in `latest`, and series by minute (kept 2 days), hour (kept 90 days) and
    day (kept for ever); of an unbounded counter the 100 greatest and one document for each key.
    """

    kind = "Counter"

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        super().__init__(settings)
        self._checked: dict[Any, Counted] = {}
        self._weighted = False

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
            digest, stored, _ = self._checked.get(check_key(self.dimensions, name)) or self._check_new(name)
            return digest, stored, amount
        name = check_key(self.dimensions, item)
        if len(self._checked) >= _CACHED_KEYS:
            self._checked.clear()
        checked = self._checked[name] = keys.digest(name), keys.stored(name), 1
        return checked

    def merge(self, state: State, observations: Sequence[Observation]) -> set[Dirty]:
        return self._add(state, sums.of_messages(observations, self._width, weighted=self._weighted))

    def merge_topics(self, state: State, counted: Sequence[tuple[Tally, Sequence[Counted]]]) -> set[Dirty]:
        """Merge what was observed of topics, given with their tallies; as `merge` does with what is of messages."""
        return self._add(state, sums.of_topics(counted, self._width))

    @property
    def _width(self) -> int:
        return DAY if self.unbounded else self.resolutions[0].width

    def _add(self, state: State, new: Sums) -> set[Dirty]:
        _add_keys[state.connection.dialect.name](
            state.connection,
            [
                (state.plugin, digest, new.stored[digest], total, new.first[digest], new.last[digest])
                for digest, total in new.totals.items()
            ],
        )
        if not self.unbounded:
            return self._merge_buckets(state, new.buckets)
        days = new.buckets.items()
        _add_days(
            state.connection,
            [(state.plugin, digest, start, value) for start, of in days for digest, value in of.items()],
        )
        return {Dirty("latest"), *(Dirty("key", digest) for digest in new.totals)}

    def _merge_buckets(self, state: State, buckets: Mapping[int, Mapping[int, int]]) -> set[Dirty]:
        dirty = {Dirty("latest")}
        for resolution in self.resolutions:
            kept_from = _kept_from(resolution, state.through)
            width = resolution.width
            rolled: dict[tuple[int, int], int] = defaultdict(int)
            for start, of in buckets.items():
                if start >= kept_from:
                    bucket_start = start - start % width
                    for digest, value in of.items():
                        rolled[bucket_start, digest] += value
            rows = [(state.plugin, width, start, digest, value) for (start, digest), value in rolled.items()]
            _add_buckets(state.connection, rows)
            starts = {start for start, _ in rolled}
            dirty |= {Dirty(resolution.name, resolution.period(start).start) for start in starts}
            if resolution.keep is not None:
                mine = bucket.c.plugin == state.plugin, bucket.c.width == width
                state.connection.execute(delete(bucket).where(*mine, bucket.c.start < kept_from))
        return dirty

    def clear(self, connection: Connection, plugin: int) -> None:
        for table in (key, bucket, key_day):
            connection.execute(delete(table).where(table.c.plugin == plugin))

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        names = {row.key: row.dimensions for row in connection.execute(select(key).where(key.c.plugin == plugin))}
        for row in connection.execute(select(key).where(key.c.plugin == plugin).order_by(key.c.dimensions)):
            yield ("key", keys.load(row.dimensions), row.total, row.first, row.last)
        for resolution in self.resolutions:
            query = select(bucket).where(
                bucket.c.plugin == plugin,
                bucket.c.width == resolution.width,
                bucket.c.start >= _kept_from(resolution, through),
            )
            for row in connection.execute(query.order_by(bucket.c.start, bucket.c.key)):
                yield (resolution.name, row.start, keys.load(names[row.key]), row.value)
        for row in connection.execute(
            select(key_day).where(key_day.c.plugin == plugin).order_by(key_day.c.key, key_day.c.start)
        ):
            yield ("1d", row.start, keys.load(names[row.key]), row.value)

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
        windows = {"last_7d": (DAY, day - 7 * DAY, day), "last_30d": (DAY, day - 30 * DAY, day)}
        if not self.unbounded:
            windows["last_24h"] = (HOUR, hour - DAY, hour)
        trailing = {
            name: self._sums(state, width, start, end, [row.key for row in rows])
            for name, (width, start, end) in windows.items()
        }
        return [
            {
                **dict(zip(self.dimensions, keys.load(row.dimensions), strict=True)),
                "total": row.total,
                **{name: of.get(row.key, 0) for name, of in trailing.items()},
            }
            for row in rows
        ]

    def _sums(self, state: State, width: int, start: int, end: int, digests: list[int]) -> dict[int, int]:
        if self.unbounded:
            table, among_keys = key_day, among(state.connection, key_day.c.key, digests)
            query = select(table.c.key, func.sum(table.c.value)).where(among_keys)
        else:
            query = select(bucket.c.key, func.sum(bucket.c.value)).where(bucket.c.width == width)
            table = bucket
        query = query.where(table.c.plugin == state.plugin, table.c.start >= start, table.c.start < end)
        return {name: int(total) for name, total in state.connection.execute(query.group_by(table.c.key))}

    def series(self, state: State, resolution: Resolution, start: int, end: int) -> list[list[Any]]:
        query = (
            select(bucket.c.start, key.c.dimensions, bucket.c.value)
            .join(key, (key.c.plugin == bucket.c.plugin) & (key.c.key == bucket.c.key))
            .where(
                bucket.c.plugin == state.plugin,
                bucket.c.width == resolution.width,
                bucket.c.start >= max(start, _kept_from(resolution, state.through)),
                bucket.c.start < end,
            )
            .order_by(bucket.c.start, key.c.dimensions)
        )
        return [[row.start, *keys.load(row.dimensions), row.value] for row in state.connection.execute(query)]

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        starts: list[int] = []
        after = _kept_from(resolution, state.through)
        # One seek for each period, instead of a scan of all its buckets.
        while True:
            query = select(func.min(bucket.c.start)).where(
                bucket.c.plugin == state.plugin, bucket.c.width == resolution.width, bucket.c.start >= after
            )
            start = state.connection.scalar(query)
            if start is None:
                return starts
            starts.append(start)
            after = resolution.period(start).end

    def key_documents(self, state: State, digests: Sequence[int]) -> Iterator[KeyDocument]:
        days: dict[int, dict[str, list[tuple[int, int]]]] = {digest: {} for digest in digests}
        query = select(key_day).where(key_day.c.plugin == state.plugin, among(state.connection, key_day.c.key, digests))
        for row in state.connection.execute(query.order_by(key_day.c.key, key_day.c.start)):
            year = DAILY.period(row.start).label
            days[row.key].setdefault(year, []).append((row.start, row.value))
        query = select(key).where(key.c.plugin == state.plugin, among(state.connection, key.c.key, digests))
        for row in state.connection.execute(query):
            yield KeyDocument(keys.load(row.dimensions), row.total, row.first, row.last, days[row.key])

    def all_keys(self, state: State) -> list[int]:
        if not self.unbounded:
            return []
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))


def _kept_from(resolution: Resolution, through: int | None) -> int:
    kept_from = None if through is None else resolution.kept_from(through)
    return 0 if kept_from is None else kept_from

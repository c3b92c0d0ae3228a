"""`Counter`: sums of whole amounts, by key and by bucket of time.

A bounded counter keeps buckets of three widths, filed by time. An unbounded one (people, packages, topics) keeps days
only, filed by key, so that the document of one key is read without touching the others; these may be divided by a part.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any, ClassVar

from sqlalchemy import Connection, delete, func, select

from statscache.exceptions import YieldError
from statscache.plugins import buckets, by_key, keys, sums
from statscache.plugins import leaders as standing
from statscache.plugins.contract import (
    Dirty,
    KeyDocument,
    Observation,
    State,
    Tallying,
    check_key,
)
from statscache.plugins.refusal import is_dimension
from statscache.plugins.sums import Counted, Sums
from statscache.plugins.tally import Answers, Tally
from statscache.store.bulk import among
from statscache.store.schema import bucket, key, key_day, key_part
from statscache.timeline import DAILY, DAY, HOUR, HOURLY, MINUTELY, Resolution, floor

LEADERS = 100
"""Rows of `latest` of an unbounded counter."""

_LARGEST = 2**53
_CACHED_KEYS = 100_000


class Counter(Tallying):
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
        self._names = self.dimensions if self.breakdown is None else (*self.dimensions, self.breakdown)

    @classmethod
    def faults(cls) -> Iterator[str]:
        yield from super().faults()
        if cls.breakdown is None:
            return
        if not is_dimension(cls.breakdown) or cls.breakdown in cls.dimensions:
            yield f"`breakdown` is {cls.breakdown!r}; give it a name as dimensions have, and none of theirs"
        if not cls.unbounded:
            yield "`breakdown` divides the documents of keys, which only `unbounded` counters have"

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
            digest, stored, _, part = self._checked.get(check_key(self._names, name)) or self._check_new(name)
            return digest, stored, amount, part
        name = check_key(self._names, item)
        if len(self._checked) >= _CACHED_KEYS:
            self._checked.clear()
        divided = len(self.dimensions)
        whole = name[:divided]
        checked = self._checked[name] = keys.digest(whole), keys.stored(whole), 1, keys.stored(name[divided:])
        return checked

    def combine(self, observations: Sequence[Observation]) -> Sums:
        return sums.of_messages(observations, self.tallied, divided=self.breakdown is not None)

    def combine_values(self, tally: Tally, answers: Answers) -> Sums:
        return sums.of_values(tally, answers, divided=self.breakdown is not None)

    @property
    def tallied(self) -> int:
        return DAY if self.unbounded else self.resolutions[0].width

    def merge(self, state: State, combined: Sums) -> set[Dirty]:
        connection, plugin = state.connection, state.plugin
        buckets.add_keys(
            connection,
            [
                (plugin, digest, combined.stored[digest], total, combined.first[digest], combined.last[digest])
                for digest, total in combined.totals.items()
            ],
        )
        if not self.unbounded:
            return self._add_buckets(state, combined.buckets)
        if combined.parts is None:
            days = combined.buckets.items()
            rows = [(plugin, digest, at, by_key.UNDIVIDED, value) for at, of in days for digest, value in of.items()]
        else:
            rows = [(plugin, digest, at, part, value) for (at, (digest, part)), value in combined.parts.days.items()]
            totals = combined.parts.totals.items()
            by_key.add_parts(
                connection, [(plugin, *which, total, combined.parts.first[which]) for which, total in totals]
            )
        by_key.add_days(connection, rows)
        return {Dirty("latest"), *(Dirty("key", digest) for digest in combined.totals)}

    def _add_buckets(self, state: State, new: Mapping[int, Mapping[int, int]]) -> set[Dirty]:
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
            dirty |= {Dirty(resolution.name, resolution.period_start(start)) for start in starts}
            buckets.drop_expired(state, resolution)
        return dirty

    def clear(self, connection: Connection, plugin: int) -> None:
        for table in (key, bucket, key_day, key_part):
            connection.execute(delete(table).where(table.c.plugin == plugin))

    def take_out(self, state: State, digests: Collection[int]) -> tuple[int | None, int | None]:
        """Remove keys, and return the timestamps of the oldest and the newest message that count for the others."""
        connection, plugin = state.connection, state.plugin
        for table in (key, bucket, key_day, key_part):
            gone = among(connection, table.c.key, [*digests])
            connection.execute(delete(table).where(table.c.plugin == plugin, gone))
        left = select(func.min(key.c.first), func.max(key.c.last)).where(key.c.plugin == plugin)
        oldest, newest = connection.execute(left).one()
        return oldest, newest

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from buckets.dump(connection, plugin, self.resolutions, through)
        if self.unbounded:
            yield from by_key.dump(connection, plugin)

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
            name: by_key.sums(state, start, end, [row.key for row in rows])
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
        return by_key.documents(state, digests, self.breakdown)

    def all_keys(self, state: State) -> list[int]:
        if not self.unbounded:
            return []
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))

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
        found = standing.leaders(state, days, self._stored(part), limit, by_key=self.unbounded)
        return [{**self.record(stored), "value": value} for stored, value in found]

    def newcomers(self, state: State, days: int = 365, *, part: str | EllipsisType | None = ...) -> list[list[int]]:
        """Return `[start of the day, number of keys that were seen first on it]`, oldest first, for `documents`.

        Days without one are left out. A late message moves a key to an earlier day. It costs a pass over the keys.

        Args:
            state: What `documents` was given.
            days: For how many whole UTC days before the day of `through`.
            part: Seen first in this part of the breakdown; None is a part too.
        """
        return standing.newcomers(state, days, self._stored(part))

    def newcomers_by_part(self, state: State, days: int = 365) -> list[tuple[int, str | None, int]]:
        """Return day, part of the breakdown, and number of keys that were first seen in it that day, in that order.

        Of all parts at once, as `newcomers` of one.

        Raises:
            ValueError: The plugin does not divide its numbers.
        """
        if self.breakdown is None:
            raise ValueError(f"plugin {self.name} was asked for newcomers by part, but declares no `breakdown`")
        return [(day, keys.load(part)[0], number) for day, part, number in standing.newcomers_by_part(state, days)]

    def _stored(self, part: str | EllipsisType | None) -> bytes | None:
        """Return a part as it is stored, None where all are meant.

        Raises:
            ValueError: The plugin does not divide its numbers.
        """
        if isinstance(part, EllipsisType):
            return None
        if self.breakdown is None:
            raise ValueError(f"plugin {self.name} was asked for the part {part!r}, but declares no `breakdown`")
        return keys.stored((part,))

"""`Distinct`: how many different members each key saw in a day, an ISO week and a month.

A set is a union, so a member counts once however often it is seen; and uniques of days do not add up to those of a
week. So the members of each day, week and month are kept (`member_sets`), as numbers that stand for 64 bits of their
digest, and each bucket's number rises when a member is new in it. What is new in no day is new in no week and no month,
and is not even looked for there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from statscache.exceptions import YieldError
from statscache.kinds import buckets, keys, lost_rows, member_sets
from statscache.kinds.base import Kind, Statistic
from statscache.kinds.consistency import KEYS, MEMBERS_ARE_COUNTED, has_key
from statscache.kinds.keys import MOST_IN_SERIES
from statscache.kinds.presentation import Column, Partial, Row, first_counted
from statscache.kinds.search import Digests, member_digest, member_digests
from statscache.kinds.state import Dirty, State
from statscache.kinds.sums import Met, Sightings, sightings
from statscache.kinds.tables import bucket, key, member, member_set
from statscache.kinds.yields import Yields
from statscache.timeline import DAILY, DAY, MONTHLY, WEEKLY, Resolution
from statscache.windows import LAST_DAY, LAST_MONTH, LAST_WEEK

_CACHED_MEMBERS = 10_000


class DistinctKind(Kind):
    """Sets of members by key and bucket; only their sizes are published."""

    name = "Distinct"
    description = "Distinct: how many different members each key saw in a day, a week, a month; never added up."
    note = "The last whole day, ISO week and month before the data\u2019s own time; do not add these numbers up."
    columns = tuple(map(Column.of, (LAST_DAY, LAST_WEEK, LAST_MONTH)))
    card_columns = columns
    counts_members = True
    tables = (key, bucket, member, member_set)
    searched = (Digests(member, "digest"),)
    invariants = (*KEYS, *map(has_key, (bucket, member_set)), MEMBERS_ARE_COUNTED)
    takes_depends_on = True

    def __init__(self, plugin: Statistic) -> None:
        super().__init__(plugin)
        self._checked: dict[Any, Met] = {}

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        return DAILY, WEEKLY, MONTHLY

    @property
    def windows(self) -> tuple[int, ...]:
        return (DAY,)

    def check(self, item: Any) -> Met:
        try:
            return self._checked.get(item) or self._check_new(item)
        except TypeError:
            return self._check_new(item)

    def _check_new(self, item: Any) -> Met:
        if type(item) is not tuple or len(item) != 2 or type(item[0]) is not tuple:
            raise YieldError(f"Distinct takes a key and a member, such as (('git',), 'ralph'); got {item!r:.200}")
        name = self.key(self.plugin.dimensions, item[0])
        if type(item[1]) is not str:
            raise YieldError(f"the member of {name!r:.200} must be a string; got {item[1]!r:.200}")
        try:
            which = member_digest(item[1])
        except UnicodeEncodeError as error:
            raise YieldError(f"the member of {name!r:.200} holds a lone surrogate") from error
        if len(self._checked) >= _CACHED_MEMBERS:
            self._checked.clear()
        checked = self._checked[item] = *keys.identity(name), which
        return checked

    def key_of(self, checked: Any) -> keys.Key:
        return keys.load(checked[1])

    def reduce(self, yields: Yields) -> Sightings:
        return sightings(yields)

    def merge(self, state: State, new: Sightings) -> set[Dirty]:
        totals, touched = member_sets.add_sightings(state, new, self.resolutions)
        buckets.add_keys(state, new, totals)
        # The documents of the newest message's day, week and month show its time, even if no number changed.
        newest = int(new.last.max())
        moved = state.newest is None or newest > state.newest
        dirty = {Dirty("latest")}
        for resolution, starts in zip(self.resolutions, touched, strict=True):
            if moved:
                starts.add(newest)
            dirty |= {Dirty(resolution.name, start) for start in resolution.period_starts(sorted(starts))}
        return dirty

    def has_lost_rows(self, state: State, since: Mapping[int, int]) -> bool:
        return lost_rows.members_are_not_counted(state.connection, state.plugin, since)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from buckets.dump(connection, plugin, self.resolutions, through)
        names = buckets.names(connection, plugin)
        for width, start, digest, members in member_sets.dump(connection, plugin):
            for each in members:
                yield ("member", width, start, names[digest], each)

    def latest(self, state: State) -> list[dict[str, Any]]:
        if state.through is None:
            return []
        windows = [column.window for column in self.columns if column.window]
        numbers = {
            window.name: buckets.sums(state, window.resolution, *window.bounds(state.through)) for window in windows
        }
        query = select(key.c.key, key.c.dimensions).where(key.c.plugin == state.plugin).order_by(key.c.dimensions)
        return [
            {
                **dict(zip(self.plugin.dimensions, keys.named(self.plugin.name, row.key, row.dimensions), strict=True)),
                **{field: of.get(row.key, 0) for field, of in numbers.items()},
            }
            for row in state.connection.execute(query)
        ]

    def series(self, state: State, resolution: Resolution, start: int, end: int) -> list[list[Any]]:
        return buckets.series(state, resolution, start, end, len(self.plugin.dimensions), summed=False)

    def omitted(self, state: State, resolution: Resolution, start: int, end: int) -> int:
        named = buckets.number_of_keys(state, resolution, start, end, len(self.plugin.dimensions))
        return max(named - MOST_IN_SERIES, 0)

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        return buckets.starts(state, resolution)

    def main_column(self, rows: Sequence[Row], partial: Partial) -> Column:
        return first_counted(self.columns, rows, partial)

    def _is_about(self, row: list[Any], names: frozenset[str]) -> bool:
        what, *_, last = row
        return (what == "member" and last in member_digests(names)) or super()._is_about(row, names)

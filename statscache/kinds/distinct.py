"""`Distinct`: how many different members each key saw in a day, an ISO week and a month.

A set is a union, so a member counts once however often it is seen; and uniques of days do not add up to those of a
week. So the members of each day, week and month are kept, as 64 bits of their digest, and each bucket's number rises
when a member is new in it. What is new in no day is new in no week and no month, and is not even looked for there.
"""

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from statscache.exceptions import YieldError
from statscache.kinds import buckets, keys
from statscache.kinds.base import Dirty, Kind, Observation, State, Statistic
from statscache.kinds.integrity import KEY_HAS_PLUGIN, has_key
from statscache.kinds.presentation import Column, Row, first_counted
from statscache.kinds.search import Digests, member_digest, member_digests
from statscache.kinds.tables import bucket, key, member
from statscache.kinds.tally import Answers, Tally
from statscache.store.bulk import insert_new
from statscache.timeline import DAILY, DAY, MONTHLY, WEEKLY, Resolution
from statscache.windows import LAST_DAY, LAST_MONTH, LAST_WEEK

_CACHED_MEMBERS = 100_000

Met = tuple[int, bytes, int]
"""One yield: the digest of its key, the key as it is stored, and the digest of the member."""

Seen = tuple[int, int, int]
"""The start of the day on which a member was seen, the digest of the key, and that of the member."""

MemberRow = tuple[int, ...]
"""Plugin, width and start of a bucket, digest of the key, and digest of a member that is new in it."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """Which members were seen; keys are known by their digests.

    Attributes:
        seen: The members of each key by day, each once, sorted.
        stored: Each key as it is stored.
        first: Timestamp of the oldest message of each key.
        last: Timestamp of the newest.
    """

    seen: Sequence[Seen]
    stored: Mapping[int, bytes]
    first: Mapping[int, int]
    last: Mapping[int, int]


class DistinctKind(Kind):
    """Sets of members by key and bucket; what is published is how many there are."""

    name = "Distinct"
    description = "Distinct: how many different members each key saw in a day, a week, a month; never added up."
    note = "The last whole day, ISO week and month before the data\u2019s own time; uniques never add up."
    columns = tuple(map(Column.of, (LAST_DAY, LAST_WEEK, LAST_MONTH)))
    card_columns = columns
    is_additive = False
    tables = (key, bucket, member)
    searched = (Digests(member, "member"),)
    invariants = (KEY_HAS_PLUGIN, *map(has_key, (bucket, member)))
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
        name = keys.check(self.plugin.dimensions, item[0])
        if type(item[1]) is not str:
            raise YieldError(f"the member of {name!r:.200} must be a string; got {item[1]!r:.200}")
        try:
            which = member_digest(item[1])
        except UnicodeEncodeError as error:
            raise YieldError(f"the member of {name!r:.200} holds a lone surrogate") from error
        if len(self._checked) >= _CACHED_MEMBERS:
            self._checked.clear()
        checked = self._checked[item] = keys.digest(name), keys.stored(name), which
        return checked

    def combine(self, observations: Sequence[Observation]) -> Sightings:
        stored: dict[int, bytes] = {}
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for timestamp, _, _, (digest, name, _) in observations:
            stored[digest] = name
            first[digest] = min(first.get(digest, timestamp), timestamp)
            last[digest] = max(last.get(digest, timestamp), timestamp)
        seen = {(DAILY.floor(timestamp), met[0], met[2]) for timestamp, _, _, met in observations}
        return Sightings(sorted(seen), stored, first, last)

    def combine_values(self, tally: Tally, answers: Answers) -> Sightings:
        stored: dict[int, bytes] = {}
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for value, oldest in tally.first.items():
            newest = tally.last[value]
            for digest, name, _ in answers.get(value, ()):
                stored[digest] = name
                first[digest] = min(first.get(digest, oldest), oldest)
                last[digest] = max(last.get(digest, newest), newest)
        seen = {
            (start, met[0], met[2])
            for start, counts in tally.counts.items()
            for value in counts
            for met in answers.get(value, ())
        }
        return Sightings(sorted(seen), stored, first, last)

    @property
    def tallied(self) -> int:
        return DAY

    def merge(self, state: State, combined: Sightings) -> set[Dirty]:
        connection, plugin, first, last = state.connection, state.plugin, combined.first, combined.last
        new = insert_new(connection, member, [(plugin, DAY, *seen) for seen in combined.seen])
        days = Counts(digest for _, _, _, digest, _ in new)
        stored = combined.stored.items()
        rows = [(plugin, digest, name, days[digest], first[digest], last[digest]) for digest, name in stored]
        buckets.add_keys(connection, rows)
        # The documents of the newest message's day, week and month tell its time, also where no number changed.
        newest = max(last.values())
        moved = newest if state.newest is None or newest > state.newest else None
        dirty = {Dirty("latest")}
        if moved is not None:
            dirty |= {Dirty(each.name, each.period(moved).start) for each in self.resolutions}
        dirty |= self._count(state, DAILY, new)
        for resolution in (WEEKLY, MONTHLY):
            starts = {day: resolution.floor(day) for day in {row[2] for row in new}}
            seen = sorted({(plugin, resolution.width, starts[row[2]], *row[3:]) for row in new})
            dirty |= self._count(state, resolution, insert_new(connection, member, seen))
        return dirty

    def _count(self, state: State, resolution: Resolution, new: Iterable[MemberRow]) -> set[Dirty]:
        counts = Counts(row[:4] for row in new)
        buckets.add(state.connection, [(*row, number) for row, number in counts.items()])
        return {Dirty(resolution.name, resolution.period_start(start)) for start in {row[2] for row in counts}}

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from buckets.dump(connection, plugin, self.resolutions, through)
        names = buckets.names(connection, plugin)
        query = select(member).where(member.c.plugin == plugin).order_by(*member.primary_key)
        for row in connection.execute(query):
            yield ("member", row.width, row.start, names[row.key], row.member)

    def latest(self, state: State) -> list[dict[str, Any]]:
        if state.through is None:
            return []
        windows = [column.window for column in self.columns if column.window]
        numbers = {
            window.name: buckets.sums(state, window.resolution, *window.bounds(state.through)) for window in windows
        }
        query = select(key.c.key, key.c.dimensions).where(key.c.plugin == state.plugin).order_by(key.c.dimensions)
        return [
            {**self.record(row.dimensions), **{field: of.get(row.key, 0) for field, of in numbers.items()}}
            for row in state.connection.execute(query)
        ]

    def series(self, state: State, resolution: Resolution, start: int, end: int) -> list[list[Any]]:
        return buckets.series(state, resolution, start, end)

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        return buckets.starts(state, resolution)

    def main_column(self, rows: Sequence[Row]) -> Column:
        return first_counted(self.columns, rows)

    @property
    def adds_up(self) -> bool:
        return not self.plugin.dimensions

    def _is_about(self, row: list[Any], names: frozenset[str]) -> bool:
        what, *_, last = row
        return (what == "member" and last in member_digests(names)) or super()._is_about(row, names)

"""`Counter`, unbounded: numbers by key and day, so that the document of one key is read without touching the others."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from statscache.kinds import by_key, days
from statscache.kinds.base import Dirty, KeyDocument, State
from statscache.kinds.counter import CounterKind
from statscache.kinds.reduced import Sums
from statscache.kinds.sums import sum_up
from statscache.kinds.tables import key
from statscache.kinds.yields import Yields
from statscache.timeline import DAILY, DAY, Resolution, floor

LEADERS = 100
"""Rows of `latest`."""


class CounterByKeyKind(CounterKind):
    """Sums of amounts; of an unbounded counter, each of whose keys has a document."""

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        return ()

    @property
    def windows(self) -> tuple[int, ...]:
        return (DAY,)

    def reduce(self, yields: Yields) -> Sums:
        divided = self.plugin.breakdown is not None
        return sum_up(yields, () if divided else (DAILY,), divided=divided)

    def merge(self, state: State, new: Sums) -> set[Dirty]:
        return {Dirty("latest"), Dirty("keys", keys=by_key.add(state, new))}

    def _take_out_days(self, state: State, digests: Collection[int]) -> None:
        days.remove(state.connection, state.plugin, digests)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        yield from super().dump(connection, plugin, through)
        yield from by_key.dump(connection, plugin)

    def _shown(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(key.c.total.desc(), key.c.dimensions).limit(LEADERS)

    def _trailing(self, state: State, through: int, digests: Sequence[int]) -> dict[str, dict[int, int]]:
        day = floor(through, DAY)
        return {
            "last_7d": by_key.in_window(state, day - 7 * DAY, day, digests),
            "last_30d": by_key.in_window(state, day - 30 * DAY, day, digests),
        }

    def key_documents(self, state: State, digests: Sequence[int]) -> Iterator[KeyDocument]:
        return by_key.documents(state, digests, self.plugin.breakdown)

    def all_keys(self, state: State) -> list[int]:
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))

"""`Counter`, unbounded: numbers by key and day, so that the document of one key is read without touching the others."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from statscache.kinds import by_key, days
from statscache.kinds.base import Dirty, KeyDocument, State
from statscache.kinds.counter import TOTAL, CounterKind
from statscache.kinds.presentation import Column, Row
from statscache.kinds.reduced import Sums
from statscache.kinds.sums import sum_up
from statscache.kinds.tables import key
from statscache.kinds.yields import Yields
from statscache.timeline import DAILY, DAY, Resolution
from statscache.windows import LAST_7D, LAST_30D, Window

LEADERS = 100
"""Rows of `latest`."""


class CounterByKeyKind(CounterKind):
    """Sums of amounts; of an unbounded counter, each of whose keys has a document."""

    columns = (TOTAL, *map(Column.of, (LAST_7D, LAST_30D)))

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

    def _sums(self, state: State, window: Window, through: int, digests: Sequence[int]) -> dict[int, int]:
        return by_key.in_window(state, *window.bounds(through), digests)

    def main_column(self, rows: Sequence[Row]) -> Column:
        # Rows are the greatest by total, which are not the greatest of a window.
        return TOTAL

    @property
    def adds_up(self) -> bool:
        return False

    @property
    def badge_window(self) -> None:
        return None

    def key_documents(self, state: State, digests: Sequence[int]) -> Iterator[KeyDocument]:
        return by_key.documents(state, digests, self.plugin.breakdown)

    def all_keys(self, state: State) -> list[int]:
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))

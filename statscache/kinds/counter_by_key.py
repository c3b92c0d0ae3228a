"""`Counter`, unbounded: numbers by key and day, so that the document of one key is read without touching the others.

How they are stored is in `by_key`, which is imported where it is needed: it imports numpy, which takes a tenth of a
second of a command's start.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from statscache.kinds.base import Dirty, KeyDocument, State
from statscache.kinds.counter import TOTAL, CounterKind
from statscache.kinds.presentation import Column, Row
from statscache.kinds.sums import Sums
from statscache.kinds.tables import key
from statscache.timeline import DAY, Resolution
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

    @property
    def tallied(self) -> int:
        return DAY

    def merge(self, state: State, combined: Sums) -> set[Dirty]:
        from statscache.kinds import by_key
        from statscache.kinds.conversion import sums_as_columns

        new = sums_as_columns(combined, () if combined.parts else (DAY,))
        return {Dirty("latest"), Dirty("keys", keys=by_key.add(state, new))}

    def _take_out_days(self, state: State, digests: Collection[int]) -> None:
        from statscache.kinds import days

        days.remove(state.connection, state.plugin, digests)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        from statscache.kinds import by_key

        yield from super().dump(connection, plugin, through)
        yield from by_key.dump(connection, plugin)

    def _shown(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(key.c.total.desc(), key.c.dimensions).limit(LEADERS)

    def _sums(self, state: State, window: Window, through: int, digests: Sequence[int]) -> dict[int, int]:
        from statscache.kinds import by_key

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
        from statscache.kinds import by_key

        return by_key.documents(state, digests, self.plugin.breakdown)

    def all_keys(self, state: State) -> list[int]:
        return list(state.connection.scalars(select(key.c.key).where(key.c.plugin == state.plugin)))

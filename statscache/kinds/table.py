"""`Table`: the escape hatch, a plugin with rows and rules of its own, as the first statscache had them.

`process` is given each message and `update` a session, in the transaction that folds them, on an instance made for
this transaction alone. So the rows, the position in the journal, and what the plugin holds in memory between the two
move together or not at all, whatever rolls the transaction back, and however many processes fold in turn.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sqlalchemy import Connection, Table, select
from sqlalchemy.exc import DBAPIError

from statscache import canonical
from statscache.exceptions import PluginError
from statscache.kinds.base import Kind, Statistic
from statscache.kinds.search import is_in_table, readable
from statscache.kinds.state import Dirty, State
from statscache.kinds.yields import Yields
from statscache.message import Message
from statscache.store.database import is_lost

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST_ROWS = 1_000
"""Rows of `latest`, the newest."""

MOST_BYTES = 100_000
"""Bytes of the rows of `latest`."""


class Keeping(Statistic, Protocol):
    """A plugin that keeps rows of its own; see `statscache.plugins.Table`."""

    model: ClassVar[Any]

    def process(self, message: dict[str, Any]) -> None: ...

    def update(self, session: "Session") -> None: ...

    def forget(self, session: "Session", name: str) -> None: ...


class TableKind(Kind):
    """Rows in a table that the plugin declares."""

    name = "Table"
    description = "Table: rows that the plugin keeps by rules of its own."
    tables = ()
    follows_from_yields = False
    plugin: Keeping

    def check(self, item: Any) -> Any:
        return item

    def reduce(self, yields: Yields) -> Yields:
        return yields

    def merge(self, state: State, reduced: Yields) -> set[Dirty]:
        from sqlalchemy.orm import Session

        make: Any = type(self.plugin)
        worker: Keeping = make(self.plugin.settings)
        try:
            for *_, message in reduced.one_by_one():
                worker.process(_as_first(message))
            # A commit of the author's ends a savepoint; what is written stays part of the batch's transaction.
            with Session(state.connection, join_transaction_mode="create_savepoint") as session:
                worker.update(session)
                session.commit()
        except DBAPIError as error:
            if is_lost(error):
                raise
            # An operational error in a plugin's own SQL is not a failure of the database.
            raise PluginError(f"{type(error).__name__}: {error}") from error
        return {Dirty("latest")}

    def clear(self, connection: Connection, plugin: int) -> None:
        self._table.drop(connection, checkfirst=True)
        self._table.create(connection)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        # A recount has nothing to compare: rows may depend on how messages were delivered.
        return iter(())

    def export(
        self, connection: Connection, plugin: int, through: int | None, names: frozenset[str]
    ) -> Iterator[list[Any]]:
        rows = (readable(tuple(row)) for row in connection.execute(select(self._table)))
        return (row for row in rows if self._is_about(row, names))

    def forget_in_rows(self, connection: Connection, names: Collection[str]) -> bool:
        if not self.plugin.people:
            return False
        from sqlalchemy.orm import Session

        with connection.begin_nested(), Session(connection, join_transaction_mode="create_savepoint") as session:
            for name in sorted(names):
                self.plugin.forget(session, name)
            session.commit()
        return True

    def mentions(self, connection: Connection, names: frozenset[str]) -> bool:
        return any(is_in_table(connection, table, names) for table in self.own_tables)

    @property
    def own_tables(self) -> tuple[Table, ...]:
        return (self._table,)

    def fields_of_latest(self) -> tuple[str, ...]:
        return tuple(column.name for column in self._table.columns)

    def latest(self, state: State) -> list[dict[str, Any]]:
        table = self._table
        order = [table.c.timestamp] if "timestamp" in table.c else []
        newest = [column.desc() for column in (*order, *table.primary_key)]
        rows: list[dict[str, Any]] = []
        size = 0
        for row in state.connection.execute(select(table).order_by(*newest).limit(MOST_ROWS)):
            record = {name: _as_json(value) for name, value in row._mapping.items()}
            size += len(canonical.dumps(record))
            if size > MOST_BYTES:
                break
            rows.append(record)
        return rows

    @property
    def _table(self) -> Table:
        table: Table = self.plugin.model.__table__
        return table


def _as_first(message: Message) -> dict[str, Any]:
    """Return a message in the form that plugins of the first statscache read."""
    return {
        "topic": message.topic,
        "msg": message.body,
        "msg_id": message.id,
        "timestamp": message.timestamp,
        "meta": {
            "agent": message.agent,
            "usernames": list(message.usernames),
            "packages": list(message.packages),
            "subtitle": message.subtitle,
            "link": message.link,
        },
    }


def _as_json(value: Any) -> Any:
    """Return a value of a column as JSON has it: times in seconds since 1970 UTC, and other types as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if isinstance(value, dict | list) else str(value)

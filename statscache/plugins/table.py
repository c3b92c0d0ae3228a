"""`Table`: the escape hatch, a plugin with rows and rules of its own, as the first statscache had them.

`process` is given each message and `update` a session, in the transaction that folds them, on an instance made for
this transaction alone. So the rows, the position in the journal, and what the plugin holds in memory between the two
move together or not at all, whatever rolls the transaction back, and however many processes fold in turn.
"""

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from inspect import cleandoc
from typing import Any, ClassVar

from sqlalchemy import Connection, select
from sqlalchemy import Table as SQLTable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from statscache import canonical
from statscache.exceptions import PluginError
from statscache.message import Message
from statscache.plugins.contract import Dirty, Observation, Plugin, State
from statscache.plugins.models import BaseModel
from statscache.store import schema

MOST_ROWS = 1_000
"""Rows of `latest`, the newest."""

MOST_BYTES = 100_000
"""Bytes of the rows of `latest`."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class Table(Plugin):
    """Keeps rows of a model of its own: `process` sees each message, `update` writes what came of them.

    `from statscache.plugins import BasePlugin` gives the same class under the name that it had first. Order of delivery
    is order of processing, so that the rows may depend on it: law 1 is the author's to keep. What is to outlast an
    `update` must be in the rows.

    Attributes:
        model: The SQLAlchemy model of the rows, derived from `BaseModel`.
        description: What is counted; `definition` if that is not given.
        interval: Seconds, or a timedelta, by which the author cuts time; statscache does not look at it.
        config: The settings, under the name that they had first.
    """

    kind = "Table"
    unit = "rows"
    model: ClassVar[Any] = None
    description: ClassVar[str] = ""
    interval: ClassVar[timedelta | int | None] = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Fill in from the first contract what the present one asks for."""
        own = vars(cls)
        if isinstance(own.get("name"), str):
            cls.title = own.get("title", own["name"])
            cls.name = _NOT_IN_NAMES.sub("-", own["name"].lower()).strip("-")
        if "description" in own and "definition" not in own:
            cls.definition = " ".join(cleandoc(cls.description).split())
        if not own.get("__doc__") and isinstance(own.get("summary"), str):
            cls.__doc__ = own["summary"]
        super().__init_subclass__(**arguments)

    def __init__(self, config: Any = None, model: Any = None) -> None:
        super().__init__(config)
        self.config = self.settings
        if model is not None or type(self).model is None:
            # Each model can be declared once.
            type(self).model = model or self.make_model()
            if wrong := [*_faults_of(type(self).model)]:
                raise PluginError(f"plugin class {type(self).__qualname__}: {'; '.join(wrong)}")

    def make_model(self) -> Any:
        """Return the model, for a class that declares none; it is asked once."""
        raise PluginError(f"plugin class {type(self).__qualname__} has no `model`; derive one from BaseModel")

    @abstractmethod
    def process(self, message: dict[str, Any]) -> None:
        """Look at a message: a dict with `topic`, `msg`, `timestamp`, `msg_id`, and what is derived in `meta`."""

    @abstractmethod
    def update(self, session: Session) -> None:
        """Write what came of the messages that were processed since the last update; a commit only flushes."""

    def forget(self, session: Session, name: str) -> None:
        """Remove a person from the rows; a plugin with `people = True` must have it."""

    @classmethod
    def faults(cls) -> Iterator[str]:
        yield from super().faults()
        for name in ("process", "update"):
            if getattr(getattr(cls, name), "__isabstractmethod__", False):
                yield f"`{name}` is missing"
        if cls.model is None and cls.make_model is Table.make_model:
            yield "`model` is missing; derive one from BaseModel, such as `class Model(BaseModel)`"
        if cls.model is not None:
            yield from _faults_of(cls.model)
        if cls.people and cls.forget is Table.forget:
            yield "`people` needs `forget(self, session, name)`, which removes a person from the rows"
        if cls.unbounded:
            yield "`unbounded` is for counters; a Table publishes its newest rows"

    def observe(self, message: Message) -> tuple[Message]:
        return (message,)

    def check(self, item: Any) -> Any:
        return item

    def merge(self, state: State, combined: Sequence[Observation]) -> set[Dirty]:
        worker = type(self)(self.settings)
        try:
            for _, _, _, message in combined:
                worker.process(_as_first(message))
            # A commit of the author's ends a savepoint; what is written stays part of the batch's transaction.
            with Session(state.connection, join_transaction_mode="create_savepoint") as session:
                worker.update(session)
                session.commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            # Of a plugin's own SQL, what a driver calls an operational error is no failure of the database.
            raise PluginError(f"{type(error).__name__}: {error}") from error
        return {Dirty("latest")}

    def clear(self, connection: Connection, plugin: int) -> None:
        table = self._table
        table.drop(connection, checkfirst=True)
        table.create(connection)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        # A recount has nothing to compare: rows may depend on how messages were delivered.
        return iter(())

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
    def _table(self) -> SQLTable:
        table: SQLTable = type(self).model.__table__
        return table


def _faults_of(model: Any) -> Iterator[str]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        yield f"`model` is {model!r}; derive it from BaseModel"
    elif model.__tablename__ in schema.metadata.tables:
        yield f"the table {model.__tablename__!r} of the model is one of statscache's own; name it after the plugin"


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
    """Return a value of a column as JSON has it: times in seconds since 1970 UTC, and what it cannot say as text."""
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

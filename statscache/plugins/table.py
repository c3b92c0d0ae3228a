"""`Table`: the base of plugins with their own rows and rules, as in the first statscache."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from inspect import cleandoc
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from statscache.exceptions import PluginError
from statscache.kinds import TableKind
from statscache.message import Message
from statscache.plugins.contract import Plugin
from statscache.plugins.models import BaseModel
from statscache.store import schema

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class Table(Plugin):
    """Keeps rows of its own model: `process` is called with each message, `update` writes the results.

    `from statscache.plugins import BasePlugin` gives the same class under its first name. Messages are processed in
    order of delivery, so the rows may depend on that order: convergence is up to the author. State that must survive an
    `update` belongs in the rows.

    Attributes:
        model: The SQLAlchemy model of the rows, derived from `BaseModel`.
        description: What is counted; `definition` if that is not given.
        interval: Seconds, or a timedelta, by which the author cuts time; statscache does not look at it.
        config: The settings, under their first name.
    """

    kind_class = TableKind
    unit = "rows"
    model: ClassVar[Any] = None
    description: ClassVar[str] = ""
    interval: ClassVar[timedelta | int | None] = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Fill in the attributes of today's contract from those of the first one."""
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
        """Return the model, for a class that does not declare one; it is called once."""
        raise PluginError(f"plugin class {type(self).__qualname__} has no `model`; derive one from BaseModel")

    @abstractmethod
    def process(self, message: dict[str, Any]) -> None:
        """Process a message: a dict with `topic`, `msg`, `timestamp`, `msg_id`, and the derived values in `meta`."""

    @abstractmethod
    def update(self, session: Session) -> None:
        """Write the results of the messages processed since the last update; a commit only flushes."""

    def forget(self, session: Session, name: str) -> None:
        """Remove a person from the rows; a plugin with `people = True` must have it."""

    @classmethod
    def _faults(cls) -> Iterator[str]:
        yield from super()._faults()
        for name in ("process", "update"):
            if getattr(getattr(cls, name), "__isabstractmethod__", False):
                yield f"`{name}` is missing"
        if cls.model is None and cls.make_model is Table.make_model:
            yield "`model` is missing; derive one from BaseModel, such as `class Model(BaseModel)`"
        if cls.model is not None:
            yield from _faults_of(cls.model)
        if cls.people and cls.forget is Table.forget:
            yield "`people` needs `forget(self, session, name)`, which removes a person from the rows"

    def observe(self, message: Message) -> tuple[Message]:
        return (message,)


def _faults_of(model: Any) -> Iterator[str]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        yield f"`model` is {model!r}; derive it from BaseModel"
    elif model.__tablename__ in schema.metadata.tables:
        yield f"the table {model.__tablename__!r} of the model is one of statscache's own; name it after the plugin"

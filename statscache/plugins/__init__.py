"""The names that the author of a statistic imports: kinds, types of settings, and the message type of `observe`."""

from typing import TYPE_CHECKING, Any

from statscache.kinds.state import State
from statscache.message import Message
from statscache.plugins.bases import Counter, Distinct, Latest, Log, Span
from statscache.plugins.contract import Feed, Plugin
from statscache.plugins.settings import Names, Setting, Switch, Text, Whole
from statscache.timeline import DAY, HOUR

if TYPE_CHECKING:
    from statscache.plugins.models import BaseModel, CategorizedModel, ScalarModel
    from statscache.plugins.table import Table

    BasePlugin = Table

__all__ = [
    "DAY",
    "HOUR",
    "BaseModel",
    "BasePlugin",
    "CategorizedModel",
    "Counter",
    "Distinct",
    "Feed",
    "Latest",
    "Log",
    "Message",
    "Names",
    "Plugin",
    "ScalarModel",
    "Setting",
    "Span",
    "State",
    "Switch",
    "Table",
    "Text",
    "Whole",
]

_MODELS = "BaseModel", "CategorizedModel", "ScalarModel"
_TABLE = "Table", "BasePlugin"


def __getattr__(name: str) -> Any:
    """Import the bases that need SQLAlchemy's ORM on first use: few plugins use them.

    `BasePlugin` is the name of `Table` in the first statscache.
    """
    if name in _MODELS:
        from statscache.plugins import models

        return getattr(models, name)
    if name in _TABLE:
        from statscache.plugins.table import Table

        return Table
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What an author of a statistic imports: kinds, types of settings, and the message that `observe` is given."""

from statscache.kinds.base import State
from statscache.message import Message
from statscache.plugins.bases import Counter, Distinct, Latest, Log, Span
from statscache.plugins.contract import Plugin
from statscache.plugins.models import BaseModel, CategorizedModel, ScalarModel
from statscache.plugins.settings import Names, Setting, Switch, Text, Whole
from statscache.plugins.table import Table
from statscache.timeline import DAY, HOUR

BasePlugin = Table
"""The name of `Table` in the first statscache."""

__all__ = [
    "DAY",
    "HOUR",
    "BaseModel",
    "BasePlugin",
    "CategorizedModel",
    "Counter",
    "Distinct",
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

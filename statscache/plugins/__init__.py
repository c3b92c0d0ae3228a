"""What an author of a statistic imports: the kinds, and the message that `observe` is given."""

from statscache.kinds.base import State
from statscache.message import Message
from statscache.plugins.bases import Counter, Distinct, Latest, Log, Span
from statscache.plugins.contract import Plugin
from statscache.plugins.models import BaseModel, CategorizedModel, ScalarModel
from statscache.plugins.table import Table

BasePlugin = Table
"""The name of `Table` in the first statscache."""

__all__ = [
    "BaseModel",
    "BasePlugin",
    "CategorizedModel",
    "Counter",
    "Distinct",
    "Latest",
    "Log",
    "Message",
    "Plugin",
    "ScalarModel",
    "Span",
    "State",
    "Table",
]

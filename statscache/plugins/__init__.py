"""What an author of a statistic imports: the kinds, and the message that `observe` is given."""

from statscache.message import Message
from statscache.plugins.contract import Plugin, State
from statscache.plugins.counter import Counter
from statscache.plugins.distinct import Distinct
from statscache.plugins.models import BaseModel, CategorizedModel, ScalarModel
from statscache.plugins.newest import Latest, Log
from statscache.plugins.span import Span
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

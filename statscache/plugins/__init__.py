"""What an author of a statistic imports: the kinds, and the message that `observe` is given."""

from statscache.message import Message
from statscache.plugins.contract import Plugin, State
from statscache.plugins.counter import Counter
from statscache.plugins.distinct import Distinct
from statscache.plugins.newest import Latest, Log
from statscache.plugins.span import Span

__all__ = ["Counter", "Distinct", "Latest", "Log", "Message", "Plugin", "Span", "State"]

"""What an author of a statistic imports: the kinds, and the message that `observe` is given."""

from statscache.message import Message
from statscache.plugins.contract import Plugin, State
from statscache.plugins.counter import Counter
from statscache.plugins.newest import Latest, Log

__all__ = ["Counter", "Latest", "Log", "Message", "Plugin", "State"]

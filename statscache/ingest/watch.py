"""Who is told what the plugins are doing, so that a hang can be laid at the right door."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from statscache.message import Message
from statscache.plugins import Plugin


class Watch:
    """Watches nothing; the base of whatever does."""

    def observing(self) -> AbstractContextManager[None]:
        """Return a context in which plugins observe messages, and which ends if they return."""
        return nullcontext()

    def begin(self, plugin: Plugin, messages: Sequence[tuple[int, Message]]) -> None:
        """Take note that a plugin begins with these messages."""

"""Tracks the activity of plugins, so that a hang can be attributed to one of them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from statscache.message import Message
from statscache.plugins.contract import Plugin


class Watch:
    """Does nothing; the base of watches."""

    def observing(self) -> AbstractContextManager[None]:
        """Return a context in which plugins work, and which ends when they return."""
        return nullcontext()

    def begin(self, plugin: Plugin, message: Message) -> None:
        """Record that a plugin begins to observe this message; called very often."""

    def note(self, plugin: Plugin, what: str) -> None:
        """Record that a plugin begins with something else, such as `its documents`."""

    @contextmanager
    def working(self, plugin: Plugin, what: str) -> Iterator[None]:
        """Return a context in which one plugin works on that."""
        with self.observing():
            self.note(plugin, what)
            yield

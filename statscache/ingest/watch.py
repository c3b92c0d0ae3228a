"""Who is told what the plugins are doing, so that a hang can be laid at the right door."""

from contextlib import AbstractContextManager, nullcontext

from statscache.plugins import Plugin


class Watch:
    """Watches nothing; the base of whatever does."""

    def observing(self) -> AbstractContextManager[None]:
        """Return a context in which plugins observe messages, and which ends if they return."""
        return nullcontext()

    def begin(self, plugin: Plugin, number: int, first: str) -> None:
        """Take note that a plugin begins with some messages or topics, of which the first is given by id or name."""

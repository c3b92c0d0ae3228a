"""Messages as columns: what statistics ask that declare on which attributes of a message they depend.

Such a statistic is asked once for each value that occurs in a batch, and is shown nothing else; how often each value
occurs is counted for all of them together.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from statscache.derivation import Derived
from statscache.kinds.tally import Tally, Value, tally
from statscache.message import Address, Excerpt, Message, address
from statscache.plugins import Plugin

_DERIVED = {"agent": 0, "usernames": 1, "packages": 2}
_PARTS = Address._fields


class Columns:
    """Some messages of a batch, attribute by attribute.

    Attributes:
        indices: Where in the batch each message is.
        times: Their timestamps.
        topics: Their topics.
        derived: What is derived of them; empty where nobody asks for that.
    """

    def __init__(self) -> None:
        self.indices: Sequence[int] = range(0)
        self.times: list[int] = []
        self.topics: list[str] = []
        self.derived: list[Derived] = []
        self._values: dict[tuple[str, ...], Sequence[Value]] = {}
        self._tallies: dict[tuple[tuple[str, ...], int], Tally] = {}
        self._counting: tuple[object, Sequence[int] | None] = (None, None)

    @classmethod
    def of(cls, messages: Iterable[tuple[int, Message]], *, deriving: bool) -> "Columns":
        """Return the columns of messages, given with their index."""
        pairs = [*messages]
        columns = cls()
        columns.indices = [index for index, _ in pairs]
        columns.times = [message.timestamp for _, message in pairs]
        columns.topics = [message.topic for _, message in pairs]
        if deriving:
            columns.derived = [message.derived for _, message in pairs]
        return columns

    def only(self, wanted: Callable[[str], bool]) -> "Columns":
        """Return the columns of those messages of whose topics, without prefix and environment, `wanted` is true."""
        topics = {topic for topic in set(self.topics) if wanted(address(topic).name)}
        chosen = [place for place, topic in enumerate(self.topics) if topic in topics]
        columns = Columns()
        columns.indices = [self.indices[place] for place in chosen]
        columns.times = [self.times[place] for place in chosen]
        columns.topics = [self.topics[place] for place in chosen]
        columns.derived = [self.derived[place] for place in chosen] if self.derived else []
        return columns

    def values(self, attributes: tuple[str, ...]) -> Sequence[Value]:
        """Return the value of each message: of one attribute its own, of several a tuple."""
        found = self._values.get(attributes)
        if found is None:
            columns = [self._column(name) for name in attributes]
            several = [*zip(*columns, strict=True)] if columns else [()] * len(self.times)
            found = self._values[attributes] = columns[0] if len(columns) == 1 else several
        return found

    def _column(self, name: str) -> Sequence[Value]:
        if name in _DERIVED:
            return [*map(itemgetter(_DERIVED[name]), self.derived)]
        if name in _PARTS:
            parts = {topic: getattr(address(topic), name) for topic in set(self.topics)}
            return [*map(parts.__getitem__, self.topics)]
        return self.topics

    def tally(self, attributes: tuple[str, ...], width: int, places: Sequence[int | None]) -> Tally:
        """Return the tally of those messages that have a place, by their value, in buckets of `width` seconds."""
        # Most plugins count the same messages; one that was built when older ones were gone may not.
        if self._counting[0] is not places:
            self._counting = places, self._oldest_first(places)
            self._tallies.clear()
        found = self._tallies.get((attributes, width))
        if found is None:
            values, times = self.values(attributes), self.times
            if (order := self._counting[1]) is not None:
                values, times = [values[at] for at in order], [times[at] for at in order]
            found = self._tallies[attributes, width] = tally(values, times, width)
        return found

    def _oldest_first(self, places: Sequence[int | None]) -> Sequence[int] | None:
        """Return where the messages that have a place stand here, the oldest first; None if all stand so already."""
        whole = isinstance(places, range)
        if whole and self.times == sorted(self.times):
            return None
        new = [at for at, index in enumerate(self.indices) if whole or places[index] is not None]
        return sorted(new, key=self.times.__getitem__)


def deriving(attributes: tuple[str, ...]) -> bool:
    """Return whether any of these attributes is derived from the body."""
    return not _DERIVED.keys().isdisjoint(attributes)


def excerpt(attributes: tuple[str, ...], value: Value) -> Message:
    """Return what is shown to a plugin that depends on these attributes, of the messages that have this value."""
    several: Any = value
    return Excerpt(dict(zip(attributes, (value,) if len(attributes) == 1 else several, strict=True)))


def shown(plugin: Plugin, message: Message) -> Message:
    """Return what a plugin is shown of a message: an excerpt, or all of it."""
    if plugin.depends_on is None:
        return message
    values = [getattr(message, name) for name in plugin.depends_on]
    return Excerpt(dict(zip(plugin.depends_on, values, strict=True)))

"""The messages of a batch by column: the attributes that `depends_on` may name, each value numbered.

A statistic that depends on a few attributes is asked once for each value that occurs in a batch. What it counts then
follows from arrays of numbers, without a step of Python for each message.
"""

from array import array
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from statscache.derivation import Derived
from statscache.message import Address, Excerpt, Message, address
from statscache.plugins import Plugin

Value = Hashable
"""What a message has of the attributes that a statistic depends on: the value of one, or a tuple of several."""

_DERIVED = "agent", "usernames", "packages"
_PARTS = Address._fields


class Column(NamedTuple):
    """Some attributes of all messages of a batch.

    Attributes:
        codes: Index into `values`, for each message.
        values: The values that occur, each once.
    """

    codes: np.ndarray
    values: Sequence[Value]


class _Numbering(dict[Value, int]):
    """Numbers values in the order in which they are first asked for."""

    def __missing__(self, value: Value) -> int:
        number = self[value] = len(self)
        return number


class Columns:
    """The messages of a batch, attribute by attribute, in order of delivery."""

    def __init__(self) -> None:
        self._times = array("q")
        self._codes = {name: array("i") for name in ("topic", *_DERIVED)}
        self._numbers = {name: _Numbering() for name in self._codes}
        self._columns: dict[tuple[str, ...], Column] = {}

    def extend(self, times: Sequence[int], topics: Sequence[str], derived: Sequence[Derived]) -> None:
        """Add messages.

        Args:
            times: Their timestamps.
            topics: Their topics.
            derived: What is derived from them; empty if no statistic asks for it.
        """
        self._times.extend(times)
        self._number("topic", topics)
        for name, values in zip(_DERIVED, zip(*derived, strict=True), strict=False):
            self._number(name, values)

    def _number(self, name: str, values: Sequence[Value]) -> None:
        self._codes[name].extend(map(self._numbers[name].__getitem__, values))

    def __len__(self) -> int:
        return len(self._times)

    @property
    def times(self) -> np.ndarray:
        """Timestamps of the messages."""
        return np.array(self._times, np.int64)

    def of(self, attributes: tuple[str, ...]) -> Column:
        """Return the value that each message has of these attributes."""
        found = self._columns.get(attributes)
        if found is None:
            found = self._columns[attributes] = self._joined([self._one(name) for name in attributes])
        return found

    def wanted(self, wants: Callable[[str], bool]) -> np.ndarray:
        """Return the indices of the messages whose topic, without prefix and environment, is wanted."""
        topics = self.of(("topic",))
        return np.flatnonzero(np.array([wants(address(topic).name) for topic in topics.values], bool)[topics.codes])

    def _one(self, name: str) -> Column:
        if name in _PARTS:
            topics = self.of(("topic",))
            numbers = _Numbering()
            codes = [numbers[getattr(address(topic), name)] for topic in topics.values]
            return Column(np.array(codes, np.int64)[topics.codes], [*numbers])
        return Column(np.array(self._codes[name], np.int64), [*self._numbers[name]])

    def _joined(self, columns: Sequence[Column]) -> Column:
        """Return several columns as one, whose values are tuples; one column unchanged."""
        if len(columns) == 1:
            return columns[0]
        codes, values = np.zeros(len(self), np.int64), [()][: len(self)]
        joined: tuple[np.ndarray, Sequence[tuple[Value, ...]]] = codes, values
        for column in columns:
            joined = _paired(*joined, column)
        return Column(*joined)


def _paired(
    codes: np.ndarray, values: Sequence[tuple[Value, ...]], column: Column
) -> tuple[np.ndarray, Sequence[tuple[Value, ...]]]:
    """Return codes and values of a column whose values are tuples, with the values of another one added to them.

    Columns are joined two by two, since the possible combinations of more than that may be beyond 64 bits.
    """
    number = max(len(column.values), 1)
    found, codes = np.unique(codes * number + column.codes, return_inverse=True)
    pairs = zip(*(at.tolist() for at in np.divmod(found, number)), strict=True)
    return codes, [(*values[first], column.values[second]) for first, second in pairs]


def derives(attributes: Sequence[str]) -> bool:
    """Return True if one of these attributes is derived from the body."""
    return not set(_DERIVED).isdisjoint(attributes)


def excerpt(attributes: tuple[str, ...], value: Value) -> Message:
    """Return the message that a plugin with these attributes in `depends_on` sees, for all that have this value."""
    several: Any = value
    return Excerpt(dict(zip(attributes, (value,) if len(attributes) == 1 else several, strict=True)))


def shown(plugin: Plugin, message: Message) -> Message:
    """Return the message as a plugin sees it: an excerpt, or all of it."""
    if plugin.depends_on is None:
        return message
    values = [getattr(message, name) for name in plugin.depends_on]
    return Excerpt(dict(zip(plugin.depends_on, values, strict=True)))

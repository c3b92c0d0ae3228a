"""Plugins observe messages: each message, or each value that occurs once. It needs no database.

A statistic that depends on a few attributes is asked once for each value that these have in a batch. What it counts
then follows from columns of numbers, without a step of Python for each message.
"""

from array import array
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from statscache.derivation import Derived
from statscache.exceptions import HangError
from statscache.kinds.keys import MOST
from statscache.kinds.yields import NOTHING, Yields
from statscache.message import Address, Excerpt, Message, address
from statscache.plugins import Plugin
from statscache.plugins.registry import wants
from statscache.scrubbing import scrub

SLICE = 64
"""Messages that are parsed, and handed to the columns, at once."""

_CACHED_VALUES = 15_000
_CACHED_LENGTH = 300

Value = Hashable
"""What a message has of the attributes that a statistic depends on: the value of one, or a tuple of several."""

Answers = dict[Value, Sequence[Any]]
"""What a plugin yields, checked, of any message that has a value of the attributes on which it depends."""

_UNKNOWN: Sequence[Any] = []
"""What stands for an answer that is not known yet."""

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


def sees_newest_only(plugin: Plugin) -> bool:
    """Return True if a plugin is shown the newest messages of a batch alone: it keeps no others, and wants every topic.

    One that wants a few topics is shown these messages as they pass, which costs less than to inflate segments again.
    """
    return plugin.kind.newest is not None and not plugin.topics


def derives(attributes: Sequence[str]) -> bool:
    """Return True if one of these attributes is derived from the body."""
    return not set(_DERIVED).isdisjoint(attributes)


def excerpt(attributes: tuple[str, ...], value: Value) -> Message:
    """Return the message that a plugin with these attributes in `depends_on` sees, for all that have this value."""
    several: Any = value
    return Excerpt(attributes, (value,) if len(attributes) == 1 else several)


def shown(plugin: Plugin, message: Message) -> Message:
    """Return the message as a plugin sees it: an excerpt, or all of it."""
    if plugin.depends_on is None:
        return message
    return Excerpt(plugin.depends_on, [getattr(message, name) for name in plugin.depends_on])


@dataclass(slots=True)
class Observed:
    """The yields of one plugin for a batch.

    Attributes:
        yields: What it yielded.
        failures: Index of the message and the error, for each message on which it raised.
        trailing_failures: How many messages in a row, up to the last one, it raised on.
        messages: How many messages it saw.
        seconds: Wall-clock time that it took.
        candidates: Indices of the messages that it may still observe, if it keeps only the newest entries: it sees the
            newest of those that count, and no others. None for any other plugin.
    """

    yields: Yields = NOTHING
    failures: list[tuple[int, str]] = field(default_factory=list)
    trailing_failures: int = 0
    messages: int = 0
    seconds: float = 0.0
    candidates: np.ndarray | None = None

    @staticmethod
    def joined(parts: "Sequence[tuple[int, Observed]]") -> "Observed":
        """Return one plugin's yields of batches that become one, each given with the index of its first message."""
        trailing = 0
        for _, part in parts:
            trailing = part.trailing_failures + (trailing if part.trailing_failures == part.messages else 0)
        kept = [part.candidates + first for first, part in parts if part.candidates is not None]
        return Observed(
            yields=Yields.joined([(first, part.yields) for first, part in parts]),
            failures=[(first + index, error) for first, part in parts for index, error in part.failures],
            trailing_failures=trailing,
            messages=sum(part.messages for _, part in parts),
            seconds=sum(part.seconds for _, part in parts),
            candidates=np.concatenate(kept) if kept else None,
        )


class Observer:
    """Shows messages to one plugin, one by one. The yields of one message count together or not at all.

    Attributes:
        plugin: The plugin.
    """

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._observe, self._check, self._suppressed = plugin.observe, plugin.kind.check, plugin.suppressed
        self._avoided = plugin.avoided
        self._items: list[Any] = []
        # Index, timestamp and id of each message that yielded anything, and how much it did.
        self._yielding: list[tuple[int, int, str, int]] = []
        self._observed = Observed()

    def __len__(self) -> int:
        return len(self._items)

    def look(self, index: int, message: Message) -> None:
        """Let the plugin observe a message, given its index in the batch."""
        items, observed = self._items, self._observed
        before = len(items)
        observed.messages += 1
        started = perf_counter()
        # A plugin is foreign code: whatever it raises quarantines this one message.
        try:
            if self._avoided and message.id in self._avoided:
                raise HangError("it did not return when it was shown this message")
            shown = scrub(message, self._suppressed) if self._suppressed else message
            for item in self._observe(shown) or ():
                items.append(self._check(item))
            if len(items) - before > MOST:
                items[before:] = self.plugin.kind.bounded(items[before:])
            observed.trailing_failures = 0
        except (Exception, SystemExit) as error:
            del items[before:]
            observed.failures.append((index, describe(error)))
            observed.trailing_failures += 1
        if yielded := len(items) - before:
            self._yielding.append((index, message.timestamp, message.id, yielded))
        observed.seconds += perf_counter() - started

    def observed(self) -> Observed:
        """Return the plugin's yields of the messages so far."""
        indices, times, ids, numbers = zip(*self._yielding, strict=True) if self._yielding else ((), (), (), ())
        each = np.array(numbers, np.int64)
        # Where a statistic may declare `depends_on`, no id can matter.
        kept = () if self.plugin.kind.takes_depends_on else chain.from_iterable(map(repeat, ids, numbers))
        messages, moments = (np.repeat(np.array(column, np.int64), each) for column in (indices, times))
        self._observed.yields = Yields(self._items, np.arange(len(self._items)), messages, moments, [*kept])
        return self._observed


def observe_values(plugin: Plugin, columns: Columns, answers: Answers) -> Observed:
    """Let a plugin that declares `depends_on` observe each value that occurs in a batch once.

    If it raises, it raises on all messages that have the value.

    Args:
        plugin: The plugin.
        columns: The messages.
        answers: What it yielded of values before; new ones are added.
    """
    assert plugin.depends_on is not None
    started = perf_counter()
    codes, values = columns.of(plugin.depends_on)
    messages = np.arange(len(columns))
    if plugin.topics:
        messages = columns.wanted(lambda name: wants(plugin, name))
        # Only what wanted messages have.
        used, codes = np.unique(codes[messages], return_inverse=True)
        values = [values[at] for at in used.tolist()]
    found = [*map(answers.get, values, repeat(_UNKNOWN))]
    raised: dict[int, str] = {}
    for code in [code for code, known in enumerate(found) if known is _UNKNOWN]:
        value = values[code]
        # A plugin is foreign code: whatever it raises quarantines the messages that have this value.
        try:
            items = plugin.observe(excerpt(plugin.depends_on, value)) or ()
            found[code] = plugin.kind.bounded(tuple(map(plugin.kind.check, items)))
        except (Exception, SystemExit) as error:
            raised[code] = describe(error)
        else:
            _remember(answers, value, found[code])
    # One row for each yield: a message is repeated for each item of its value.
    sizes = np.array([*map(len, found)], np.int64)
    ends = np.cumsum(sizes)
    each = sizes[codes]
    nth = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
    which = np.repeat((ends - sizes)[codes], each) + nth
    of = np.repeat(messages, each)
    observed = Observed(Yields([*chain.from_iterable(found)], which, of, columns.times[of]), messages=len(messages))
    if raised:
        failed = np.isin(codes, [*raised])
        at = np.flatnonzero(failed)
        observed.failures = [(int(messages[row]), raised[int(codes[row])]) for row in at]
        observed.trailing_failures = int(np.argmin(failed[::-1])) if not failed.all() else len(failed)
    observed.seconds = perf_counter() - started
    return observed


def _remember(answers: Answers, value: Value, items: Sequence[Any]) -> None:
    if len(answers) >= _CACHED_VALUES:
        answers.clear()
    # What is kept must be short: the bus decides how many people a message names.
    if len(repr(value)) <= _CACHED_LENGTH:
        answers[value] = items


def describe(error: BaseException) -> str:
    """Return the type and text of an error."""
    # A plugin raises classes of its own, whose text is foreign code too.
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__

"""Plugins observe messages. This needs no database, and runs before a transaction begins."""

import time
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, takewhile
from typing import Any

import numpy as np

from statscache.exceptions import HangError
from statscache.ingest.columns import Columns, Value, derives, excerpt
from statscache.kinds.keys import MOST
from statscache.kinds.yields import NOTHING, Yields
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry, wants
from statscache.plugins.watch import Watch
from statscache.scrubbing import scrub
from statscache.store.records import Records

SLICE = 64
"""Messages that are parsed, and handed to the columns, at once."""

_CACHED_VALUES = 20_000
_CACHED_LENGTH = 300

Answers = dict[Value, Sequence[Any]]
"""What a plugin yields, checked, of any message that has a value of the attributes on which it depends."""


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
        self._ids: list[str] = []
        self._messages = array("q")
        self._times = array("q")
        self._observed = Observed()

    def __len__(self) -> int:
        return len(self._items)

    def look(self, index: int, message: Message) -> None:
        """Let the plugin observe a message, given its index in the batch."""
        items, observed = self._items, self._observed
        before = len(items)
        observed.messages += 1
        started = time.perf_counter()
        # A plugin is foreign code: whatever it raises sets this one message aside.
        try:
            if self._avoided and message.id in self._avoided:
                raise HangError("it did not return when it was shown this message")
            shown = scrub(message, self._suppressed) if self._suppressed else message
            for item in self._observe(shown) or ():
                items.append(self._check(item))
                self._ids.append(message.id)
                self._messages.append(index)
                self._times.append(message.timestamp)
            if len(items) - before > MOST:
                self._bound(before)
            observed.trailing_failures = 0
        except (Exception, SystemExit) as error:
            for column in (items, self._ids, self._messages, self._times):
                del column[before:]
            observed.failures.append((index, describe(error)))
            observed.trailing_failures += 1
        observed.seconds += time.perf_counter() - started

    def _bound(self, before: int) -> None:
        """Cut the yields of one message, the last that was looked at, to those that count."""
        self._items[before:] = self.plugin.kind.bounded(self._items[before:])
        for column in (self._ids, self._messages, self._times):
            del column[len(self._items) :]

    def observed(self) -> Observed:
        """Return the plugin's yields of the messages so far."""
        messages, times = np.array(self._messages, np.int64), np.array(self._times, np.int64)
        self._observed.yields = Yields(self._items, np.arange(len(self._items)), messages, times, self._ids)
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
    started = time.perf_counter()
    codes, values = columns.of(plugin.depends_on)
    messages = np.arange(len(columns))
    if plugin.topics:
        messages = columns.wanted(lambda name: wants(plugin, name))
        codes = codes[messages]
    occurring = np.unique(codes).tolist() if plugin.topics else range(len(values))
    found: list[Sequence[Any]] = [()] * len(values)
    raised: dict[int, str] = {}
    for code in occurring:
        value = values[code]
        known = answers.get(value)
        if known is None:
            # A plugin is foreign code: whatever it raises sets the messages that have this value aside.
            try:
                items = plugin.observe(excerpt(plugin.depends_on, value)) or ()
                known = plugin.kind.bounded(tuple(map(plugin.kind.check, items)))
            except (Exception, SystemExit) as error:
                raised[code] = describe(error)
                continue
            _remember(answers, value, known)
        found[code] = known
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
    observed.seconds = time.perf_counter() - started
    return observed


def _remember(answers: Answers, value: Value, items: Sequence[Any]) -> None:
    if len(answers) >= _CACHED_VALUES:
        answers.clear()
    # What is kept must be short: the bus decides how many people a message names.
    if len(repr(value)) <= _CACHED_LENGTH:
        answers[value] = items


def observe_records(
    plugin: Plugin, records: Sequence[bytes], watch: Watch, skipped: Collection[int] = ()
) -> tuple[Observed, np.ndarray]:
    """Let a plugin observe messages of the journal, and return its yields with all their timestamps.

    Args:
        plugin: The plugin.
        records: The messages.
        watch: Called with the message that the plugin looks at.
        skipped: Indices of messages that it must not see.
    """
    interested = Registry([plugin]).interested
    deriving = derives(plugin.depends_on or ())
    observer, columns = Observer(plugin), Columns()
    times, indices = array("q"), array("q")
    # A slice at a time, because parsed bodies take several times the memory of records.
    for start in range(0, len(records), SLICE):
        messages = [*map(Message.from_record, records[start : start + SLICE])]
        times.extend([message.timestamp for message in messages])
        wanted = [
            (index, message)
            for index, message in enumerate(messages, start)
            if index not in skipped and interested(message.name)
        ]
        indices.extend([index for index, _ in wanted])
        if plugin.depends_on is not None:
            shown = [scrub(message, plugin.suppressed) if plugin.suppressed else message for _, message in wanted]
            derived = [message.derived for message in shown] if deriving else []
            columns.extend([message.timestamp for message in shown], [message.topic for message in shown], derived)
        elif plugin.kind.newest is None:
            for index, message in wanted:
                watch.begin(plugin, message)
                observer.look(index, message)
    at = np.array(indices, np.int64)
    if plugin.kind.newest is not None:
        observed = Observed(candidates=at)
    elif plugin.depends_on is None:
        observed = observer.observed()
    else:
        observed = observe_values(plugin, columns, {})
        observed.yields = replace(observed.yields, messages=at[observed.yields.messages])
        observed.failures = [(indices[row], reason) for row, reason in observed.failures]
    return observed, np.array(times, np.int64)


def observe_newest(
    plugin: Plugin,
    most: int,
    candidates: np.ndarray,
    times: np.ndarray,
    records: Sequence[bytes] | Records,
    watch: Watch,
) -> Observed:
    """Let a plugin observe the newest messages, until it has yielded as much as can matter.

    Args:
        plugin: The plugin.
        most: How many yields of the newest messages can matter.
        candidates: Indices of the messages that count.
        times: Timestamps of all messages of the batch.
        records: Records of the same.
        watch: Called with the message that the plugin looks at.
    """
    observer = Observer(plugin)
    last = 0
    looked: list[int] = []
    order = candidates[np.argsort(times[candidates], kind="stable")[::-1]]
    for index, record in _read(records, order, most):
        # The plugin's merge decides which of several messages of one second is the newest.
        if len(observer) >= most and times[index] < last:
            break
        last = times[index]
        looked.append(index)
        message = Message.from_record(record)
        watch.begin(plugin, message)
        observer.look(index, message)
    observed = observer.observed()
    observed.failures.sort()
    # The newest message was looked at first.
    failed = {index for index, _ in observed.failures}
    observed.trailing_failures = len([*takewhile(failed.__contains__, looked)])
    return observed


def _read(records: Sequence[bytes] | Records, order: np.ndarray, first: int) -> Iterator[tuple[int, bytes]]:
    """Yield index and record of messages in this order, which is any: `first` are read at once, then twice as many.

    What is read at once is read by index. One by one, records that are far apart would each inflate a segment.
    """
    start, size = 0, first
    while start < len(order):
        indices = order[start : start + size]
        read = {index: records[index] for index in np.sort(indices).tolist()}
        yield from ((index, read[index]) for index in indices.tolist())
        start, size = start + size, 2 * size


def describe(error: BaseException) -> str:
    """Return the type and text of an error."""
    # A plugin raises classes of its own, whose text is foreign code too.
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__

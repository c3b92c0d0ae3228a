"""Observing: what plugins make of messages, which needs no database and runs before a transaction begins."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from statscache.ingest.columns import Columns, deriving, excerpt
from statscache.kinds.base import Observation
from statscache.kinds.tally import Value
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.scrubbing import scrub

_KNOWN_VALUES = 8_000
_KNOWN_LENGTH = 300


@dataclass(slots=True)
class Observed:
    """What one plugin made of a sequence of messages.

    Attributes:
        observations: What the plugin yielded, in order; those of one message stand together.
        columns: The messages, where it declares on what it depends, or where the newest are all that matter.
        answers: What it yields of each message that has a value, where it declares on what it depends.
        failures: Index of the message and the error, where the plugin raised.
        trailing_failures: How many of the last messages it raised on, one after the other.
        messages: How many messages it was given.
        seconds: Wall-clock time that it took.
    """

    observations: list[Observation] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    answers: dict[Value, list[Any]] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    trailing_failures: int = 0
    messages: int = 0
    seconds: float = 0.0


def observer(plugin: Plugin, observed: Observed) -> Callable[[int, Message], None]:
    """Return what lets a plugin observe a message, given its index, and adds to `observed` what it yields.

    The yields of one message count together or not at all.
    """
    observations = observed.observations
    append, check, observe_one, clock = observations.append, plugin.kind.check, plugin.observe, time.perf_counter

    def look(index: int, message: Message) -> None:
        observed.messages += 1
        started = clock()
        # A plugin is foreign code: whatever it raises sets this one message aside.
        try:
            for item in observe_one(message) or ():
                append((message.timestamp, message.id, index, check(item)))
            observed.trailing_failures = 0
        except (Exception, SystemExit) as error:
            while observations and observations[-1][2] == index:
                observations.pop()
            observed.failures.append((index, said(error)))
            observed.trailing_failures += 1
        observed.seconds += clock() - started

    return look


def observe(plugin: Plugin, messages: Iterable[tuple[int, Message]], observed: Observed) -> None:
    """Let a plugin observe messages, given with their index, and add what it yields to `observed`.

    People who are left out are not in what it is shown.
    """
    if plugin.suppressed:
        messages = ((index, scrub(message, plugin.suppressed)) for index, message in messages)
    if plugin.depends_on is not None or plugin.kind.newest is not None:
        observe_columns(plugin, Columns.of(messages, deriving=deriving(plugin.depends_on or ())), observed, {})
        return
    look = observer(plugin, observed)
    for index, message in messages:
        look(index, message)


def observe_columns(plugin: Plugin, columns: Columns, observed: Observed, known: dict[Value, list[Any]]) -> None:
    """Let a plugin that declares on which attributes it depends observe each value once, of messages given as columns.

    Where it raises, it raises on all messages that have the value. Of what the newest are all that matter, nothing is
    observed before it is known what counts.

    Args:
        plugin: The plugin.
        columns: The messages.
        observed: What it makes of them.
        known: What it yielded of values before, to which new ones are added.
    """
    observed.columns = columns
    if plugin.depends_on is None:
        return
    values = columns.values(plugin.depends_on)
    distinct = [*dict.fromkeys(values)]
    answers = dict(zip(distinct, map(known.get, distinct), strict=True))
    observed.answers = {value: items for value, items in answers.items() if items is not None}
    raised: dict[Value, str] = {}
    started = time.perf_counter()
    for value in [value for value, items in answers.items() if items is None]:
        # A plugin is foreign code: whatever it raises sets the messages that have this value aside.
        try:
            items = plugin.observe(excerpt(plugin.depends_on, value)) or ()
            checked = observed.answers[value] = [plugin.kind.check(item) for item in items]
        except (Exception, SystemExit) as error:
            raised[value] = said(error)
            continue
        if len(known) >= _KNOWN_VALUES:
            known.clear()
        # What is remembered must be short: the bus decides how many people a message names.
        if len(repr(value)) <= _KNOWN_LENGTH:
            known[value] = checked
    observed.seconds += time.perf_counter() - started
    observed.messages += len(values)
    if raised:
        places = zip(columns.indices, values, strict=True)
        observed.failures.extend((index, raised[value]) for index, value in places if value in raised)
        observed.trailing_failures = sum(1 for _ in takewhile(raised.__contains__, reversed(values)))


def said(error: BaseException) -> str:
    """Return what an error says, for people."""
    # What a plugin raises is its own class, whose text is foreign code too.
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__

"""The simulated messages that the benchmarks run on: the reference history of DESIGN.md 9, and the old traffic.

The reference history is five years at 2,000 messages a day, then a week at 150,000 a day, of 20,000 people and 20,000
packages, with nearly 400 topics. Each function yields lines of JSON without a newline, in order of time, the same in
every run. Memory is that of the messages of two hours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from statscache.simulator import ALL, Traffic, simulate
from statscache.timeline import DAY, HOUR

BY_CALENDAR = 250
"""Messages that come by the calendar each day, besides those that `Traffic.per_day` counts."""

SPARSE = Traffic(
    start=1_609_459_200,  # 2021-01-01
    end=1_767_225_600,  # 2026-01-01
    per_day=2_000 - BY_CALENDAR,
    people=20_000,
    packages=20_000,
    mix=ALL,
)
DENSE = replace(SPARSE, start=SPARSE.end, end=SPARSE.end + 7 * DAY, per_day=150_000 - BY_CALENDAR)
REFERENCE = (SPARSE, DENSE)
"""The windows of the reference history."""

MONTH = 30 * DAY
"""Seconds of the month that long histories are compared with: the last of the reference history."""

OLD = Traffic(start=SPARSE.end, end=SPARSE.end + 365 * DAY, per_day=125_000)
"""What history was measured on before: 2,500 people, 6,000 packages, the usual topics, never over 150,000 a day."""

THREE_YEARS = 3 * 365 * DAY
"""Seconds of the first three years of the reference history."""


def reference(part: float = 1.0) -> Iterator[bytes]:
    """Yield the whole reference history (about 4.7 million messages), or the last part of each of its windows."""
    return chain.from_iterable(map(simulate, _last_parts(part)))


def last_month(part: float = 1.0) -> Iterator[bytes]:
    """Yield the messages of the last `MONTH` of the reference history, given the same part."""
    begin = DENSE.end - MONTH
    return chain.from_iterable(
        simulate(replace(window, start=max(window.start, begin))) for window in _last_parts(part)
    )


def afterwards(number: int) -> Iterator[bytes]:
    """Yield the `number` messages that follow the reference history, at the pace of its last week."""
    return islice(simulate(replace(DENSE, start=DENSE.end, end=DENSE.end + 7 * DAY)), number)


def sparse(number: int) -> Iterator[bytes]:
    """Yield the first `number` messages of the years at 2,000 a day."""
    return islice(simulate(SPARSE), number)


def dense(number: int) -> Iterator[bytes]:
    """Yield the first `number` messages of the week at 150,000 a day."""
    return islice(simulate(DENSE), number)


def three_years(part: float = 1.0) -> Iterator[bytes]:
    """Yield the first three years (about 2.2 million messages), or the first part of that time."""
    return simulate(replace(SPARSE, end=_after(part)))


def on_top(number: int, part: float = 1.0) -> Iterator[bytes]:
    """Yield the `number` messages that follow those of `three_years`, given the same part."""
    return islice(simulate(replace(SPARSE, start=_after(part))), number)


def old(number: int) -> Iterator[bytes]:
    """Yield the first `number` messages of the old traffic."""
    return islice(simulate(OLD), number)


def write(path: Path, lines: Iterable[bytes]) -> None:
    """Write messages to `path`, one on each line."""
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in lines)


def _last_parts(part: float) -> list[Traffic]:
    """Return the windows of the reference history, each with the last part of its hours, one after the other."""
    shortened: list[Traffic] = []
    end = DENSE.end
    for window in reversed(REFERENCE):
        start = end - max(1, round((window.end - window.start) * part / HOUR)) * HOUR
        shortened.insert(0, replace(window, start=start, end=end))
        end = start
    return shortened


def _after(part: float) -> int:
    # Whole days, so that nothing of a day is on both sides.
    return SPARSE.start + int(THREE_YEARS * part) // DAY * DAY

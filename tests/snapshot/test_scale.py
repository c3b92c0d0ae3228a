"""What publications cost on a history of 20,000 messages and 3,000 keys: counts, against the limits of DESIGN.md 9.

`make bench ARGS=scale` measures the same on years of history. Limits that hold there hold here with room to spare, so a
cost that begins to grow with what is published, instead of with what changed, is seen here first.
"""

from collections.abc import Iterator
from itertools import islice

import pytest

from benchmarks import scale, traffic
from benchmarks.publications import Publication, Step, publish
from statscache.simulator import ALL, Traffic, simulate
from statscache.timeline import DAY

MESSAGES = 20_000
NAMES = 1_500
"""People, and as many packages."""

MINUTES = 4
BACKLOG = 2_000

STEPS = [
    Step(MESSAGES, slow=True),
    # It crosses the end of a day, which changes the windows of all documents.
    Step(scale.MINUTE, slow=True),
    *[Step(scale.MINUTE, slow=False)] * MINUTES,
    Step(0, slow=True),
    *[Step(scale.MINUTE, slow=True)] * MINUTES,
    Step(BACKLOG, slow=True),
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> list[Publication]:
    """What the publications came to, in the order of `STEPS`."""
    directory = tmp_path_factory.mktemp("scale")
    end = traffic.DENSE.end
    # Two months, then the pace of Fedora.
    months = Traffic(end - 60 * DAY, end, per_day=400, people=NAMES, packages=NAMES, mix=ALL)
    busy = Traffic(end, end + DAY, per_day=150_000, people=NAMES, packages=NAMES, mix=ALL)

    def lines() -> Iterator[bytes]:
        yield from islice(simulate(months), MESSAGES)
        yield from islice(simulate(busy), sum(step.messages for step in STEPS[1:]))

    traffic.write(directory / "history.ndjson", lines())
    [publications] = publish([directory], directory / "history.ndjson", STEPS)
    return publications


def test_a_minute_of_fast_documents(done: list[Publication]) -> None:
    """Neither files nor bytes are more than promised."""
    for minute in done[2 : 2 + MINUTES]:
        assert minute.files <= scale.FAST_FILES
        assert minute.bytes <= scale.FAST_BYTES


def test_a_minute_of_all_documents(done: list[Publication]) -> None:
    """Neither files nor bytes are more than promised."""
    for minute in done[3 + MINUTES : 3 + 2 * MINUTES]:
        assert minute.files <= scale.ALL_FILES
        assert minute.bytes <= scale.ALL_BYTES


def test_an_hour_with_default_settings(done: list[Publication]) -> None:
    """Of ten minutes one updates all: the bytes of a message are those of nine fast minutes and a slow one."""
    fast = sum(minute.bytes for minute in done[2 : 2 + MINUTES]) / MINUTES
    # What waited for four minutes is not less than a tenth of what waits for ten.
    slow = done[2 + MINUTES].bytes * scale.SLOW_MINUTES / MINUTES
    each = (fast * (scale.SLOW_MINUTES - 1) + slow) / (scale.SLOW_MINUTES * scale.MINUTE)
    assert each <= scale.HOUR_BYTES


def test_a_backlog_costs_as_much_a_file_as_a_minute(done: list[Publication]) -> None:
    """Requests follow the files that changed, and so do bytes."""
    backlog, minute = done[-1], done[-2]
    assert backlog.files > 2 * minute.files
    for cost in ("put", "get", "bytes"):
        assert getattr(backlog, cost) / backlog.files <= 1.25 * getattr(minute, cost) / minute.files, cost


def test_memory(done: list[Publication]) -> None:
    """Consuming and publishing stay within what every process may take."""
    assert max(publication.peak for publication in done) <= scale.MEMORY

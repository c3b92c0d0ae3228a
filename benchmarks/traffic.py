"""The simulated messages that the benchmark runs on: 2,500 people, 6,000 packages, at most 150,000 messages a day."""

from itertools import islice
from pathlib import Path

from statscache.simulator import Traffic, simulate
from statscache.timeline import DAY

PER_DAY = 125_000
"""Messages on an average day; the busiest has 1.15 times as many."""

START = 1_767_225_600
"""The first second of 2026 UTC."""


def write(path: Path, number: int) -> None:
    """Write the first `number` messages to `path`, one on each line."""
    days = 2 + 2 * number // PER_DAY
    traffic = Traffic(START, START + days * DAY, per_day=PER_DAY)
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in islice(simulate(traffic), number))

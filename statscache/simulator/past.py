"""A sparse history of a simulated project that grows: the data behind calendars, trends and years of the demo."""

import gzip
from collections.abc import Callable
from pathlib import Path

from statscache.simulator.traffic import Traffic, simulate
from statscache.timeline import DAY

MONTHS = 13
"""Months of 30 days: the year that charts show, and some of the year before it."""

PER_DAY = 420
"""Messages of an average day at the end of the history, besides the planned ones (composes, images)."""

PEOPLE = 400
PACKAGES = 3_000

# These would be a third of a sparse history, and only the newest image of each place is ever shown.
_IMAGES = b'"topic":"org.fedoraproject.prod.fedimg.'
_MONTH = 30 * DAY


def start_of(end: int) -> int:
    """Return the first second of the history that ends at `end`, both in seconds since 1970 UTC."""
    return end - MONTHS * _MONTH


def traffic(start: int, end: int, day: int) -> Traffic:
    """Return the traffic of a window within, or after, the history that ends at `day`."""
    growing = (start_of(day), day)
    return Traffic(start=start, end=end, per_day=PER_DAY, people=PEOPLE, packages=PACKAGES, growing=growing)


def write(path: Path, end: int, tell: Callable[[int, int], None]) -> int:
    """Write the history until `end` (seconds since 1970 UTC) as an archive, and return how many messages it has.

    Args:
        path: The file, which is compressed with gzip.
        end: The first second that is not in it.
        tell: Called after each month with the number of months that are done, and of all.
    """
    count = 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        for month in range(MONTHS):
            start = start_of(end) + month * _MONTH
            for line in simulate(traffic(start, start + _MONTH, end)):
                if _IMAGES not in line:
                    file.write(line + b"\n")
                    count += 1
            tell(month + 1, MONTHS)
    return count

"""Time as statscache publishes it: whole seconds since 1970 UTC, cut into buckets that are aligned to UTC.

A *bucket* is one interval of a resolution: a minute, an hour, a day, an ISO week, a month. A *period* is the span that
one series file covers. Neither depends on when a process started nor on the machine's time zone.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

MINUTE = 60
HOUR = 3600
DAY = 86400
WEEK = 7 * DAY


def floor(timestamp: int, width: int) -> int:
    """Return the start of the bucket of `width` seconds that holds `timestamp`."""
    return timestamp - timestamp % width


def iso(timestamp: int) -> str:
    """Return `timestamp` as ISO 8601 in UTC, such as `2015-08-08T13:37:00Z`."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Return the seconds since 1970 UTC of an ISO 8601 date or time, or of a plain number; no zone means UTC.

    Raises:
        ValueError: The text is neither.
    """
    if text.strip().isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        message = f"{text!r} is not a time: expected 2015-08-08, 2015-08-08T13:37:00 or seconds since 1970"
        raise ValueError(message) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


Cut = Callable[[int], tuple[int, int]]
"""Divides all time into adjoining spans: returns the `[start, end)` that holds a timestamp."""


def every(width: int, phase: int = 0) -> Cut:
    """Return the cut into spans of `width` seconds; one of them starts at `phase`."""

    def cut(timestamp: int) -> tuple[int, int]:
        start = timestamp - (timestamp - phase) % width
        return start, start + width

    return cut


def month(timestamp: int) -> tuple[int, int]:
    """Return the calendar month that holds `timestamp`."""
    start = datetime.fromtimestamp(timestamp, UTC).replace(day=1, hour=0, minute=0, second=0)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return int(start.timestamp()), int(end.timestamp())


def year(timestamp: int) -> tuple[int, int]:
    """Return the calendar year that holds `timestamp`."""
    start = datetime.fromtimestamp(timestamp, UTC).replace(month=1, day=1, hour=0, minute=0, second=0)
    return int(start.timestamp()), int(start.replace(year=start.year + 1).timestamp())


def year_start(number: int) -> int:
    """Return the start of a calendar year, such as 2015."""
    return int(datetime(number, 1, 1, tzinfo=UTC).timestamp())


def iso_year(timestamp: int) -> tuple[int, int]:
    """Return the year of ISO weeks that holds `timestamp`: it starts on a Monday, from 29 December to 4 January."""
    number = datetime.fromtimestamp(timestamp, UTC).isocalendar().year
    start, end = (datetime.fromisocalendar(which, 1, 1).replace(tzinfo=UTC) for which in (number, number + 1))
    return int(start.timestamp()), int(end.timestamp())


class Resolution(NamedTuple):
    """The buckets of one width: their cut, the periods of their files, and how long they are kept.

    Attributes:
        name: The name in paths: `1m`, `1h`, `1d`, `1w` or `1mo`.
        width: Width of a bucket in seconds; of the shortest if they differ. Distinguishes buckets in the database.
        buckets: The cut into buckets.
        periods: The cut into the periods of series files, each of whole buckets.
        label: The label of a period, as a `strftime` format of its start.
        keep: Seconds before the floored `through` for which buckets are kept; None keeps them forever.
    """

    name: str
    width: int
    buckets: Cut
    periods: Cut
    label: str
    keep: int | None = None

    @property
    def fixed_width(self) -> int | None:
        """Width of every bucket in seconds; None if they differ."""
        return None if self.buckets is month else self.width

    def floor(self, timestamp: int) -> int:
        """Return the start of the bucket that holds `timestamp`."""
        return self.buckets(timestamp)[0]

    def ceil(self, timestamp: int) -> int:
        """Return the end of the bucket that ends at `timestamp` or holds it."""
        start, end = self.buckets(timestamp)
        return start if start == timestamp else end

    def period(self, timestamp: int) -> "Period":
        """Return the period whose file holds the bucket of `timestamp`."""
        start, end = self.periods(self.floor(timestamp))
        return Period(start, end, datetime.fromtimestamp(start, UTC).strftime(self.label))

    def period_starts(self, buckets: Iterable[int]) -> Iterator[int]:
        """Yield the starts of the periods whose files hold some buckets, given the buckets' starts; both ascend."""
        end = None
        for bucket in buckets:
            if end is None or bucket >= end:
                start, end = self.periods(bucket)
                yield start

    def periods_of(self, start: int, end: int) -> Iterator["Period"]:
        """Yield the periods that `[start, end)` touches, oldest first."""
        while start < end:
            period = self.period(start)
            yield period
            start = period.end

    def expired_before(self, through: int) -> int | None:
        """Return the time at or before which a period that ends there is expired; None if nothing expires."""
        return None if self.keep is None else self.floor(through) - self.keep

    def kept_from(self, through: int) -> int | None:
        """Return the start of the oldest bucket that is kept, the first of its period; None if all are kept."""
        expired = self.expired_before(through)
        return None if expired is None else self.period(expired).start


class Period(NamedTuple):
    """The span `[start, end)` in seconds since 1970 UTC that one series file covers, and its label in paths."""

    start: int
    end: int
    label: str


MINUTELY = Resolution("1m", MINUTE, every(MINUTE), every(HOUR), "%Y-%m-%dT%H", keep=2 * DAY)
HOURLY = Resolution("1h", HOUR, every(HOUR), month, "%Y-%m", keep=90 * DAY)
DAILY = Resolution("1d", DAY, every(DAY), year, "%Y")
# 1970 began on a Thursday, and weeks begin on Mondays.
WEEKLY = Resolution("1w", WEEK, every(WEEK, phase=4 * DAY), iso_year, "%G")
MONTHLY = Resolution("1mo", 28 * DAY, month, year, "%Y")

RESOLUTIONS = {made.name: made for made in (MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY)}
"""Every resolution by its name."""

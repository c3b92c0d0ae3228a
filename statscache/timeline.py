"""Time as statscache publishes it: whole seconds since 1970 UTC, cut into buckets that are aligned to UTC.

A *bucket* is one interval of a resolution, `[start, start + width)`. A *period* is the span that one series file
covers. Neither depends on when a process started nor on the machine's time zone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MINUTE = 60
HOUR = 3600
DAY = 86400


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
    except ValueError:
        message = f"{text!r} is no time: expected 2015-08-08, 2015-08-08T13:37:00 or seconds since 1970"
        raise ValueError(message) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@dataclass(frozen=True, slots=True)
class Resolution:
    """A width of buckets, how long they are kept, and how they are filed.

    Attributes:
        name: As it stands in paths: `1m`, `1h` or `1d`.
        width: Seconds of one bucket.
        keep: Seconds for which buckets are kept behind the floored `through`; None keeps them for ever.
    """

    name: str
    width: int
    keep: int | None = None

    def floor(self, timestamp: int) -> int:
        """Return the start of the bucket that holds `timestamp`."""
        return floor(timestamp, self.width)

    def period(self, timestamp: int) -> "Period":
        """Return the period whose file holds the bucket of `timestamp`."""
        moment = datetime.fromtimestamp(timestamp, UTC)
        match self.width:
            case 60:
                start = moment.replace(minute=0, second=0)
                end, label = start + timedelta(hours=1), start.strftime("%Y-%m-%dT%H")
            case 3600:
                start = moment.replace(day=1, hour=0, minute=0, second=0)
                end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
                label = start.strftime("%Y-%m")
            case _:
                start = moment.replace(month=1, day=1, hour=0, minute=0, second=0)
                end, label = start.replace(year=start.year + 1), start.strftime("%Y")
        return Period(int(start.timestamp()), int(end.timestamp()), label)

    def periods(self, start: int, end: int) -> Iterator["Period"]:
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


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """The span `[start, end)` in seconds since 1970 UTC that one series file covers, and its label in paths."""

    start: int
    end: int
    label: str


MINUTELY = Resolution("1m", MINUTE, keep=2 * DAY)
HOURLY = Resolution("1h", HOUR, keep=90 * DAY)
DAILY = Resolution("1d", DAY)

"""The trailing windows of published numbers: their names in documents, their bounds, and their texts.

A window ends with the last whole bucket before the journal's `through`, so that it moves with the data, not with a
clock.
"""

from dataclasses import dataclass

from statscache.timeline import DAILY, HOURLY, MONTHLY, WEEKLY, Resolution


@dataclass(frozen=True, slots=True)
class Window:
    """The last few whole buckets of a resolution.

    Attributes:
        name: Name of the field in documents.
        heading: Heading of a table's column.
        words: Text after a number, such as `in the last full day`.
        resolution: Resolution of the buckets.
        buckets: Number of buckets; 1 if buckets differ in width.
        label: Its length in words, for comparisons with the window before; empty if it is not compared.
        short: The same in short, for a badge.
    """

    name: str
    heading: str
    words: str
    resolution: Resolution
    buckets: int = 1
    label: str = ""
    short: str = ""

    @property
    def width(self) -> int:
        """Its length in seconds, if all buckets have the same width."""
        return self.buckets * self.resolution.width

    def bounds(self, through: int) -> tuple[int, int]:
        """Return its `[start, end)` in seconds since 1970 UTC, for the journal's `through`."""
        end = self.resolution.floor(through)
        return (end - self.width if self.buckets > 1 else self.resolution.floor(end - 1)), end


def trailing_days(days: int) -> Window:
    """Return the window of a number of whole days."""
    return Window(f"last_{days}d", f"Last {days} days", f"in the last {days} full days", DAILY, days, f"{days} days")


LAST_24H = Window("last_24h", "Last 24 h", "in the last 24 full hours", HOURLY, 24, "24 hours", "24 h")
LAST_7D = Window("last_7d", "Last 7 days", "in the last 7 full days", DAILY, 7, "7 days", "7 d")
LAST_30D = Window("last_30d", "Last 30 days", "in the last 30 full days", DAILY, 30, "30 days", "30 d")
LAST_DAY = Window("last_day", "Last day", "in the last full day", DAILY, label="day")
LAST_WEEK = Window("last_week", "Last week", "in the last full week", WEEKLY, label="week")
LAST_MONTH = Window("last_month", "Last month", "in the last full month", MONTHLY, label="month")

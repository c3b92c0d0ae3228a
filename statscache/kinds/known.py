"""Which time the numbers of a plugin are known for: from its first data on, without the gaps (law 5).

Series say it by bucket, windows by the time from which they are whole, and keys by day. Nothing else decides it.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

from statscache.store.intervals import Interval, subtract, union
from statscache.store.positions import Position
from statscache.timeline import DAILY, Period, Resolution
from statscache.windows import Window


class Known(NamedTuple):
    """What is known, in seconds since 1970 UTC.

    Attributes:
        begin: When it begins: with the first message that counted, or with recorded coverage that reaches it; before
            the first message, with the newest recorded coverage. None before both.
        gaps: What is missing from then to `through`, oldest first.
    """

    begin: int | None = None
    gaps: Sequence[Interval] = ()

    @classmethod
    def of(
        cls,
        row: Position,
        through: int | None,
        gaps: Sequence[Interval],
        complete: Sequence[Interval],
        *,
        newest_only: bool = False,
    ) -> Self:
        """Return the time for which the data of a plugin is complete.

        Args:
            row: The plugin's row.
            through: Timestamp of the newest accepted message.
            gaps: What is known to be missing, for all plugins.
            complete: The recorded complete time, for all plugins, in intervals that do not touch.
            newest_only: True if only the newest entries are kept: then there is no first day, since older ones are
                gone, or were not even looked at.
        """
        oldest = row.oldest
        if through is None or newest_only:
            return cls()
        if oldest is None:
            # Nothing counted yet: zero in the newest time that is recorded complete, and unknown after it.
            oldest, end = max(((start, end) for start, end in complete if start < through), default=(None, 0))
            if oldest is None:
                return cls()
            gaps = union([*gaps, (end, max(end, through))])
        reached = (start for start, end in complete if start <= oldest < end)
        begin = max(next(reached, oldest), row.complete_from or 0)
        inside = ((max(start, begin), min(end, through)) for start, end in gaps)
        return cls(begin, [(start, end) for start, end in inside if start < end])

    @property
    def since(self) -> int | None:
        """The start of the first day that is known from its start; None before the first message."""
        return None if self.begin is None else DAILY.ceil(self.begin)

    @property
    def days(self) -> list[Interval]:
        """The whole days from `since` on of which something is missing, oldest first."""
        since = self.since
        return [] if since is None else subtract(_rounded(self.gaps, DAILY), [(0, since)])

    def unknown_days(self, start: int, end: int) -> list[Interval]:
        """Return the whole days of `[start, end)` that are not wholly known: before `since`, and in gaps."""
        return _inside([(0, end if self.since is None else self.since), *self.days], start, end)

    def is_whole(self, start: int, end: int) -> bool:
        """Return True if no data of `[start, end)`, in whole days, are missing: absent numbers are then zero."""
        return not self.unknown_days(start, end)

    def is_missing_after(self, timestamp: int) -> bool:
        """Return True if a gap covers anything after a time: what would have been said then may have been missed."""
        return any(end > timestamp for _, end in self.gaps)

    def gaps_in(self, resolution: Resolution, period: Period) -> list[Interval]:
        """Return what is missing in a period of a series, rounded outward to whole buckets.

        The time before the first data is a gap of its period, with the bucket in which they begin: of that only a part
        is known.
        """
        missing = [*_rounded(self.gaps, resolution)]
        if self.begin is not None:
            missing.append((period.start, resolution.ceil(self.begin)))
        return _inside(missing, period.start, period.end)

    def partial(self, windows: Sequence[Window], through: int | None) -> dict[str, int | None]:
        """Return the windows that are not wholly known, by name, each with the time from which it is known.

        That time is None where a gap reaches over the end of the window, or nothing is known. Where the data begin
        after the window, it is when they do.

        Args:
            windows: The windows.
            through: Timestamp of the newest accepted message.
        """
        found: dict[str, int | None] = {}
        for window in windows:
            found |= self.partial_of(window.name, *window.bounds(through or 0))
        return found

    def partial_of(self, name: str, start: int, end: int) -> dict[str, int | None]:
        """Return what `partial` says of the time `[start, end)` under a name; nothing if all of it is known."""
        if self.begin is None:
            return {name: None}
        known = max([self.begin, *(high for low, high in self.gaps if low < end and high > start)])
        if known <= start:
            return {}
        return {name: known if known < end or known == self.begin else None}


NOTHING = Known()
"""Nothing is known."""


def _rounded(gaps: Sequence[Interval], resolution: Resolution) -> list[Interval]:
    """Return gaps rounded outward to every bucket that they touch."""
    return union((resolution.floor(start), resolution.ceil(end)) for start, end in gaps)


def _inside(intervals: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """Return what of the intervals lies in `[start, end)`."""
    clipped = ((max(low, start), min(high, end)) for low, high in intervals)
    return union((low, high) for low, high in clipped if low < high)

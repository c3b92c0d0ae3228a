"""Which time the numbers of a plugin are known for: from its first data on, without the gaps (law 5).

Series say it by bucket, windows by the time from which they are whole, and keys by day. Nothing else decides it.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

from statscache.store.coverage import Interval, subtract, union
from statscache.store.positions import Position
from statscache.timeline import DAILY, Period, Resolution
from statscache.windows import Window


class Known(NamedTuple):
    """What is known, in seconds since 1970 UTC.

    Attributes:
        begin: When it begins: with the first message that counted, or with recorded coverage that reaches it. None
            before the first message.
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
        if oldest is None or through is None or newest_only:
            return cls()
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

    def gaps_in(self, resolution: Resolution, period: Period) -> list[Interval]:
        """Return what is missing in a period of a series, rounded outward to whole buckets.

        The time before the first data is a gap of its period, but for the bucket in which they begin.
        """
        gaps = _inside(_rounded(self.gaps, resolution), period.start, period.end)
        if self.begin is not None and (begin := resolution.floor(self.begin)) > period.start:
            gaps = union([(period.start, min(begin, period.end)), *gaps])
        return gaps

    def partial(self, windows: Sequence[Window], through: int | None) -> dict[str, int | None]:
        """Return the windows that are not wholly known, by name, each with the time from which it is known.

        That time is None where the end of the window is missing too, or nothing is known.

        Args:
            windows: The windows.
            through: Timestamp of the newest accepted message.
        """
        found: dict[str, int | None] = {}
        for window in windows:
            start, end = window.bounds(through or 0)
            touching = [high for low, high in self.gaps if low < end and high > start]
            known = max([*touching, -1 if self.begin is None else self.begin])
            if self.begin is None or known > start:
                found[window.name] = known if 0 <= known < end else None
        return found


NOTHING = Known()
"""Nothing is known."""


def _rounded(gaps: Sequence[Interval], resolution: Resolution) -> list[Interval]:
    """Return gaps rounded outward to every bucket that they touch."""
    return union((resolution.floor(start), resolution.ceil(end)) for start, end in gaps)


def _inside(intervals: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """Return what of the intervals lies in `[start, end)`."""
    clipped = ((max(low, start), min(high, end)) for low, high in intervals)
    return union((low, high) for low, high in clipped if low < high)

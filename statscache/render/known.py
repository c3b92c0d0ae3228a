"""Which time the numbers of a plugin are known for: from its first data on, without the gaps (law 5)."""

from collections.abc import Sequence
from typing import NamedTuple, Self

from statscache.store.coverage import Interval
from statscache.store.positions import Position
from statscache.timeline import DAILY
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
    def of(cls, row: Position, through: int | None, gaps: Sequence[Interval], complete: Sequence[Interval]) -> Self:
        """Return what is known of a plugin.

        Args:
            row: The plugin's row.
            through: Timestamp of the newest accepted message.
            gaps: What is known to be missing, for all plugins.
            complete: What is recorded to be complete, for all plugins, in intervals that do not touch.
        """
        oldest = row.oldest
        if oldest is None or through is None:
            return cls()
        reached = (start for start, end in complete if start <= oldest < end)
        begin = max(next(reached, oldest), row.complete_from or 0)
        inside = ((max(start, begin), min(end, through)) for start, end in gaps)
        return cls(begin, [(start, end) for start, end in inside if start < end])

    @property
    def since(self) -> int | None:
        """The start of the first day that is known from its start; None before the first message."""
        return None if self.begin is None else DAILY.ceil(self.begin)

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

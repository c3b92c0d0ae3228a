"""What the pages say of one plugin, as data."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from statscache.kinds import Kind
from statscache.plugins.contract import PluginInfo
from statscache.windows import Window


@dataclass(frozen=True)
class Link:
    """A published document: `path` relative to the site's root, its label, its size in bytes."""

    path: str
    label: str
    size: int


@dataclass(frozen=True)
class Leaderboard:
    """The keys with the greatest sums of the last whole UTC days, greatest first, as dimensions and `value`.

    `partial` has the name of the window and the time from which it is known, where it is not wholly known.
    """

    window: Window
    rows: list[dict[str, Any]]
    partial: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesView:
    """One resolution's recent data over `[start, end)`, seconds since 1970 UTC, and links to all its periods.

    `rows` are `[timestamp, *dimensions, value]`, sorted; an absent bucket is zero unless a gap touches it.
    """

    resolution: str
    seconds: int
    columns: tuple[str, ...]
    rows: list[list[Any]]
    start: int
    end: int
    complete_through: int
    gaps: list[tuple[int, int]]
    periods: tuple[Link, ...]

    @property
    def complete_end(self) -> int:
        """The end of the last bucket that is over; plots end there."""
        complete = self.start + (self.complete_through - self.start) // self.seconds * self.seconds
        return max(self.start, min(self.end, complete))


class Gap(NamedTuple):
    """An interval without data, in seconds since 1970 UTC, rounded outward to buckets of the resolution."""

    start: int
    end: int
    resolution: str


@dataclass(frozen=True)
class PluginView:
    """All that the pages say of one plugin.

    `since` is the start of the first day for which its numbers are complete, in seconds since 1970 UTC, and `begin`
    when what is known begins; None before the first data, and where only the newest entries are kept. `latest` is the
    published document, None before the first; `through` is through when data are, in whole hours or to the newest that
    is shown; `series` is finest first, and empty where there is none. `durations` is the document that says how long
    things took, if the plugin has one. `newcomers` are start of the day and number of keys that were seen first on it,
    of a plugin that publishes a document of that name; days that are not wholly known are left out. `days` are the
    whole days from `since` on of which something is missing. `board` is the document that the page Release engineering
    shows, `feed` are the records of which the plugin's feed is made.
    """

    info: PluginInfo
    kind: Kind
    state: str
    last_event: int | None
    since: int | None
    through: int | None
    latest: dict[str, Any] | None
    series: tuple[SeriesView, ...]
    links: tuple[Link, ...]
    durations: dict[str, Any] | None = None
    leaderboards: tuple[Leaderboard, ...] = ()
    newcomers: tuple[tuple[int, int], ...] = ()
    begin: int | None = None
    days: tuple[tuple[int, int], ...] = ()
    board: dict[str, Any] | None = None
    feed: tuple[dict[str, Any], ...] = ()

    @property
    def known_since(self) -> int | None:
        """What pages say of when its numbers begin: the first whole day, or the moment in a day that is not over."""
        in_first_day = self.begin is not None and self.since is not None and self.since > (self.through or 0)
        return self.begin if in_first_day else self.since

    @property
    def gaps(self) -> list[Gap]:
        """What is known to be missing, newest first: as fine as the series that are shown tell it, else by day."""
        if not self.series:
            return [Gap(low, high, "1d") for low, high in reversed(self.days)]
        found: list[Gap] = []
        before = None
        for series in self.series:
            clipped = ((low, high if before is None else min(high, before)) for low, high in series.gaps)
            found += [Gap(low, high, series.resolution) for low, high in clipped if low < high]
            before = series.start
        return sorted(found, key=lambda gap: -gap.start)

    @property
    def partial(self) -> dict[str, int | None]:
        """The windows that are not wholly known, each with the time from which it is known."""
        return dict(self.latest.get("partial", {})) if self.latest else {}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of `latest`, none where it is missing."""
        return list(self.latest["rows"]) if self.latest else []

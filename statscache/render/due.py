"""Which documents of a plugin are due: those of a pace whose marks are newer than its last render, or whose time came.

A mark stays until the slow documents are rendered, and each pace has the revision that it was rendered at. So a fast
render takes nothing away from the slow one that follows it, whatever happens between the two.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from statscache import pace as paces
from statscache.pace import Pace
from statscache.plugins import Plugin
from statscache.store import positions
from statscache.store.positions import Position
from statscache.timeline import HOUR, Cut, Period, Resolution, every


@dataclass(frozen=True, slots=True)
class _Since:
    """What happened since the documents of one pace were rendered.

    Attributes:
        marks: Documents whose state changed, as name and number.
        before: `through` of that render; None if there was none.
        through: The journal's clock now.
    """

    marks: frozenset[tuple[str, int]]
    before: int | None
    through: int | None

    def crossed(self, cut: Cut) -> bool:
        """Return whether the end of a bucket is between that render and now."""
        if self.through is None:
            return False
        return self.before is None or cut(self.before) != cut(self.through)


@dataclass(frozen=True, slots=True)
class Due:
    """What one render has to make of one plugin.

    Attributes:
        everything: True if all documents are due, of both paces.
        paces: The paces whose documents are updated.
    """

    everything: bool
    paces: frozenset[Pace]
    _plugin: Plugin
    _since: Mapping[Pace, _Since]

    @property
    def moved(self) -> bool:
        """True if windows of the fixed documents have moved since these were rendered, of any pace that is due."""
        return any(map(self._moved, self.paces))

    @property
    def fixed(self) -> frozenset[Pace]:
        """The paces of which fixed documents are due."""
        return frozenset(
            pace
            for pace in self.paces
            if self.everything or ("latest", 0) in self._since[pace].marks or self._moved(pace)
        )

    @property
    def keys(self) -> bool:
        """True if the documents of keys that are marked are due."""
        return Pace.SLOW in self.paces

    @property
    def page(self) -> bool:
        """True if the page of the plugin may show other numbers than it does."""
        since, kind = self._since[Pace.SLOW], self._plugin.kind
        # A page says through when the site's data are, in whole hours.
        crossed = since.crossed(every(HOUR)) or any(since.crossed(each.buckets) for each in kind.resolutions)
        news = self.everything or bool(since.marks) or self._moved(Pace.SLOW) or crossed
        return news and Pace.SLOW in self.paces

    def series(self, resolution: Resolution) -> bool:
        """Return whether any file of the series of a resolution is due."""
        pace = paces.of_series(resolution.name)
        if pace not in self.paces:
            return False
        since = self._since[pace]
        return self.everything or since.crossed(resolution.buckets) or any(self._touched(resolution))

    def period(self, resolution: Resolution, period: Period) -> bool:
        """Return whether a period is due, of a resolution that is: it changed, or was not over yet."""
        before = self._since[paces.of_series(resolution.name)].before
        unfinished = 0 if before is None else resolution.floor(before)
        return self.everything or period.end > unfinished or period.start in self._touched(resolution)

    def _touched(self, resolution: Resolution) -> Iterator[int]:
        marks = self._since[paces.of_series(resolution.name)].marks
        return (number for document, number in marks if document == resolution.name)

    def _moved(self, pace: Pace) -> bool:
        return any(self._since[pace].crossed(every(width)) for width in self._plugin.moments)


def find(
    connection: Connection, plugin: Plugin, row: Position, through: int | None, *, slow: bool, everything: bool
) -> Due:
    """Return the files of a plugin that are due.

    Args:
        connection: The render's database snapshot.
        plugin: The plugin.
        row: Its row.
        through: The journal's clock.
        slow: True to update slow documents.
        everything: True if all documents have to be rendered. Then slow ones are too: versions are not mixed.
    """
    marks = positions.marked(connection, row)
    everything = everything or any(mark.document == positions.EVERYTHING for mark in marks)
    return Due(
        everything,
        frozenset(Pace) if slow or everything else frozenset({Pace.FAST}),
        plugin,
        {pace: _since(marks, row, pace, through) for pace in Pace},
    )


def _since(marks: list[positions.Mark], row: Position, pace: Pace, through: int | None) -> _Since:
    done = row.rendered[pace]
    newer = frozenset((mark.document, mark.number) for mark in marks if mark.revision > done.revision)
    return _Since(newer, done.through, through)

"""The charts of a plugin: one for each range of time that people ask for, with what it shows in words."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

from statscache.kinds.presentation import counted
from statscache.render import charts, curves, text
from statscache.render.page_model import PluginView, SeriesView
from statscache.timeline import DAY, HOUR, WEEK

FEWEST_BUCKETS = 12
"""A chart has at least so many; those before the first data are unknown."""

_STACK = charts.Frame(height=220, ticks=8)
_SMALL = charts.Frame(height=84, ticks=5)
_SPARK = charts.Frame(height=56)
_BUCKETS = {"1m": "minute", "1h": "hour", "1d": "day", "1w": "week", "1mo": "month"}
_MONDAY = 4 * DAY
"""1970 began on a Thursday."""


class Range(NamedTuple):
    """A span of time to draw, up to the newest complete bucket, and its resolution."""

    name: str
    label: str
    resolution: str
    seconds: int


RANGES = (
    Range("3h", "3 h", "1m", 3 * HOUR),
    Range("7d", "7 d", "1h", 7 * DAY),
    Range("30d", "30 d", "1d", 30 * DAY),
    Range("1y", "1 y", "1w", 52 * WEEK),
)
_YEAR = Range("1y", "1 y", "1d", 365 * DAY)
_FIRST = ("30d", "7d", "3h", "1y")


@dataclass(frozen=True)
class Plot:
    """One chart.

    Attributes:
        range: How much time it shows.
        series: The published series that it is made of.
        data: Its curves.
        figure: Its geometry.
        names: The names of the curves, of which labels are short forms.
        prefix: What all names begin with; it is left out of the labels.
        span: How much time is known of it, in words.
        description: What it shows, in words.
        so_far: What it does not show yet, in words.
        known: The number of buckets that are known.
    """

    range: Range
    series: SeriesView
    data: curves.Curves
    figure: charts.Figure
    names: tuple[str, ...]
    prefix: str
    span: str
    description: str
    so_far: str
    known: int

    @property
    def end(self) -> int:
        """The end of the last bucket, in seconds since 1970 UTC."""
        return self.data.time(self.data.buckets)

    @property
    def is_stacked(self) -> bool:
        """True if it is a stack, not a panel for each curve."""
        return curves.is_stacked(self.data)

    @property
    def content(self) -> dict[str, Any]:
        """The numbers that it shows, for the script that redraws it; a value that is null is unknown."""
        return {
            "start": self.data.start,
            "seconds": self.data.seconds,
            "prefix": self.prefix,
            "curves": [[name, curve.values] for name, curve in zip(self.names, self.data.curves, strict=True)],
            "rest": self.data.curves[-1].is_rest,
        }


def plots(view: PluginView) -> list[Plot]:
    """Return a chart of each range with a complete bucket, shortest first."""
    found = []
    for each in RANGES:
        series = next((series for series in view.series if series.resolution == each.resolution), None)
        if series is None and each.resolution == "1w" and view.kind.is_additive:
            # Sums of days are sums of weeks.
            series = next((series for series in view.series if series.resolution == "1d"), None)
        if series is not None and (plot := _plot(view, series, each)):
            found.append(plot)
    return found


def main(plots: Sequence[Plot]) -> Plot | None:
    """Return the plot that stands for the plugin: by hour, else the finest."""
    return next((plot for plot in plots if plot.range.resolution == "1h"), plots[0] if plots else None)


def first(plots: Sequence[Plot]) -> Plot | None:
    """Return the plot that a page shows first: of 30 days, else of 7, else of 3 hours, if seven buckets are known."""
    order = sorted(plots, key=lambda plot: _FIRST.index(plot.range.name))
    return next((plot for plot in order if plot.known >= 7), max(order, key=lambda plot: plot.known, default=None))


def keys(plots: Sequence[Plot]) -> list[str]:
    """Return the names of all keys that any plot has, the greatest of the longest range first."""
    return list(dict.fromkeys(name for plot in reversed(plots) for name in plot.data.names))


def sparkline(plot: Plot) -> charts.Figure:
    """Return a small plot of the same buckets, all keys in one."""
    return charts.draw(replace(plot.data, curves=(plot.data.as_one(),)), _SPARK)


def year(view: PluginView) -> Plot | None:
    """Return a chart of the days of a year, all keys in one; None where no day is known."""
    series = next((series for series in view.series if series.resolution == _YEAR.resolution), None)
    return _plot(view, series, _YEAR, as_one=True) if series is not None else None


def headline_rows(view: PluginView, series: SeriesView, start: int = 0) -> list[list[Any]]:
    """Return the rows of a series that make the headline, of buckets that begin at `start` or later."""
    rows = series.rows[bisect_left(series.rows, start, key=itemgetter(0)) :]
    for name, value in view.info.headline.items():
        at = series.columns.index(name)
        rows = [row for row in rows if row[at] == value]
    return rows


def _plot(view: PluginView, series: SeriesView, wanted: Range, *, as_one: bool = False) -> Plot | None:
    seconds = WEEK if wanted.resolution == "1w" else series.seconds
    phase = _MONDAY if seconds == WEEK else 0
    end = series.complete_end - (series.complete_end - phase) % seconds
    begin = series.start + (phase - series.start) % seconds
    if end <= begin:
        return None
    begin = max(begin, end - wanted.seconds)
    start = min(begin, end - FEWEST_BUCKETS * seconds)
    before = [(start, begin)] if start < begin else []
    rows = headline_rows(view, series, start)
    data = curves.of_rows(
        _named(view, series, rows),
        start=start,
        end=end,
        seconds=seconds,
        gaps=[*before, *series.gaps],
        is_additive=view.kind.is_additive,
        keys_add_up=view.kind.adds_up,
    )
    if as_one:
        data = replace(data, curves=(data.as_one(),))
    prefix = text.common_prefix([curve.label for curve in data.curves if not curve.is_rest])
    labelled = replace(
        data,
        curves=tuple(
            replace(curve, label=curve.label if curve.is_rest else text.middle(curve.label.removeprefix(prefix)))
            for curve in data.curves
        ),
    )
    whole = data.as_one()
    known = [(value, -at) for at, value in enumerate(whole.values) if value is not None]
    if not known:
        return None
    bucket = _BUCKETS[wanted.resolution]
    what = counted(view.info.unit, view.info.headline)
    sentences = [f"{text.number(whole.total)} {what}."] if whole.is_additive else []
    most, at = max(known)
    sentences.append(f"Busiest {bucket}: {text.number(most)}, from {text.when(data.time(-at))}.")
    if any(low < end and high > begin for low, high in series.gaps):
        sentences.append("Hatched: data are missing, which is not zero.")
    elif before:
        sentences.append("Hatched: before the first data.")
    if not curves.is_stacked(data) and len(data.curves) > 1:
        sentences.append("Each panel has a scale of its own.")
    if prefix:
        sentences.append(f"All names begin with {prefix}")
    return Plot(
        range=wanted,
        series=series,
        data=labelled,
        figure=charts.draw(labelled, _STACK if curves.is_stacked(data) or len(data.curves) == 1 else _SMALL),
        names=tuple(curve.label for curve in data.curves),
        prefix=prefix,
        span=_span(end - begin, seconds),
        description=" ".join(sentences),
        so_far=_so_far(view, series, rows, bucket, end),
        known=len(known),
    )


def _span(seconds: int, bucket: int) -> str:
    """Return a length of time in words, in the unit of its buckets or the next longer one."""
    count, unit = (seconds // WEEK, "week") if bucket == WEEK else (seconds // DAY, "day")
    if seconds < 2 * DAY and bucket < DAY:
        count, unit = (seconds // HOUR, "hour") if seconds >= 2 * HOUR else (seconds // 60, "minute")
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def _named(view: PluginView, series: SeriesView, rows: list[list[Any]]) -> list[list[Any]]:
    """Return the rows of the headline, without the dimensions that are the same in all of them."""
    kept = [at for at, name in enumerate(series.columns) if name not in view.info.headline]
    return rows if len(kept) == len(series.columns) else [[row[at] for at in kept] for row in rows]


def _so_far(view: PluginView, series: SeriesView, rows: list[list[Any]], bucket: str, begin: int) -> str:
    """Return the count of the unfinished bucket in the rows of the headline, in words; empty if there is none."""
    by_key: dict[tuple[Any, ...], list[int]] = {}
    for _, *key, value in rows[bisect_left(rows, begin, key=itemgetter(0)) :]:
        by_key.setdefault(tuple(key), []).append(value)
    if begin >= series.end or not by_key or any(high > begin for _, high in series.gaps):
        return ""
    # A week is several days of its series.
    of_keys = [sum(values) if view.kind.is_additive else max(values) for values in by_key.values()]
    amount = sum(of_keys) if view.kind.adds_up else max(of_keys)
    return f"Not drawn: the {bucket} from {text.when(begin)}, with {text.number(amount)} so far."

"""The figures of a plugin that its pages show: its headline, its plots, its greatest and its newest rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statscache.render import charts, text
from statscache.render.view import PluginView, SeriesView
from statscache.timeline import DAY, floor

_WINDOWS = {
    "last_24h": "in the last 24 full hours",
    "last_7d": "in the last 7 full days",
    "last_30d": "in the last 30 full days",
    "total": "in all",
}
_BEFORE = {
    "last_24h": ("1h", DAY, "24 hours"),
    "last_7d": ("1d", 7 * DAY, "7 days"),
    "last_30d": ("1d", 30 * DAY, "30 days"),
}
"""Of windows: the resolution that tells the one before, their length in seconds and in words."""

_UNIQUES = {
    "last_day": "in the last full day",
    "last_week": "in the last full week",
    "last_month": "in the last full month",
}
_ROWS = {"Latest": "{unit}", "Log": "{unit}, the newest", "Span": "{unit}"}
"""Of what the rows are that have no number."""

_PLOT = charts.Frame(height=240, ticks=9)
_SPARK = charts.Frame(height=56)


@dataclass(frozen=True)
class Headline:
    """The number that sums a plugin up, and of what it is."""

    value: str
    caption: str


@dataclass(frozen=True)
class Plot:
    """One drawn resolution: how long a span it covers, and in words what it shows."""

    series: SeriesView
    figure: charts.Figure
    span: str
    description: str


def headline(view: PluginView) -> Headline | None:
    """Return the one number that says most about the plugin now; None before there is any."""
    rows = view.rows
    if not rows:
        return None
    if view.kind not in ("Counter", "Distinct"):
        shown = "row" if len(rows) == 1 else _ROWS.get(view.kind, "rows").format(unit=view.unit)
        return Headline(text.number(len(rows)), shown)
    name, when = window(view)
    if view.unbounded or (view.kind == "Distinct" and view.dimensions):
        label, value = ranked(view, name)[0]
        return Headline(text.number(value), f"{view.unit} {when} for {label}, the most")
    return Headline(text.number(sum(row[name] for row in rows)), f"{view.unit} {when}")


def window(view: PluginView) -> tuple[str, str]:
    """Return the shortest window in which anything was counted; the top of an unbounded plugin is by total."""
    windows = _UNIQUES if view.kind == "Distinct" else _WINDOWS
    *_, longest = windows
    counted = (name for name in windows if any(row.get(name) for row in view.rows))
    name = longest if view.unbounded else next(counted, longest)
    return name, windows[name]


def trend(view: PluginView) -> str:
    """Return how the headline's window compares with the one before; empty where not all of both is known."""
    name, _ = window(view)
    if view.kind != "Counter" or view.unbounded or view.through is None or name not in _BEFORE:
        return ""
    resolution, length, words = _BEFORE[name]
    series = next((series for series in view.series if series.resolution == resolution), None)
    if series is None:
        return ""
    end = floor(view.through, series.seconds)
    middle, start = end - length, end - 2 * length
    if start < series.start or any(low < end and high > start for low, high in series.gaps):
        return ""
    before = sum(row[-1] for row in series.rows if start <= row[0] < middle)
    now = sum(row[-1] for row in series.rows if middle <= row[0] < end)
    if before <= 0:
        return ""
    change = f"{round(100 * (now - before) / before):+,}%".replace("-", "\u2212")
    return f"{change} on the {words} before"


def ranked(view: PluginView, column: str) -> list[tuple[str, int]]:
    """Return the keys with their number in the column, greatest first; nothing for kinds without numbers."""
    if view.kind not in ("Counter", "Distinct"):
        return []
    pairs = [(text.key_label((row[name] for name in view.dimensions), 60), row[column]) for row in view.rows]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def newest(view: PluginView, most: int) -> list[tuple[str, text.Cell, text.Cell]]:
    """Return the newest rows as the label of the key, its subtitle or else its first plain value, and its time."""
    others = [name for name in text.columns(view.rows, ()) if name not in (*view.dimensions, *text.MOMENTS, "duration")]
    others.sort(key=lambda name: name != "subtitle")
    timed = [(time, row) for row in view.rows if (time := _time(row)) is not None]
    found = []
    for time, row in sorted(timed, key=lambda pair: -pair[0])[:most]:
        values = (text.cell(row[name], column=name) for name in others if name in row)
        plain = next((cell for cell in values if cell.form in ("text", "number")), text.Cell("absent", ""))
        label = text.key_label((row[name] for name in view.dimensions), 60)
        found.append((label, plain, text.cell(time, column="timestamp")))
    return found


def plots(view: PluginView) -> list[Plot]:
    """Return a plot of each series that is drawn, finest first."""
    return [_plot(view, series) for series in view.series if series.is_drawn]


def main(plots: Sequence[Plot]) -> Plot | None:
    """Return the plot that stands for the plugin: by hour, else the finest."""
    return next((plot for plot in plots if plot.series.resolution == "1h"), plots[0] if plots else None)


def sparkline(view: PluginView, series: SeriesView) -> charts.Figure:
    """Return a small plot of the series, all keys in one curve."""
    data = _curves(view, series)
    whole = charts.Curves(data.start, data.seconds, data.buckets, data.complete, (data.as_one(),), data.gaps)
    return charts.draw(whole, _SPARK)


def _time(row: Mapping[str, Any]) -> int | None:
    """Return the newest moment that a row tells; None if it tells none."""
    times: list[int] = [row[name] for name in text.MOMENTS if text.is_moment(row.get(name))]
    return max(times, default=None)


def _curves(view: PluginView, series: SeriesView) -> charts.Curves:
    return charts.curves(
        series.rows,
        start=series.start,
        end=series.end,
        seconds=series.seconds,
        complete_through=series.complete_through,
        gaps=series.gaps,
        is_additive=view.kind != "Distinct",
    )


def _plot(view: PluginView, series: SeriesView) -> Plot:
    data = _curves(view, series)
    hours = (series.end - series.start) // 3600
    span = f"{hours // 24:,} days" if hours >= 48 else f"{hours} hours"
    whole = data.as_one()
    complete = [(value, -at) for at, value in enumerate(whole.values[: data.complete]) if value is not None]
    sentences = [f"{text.number(whole.total)} {view.unit}."] if whole.is_additive else []
    if complete:
        most, at = max(complete)
        sentences.append(f"Most in one bucket: {text.number(most)}, from {text.when(data.time(-at))}.")
    if data.gaps:
        sentences.append("Hatched: data are missing, which is not zero.")
    if data.complete < data.buckets:
        sentences.append("Dashed: not over yet.")
    return Plot(series, charts.draw(data, _PLOT), span, " ".join(sentences))

"""The figures of a plugin that its pages show: its headline, its plots, its greatest and its newest rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from statscache.kinds.presentation import Headline, ranked
from statscache.render import charts, text
from statscache.render.view import PluginView, SeriesView
from statscache.timeline import DAY
from statscache.windows import Window

_PLOT = charts.Frame(height=240, ticks=9)
_SPARK = charts.Frame(height=56)
_BUCKETS = {"1m": "minute", "1h": "hour", "1d": "day", "1w": "week", "1mo": "month"}


@dataclass(frozen=True)
class Plot:
    """One drawn resolution: how long a span it covers, what it shows in words, and what it does not show yet."""

    series: SeriesView
    figure: charts.Figure
    span: str
    description: str
    so_far: str


def headline(view: PluginView) -> Headline | None:
    """Return the one number that says most about the plugin now; None before there is any."""
    found = view.kind.headline(view.rows, lambda row: label(view, row), view.partial)
    # Durations say themselves what they are.
    return found and found._replace(caption=found.caption.removeprefix("seconds "))


def durations(view: PluginView) -> list[tuple[str, dict[str, Any]]]:
    """Return how long things took, of everything and then of each key; empty where the plugin does not say it."""
    document = view.durations or {}
    known = all(isinstance(document.get(name), kind) for name, kind in (("all", dict), ("rows", list)))
    if not known or not document["all"].get("count"):
        return []
    rows = [
        (text.key_label((row.get(name) for name in view.info.dimensions if name in row), 60), row)
        for row in document["rows"]
    ]
    return [("all", document["all"]), *rows]


def trend(view: PluginView) -> str:
    """Return how the headline's window compares with the one before; empty where not all of both is known."""
    column = view.kind.main_column(view.rows, view.partial)
    return "" if column is None or column.window is None else change(view, column.window)


def change(view: PluginView, window: Window) -> str:
    """Return how the headline of a window compares with that of the one before, in per cent.

    It is empty where not all of both is known, and where numbers of several keys cannot be added up.
    """
    if not window.label or view.through is None or not view.kind.adds_up:
        return ""
    series = next((series for series in view.series if series.resolution == window.resolution.name), None)
    if series is None:
        return ""
    middle, end = window.bounds(view.through)
    start = middle - window.width if window.buckets > 1 else window.resolution.floor(middle - 1)
    # The first day, week or month of a plugin may have begun before its data.
    begins = series.start if window.resolution.width < DAY else max(series.start, view.since or end)
    if start < begins or any(low < end and high > start for low, high in series.gaps):
        return ""
    rows = headline_rows(view, series)
    before = sum(row[-1] for row in rows if start <= row[0] < middle)
    now = sum(row[-1] for row in rows if middle <= row[0] < end)
    if before <= 0:
        return ""
    if now >= 10 * before:
        return f"{text.number(round(now / before))} times the {window.label} before"
    share = f"{round(100 * (now - before) / before):+,}%".replace("-", "\u2212")
    return f"{share} on the {window.label} before"


def top(view: PluginView, column: str) -> list[tuple[str, int]]:
    """Return the keys with their number in the column, greatest first."""
    rows = [row for row in view.rows if view.kind.is_in_headline(row)]
    return ranked(rows, column, lambda row: label(view, row))


def newest(view: PluginView, most: int) -> list[tuple[str, text.Cell, text.Cell]]:
    """Return the newest rows as the label of the key, its subtitle or else its first plain value, and its time."""
    provided = {*view.info.dimensions, *view.kind.column_names()}
    others = [name for name in text.columns(view.rows, ()) if name not in provided and not text.is_time(name)]
    others.sort(key=lambda name: name != "subtitle")
    timed = [(time, row) for row in view.rows if (time := newest_time(row)) is not None]
    found = []
    for time, row in sorted(timed, key=lambda pair: -pair[0])[:most]:
        values = (text.cell(row[name], column=name) for name in others if name in row)
        plain = next((cell for cell in values if cell.form in ("text", "number")), text.Cell("absent", ""))
        found.append((label(view, row), plain, text.cell(time, column="timestamp")))
    return found


def plots(view: PluginView) -> list[Plot]:
    """Return a plot of each series that is drawn, finest first."""
    return [_plot(view, series) for series in view.series if series.is_drawn]


def main(plots: Sequence[Plot]) -> Plot | None:
    """Return the plot that stands for the plugin: by hour, else the finest."""
    return next((plot for plot in plots if plot.series.resolution == "1h"), plots[0] if plots else None)


def sparkline(view: PluginView, series: SeriesView) -> charts.Figure:
    """Return a small plot of the complete buckets of a series, all keys in one curve."""
    return charts.draw(_as_one(_curves(view, series)), _SPARK)


def whole(view: PluginView, series: SeriesView) -> Plot:
    """Return the plot of a series with all keys in one curve."""
    return replace(_plot(view, series), figure=charts.draw(_as_one(_curves(view, series)), _PLOT))


def _as_one(data: charts.Curves) -> charts.Curves:
    return replace(data, curves=(data.as_one(),))


def label(view: PluginView, row: Mapping[str, Any]) -> str:
    """Return the key of a row as one short label."""
    return text.key_label((row[name] for name in view.info.dimensions), 60)


def newest_time(row: Mapping[str, Any]) -> int | None:
    """Return the newest moment that a row tells; None if it tells none."""
    times: list[int] = [value for name, value in row.items() if text.is_time(name) and text.is_moment(value)]
    return max(times, default=None)


def headline_rows(view: PluginView, series: SeriesView) -> list[list[Any]]:
    """Return the rows of a series that make the headline."""
    if not view.info.headline:
        return series.rows
    wanted = [(series.columns.index(name), value) for name, value in view.info.headline.items()]
    return [row for row in series.rows if all(row[at] == value for at, value in wanted)]


def _curves(view: PluginView, series: SeriesView) -> charts.Curves:
    return charts.curves(
        headline_rows(view, series),
        start=series.start,
        end=series.complete_end,
        seconds=series.seconds,
        gaps=series.gaps,
        is_additive=view.kind.is_additive,
        keys_add_up=view.kind.adds_up,
    )


def _plot(view: PluginView, series: SeriesView) -> Plot:
    data = _curves(view, series)
    hours = (series.complete_end - series.start) // 3600
    span = f"{hours // 24:,} days" if hours >= 48 else f"{hours} {'hour' if hours == 1 else 'hours'}"
    whole = data.as_one()
    what = " ".join((view.info.unit, *view.info.headline.values()))
    known = [(value, -at) for at, value in enumerate(whole.values) if value is not None]
    sentences = [f"{text.number(whole.total)} {what}."] if whole.is_additive else []
    if known:
        most, at = max(known)
        sentences.append(
            f"Busiest {_BUCKETS[series.resolution]}: {text.number(most)}, from {text.when(data.time(-at))}."
        )
    if data.gaps:
        sentences.append("Hatched: data are missing, which is not zero.")
    return Plot(series, charts.draw(data, _PLOT), span, " ".join(sentences), _so_far(view, series))


def _so_far(view: PluginView, series: SeriesView) -> str:
    """Return what was counted in the bucket that is not over yet, in words; empty where there is none."""
    begin = series.complete_end
    values = [row[-1] for row in headline_rows(view, series) if row[0] >= begin]
    if begin >= series.end or not values or any(high > begin for _, high in series.gaps):
        return ""
    amount = sum(values) if view.kind.adds_up else max(values)
    return f"Not drawn: the {_BUCKETS[series.resolution]} from {text.when(begin)}, with {text.number(amount)} so far."

"""The figures of a plugin that its pages show: its headline and trend, its greatest and its newest rows."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from statscache.kinds.presentation import Headline, ranked
from statscache.render import text
from statscache.render.page_model import PluginView
from statscache.render.plots import headline_rows
from statscache.timeline import DAY
from statscache.windows import Window


def headline(view: PluginView) -> Headline | None:
    """Return the one number that says most about the plugin now; None before there is any."""
    keys = view.latest.get("keys") if view.latest else None
    found = view.kind.headline(view.rows, lambda row: label(view, row), view.partial, keys)
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
    """Return how the headline's window compares with the one before; empty if data of either are missing."""
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
    return f"{share} on the {window.label} before" if share != "+0%" else f"as in the {window.label} before"


def top(view: PluginView, column: str) -> list[tuple[str, int]]:
    """Return the keys with their number in the column, greatest first."""
    rows = [row for row in view.rows if view.kind.is_in_headline(row)]
    return ranked(rows, column, lambda row: label(view, row))


class Newest(NamedTuple):
    """A row in short: the parts of its key and its subtitle, else its first plain value, by field; and its time."""

    key: list[tuple[str, text.Cell]]
    value: tuple[str, text.Cell]
    time: text.Cell


def newest(view: PluginView, most: int) -> list[Newest]:
    """Return the newest rows."""
    provided = {*view.info.dimensions, *view.kind.column_names()}
    others = [name for name in text.columns(view.rows, ()) if name not in provided and not text.is_time(name)]
    others.sort(key=lambda name: name != "subtitle")
    timed = [(time, row) for row in view.rows if (time := newest_time(row)) is not None]
    found = []
    for time, row in sorted(timed, key=lambda pair: -pair[0])[:most]:
        values = ((name, text.cell(row[name], column=name)) for name in others if name in row)
        plain = next((pair for pair in values if pair[1].form in ("text", "number")), ("", text.Cell("absent", "")))
        # A line of a list need not tell all keys apart, and most keys of many dimensions are null in some.
        key = [(name, text.cell(row[name], column=name)) for name in named_by(view)]
        key = [part for part in key if part[1].form != "unknown"] or key[:1]
        found.append(Newest(key, plain, text.cell(time, column="timestamp")))
    return found


def label(view: PluginView, row: Mapping[str, Any]) -> str:
    """Return the key of a row as one short label, without what is the same in all rows of the headline."""
    return text.key_label((row[name] for name in named_by(view)), 60)


def named_by(view: PluginView) -> list[str]:
    """Return the dimensions that tell the rows of the headline apart."""
    return [name for name in view.info.dimensions if name not in view.info.headline] or [*view.info.dimensions]


def newest_time(row: Mapping[str, Any]) -> int | None:
    """Return the newest moment in a row; None if it has none."""
    times: list[int] = [value for name, value in row.items() if text.is_time(name) and text.is_moment(value)]
    return max(times, default=None)

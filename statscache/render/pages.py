"""The site for people: pages, plots and assets as bytes, from what the documents say.

Data in, bytes out: no database, no clock, no network. The same views give the same bytes on one installation, and
`Pages.fingerprint` changes when an installation would give others. All links are relative, so the site works under
any path and from a file; everything is readable without a script.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from statscache import __version__, canonical
from statscache.render import charts, text
from statscache.render.assets import Assets
from statscache.render.docs import Docs
from statscache.resources import Sources

DEFAULT_BASE_URL = "http://localhost:8080/"
MOST_ROWS = 100

_KINDS = {
    "Counter": "Counts: whole numbers, added up for each key in time buckets.",
    "Latest": "Latest: the newest value of each key, however old it is, with its time.",
    "Log": "Log: the newest entries of each key, newest first.",
    "Distinct": "Distinct: how many different members each key saw in a day, a week, a month; never added up.",
    "Span": "Span: when something started and stopped, how long it took, and what is still in progress.",
    "Table": "Table: rows that the plugin keeps by rules of its own.",
}
_STATES = {
    "stale": "Stale. Its last good output is shown, because its newest was held back or could not be made.",
    "rebuilding": "Rebuilding. It is counting history anew; its previous output, if any, is shown until that is done.",
    "failed": "Failed. The plugin was suspended after errors; its last good output is shown.",
}
_RESOLUTIONS = {"1m": "by minute", "1h": "by hour", "1d": "by day", "1w": "by week", "1mo": "by month"}
_WINDOWS = {
    "last_24h": "in the last 24 full hours",
    "last_7d": "in the last 7 full days",
    "last_30d": "in the last 30 full days",
    "total": "in all",
}
_UNIQUES = {
    "last_day": "in the last full day",
    "last_week": "in the last full week",
    "last_month": "in the last full month",
}
_PLOT = charts.Frame(height=240, ticks=9)
_SPARK = charts.Frame(height=56)


@dataclass(frozen=True)
class Link:
    """A published document: `path` relative to the site's root, its label, its size in bytes."""

    path: str
    label: str
    size: int


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
    def is_drawn(self) -> bool:
        """Whether there is a plot of it."""
        return self.start < self.end


class Gap(NamedTuple):
    """An interval without data, in seconds since 1970 UTC, rounded outward to buckets of the resolution."""

    start: int
    end: int
    resolution: str


@dataclass(frozen=True)
class PluginView:
    """All that the pages say of one plugin.

    `topics` is empty when it counts every message; `latest` is the published document, None before the first;
    `series` is finest first, and empty where there is none.
    """

    name: str
    title: str
    summary: str
    definition: str
    kind: str
    unit: str
    dimensions: tuple[str, ...]
    topics: tuple[str, ...]
    unbounded: bool
    people: bool
    state: str
    last_event: int | None
    through: int | None
    latest: dict[str, Any] | None
    series: tuple[SeriesView, ...]
    links: tuple[Link, ...]

    @property
    def gaps(self) -> list[Gap]:
        """What is known to be missing, newest first: as fine as the series that are shown tell it."""
        found: list[Gap] = []
        before = None
        for series in self.series:
            clipped = ((low, high if before is None else min(high, before)) for low, high in series.gaps)
            found += [Gap(low, high, series.resolution) for low, high in clipped if low < high]
            before = series.start
        return sorted(found, key=lambda gap: -gap.start)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of `latest`, none where it is missing."""
        return list(self.latest["rows"]) if self.latest else []


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


class Pages:
    """Renders the site from templates and static files.

    Args:
        sources: The directories that the site is made of.
        title: The name of the site, as its pages show it.
        base_url: The absolute address of the site's root for examples; None shows a local preview's.
        examples: Whether pages that show what can be made of the statistics are part of the site.
    """

    def __init__(self, sources: Sources, *, title: str, base_url: str | None, examples: bool = False) -> None:
        """Read every asset and prepare the templates; nothing is rendered yet."""
        self._assets = Assets(sources.site)
        self._docs = Docs(sources.docs)
        self._examples = _files(sources.examples) if examples else {}
        self._environment = Environment(
            loader=FileSystemLoader(sources.templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters |= {
            "clean": text.clean, "compact": text.compact, "machine_time": text.machine_time,
            "number": text.number, "size": text.size, "when": text.when,
        }  # fmt: skip
        self._environment.globals |= {
            "assets": self._assets.names,
            "base_url": (base_url or DEFAULT_BASE_URL).rstrip("/") + "/",
            "base_is_known": base_url is not None,
            "has_examples": examples,
            "chart_style": self._assets.sources["chart.css"].decode(),
            "resolutions": _RESOLUTIONS,
            "site_title": title,
        }
        self.fingerprint = canonical.digest(
            canonical.identity(
                [
                    *(
                        (path, canonical.digest(data))
                        for directory in sources.all
                        for path, data in _files(directory).items()
                    ),
                    *(
                        (path.name, canonical.digest(path.read_bytes()))
                        for path in sorted(Path(__file__).parent.glob("*.py"))
                    ),
                    *((library, version(library)) for library in ("jinja2", "markdown-it-py", "markupsafe")),
                    (title, base_url, examples, __version__),
                ]
            )
        )

    def fixed(self) -> Iterator[tuple[str, bytes]]:
        """Yield what does not depend on any statistic: assets, documentation, the page of the service's health."""
        yield from self._assets
        yield "status/index.html", self._render("status.html", root="../")
        yield "docs/index.html", self._render("docs.html", root="../", sections=self._docs.sections)
        for page in self._docs:
            up = "../" * (page.name.count("/") + 2)
            sections = self._docs.sections
            yield f"docs/{page.name}/index.html", self._render("doc.html", root=up, page=page, sections=sections)
        for path, data in self._docs.files.items():
            yield f"docs/{path}", data
        for path, data in self._examples.items():
            yield f"examples/{path}", data

    def plugin(self, view: PluginView) -> Iterator[tuple[str, bytes]]:
        """Yield the page of a plugin and its plots."""
        plots = _plots(view)
        rows = view.rows
        if view.kind == "Counter":
            rows.sort(key=lambda row: -row["total"])
        names = text.columns(rows, view.dimensions)
        top = charts.bars(_ranked(view, "total"), 10) if view.kind == "Counter" and not plots else ()
        yield (
            f"plugins/{view.name}/index.html",
            self._render(
                "plugin.html",
                root="../../",
                view=view,
                headline=headline(view),
                kind=_KINDS.get(view.kind, view.kind),
                state=_STATES.get(view.state),
                plots=plots,
                bars=top,
                columns=names,
                cells=text.table(rows[:MOST_ROWS], names),
            ),
        )
        base = f"v1/plugins/{view.name}/chart"
        for plot in plots:
            yield f"{base}-{plot.series.resolution}.svg", self._render("chart.svg", view=view, plot=plot)
        if plots:
            yield f"{base}.svg", self._render("chart.svg", view=view, plot=_main(plots))
        elif top:
            yield f"{base}.svg", self._render("bars.svg", view=view, bars=top)

    def index(self, views: Sequence[PluginView], through: int | None) -> Iterator[tuple[str, bytes]]:
        """Yield the front page: every plugin as a card, and how to fetch what they publish."""
        cards = [_card(view) for view in views]
        example = next((view.links[0].path for view in views if view.links), None)
        yield "index.html", self._render("index.html", root="", through=through, cards=cards, example=example)

    def _render(self, template: str, **context: Any) -> bytes:
        return self._environment.get_template(template).render(context).encode()


def headline(view: PluginView) -> Headline | None:
    """Return the one number that says most about the plugin now; None before there is any."""
    rows = view.rows
    if not rows:
        return None
    if view.kind not in ("Counter", "Distinct"):
        return Headline(text.number(len(rows)), "row" if len(rows) == 1 else "rows")
    window, when = _window(view)
    if view.unbounded or (view.kind == "Distinct" and view.dimensions):
        label, value = _ranked(view, window)[0]
        return Headline(text.number(value), f"{view.unit} {when} by {label}, the most")
    return Headline(text.number(sum(row[window] for row in rows)), f"{view.unit} {when}")


def _card(view: PluginView) -> Mapping[str, Any]:
    """Return what the card of a plugin shows: headline, small plot, and the newest values of a few rows."""
    plot = _main(_plots(view))
    window, when = _window(view)
    numbers = view.kind in ("Counter", "Distinct")
    return {
        "view": view,
        "headline": headline(view),
        "state": _STATES.get(view.state),
        "plot": plot,
        "spark": charts.draw(_all_in_one(view, plot.series), _SPARK) if plot else None,
        "bars": charts.bars(_ranked(view, window), 4) if view.dimensions else (),
        "window": when,
        "totals": view.rows[0] if view.rows and numbers and not view.dimensions else None,
        "newest": () if numbers else _newest(view, 4),
    }


def _window(view: PluginView) -> tuple[str, str]:
    """Return the shortest window in which anything was counted; the top of an unbounded plugin is by total."""
    windows = _UNIQUES if view.kind == "Distinct" else _WINDOWS
    *_, longest = windows
    counted = (name for name in windows if any(row.get(name) for row in view.rows))
    name = longest if view.unbounded else next(counted, longest)
    return name, windows[name]


def _ranked(view: PluginView, window: str) -> list[tuple[str, int]]:
    """Return the keys with their number in the window, greatest first; nothing for kinds without numbers."""
    if view.kind not in ("Counter", "Distinct"):
        return []
    pairs = [(text.key_label((row[name] for name in view.dimensions), 60), row[window]) for row in view.rows]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _newest(view: PluginView, most: int) -> list[tuple[str, text.Cell, text.Cell]]:
    """Return the newest rows as the label of the key, its subtitle or else its first plain value, and its time."""
    others = [name for name in text.columns(view.rows, ()) if name not in (*view.dimensions, *text.MOMENTS, "duration")]
    others.sort(key=lambda name: name != "subtitle")
    timed = [(time, row) for row in view.rows if (time := _time(row)) is not None]
    newest = []
    for time, row in sorted(timed, key=lambda pair: -pair[0])[:most]:
        values = (text.cell(row[name], column=name) for name in others if name in row)
        plain = next((cell for cell in values if cell.form in ("text", "number")), text.Cell("absent", ""))
        label = text.key_label((row[name] for name in view.dimensions), 60)
        newest.append((label, plain, text.cell(time, column="timestamp")))
    return newest


def _time(row: Mapping[str, Any]) -> int | None:
    """Return the newest moment that a row tells; None if it tells none."""
    times: list[int] = [row[name] for name in text.MOMENTS if text.is_moment(row.get(name))]
    return max(times, default=None)


def _main(plots: Sequence[Plot]) -> Plot | None:
    """Return the plot that stands for the plugin: by hour, else the finest."""
    return next((plot for plot in plots if plot.series.resolution == "1h"), plots[0] if plots else None)


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


def _all_in_one(view: PluginView, series: SeriesView) -> charts.Curves:
    data = _curves(view, series)
    return charts.Curves(data.start, data.seconds, data.buckets, data.complete, (data.as_one(),), data.gaps)


def _plots(view: PluginView) -> list[Plot]:
    return [_plot(view, series) for series in view.series if series.is_drawn]


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


def _files(directory: Path) -> dict[str, bytes]:
    """Return the bytes of every file below the directory by path."""
    paths = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}

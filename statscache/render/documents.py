"""The published documents of one plugin, as the format says (v1): what is in them, and when they change.

Everything here is a function of the plugin's state, the journal's `through`, the gaps and the release. Nothing reads a
clock, so a document that is rendered twice for one state has the same bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from statscache import canonical, kinds, schemas
from statscache.kinds import keys
from statscache.kinds.base import KeyDocument
from statscache.plugins import Plugin, State
from statscache.render import csv, own
from statscache.render.badge import badge
from statscache.store.coverage import Interval, union
from statscache.timeline import Period, Resolution, floor


class Document(NamedTuple):
    """One file of the published tree: its path, relative to the site's root, and its bytes."""

    path: str
    data: bytes


def root(plugin: Plugin) -> str:
    """Return the directory of a plugin's documents."""
    return f"v1/plugins/{plugin.name}"


def fixed(plugin: Plugin, state: State, complete_from: int | None) -> Iterator[Document]:
    """Yield `latest`, `layout`, and whatever else the plugin publishes besides series and documents of keys.

    Args:
        plugin: The plugin.
        state: Its state.
        complete_from: Timestamp before which messages did not count; None if all did.

    Raises:
        DocumentError: Something cannot be published.
    """
    through = clock(plugin, state)
    names: set[str] = set()
    for name, content in plugin.documents(state):
        header: schemas.Header = {"schema": f"statscache/{name}/1", "plugin": plugin.name, "through": through}
        if complete_from is not None:
            header["complete_from"] = complete_from
        own.check_name(plugin, name, names)
        yield Document(f"{root(plugin)}/{name}.json", own.dumps(plugin, name, header, content))
        names.add(name)
        rows = content.get("rows")
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            columns = _columns(plugin.dimensions if name == "latest" else (), rows)
            lines = [[row.get(column) for column in columns] for row in rows]
            yield Document(f"{root(plugin)}/{name}.csv", csv.dumps(columns, lines))
            if name == "latest" and (shown := badge(plugin, rows)):
                yield Document(f"{root(plugin)}/badge.json", canonical.dumps(shown))
    if plugin.layout is not None:
        yield Document(f"{root(plugin)}/layout.json", own.dumps(plugin, "layout", {}, plugin.layout))


def clock(plugin: Plugin, state: State) -> int | None:
    """Return the `through` of the fixed documents: the newest event, or a later bucket end that moved their windows."""
    times = [state.newest] if state.newest is not None else []
    if state.through is not None:
        times += [floor(state.through, width) for width in plugin.moments]
    return max(times, default=None)


def series(
    plugin: Plugin, state: State, resolution: Resolution, period: Period, gaps: Sequence[Interval]
) -> Iterator[Document]:
    """Yield the series of one period as JSON and CSV."""
    rows = plugin.kind.series(state, resolution, period.start, period.end)
    complete = complete_through(state, resolution, period)
    newest = state.newest if state.newest is not None and period.start <= state.newest < period.end else complete
    columns = ["timestamp", *plugin.dimensions, "value"]
    document: schemas.Series = {
        "schema": "statscache/series/1",
        "plugin": plugin.name,
        "resolution": resolution.name,
        "period": period.label,
        "start": period.start,
        "end": period.end,
        "columns": columns,
        "rows": rows,
        "complete_through": complete,
        "gaps": touched(gaps, resolution, period),
        "through": max(complete, newest),
    }
    path = f"{root(plugin)}/series/{resolution.name}/{period.label}"
    yield Document(f"{path}.json", canonical.dumps(document))
    yield Document(f"{path}.csv", csv.dumps(columns, rows))


def series_index(
    plugin: Plugin,
    state: State,
    resolution: Resolution,
    periods: Iterable[Period],
    entries: dict[str, tuple[str, int]],
) -> Document:
    """Return the list of periods of one resolution.

    Args:
        plugin: The plugin.
        state: Its state.
        resolution: The resolution.
        periods: What is published, oldest first.
        entries: Object and size of the files in the resolution's directory, by name.
    """
    directory = f"{root(plugin)}/series/{resolution.name}"
    listed: list[schemas.Period] = []
    for period in periods:
        files: dict[str, schemas.Reference] = {}
        for form in ("json", "csv"):
            name = f"{period.label}.{form}"
            stored, size = entries[name]
            files[form] = {"path": f"{directory}/{name}", "object": stored, "size": size}
        complete = complete_through(state, resolution, period)
        listed.append(
            {
                "period": period.label,
                "start": period.start,
                "end": period.end,
                "complete_through": complete,
                **files["json"],
                "csv": files["csv"],
            }
        )
    done = max((item["complete_through"] for item in listed), default=None)
    document: schemas.SeriesIndex = {
        "schema": "statscache/series-index/1",
        "plugin": plugin.name,
        "resolution": resolution.name,
        "width": resolution.fixed_width,
        "keep": resolution.keep,
        "complete_through": done,
        "through": max((time for time in (done, state.newest) if time is not None), default=None),
        "periods": listed,
    }
    return Document(f"{directory}/index.json", canonical.dumps(document))


def key_path(plugin: Plugin, key: keys.Key) -> str:
    """Return the path of the document of one key."""
    return f"{root(plugin)}/by/{keys.path(key)}.json"


def key_document(plugin: Plugin, content: KeyDocument) -> Document:
    """Return the document of one key of an unbounded plugin."""
    document: schemas.Key = {
        "schema": "statscache/key/1",
        "plugin": plugin.name,
        "key": list(content.key),
        "total": content.total,
        "first": content.first,
        "last": content.last,
        "days": content.days,
        "through": content.last,
    }
    if content.part is not None and content.parts is not None:
        named = content.part
        document["parts"] = [
            cast("schemas.Part", {named: part.name, "total": part.total, "days": part.days}) for part in content.parts
        ]
    return Document(key_path(plugin, content.key), canonical.dumps(document))


def complete_through(state: State, resolution: Resolution, period: Period) -> int:
    """Return the time up to which no bucket of the period can be unfinished."""
    return period.end if state.through is None else min(period.end, resolution.floor(state.through))


def periods(plugin: Plugin, state: State, resolution: Resolution, gaps: Sequence[Interval]) -> list[Period]:
    """Return the periods that are published: those with a row or a gap, but for the expired ones; oldest first."""
    if state.through is None:
        return []
    found = {resolution.period(start) for start in plugin.kind.bucket_starts(state, resolution)}
    for start, end in gaps:
        found.update(resolution.periods_of(start, end))
    expired = resolution.expired_before(state.through)
    return sorted(period for period in found if expired is None or period.end > expired)


def touched(gaps: Sequence[Interval], resolution: Resolution, period: Period) -> list[Interval]:
    """Return the gaps in a period, rounded outward to every bucket that they touch."""
    rounded = union((resolution.floor(start), resolution.ceil(end)) for start, end in gaps)
    inside = ((max(start, period.start), min(end, period.end)) for start, end in rounded)
    return [(start, end) for start, end in inside if start < end]


def clipped(gaps: Sequence[Interval], oldest: int | None, through: int | None) -> list[Interval]:
    """Return the gaps between a plugin's first message and `through`, outside of which nothing is missing."""
    if oldest is None or through is None:
        return []
    inside = ((max(start, oldest), min(end, through)) for start, end in gaps)
    return [(start, end) for start, end in inside if start < end]


def _columns(dimensions: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[str]:
    known = [*dimensions, *(column.name for column in kinds.columns())]
    fields = {name for row in rows for name in row} | set(dimensions)
    return [name for name in known if name in fields] + sorted(fields - set(known))

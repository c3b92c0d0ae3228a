"""The published documents of one plugin, of the format v1: their content, and when they change.

Everything here is a function of the plugin's state, the journal's `through`, the gaps and the release. Nothing reads a
clock, so a document that is rendered twice for one state has the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import orjson

from statscache import canonical, kinds, layout, schemas
from statscache.kinds.known import Known
from statscache.kinds.state import KeyDocument, KeyPart
from statscache.plugins import Plugin, State
from statscache.render import csv, custom_documents
from statscache.render.badge import badge
from statscache.store.intervals import Interval
from statscache.store.published import Entry
from statscache.timeline import Period, Resolution, floor, year_start
from statscache.windows import trailing_days


class Document(NamedTuple):
    """One file of the published tree: its path, relative to the site's root, and its bytes."""

    path: str
    data: bytes


def fixed(plugin: Plugin, state: State, complete_from: int | None, known: Known) -> Iterator[Document]:
    """Yield `latest`, `layout`, and whatever else the plugin publishes besides series and documents of keys.

    Args:
        plugin: The plugin.
        state: Its state.
        complete_from: Timestamp before which messages did not count; None if all did.
        known: Which time is known.

    Raises:
        DocumentError: Something cannot be published.
    """
    through = clock(plugin, state)
    names: set[str] = set()
    windows = [column.window for column in plugin.kind.columns if column.window]
    partial = known.partial(windows, state.through)
    for name, content in plugin.documents(state):
        unknown, content = custom_documents.unknown(plugin, name, content)
        header: schemas.Header = {"schema": f"statscache/{name}/1", "plugin": plugin.name, "through": through}
        if complete_from is not None:
            header["complete_from"] = complete_from
        if name == "latest" and (keys := plugin.kind.count_keys(state)) is not None:
            header["keys"] = keys
        rows = _records(content)
        columns = _columns(plugin, name, rows)
        # Without rows and declaration, its numbers may be of any window.
        is_any = rows == [] and not columns
        if name in plugin.trailing:
            unknown |= known.partial([trailing_days(plugin.trailing[name])], state.through)
        else:
            is_any |= name == "latest"
            unknown |= {of: since for of, since in partial.items() if is_any or _fields_of(of, columns)}
        if unknown:
            header["partial"] = unknown
        custom_documents.check_name(plugin, name, names)
        data, content = custom_documents.dumps(plugin, name, header, content)
        yield Document(layout.document(plugin.name, name), data)
        names.add(name)
        rows = _records(content)
        if rows is not None:
            # A cell can say no more than that: what was counted of a window that is not wholly known, JSON has.
            hidden: set[str] = set()
            for of in unknown:
                numbers = set() if name == "latest" else {*columns}.difference(plugin.dimensions, ("timestamp",))
                hidden |= _fields_of(of, columns) or numbers
            lines = [[None if column in hidden else row.get(column) for column in columns] for row in rows]
            yield Document(layout.document(plugin.name, name, "csv"), csv.dumps(columns, lines))
            if name == "latest" and (shown := badge(plugin, rows, partial)):
                yield Document(layout.badge(plugin.name), canonical.dumps(shown))
    if plugin.layout is not None:
        yield Document(
            layout.plugin_layout(plugin.name), custom_documents.dumps(plugin, "layout", {}, plugin.layout)[0]
        )


def _records(content: Any) -> list[dict[str, Any]] | None:
    """Return the rows of a document, which become CSV; None if they are not records."""
    rows = content.get("rows") if isinstance(content, dict) else None
    return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def _fields_of(window: str, names: Iterable[str]) -> set[str]:
    """Return the fields whose numbers are of a window, as their names say: `last_7d` and, say, `failed_last_7d`."""
    return {name for name in names if name == window or name.endswith(f"_{window}")}


def clock(plugin: Plugin, state: State) -> int | None:
    """Return the `through` of the fixed documents: the newest event, or a later bucket end that moved their windows."""
    times = [state.newest] if state.newest is not None else []
    if state.through is not None:
        times += [floor(state.through, width) for width in plugin.moments]
    return max(times, default=None)


def series(plugin: Plugin, state: State, resolution: Resolution, period: Period, known: Known) -> Iterator[Document]:
    """Yield the series of one period as JSON and CSV; the time before the first data is a gap of its period."""
    gaps = known.gaps_in(resolution, period)
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
        "gaps": gaps,
        "through": max(complete, newest),
    }
    if omitted := plugin.kind.omitted(state, resolution, period.start, period.end):
        document["omitted"] = omitted
    place = plugin.name, resolution.name, period.label
    yield Document(layout.series(*place), canonical.dumps(document))
    yield Document(
        layout.series(*place, "csv"), csv.dumps(columns, _with_unknown(rows, resolution, gaps, len(columns)))
    )


def _with_unknown(
    rows: list[list[Any]], resolution: Resolution, gaps: Sequence[Interval], width: int
) -> list[list[Any]]:
    """Return rows of a series in which each bucket of a gap is one row with its timestamp alone."""
    unknown: list[int] = []
    for start, end in gaps:
        while start < end:
            unknown.append(start)
            _, start = resolution.buckets(start)
    if not unknown:
        return rows
    missing = set(unknown)
    # A row in a gap is a lower bound, which a cell cannot say.
    left = [row for row in rows if row[0] not in missing]
    return sorted([*left, *([start] + [None] * (width - 1) for start in unknown)], key=lambda row: int(row[0]))


def series_index(
    plugin: Plugin,
    state: State,
    resolution: Resolution,
    periods: Iterable[Period],
    entries: Mapping[str, Entry],
) -> Document:
    """Return the list of periods of one resolution.

    Args:
        plugin: The plugin.
        state: Its state.
        resolution: The resolution.
        periods: What is published, oldest first.
        entries: Entry of each file of these periods, by path.
    """
    listed: list[schemas.Period] = []
    for period in periods:
        files: dict[str, schemas.Reference] = {}
        for form in ("json", "csv"):
            path = layout.series(plugin.name, resolution.name, period.label, form)
            entry = entries[path]
            files[form] = {"path": path, "object": entry.object, "size": entry.size}
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
    return Document(layout.series_index(plugin.name, resolution.name), canonical.dumps(document))


def of_key(plugin: Plugin, content: KeyDocument, known: Known) -> Iterator[Document]:
    """Yield the document of one key of an unbounded plugin, and those of its older years that may have changed."""
    document: schemas.Key = {
        "schema": "statscache/key/1",
        "plugin": plugin.name,
        "key": list(content.key),
        "total": content.total,
        "first": content.first,
        "last": content.last,
        "years": content.years,
        "days": content.days,
        "gaps": known.unknown_days(*content.shown),
        "through": content.last,
    }
    if content.part is not None:
        document["parts"] = _parts(content.part, content.parts)
    if content.entries is not None:
        document["entries"] = [{**orjson.loads(fields), "timestamp": time} for time, fields in content.entries]
    yield Document(layout.key_document(plugin.name, content.key), canonical.dumps(document))
    for year in content.older:
        older: schemas.KeyYear = {
            "schema": "statscache/key-year/1",
            "plugin": plugin.name,
            "key": list(content.key),
            "year": year.year,
            "total": year.total,
            "days": {str(year.year): year.days},
            "gaps": known.unknown_days(year_start(year.year), year_start(year.year + 1)),
            "through": year.days[-1][0],
        }
        if content.part is not None:
            older["parts"] = _parts(content.part, year.parts)
        yield Document(layout.key_year(plugin.name, content.key, year.year), canonical.dumps(older))


def _parts(field: str, parts: Iterable[KeyPart]) -> list[schemas.Part]:
    return [cast("schemas.Part", {field: part.name, "total": part.total, "weeks": part.weeks}) for part in parts]


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


def _columns(plugin: Plugin, name: str, rows: Sequence[dict[str, Any]] | None) -> list[str]:
    """Return the fields of the rows of a document: those that are declared, those of its kind, then others by name."""
    present = {field for row in rows or () for field in row}
    declared = plugin.columns_of(name)
    if name != "latest":
        provided = (column.name for column in kinds.columns() if column.name in present)
        return [*dict.fromkeys((*declared, *provided, *sorted(present)))]
    # What the kind provides may be left out by the plugin, which only rows tell.
    fields = present if rows else {*plugin.kind.fields_of_latest()}
    provided = (name for name in (column.name for column in kinds.columns()) if name in fields and name not in declared)
    keys = plugin.dimensions
    return [*dict.fromkeys((*keys, *provided, *declared[len(keys) :], *sorted(fields)))]

"""What the pages say of a plugin, read from its published documents: a page can show no other numbers than they do."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from statscache import layout
from statscache.plugins import Plugin
from statscache.render.page_model import Leaderboard, Link, PluginView, SeriesView
from statscache.render.result import RenderedPlugin
from statscache.store import published
from statscache.store.published import Entry
from statscache.timeline import DAY, HOUR, WEEK, Resolution, floor
from statscache.windows import trailing_days

SHOWN = {"1m": 3 * HOUR, "1h": 7 * DAY, "1d": 53 * WEEK, "1w": 104 * WEEK}
"""Seconds of recent series that pages show, by resolution, besides the bucket that is not over; no months."""


class Views:
    """Makes views, and remembers those of plugins whose documents did not change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, PluginView]] = {}

    def view(
        self, connection: Connection, plugin: Plugin, rendered: RenderedPlugin, through: int | None
    ) -> PluginView | None:
        """Return the view of a plugin as its documents are after this render; None if it has none.

        Args:
            connection: The render's database snapshot, which holds the documents of the previous one.
            plugin: The plugin.
            rendered: What rendering made of it.
            through: The journal's clock.
        """
        entries: dict[str, Entry] = {}
        if not rendered.renewed:
            root = layout.plugin_root(plugin.name)
            series = (layout.series_root(plugin.name, resolution.name) for resolution in plugin.kind.resolutions)
            for directory in (root, *series):
                entries |= published.entries(connection, directory, None, "data")
        entries |= {path: rendered.changed[path] for path in rendered.fresh}
        for path in rendered.removed:
            entries.pop(path, None)
        files = {path: entry for path, entry in entries.items() if entry.type == "file"}
        if not files:
            return None
        # What is stale or not caught up says nothing of the time since.
        hour = floor(through, HOUR) if through is not None and rendered.state == "ok" else None
        basis = sorted(files.items()), rendered.state, rendered.known.begin, rendered.known.days, hour
        known = self._known.get(plugin.name)
        if known is None or known[0] != basis:
            known = basis, _Documents(connection, plugin, files, rendered.fresh).view(rendered, hour)
            self._known[plugin.name] = known
        return known[1]


class _Documents:
    """The published documents of one plugin, of this render or of the one before."""

    def __init__(
        self, connection: Connection, plugin: Plugin, entries: Mapping[str, Entry], fresh: Mapping[str, bytes]
    ) -> None:
        self._connection = connection
        self._plugin = plugin
        self._entries = entries
        self._fresh = fresh

    def view(self, rendered: RenderedPlugin, hour: int | None) -> PluginView:
        plugin = self._plugin
        root = layout.plugin_root(plugin.name)
        latest_path = layout.latest(plugin.name)
        latest = self._load(latest_path)
        series = [self._series(resolution, rendered.known.begin) for resolution in plugin.kind.resolutions]
        fixed = [path for path in self._entries if not layout.is_period(path)]
        fixed.sort(key=lambda path: (path != latest_path, path))
        return PluginView(
            info=rendered.info,
            kind=plugin.kind,
            state=rendered.state,
            last_event=rendered.row.newest,
            since=rendered.known.since,
            through=max(
                (time for time in (hour, latest["through"] if latest else None) if time is not None), default=None
            ),
            latest=latest,
            series=tuple(view for view in series if view is not None),
            links=tuple(self._link(path, path.removeprefix(f"{root}/")) for path in fixed),
            durations=self._load(layout.document(plugin.name, "durations")),
            leaderboards=tuple(self._leaderboards()),
            newcomers=tuple(self._newcomers()),
            begin=rendered.known.begin,
            days=tuple(rendered.known.days),
            board=self._load(layout.document(plugin.name, plugin.board)) if plugin.board is not None else None,
            feed=tuple(self._feed()),
        )

    def _series(self, resolution: Resolution, begin: int | None) -> SeriesView | None:
        index = self._load(layout.series_index(self._plugin.name, resolution.name))
        if index is None or not index["periods"]:
            return None
        width = resolution.width
        _, end = resolution.buckets(index["through"])
        # The first bucket of which everything is known; nothing is drawn before it.
        first = index["periods"][0]["start"] if begin is None else resolution.ceil(begin)
        start = max(end - width - SHOWN.get(resolution.name, 0), first)
        shown = [period for period in index["periods"] if period["end"] > start and period["start"] < end]
        parts = [part for period in shown if (part := self._load(period["path"]))]
        gaps = [gap for part in parts for gap in part["gaps"]]
        rows = [row for part in parts for row in part["rows"] if start <= row[0] < end]
        return SeriesView(
            resolution=resolution.name,
            seconds=width,
            columns=("timestamp", *self._plugin.dimensions, "value"),
            rows=rows,
            start=start,
            end=end,
            complete_through=index["complete_through"],
            gaps=[(max(low, start), high) for low, high in gaps if high > start and low < end],
            periods=tuple(
                self._link(path, period["period"])
                for period in reversed(index["periods"])
                for path in (period["path"], period["csv"]["path"])
            ),
        )

    def _leaderboards(self) -> Iterator[Leaderboard]:
        """Yield the documents of the last days that rank keys; others, such as durations, have other rows."""
        ranking = {*self._plugin.dimensions, "value"}
        for name, days in self._plugin.trailing.items():
            document = self._load(layout.document(self._plugin.name, name)) or {}
            rows = document.get("rows")
            # The document may be an author's.
            if rows and isinstance(rows, list) and all(isinstance(row, dict) and row.keys() == ranking for row in rows):
                yield Leaderboard(trailing_days(days), rows, document.get("partial", {}))

    def _newcomers(self) -> Iterator[tuple[int, int]]:
        document = self._load(layout.document(self._plugin.name, "newcomers"))
        for row in document.get("rows", ()) if document else ():
            # The document is an author's.
            if isinstance(row, dict) and isinstance(row.get("timestamp"), int) and isinstance(row.get("value"), int):
                yield row["timestamp"], row["value"]

    def _feed(self) -> Iterator[dict[str, Any]]:
        feed = self._plugin.feed
        document = self._load(layout.document(self._plugin.name, feed.document)) if feed is not None else None
        records = document.get(feed.records) if feed is not None and document else None
        for record in records if isinstance(records, list) else ():
            if isinstance(record, dict):
                yield record

    def _load(self, path: str) -> dict[str, Any] | None:
        if path in self._fresh:
            return _parsed(self._fresh[path])
        if path not in self._entries:
            return None
        return _parsed(published.load(self._connection, self._entries[path].object))

    def _link(self, path: str, label: str) -> Link:
        return Link(path, label, self._entries[path].size)


def _parsed(data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(data)
    return document

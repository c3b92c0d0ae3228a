"""Rendering one plugin: which of its documents can have changed, and their bytes."""

from collections.abc import Iterable, Sequence
from itertools import chain

from sqlalchemy import Connection

from statscache import __version__, canonical, layout
from statscache import pace as paces
from statscache.pace import Pace
from statscache.plugins import Plugin, State
from statscache.plugins.watch import Watch
from statscache.render import documents, due
from statscache.render.calendar import calendar
from statscache.render.documents import Document
from statscache.render.known import Known
from statscache.render.rendering import Keep, Rendered, keep_document
from statscache.store import positions, published
from statscache.store.coverage import Interval
from statscache.store.journal import Head
from statscache.store.positions import Position
from statscache.timeline import Resolution


class PluginRenderer:
    """One plugin in one render.

    Args:
        connection: The render's database snapshot.
        plugin: The plugin, which has folded the whole journal.
        row: Its row.
        end: The journal's end.
        gaps: What is known to be missing, for all plugins.
        complete: What is recorded to be complete, for all plugins.
        keep: Is given each object that was made.
        watch: Is told when the plugin's own code is at work.
        slow: Whether slow documents are brought up to date too.
        force: Whether to render everything, changed or not.
    """

    def __init__(
        self,
        connection: Connection,
        plugin: Plugin,
        row: Position,
        end: Head,
        gaps: Sequence[Interval],
        complete: Sequence[Interval],
        keep: Keep,
        watch: Watch,
        *,
        slow: bool,
        force: bool,
        most: int | None,
    ) -> None:
        self._connection = connection
        self._plugin = plugin
        self._row = row
        self._state = State(connection, row.id, end.through, row.newest)
        self._known = Known.of(row, end.through, gaps, complete)
        self._keep = keep
        self._watch = watch
        self._most = most
        fingerprint = self._fingerprint()
        before, _, coverage_before = (row.rendered_with or "").rpartition("|")
        of_all, _, coverage = fingerprint.rpartition("|")
        self._coverage_changed = coverage_before != coverage
        everything = force or before != of_all
        self._due = due.find(connection, plugin, row, end.through, slow=slow, everything=everything)
        # What keeps only the newest entries has no first day: older ones are gone, or were not even looked at.
        since = self._known.since if plugin.kind.newest is None else None
        self._out = Rendered(plugin.info(), "ok", row, self._due.paces, fingerprint, since=since, coverage=coverage)
        self._out.renewed = self._due.everything

    def _fingerprint(self) -> str:
        """Return what documents depend on besides the state: version, what concerns all of them, and coverage."""
        resolutions = [(resolution.name, resolution.keep) for resolution in self._plugin.kind.resolutions]
        coverage = canonical.digest(canonical.identity((self._known.begin, self._known.gaps)))
        basis = (
            __version__,
            self._plugin.info().to_dict(),
            self._plugin.layout,
            self._plugin.calendars,
            self._row.version,
            resolutions,
            coverage if resolutions else None,
        )
        # The version stands by itself, for the gate to tell a new one.
        return f"{self._row.version}|{canonical.digest(canonical.identity(basis))}|{coverage}"

    def render(self) -> Rendered:
        """Render what is due."""
        due = self._due
        self._out.crossed, self._out.page_due = due.moved, due.page
        # What says which windows are known is `latest`, which is fast.
        fixed = due.fixed | {Pace.FAST} if self._coverage_changed else due.fixed
        if fixed:
            with self._watch.working(self._plugin, "its documents"):
                for document in documents.fixed(self._plugin, self._state, self._row.complete_from, self._known):
                    if self._pace(document.path) in fixed:
                        self._add(document)
        for resolution in self._plugin.kind.resolutions:
            if due.series(resolution):
                self._series(resolution)
        if self._plugin.unbounded and due.keys:
            self._keys()
        self._remove_others()
        return self._out

    def _pace(self, path: str) -> Pace:
        """Return the pace of a fixed document."""
        name = path.rpartition("/")[2].removesuffix(".json")
        return Pace.SLOW if name in self._plugin.slow_documents else paces.of(path)

    def _remove_others(self) -> None:
        """Remove what another version, another kind or other numbers of the plugin published, and these do not."""
        name = self._plugin.name
        root = layout.plugin_root(name)
        before: Iterable[str] = ()
        if self._due.everything:
            keys = published.below(self._connection, layout.keys_root(name), "site")
            before = chain(published.below(self._connection, root, "data"), keys)
        elif fixed := self._due.fixed:
            found = published.entries(self._connection, root, None, "data")
            before = [path for path, entry in found.items() if entry.type == "file" and self._pace(path) in fixed]
        others = (path for path in before if path not in self._out.changed and path not in self._out.keys)
        self._out.removed = sorted({*others, *self._out.removed}.difference(self._out.changed))

    def _series(self, resolution: Resolution) -> None:
        plugin, state = self._plugin, self._state
        directory = layout.series_root(plugin.name, resolution.name)
        before = published.entries(self._connection, directory, None, "data")
        periods = documents.periods(plugin, state, resolution, self._known.gaps)
        for period in periods:
            there = layout.series(plugin.name, resolution.name, period.label) in before
            if self._due.period(resolution, period) or not there:
                for document in documents.series(plugin, state, resolution, period, self._known):
                    self._add(document)
        paths = {
            layout.series(plugin.name, resolution.name, period.label, form)
            for period in periods
            for form in ("json", "csv")
        }
        index = layout.series_index(plugin.name, resolution.name)
        if periods:
            paths.add(index)
        self._out.removed += sorted(before.keys() - paths)
        if periods:
            entries = {path: self._out.changed.get(path) or before[path] for path in paths if path != index}
            self._add(documents.series_index(plugin, state, resolution, periods, entries))

    def _keys(self) -> None:
        changed = None
        if not self._due.everything:
            changed = positions.marked_keys(self._connection, self._row)
            if self._most is not None:
                from statscache.store import changed_keys

                changed, left = changed_keys.split(changed, self._most)
                self._out.keys_left = left.tobytes()
        for content in self._plugin.kind.key_documents(self._state, changed):
            made = [*documents.of_key(self._plugin, content)]
            if self._plugin.calendars:
                made.append(calendar(self._plugin, content))
            for document in made:
                self._out.keys.add(*keep_document(document, self._keep))

    def _add(self, document: Document) -> None:
        path, entry = keep_document(document, self._keep)
        self._out.changed[path] = entry
        self._out.fresh[path] = document.data

"""Rendering one plugin: which of its documents can have changed, and their bytes."""

from collections.abc import Sequence

from sqlalchemy import Connection

from statscache import __version__, canonical, layout
from statscache.plugins import Plugin, State
from statscache.plugins.watch import Watch
from statscache.render import documents
from statscache.render.calendar import calendar
from statscache.render.documents import Document
from statscache.render.known import Known
from statscache.render.rendering import Keep, Rendered, keep_document
from statscache.store import positions, published
from statscache.store.coverage import Interval
from statscache.store.journal import Head
from statscache.store.positions import Position
from statscache.timeline import Cut, Resolution, every


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
    ) -> None:
        self._connection = connection
        self._plugin = plugin
        self._row = row
        self._state = State(connection, row.id, end.through, row.newest)
        self._known = Known.of(row, end.through, gaps, complete)
        self._keep = keep
        self._watch = watch
        self._out = Rendered(plugin.info(), "ok", row, rendered_with=self._fingerprint(), since=self._known.since)

    def _fingerprint(self) -> str:
        """Return what documents depend on besides the state: version; all of them; first data; coverage of `latest`."""
        resolutions = [(resolution.name, resolution.keep) for resolution in self._plugin.kind.resolutions]
        # The first message moves marks of its own.
        begin = None if self._known.begin == self._row.oldest else self._known.begin
        coverage = canonical.digest(canonical.identity((begin, self._known.gaps)))
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
        return f"{self._row.version}|{canonical.digest(canonical.identity(basis))}|{self._known.begin}|{coverage}"

    def render(self, *, force: bool) -> Rendered:
        """Render what may have changed since the plugin's last snapshot, or everything."""
        marks = positions.marked(self._connection, self._row)
        row, through = self._row, self._state.through
        before = row.rendered_with.split("|") if row.rendered_with else []
        now = self._out.rendered_with.split("|")
        everything = force or before[:2] != now[:2] or (positions.EVERYTHING, 0) in marks
        begins = {int(begin) for begin in {*before[2:3]} ^ {now[2]} if begin.isdecimal()}

        def crossed(cut: Cut) -> bool:
            """Return whether the end of a bucket lies between the previous snapshot and this one."""
            if through is None:
                return False
            return row.rendered_through is None or cut(row.rendered_through) != cut(through)

        self._out.crossed = any(crossed(every(width)) for width in self._plugin.moments)
        fixed = everything or ("latest", 0) in marks or self._out.crossed or before != now
        if fixed:
            with self._watch.working(self._plugin, "its documents"):
                for document in documents.fixed(self._plugin, self._state, row.complete_from, self._known):
                    self._add(document)
        for resolution in self._plugin.kind.resolutions:
            touched = {number for document, number in marks if document == resolution.name}
            # Where the first data moved, the time before it did as well.
            touched.update(resolution.period(begin).start for begin in begins)
            if everything or touched or crossed(resolution.buckets):
                self._series(resolution, None if everything else touched)
        if self._plugin.unbounded:
            self._keys(everything=everything)
        self._remove_others(everything=everything, fixed=fixed)
        return self._out

    def _remove_others(self, *, everything: bool, fixed: bool) -> None:
        """Remove what another version, another kind or other numbers of the plugin published, and these do not."""
        name = self._plugin.name
        root = layout.plugin_root(name)
        before: list[str] = []
        if everything:
            before = published.below(self._connection, root, "data")
            before += published.entries(self._connection, layout.keys_root(name), None, "site")
        elif fixed:
            found = published.entries(self._connection, root, None, "data")
            before = [path for path, entry in found.items() if entry.type == "file"]
        others = set(before).union(self._out.removed).difference(self._out.changed)
        self._out.removed = sorted(others)

    def _series(self, resolution: Resolution, touched: set[int] | None) -> None:
        plugin, state = self._plugin, self._state
        directory = layout.series_root(plugin.name, resolution.name)
        before = published.entries(self._connection, directory, None, "data")
        periods = documents.periods(plugin, state, resolution, self._known.gaps)
        rendered = self._row.rendered_through
        unfinished = 0 if rendered is None else resolution.floor(rendered)
        for period in periods:
            there = layout.series(plugin.name, resolution.name, period.label) in before
            if touched is None or period.start in touched or period.end > unfinished or not there:
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

    def _keys(self, *, everything: bool) -> None:
        changed = None if everything else positions.marked_keys(self._connection, self._row)
        for content in self._plugin.kind.key_documents(self._state, changed):
            made = [*documents.of_key(self._plugin, content)]
            if self._plugin.calendars:
                made.append(calendar(self._plugin, content))
            self._out.changed |= dict(keep_document(document, self._keep) for document in made)

    def _add(self, document: Document) -> None:
        path, entry = keep_document(document, self._keep)
        self._out.changed[path] = entry
        self._out.fresh[path] = document.data

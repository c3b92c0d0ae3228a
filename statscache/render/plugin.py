"""Rendering one plugin: which of its documents can have changed, and their bytes."""

from collections.abc import Iterable, Sequence
from itertools import chain

import orjson
from sqlalchemy import Connection

from statscache import __version__, canonical, layout
from statscache import pace as paces
from statscache.kinds.known import Known
from statscache.pace import Pace
from statscache.plugins import Plugin, State
from statscache.plugins.watch import Watch
from statscache.render import documents, due
from statscache.render.calendar import calendar
from statscache.render.documents import Document
from statscache.render.gate import Gate
from statscache.render.result import RenderedPlugin, StoreObject, store_document
from statscache.store import changed_keys, positions, published
from statscache.store.changed_keys import Keys
from statscache.store.intervals import Interval, subtract, union
from statscache.store.journal import Head
from statscache.store.positions import Position, RenderedWith
from statscache.timeline import DAILY, DAY, Resolution


class PluginRenderer:
    """One plugin in one render.

    Args:
        connection: The render's database snapshot.
        plugin: The plugin, which has folded the whole journal.
        row: Its row.
        end: The journal's end.
        gaps: What is known to be missing, for all plugins.
        complete: What is recorded to be complete, for all plugins.
        store: Called with each new object.
        watch: Called when the plugin's own code runs.
        slow: True to update slow documents too.
        force: True to render everything, changed or not.
    """

    def __init__(
        self,
        connection: Connection,
        plugin: Plugin,
        row: Position,
        end: Head,
        gaps: Sequence[Interval],
        complete: Sequence[Interval],
        store: StoreObject,
        watch: Watch,
        *,
        slow: bool,
        force: bool,
        most: int | None,
    ) -> None:
        self._connection = connection
        self._plugin = plugin
        self._row = row
        self._known = Known.of(row, end.through, gaps, complete, newest_only=plugin.kind.newest is not None)
        self._state = State(connection, row.id, end.through, row.newest, self._known)
        self._store = store
        self._watch = watch
        self._force = force
        self._most = most
        before, now = row.rendered_with, self._rendered_with()
        coverage_before, coverage = "" if before is None else before.coverage, now.coverage
        self._coverage_changed = coverage_before != coverage
        everything = force or before is None or (before.version, before.basis) != (now.version, now.basis)
        self._days_changed: list[Interval] = []
        if self._coverage_changed and not everything:
            try:
                days_before = [(start, end) for start, end in orjson.loads(coverage_before.partition(" ")[2])]
                self._days_changed = _difference(days_before, self._unknown_days())
            except ValueError:
                # What it was decayed in the database, so nothing tells which documents are as they should be.
                everything = True
        # Documents of keys and lists by day say which days are known, so these do not wait for another coverage.
        slow = slow or bool(self._days_changed)
        self._due = due.find(connection, plugin, row, end.through, slow=slow, everything=everything)
        self._out = RenderedPlugin(plugin.info(), "ok", row, self._due.paces, now, known=self._known)
        self._out.coverage = coverage
        self._out.renewed = self._due.everything
        self._out.repeatable = plugin.kind.follows_from_yields

    def _rendered_with(self) -> RenderedWith:
        """Return what documents depend on besides the state."""
        resolutions = [(resolution.name, resolution.keep) for resolution in self._plugin.kind.resolutions]
        exact = canonical.digest(canonical.encode((self._known.begin, self._known.gaps)))
        # The days are included, since their difference gives the keys to render.
        coverage = f"{exact} {orjson.dumps(self._unknown_days()).decode()}"
        basis = (
            __version__,
            self._plugin.info().to_dict(),
            self._plugin.layout,
            self._plugin.calendars,
            self._row.version,
            resolutions,
            coverage if resolutions else None,
        )
        return RenderedWith(self._row.version, canonical.digest(canonical.encode(basis)), coverage)

    def _unknown_days(self) -> list[Interval]:
        """Return the days that documents of keys mark as unknown; none without such documents."""
        if not self._plugin.unbounded:
            return []
        return self._known.unknown_days(0, DAILY.floor(self._state.through or 0) + DAY)

    def render(self, gate: Gate | None) -> RenderedPlugin:
        """Render what is due: fixed documents and series, and then, of which there may be very many, those of keys.

        Args:
            gate: Compares each part with what was published before; None to let everything pass.

        Raises:
            Implausible: The gate holds the plugin back.
            DamagedStatistics: Rows of the state have decayed.
        """
        due = self._due
        self._plugin.kind.refuse_damaged(self._state, self._oldest_read(), slow=Pace.SLOW in due.paces)
        self._out.crossed, self._out.page_due = due.moved, due.page
        fixed = due.fixed
        if self._coverage_changed:
            # Which windows are known, and what may have ended in a gap, is in all of them; this is rare.
            fixed = frozenset(Pace)
        if fixed:
            with self._watch.working(self._plugin, "its documents"):
                for document in documents.fixed(self._plugin, self._state, self._row.complete_from, self._known):
                    if self._pace(document.path) in fixed:
                        self._add(document)
        for resolution in self._plugin.kind.resolutions:
            if due.series(resolution):
                self._series(resolution)
        self._remove_other_documents()
        if gate:
            gate.check_documents(self._out)
        if self._plugin.unbounded and due.keys:
            self._keys()
        self._remove_other_keys()
        if gate:
            gate.check_keys(self._out)
        return self._out

    def _oldest_read(self) -> dict[int, int]:
        """Return, by width, the start of the oldest bucket that may be read; none of a width that is not."""
        through, found = self._state.through, dict[int, int]()
        if through is None:
            return found
        for column in self._plugin.kind.columns:
            if column.window is not None:
                width = column.window.resolution.width
                found[width] = min(found.get(width, through), column.window.bounds(through)[0])
        for resolution in self._plugin.kind.resolutions:
            if (oldest := self._due.oldest(resolution)) is not None:
                found[resolution.width] = min(found.get(resolution.width, through), oldest)
        return found

    def _pace(self, path: str) -> Pace:
        """Return the pace of a fixed document."""
        name = path.rpartition("/")[2].removesuffix(".json")
        return Pace.SLOW if name in self._plugin.slow_documents else paces.of(path)

    def _remove_other_documents(self) -> None:
        """Remove what another version, another kind or other numbers of the plugin published, and these do not."""
        name = self._plugin.name
        root, keys = layout.plugin_root(name), layout.keys_root(name)
        before: Iterable[str] = ()
        if self._force:
            # The tree is written again, whatever its rows say.
            pass
        elif self._due.everything:
            below = published.below(self._connection, root, "data")
            before = (path for path in below if not path.startswith(f"{keys}/"))
        elif fixed := self._due.fixed:
            found = published.entries(self._connection, root, None, "data")
            before = [path for path, entry in found.items() if entry.type == "file" and self._pace(path) in fixed]
        self._out.removed = sorted({*before, *self._out.removed}.difference(self._out.changed))

    def _remove_other_keys(self) -> None:
        """Remove documents of keys, where all of them are made, that are not among them."""
        if self._due.everything and not self._force:
            keys = layout.keys_root(self._plugin.name)
            before = chain(*(published.below(self._connection, keys, part) for part in ("data", "site")))
            self._out.removed = sorted([*self._out.removed, *(path for path in before if path not in self._out.keys)])

    def _series(self, resolution: Resolution) -> None:
        plugin, state = self._plugin, self._state
        directory = layout.series_root(plugin.name, resolution.name)
        # If everything is rendered, no old entry is reused: it may be damaged.
        before = {} if self._due.everything else published.entries(self._connection, directory, None, "data")
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
        changed = self._changed_keys()
        if changed is not None and self._most is not None:
            changed, left = changed_keys.split(changed, self._most)
            self._out.keys_left = left.tobytes()
        for content in self._plugin.kind.key_documents(self._state, changed):
            made = [*documents.of_key(self._plugin, content, self._known)]
            if self._plugin.calendars:
                made.append(calendar(self._plugin, content, self._known))
            for document in made:
                self._out.keys.add(*store_document(document, self._store))

    def _changed_keys(self) -> Keys | None:
        """Return the keys that changed, and those that show days of another coverage; None where all are due."""
        if self._due.everything:
            return None
        marked = positions.marked_keys(self._connection, self._row)
        if not self._days_changed:
            return marked
        showing = self._plugin.kind.keys_showing(self._state, self._days_changed)
        return changed_keys.unpack([marked.tobytes(), showing.tobytes()])

    def _add(self, document: Document) -> None:
        path, entry = store_document(document, self._store)
        self._out.changed[path] = entry
        self._out.fresh[path] = document.data


def _difference(before: Sequence[Interval], now: Sequence[Interval]) -> list[Interval]:
    """Return the time that is in one of both, oldest first."""
    return union([*subtract(before, now), *subtract(now, before)])

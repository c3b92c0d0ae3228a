"""Rendering: only what changed since the last snapshot, from one consistent view of the database.

A plugin is rendered if it has folded the whole journal. One that is behind, suspended, or fails to render keeps the
documents of the previous snapshot; the others do not notice (law 3).
"""

import logging
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from statscache import kinds, layout, schemas
from statscache.exceptions import Damaged, Implausible
from statscache.kinds import keys
from statscache.kinds.entities import ENTITIES
from statscache.kinds.known import Known
from statscache.pace import Pace
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.render import names
from statscache.render.documents import Document
from statscache.render.gate import Gate
from statscache.render.page_model import PluginView
from statscache.render.page_models import Views
from statscache.render.pages import Pages
from statscache.render.plugin import PluginRenderer
from statscache.render.result import Before, RenderedPlugin, RenderResult, StoreObject, store_document
from statscache.store import coverage, integrity, journal, positions, published
from statscache.store.database import is_lost
from statscache.store.intervals import Interval
from statscache.store.positions import Position
from statscache.store.published import Entry

_log = logging.getLogger(__name__)


class Renderer:
    """Renders the plugins of a registry and the pages about them.

    Args:
        registry: The plugins.
        pages: The pages.
        gate_share: The greatest part of a document's rows that may vanish between two snapshots, from 0 to 1.
        watch: Called with the plugin that is running.

    Attributes:
        on_plugin: Called before each plugin with how many of how many are rendered.
    """

    def __init__(self, registry: Registry, pages: Pages, gate_share: float = 0.5, watch: Watch | None = None) -> None:
        self._registry = registry
        self._gate_share = gate_share
        self._watch = watch or Watch()
        self._pages = pages
        self._views = Views()
        self.on_plugin: Callable[[int, int], None] = lambda done, total: None

    @property
    def fingerprint(self) -> str:
        """What the pages depend on besides the documents: a different one renders all of them again."""
        return self._pages.fingerprint

    @property
    def names(self) -> frozenset[str]:
        """The names of the active plugins."""
        return frozenset(plugin.name for plugin in self._registry)

    @staticmethod
    def numbers_of_keys(connection: Connection) -> dict[int, int]:
        """Return how many keys each plugin has, by the plugin's number."""
        return kinds.numbers_of_keys(connection)

    def render(
        self,
        connection: Connection,
        before: Before,
        store: StoreObject,
        *,
        slow: bool = True,
        force: bool = False,
        gated: bool | None = None,
        most: int | None = None,
    ) -> RenderResult:
        """Render changed files from one snapshot of the database.

        A plugin of which everything is due does not wait for the slow documents' time, nor does one that was not `ok`:
        readers take the slow documents of those that are for as new as they all are.

        Args:
            connection: A reading connection.
            before: What the previous snapshot shows.
            store: Called with each new object.
            slow: True to update slow documents too, including pages.
            force: True to render everything, changed or not; slow documents too.
            gated: True to hold back implausible documents; by default, unless forced.
            most: About how many documents of changed keys to make; the next call makes the rest. None for all.
                Where all of a plugin is due they are made at once, for versions are not mixed.

        Raises:
            Damaged: Published documents that are read again are damaged.
        """
        slow = slow or force
        if slow:
            kinds.refuse_strays(connection)
        reading = _Reading(
            connection,
            store,
            journal.head(connection),
            coverage.gaps(connection),
            coverage.complete(connection),
            positions.load(connection),
            slow=slow,
            force=force,
            gated=not force if gated is None else gated,
        )
        through = reading.end.through
        all_pages = slow and (force or before.pages != self._pages.fingerprint)
        pages: dict[str, Entry] = {}
        shown = dict(before.shown)
        whole = True
        plugins: list[RenderedPlugin] = []
        for rendered in self._plugins(reading, before, most):
            plugins.append(rendered)
            name = rendered.info.name
            shows = f"{rendered.state} {rendered.coverage}"
            other = rendered.page_due or (slow and before.shown.get(name) != shows)
            if rendered.view is not None and (all_pages or other):
                shown[name] = shows
                whole &= self._plugin_pages(reading, rendered, rendered.view, pages)
        removed: list[str] = []
        # A plugin that catches up clears its marks, so names follow it at once.
        if slow or any(Pace.SLOW in rendered.paces for rendered in plugins):

            def add(document: Document) -> None:
                pages.update([store_document(document, store)])

            removed += names.updates(connection, self._registry, reading.rows, plugins, add, slow=slow, force=force)
        if all_pages:
            whole &= self._store_pages(pages, self._pages.fixed(), store)
            whole &= self._store_pages(pages, schemas.documents(), store)
        if slow:
            views = [rendered.view for rendered in plugins if rendered.view is not None]
            whole &= self._store_pages(pages, self._pages.index(views, through), store)
        uninstalled, unloadable = self._missing(reading.rows)
        if slow and not force:
            removed += self._obsolete(connection, unloadable, all_pages=all_pages)
        return RenderResult(through, plugins, uninstalled, unloadable, pages, shown, whole, removed)

    def _plugins(self, reading: "_Reading", before: Before, most: int | None) -> Iterator[RenderedPlugin]:
        """Render each plugin that the database knows."""
        # Documents of keys are made with slow documents, and for a plugin that catches up.
        paced = most is not None and (reading.slow or any(state != "ok" for state in before.states.values()))
        shares = _shares(positions.pending(reading.connection), most or 0) if paced else {}
        for number, plugin in enumerate(self._registry):
            self.on_plugin(number, len(self.names))
            row = reading.rows.get(plugin.name)
            if row is not None:
                catches_up = before.states.get(plugin.name, "ok") != "ok"
                yield self._plugin(reading, plugin, row, slow=reading.slow or catches_up, most=shares.get(row.id))

    def _plugin_pages(
        self, reading: "_Reading", rendered: RenderedPlugin, view: PluginView, pages: dict[str, Entry]
    ) -> bool:
        """Add the page and the plots of a plugin to `pages`; return False if they could not be rendered."""
        if not self._store_pages(pages, self._pages.plugin(view), reading.store):
            return False
        if not reading.force:
            # A plot whose series has expired is no longer drawn, and must be removed.
            there = published.entries(reading.connection, layout.plugin_root(rendered.info.name), None, "site")
            plots = {path for path, entry in there.items() if entry.type == "file"}
            rendered.removed += sorted(plots - pages.keys())
        return True

    def _missing(self, rows: Mapping[str, Position]) -> tuple[list[Position], list[str]]:
        """Return the rows of plugins with documents that are no longer installed, and the names of unloadable ones."""
        active = {plugin.name for plugin in self._registry}
        missing = [row for name, row in rows.items() if name not in active and row.fast_through is not None]
        if not self._registry.problems:
            return missing, []
        # A missing one may be what could not be loaded; one that is turned off is not.
        turned_off = {cls.name for cls in self._registry.turned_off}
        uninstalled = [row for row in missing if row.name in turned_off]
        return uninstalled, [row.name for row in missing if row.name not in turned_off]

    def _obsolete(self, connection: Connection, unloadable: Sequence[str], *, all_pages: bool) -> list[str]:
        """Return the paths of pages and feeds that the site no longer has."""
        removed: list[str] = []
        if all_pages:
            for entity in set(ENTITIES).difference(self._pages.entities):
                removed += published.below(connection, layout.ENTITY_PAGES[entity], "site")
            if not self._pages.has_board:
                removed += published.below(connection, posixpath.dirname(layout.BOARD_PAGE), "site")
        feeds = {layout.feed(name) for name in unloadable}
        feeds |= {layout.feed(plugin.name) for plugin in self._registry if plugin.feed is not None}
        return removed + [path for path in published.below(connection, layout.FEEDS, "site") if path not in feeds]

    def _store_pages(self, pages: dict[str, Entry], made: Iterable[tuple[str, bytes]], store: StoreObject) -> bool:
        # One bad page must not stop the others; it keeps its last good bytes.
        try:
            pages.update(store_document(Document(path, data), store) for path, data in made)
        except Damaged:
            raise
        except Exception as error:
            _raise_if_of_database(error)
            _log.exception("a page could not be rendered, and keeps its last version")
            return False
        return True

    def _plugin(
        self, reading: "_Reading", plugin: Plugin, row: Position, *, slow: bool, most: int | None
    ) -> RenderedPlugin:
        """Render one plugin, or return why its documents stay; its view is made for a slow render, or if they changed.

        Args:
            reading: What the render reads.
            plugin: The plugin.
            row: Its row.
            slow: True to update its slow documents too.
            most: About how many documents of keys to make; None for all.
        """
        connection, end = reading.connection, reading.end
        known = Known.of(row, end.through, reading.gaps, reading.complete, newest_only=plugin.kind.newest is not None)
        if not row.is_sound:
            raise keys.damaged(plugin.name)
        if row.suspended is not None:
            rendered = RenderedPlugin(plugin.info(), "failed", row, known=known, reason=row.suspended)
        elif row.position < end.position:
            reason = f"{end.position - row.position} messages behind the journal's end"
            rendered = RenderedPlugin(plugin.info(), "rebuilding", row, known=known, reason=reason)
        else:
            # A plugin's own documents are foreign code; whatever it raises, the others are rendered.
            try:
                return self._documents(reading, plugin, row, slow=slow, most=most)
            except Implausible as error:
                _log.warning("plugin %s is held back: %s", plugin.name, error)
                reason = str(error)
            except Damaged:
                raise
            except Exception as error:
                _raise_if_of_database(error)
                _log.exception("plugin %s could not be rendered and keeps its last documents", plugin.name)
                # What the error says may quote a message, and the reason is published.
                reason = f"it could not be rendered: {type(error).__name__}; the log says more"
            rendered = RenderedPlugin(plugin.info(), "stale", row, known=known, reason=reason)
        if slow:
            try:
                with integrity.explained():
                    rendered.view = self._views.view(connection, plugin, rendered, end.through)
            except Damaged:
                # Damaged documents of a plugin that cannot be rendered stay, and so does its page.
                if not reading.force:
                    raise
        return rendered

    def _documents(
        self, reading: "_Reading", plugin: Plugin, row: Position, *, slow: bool, most: int | None
    ) -> RenderedPlugin:
        with reading.connection.begin_nested():
            renderer = PluginRenderer(
                reading.connection,
                plugin,
                row,
                reading.end,
                reading.gaps,
                reading.complete,
                reading.store,
                self._watch,
                slow=slow,
                force=reading.force,
                most=most,
            )
            gate = None
            if reading.gated:
                # Where all is rendered, documents before may be damaged.
                through, lenient = reading.end.through, reading.force
                gate = Gate(reading.connection, plugin, through, self._gate_share, lenient=lenient)
            rendered = renderer.render(gate)
            if slow or rendered.page_due:
                rendered.view = self._views.view(reading.connection, plugin, rendered, reading.end.through)
        rendered.fresh.clear()
        return rendered


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one render reads, and how.

    Attributes:
        connection: The database snapshot.
        store: Called with each new object.
        end: The end of the journal.
        gaps: What is known to be missing.
        complete: What is known to be complete.
        rows: The rows of all plugins, by name.
        slow: True to update slow documents too, including pages.
        force: True to render everything, changed or not.
        gated: True to hold back implausible documents.
    """

    connection: Connection
    store: StoreObject
    end: journal.Head
    gaps: Sequence[Interval]
    complete: Sequence[Interval]
    rows: Mapping[str, Position]
    slow: bool
    force: bool
    gated: bool


def _raise_if_of_database(error: Exception) -> None:
    """Raise an error again that says that the database is damaged or away: the rendered plugin is not to blame."""
    if (damaged := integrity.explain(error)) is not None:
        raise damaged from error
    if is_lost(error):
        raise error


def _shares(wanted: Mapping[int, int], most: int) -> dict[int, int]:
    """Divide `most` documents fairly among plugins that want so many each."""
    shares: dict[int, int] = {}
    for number, (plugin, want) in enumerate(sorted(wanted.items(), key=lambda item: item[1])):
        shares[plugin] = min(want, most // (len(wanted) - number))
        most -= shares[plugin]
    return shares

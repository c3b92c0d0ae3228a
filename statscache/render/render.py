"""Rendering: only what changed since the last snapshot, from one consistent view of the database.

A plugin is rendered if it has folded the whole journal. One that is behind, suspended, or fails to render keeps the
documents of the previous snapshot; the others do not notice (law 3).
"""

import logging
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

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
from statscache.render import entities
from statscache.render.documents import Document
from statscache.render.entities import Source
from statscache.render.gate import Gate
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
        slow, gated = slow or force, not force if gated is None else gated
        if slow:
            kinds.refuse_strays(connection)
        end = journal.head(connection)
        gaps, complete = coverage.gaps(connection), coverage.complete(connection)
        rows = positions.load(connection)
        all_pages = slow and (force or before.pages != self._pages.fingerprint)
        pages: dict[str, Entry] = {}
        shown = dict(before.shown)
        whole = True
        # Documents of keys are slow, and made besides of what catches up.
        paced = most is not None and (slow or any(state != "ok" for state in before.states.values()))
        shares = _shares(positions.pending(connection), most or 0) if paced else {}
        plugins: list[RenderedPlugin] = []
        for number, plugin in enumerate(self._registry):
            self.on_plugin(number, len(self.names))
            row = rows.get(plugin.name)
            if row is None:
                continue
            catches_up = before.states.get(plugin.name, "ok") != "ok"
            pace = slow or catches_up
            share = shares.get(row.id)
            rendered = self._plugin(
                connection,
                plugin,
                row,
                end,
                gaps,
                complete,
                store,
                slow=pace,
                force=force,
                gated=gated,
                most=share,
            )
            plugins.append(rendered)
            shows = f"{rendered.state} {rendered.coverage}"
            other = rendered.page_due or (slow and before.shown.get(plugin.name) != shows)
            if rendered.view is not None and (all_pages or other):
                shown[plugin.name] = shows
                made = self._store_pages(pages, self._pages.plugin(rendered.view), store)
                # A plot whose series has expired is no longer drawn, and must be removed.
                root = layout.plugin_root(plugin.name)
                there = published.entries(connection, root, None, "site") if made and not force else {}
                plots = {path for path, entry in there.items() if entry.type == "file"}
                rendered.removed += sorted(plots - pages.keys())
                whole &= made
        removed: list[str] = []
        # A plugin that catches up clears its marks, so names follow it at once.
        if slow or any(Pace.SLOW in rendered.paces for rendered in plugins):
            removed += self._entities(connection, rows, plugins, pages, store, slow=slow, force=force)
        if all_pages and not force:
            for entity in set(ENTITIES).difference(self._pages.entities):
                removed += published.below(connection, layout.ENTITY_PAGES[entity], "site")
            if not self._pages.has_board:
                removed += published.below(connection, posixpath.dirname(layout.BOARD_PAGE), "site")
        if all_pages:
            whole &= self._store_pages(pages, self._pages.fixed(), store)
            whole &= self._store_pages(pages, schemas.documents(), store)
        if slow:
            views = [rendered.view for rendered in plugins if rendered.view is not None]
            whole &= self._store_pages(pages, self._pages.index(views, end.through), store)
        active = {plugin.name for plugin in self._registry}
        missing = [row for name, row in rows.items() if name not in active and row.fast_through is not None]
        unloadable: list[str] = []
        uninstalled = missing
        if self._registry.problems:
            # A missing one may be what could not be loaded; one that is turned off is not.
            turned_off = {cls.name for cls in self._registry.turned_off}
            uninstalled = [row for row in missing if row.name in turned_off]
            unloadable = [row.name for row in missing if row not in uninstalled]
        if slow and not force:
            feeds = {layout.feed(name) for name in unloadable}
            feeds |= {layout.feed(plugin.name) for plugin in self._registry if plugin.feed is not None}
            removed += [path for path in published.below(connection, layout.FEEDS, "site") if path not in feeds]
        return RenderResult(end.through, plugins, uninstalled, unloadable, pages, shown, whole, removed)

    def _entities(
        self,
        connection: Connection,
        rows: Mapping[str, Position],
        plugins: Sequence[RenderedPlugin],
        pages: dict[str, Entry],
        store: StoreObject,
        *,
        slow: bool,
        force: bool,
    ) -> list[str]:
        """Update the names of entities, and return the paths of those that are gone."""
        rendered = {each.info.name: each for each in plugins}
        removed: list[str] = []
        for entity in ENTITIES:
            counting = [
                plugin for plugin in self._registry if entity in plugin.entities.values() and plugin.name in rendered
            ]
            # Where all is rendered, the tree is written again, whatever its rows say.
            there = set() if force else {*published.below(connection, layout.entity_root(entity), "data")}
            # Of a plugin that was folded again, or from which a person was removed, names may have gone.
            everything = force or any(
                rendered[plugin.name].renewed or (slow and rows[plugin.name].rendered_with is None)
                for plugin in counting
            )
            shown = [rendered[plugin.name] for plugin in counting]
            sources = [
                Source(
                    plugin,
                    each.row.id,
                    self._changed(connection, plugin, each),
                    self._waiting(connection, plugin, each),
                )
                for plugin, each in zip(counting, shown, strict=True)
            ]
            left: set[str] = set()
            if sources:
                made, left = entities.make(connection, entity, sources, everything=everything)
                pages.update(store_document(document, store) for document in made)
            removed += sorted(there - left)
        return removed

    def _changed(self, connection: Connection, plugin: Plugin, rendered: RenderedPlugin) -> Collection[int] | None:
        """Return the digests of the keys of a plugin whose documents were rendered; None where it has none."""
        if not plugin.unbounded:
            return None
        if Pace.SLOW not in rendered.paces or rendered.renewed:
            return ()
        return {int(digest) for digest in positions.marked_keys(connection, rendered.row)["key"]}

    def _waiting(self, connection: Connection, plugin: Plugin, rendered: RenderedPlugin) -> Collection[int] | None:
        """Return the digests of the keys of which this render made no document, though they changed; None for any."""
        if not plugin.unbounded:
            return ()
        if Pace.SLOW in rendered.paces:
            left = rendered.keys_left
        elif any(mark.document == positions.EVERYTHING for mark in positions.marked(connection, rendered.row)):
            return None
        else:
            left = positions.marked_keys(connection, rendered.row).tobytes()
        if not left:
            return ()
        from statscache.store import changed_keys

        return {int(digest) for digest in changed_keys.unpack([left])["key"]}

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
        self,
        connection: Connection,
        plugin: Plugin,
        row: Position,
        end: journal.Head,
        gaps: Sequence[Interval],
        complete: Sequence[Interval],
        store: StoreObject,
        *,
        slow: bool,
        force: bool,
        gated: bool,
        most: int | None,
    ) -> RenderedPlugin:
        known = Known.of(row, end.through, gaps, complete, newest_only=plugin.kind.newest is not None)
        if not row.is_sound:
            raise keys.damaged(plugin.name)
        if row.suspended is not None:
            rendered = RenderedPlugin(plugin.info(), "failed", row, known=known, reason=row.suspended)
        elif row.position < end.position:
            behind = end.position - row.position
            rendered = RenderedPlugin(
                plugin.info(), "rebuilding", row, known=known, reason=f"{behind} messages behind the journal's end"
            )
        else:
            # A plugin's own documents are foreign code; whatever it raises, the others are rendered.
            try:
                with connection.begin_nested():
                    renderer = PluginRenderer(
                        connection,
                        plugin,
                        row,
                        end,
                        gaps,
                        complete,
                        store,
                        self._watch,
                        slow=slow,
                        force=force,
                        most=most,
                    )
                    # Where all is rendered, documents before may be damaged.
                    gate = Gate(connection, plugin, end.through, self._gate_share, lenient=force) if gated else None
                    rendered = renderer.render(gate)
                    if slow or rendered.page_due:
                        rendered.view = self._views.view(connection, plugin, rendered, end.through)
                rendered.fresh.clear()
                return rendered
            except Implausible as error:
                _log.warning("plugin %s is held back: %s", plugin.name, error)
                rendered = RenderedPlugin(plugin.info(), "stale", row, known=known, reason=str(error))
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
                if not force:
                    raise
        return rendered


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

"""The site for people: pages, plots and assets as bytes, from what the documents say.

Data in, bytes out: no database, no clock, no network. The same views give the same bytes on one installation, and
`Pages.fingerprint` changes when an installation would give others. All links are relative, so the site works under
any path and from a file; everything is readable without a script.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import urlsplit

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import escape

from statscache import __version__, canonical, kinds, layout
from statscache.kinds.entities import ENTITIES
from statscache.render import boards, charts, discovery, examples, feeds, figures, front, plots, text
from statscache.render.assets import Assets
from statscache.render.docs import Docs
from statscache.render.examples import files
from statscache.render.links import Links
from statscache.render.page_model import PluginView
from statscache.render.plots import Plot
from statscache.render.tables import tables
from statscache.resources import Sources

DEFAULT_BASE_URL = "http://localhost:8080/"

_STATES = {
    "stale": "Stale. Its last good output is shown, because its newest was held back or could not be made.",
    "rebuilding": "Rebuilding. It is counting history again; its previous output, if any, is shown until that is done.",
    "failed": "Failed. The plugin was suspended after errors; its last good output is shown.",
}
_ENTITIES = {"person": "People", "package": "Packages", "release": "Releases", "topic": "Topics"}
_RESOLUTIONS = {"1m": "by minute", "1h": "by hour", "1d": "by day", "1w": "by week", "1mo": "by month"}


class _Compiled(BytecodeCache):
    """Keeps compiled templates in memory, for pages that a process prepares again."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.code


_compiled = _Compiled()


class Pages:
    """Renders the site from templates and static files.

    Args:
        sources: The source directories of the site.
        title: The name of the site, as its pages show it.
        base_url: The absolute address of the site's root for examples; None shows a local preview's.
        examples: True if the site includes the pages with examples of use.
        entities: Entities with pages of their own, among those that any plugin counts.
        index_people: True if search engines may list the pages of people.
        has_board: True if the site has the page Release engineering: if a plugin has something to show there.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        title: str,
        base_url: str | None,
        examples: bool = False,
        entities: Collection[str] = (),
        index_people: bool = False,
        has_board: bool = False,
    ) -> None:
        """Read every asset and prepare the templates; nothing is rendered yet."""
        self.entities = [entity for entity in ENTITIES if entity in entities]
        self._index_people = index_people
        self.has_board = has_board
        self._base_url = None if base_url is None else base_url.rstrip("/") + "/"
        self._assets = Assets(sources.site)
        self._docs = Docs(sources.docs)
        self._examples = sources.examples if examples else None
        self._links = Links(self.entities)
        self._environment = Environment(
            loader=FileSystemLoader(sources.templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            bytecode_cache=_compiled,
        )
        # Charts hold thousands of numbers as JSON, and a space after each is a fifth of a page.
        self._environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
        self._environment.filters |= {
            "amount": text.amount, "clean": text.clean, "common_prefix": text.common_prefix, "compact": text.compact,
            "duration": text.duration, "heading": text.heading, "machine_time": text.machine_time,
            "middle": text.middle, "number": text.number, "prose": text.prose, "short_time": text.short_time,
            "size": text.size, "when": text.when,
        }  # fmt: skip
        eventful = [kind.name for kind in kinds.kinds().values() if kind.rows_are_events]
        self._environment.globals |= {
            "assets": self._assets.names,
            "preloads": self._assets.preloads,
            "base_url": self._base_url or DEFAULT_BASE_URL,
            "base_is_known": base_url is not None,
            "board_page": layout.BOARD_PAGE if has_board else None,
            "has_examples": examples,
            "entities": {entity: (layout.entity_page(entity), _ENTITIES[entity]) for entity in self.entities},
            "eventful": eventful,
            "chart_style": self._assets.sources["chart.css"].decode(),
            "resolutions": _RESOLUTIONS,
            "site_title": title,
        }
        self._plots: dict[str, tuple[PluginView, list[Plot]]] = {}
        self.fingerprint = canonical.digest(
            canonical.encode(
                [
                    *(
                        (path, canonical.digest(data))
                        for directory in sources.all
                        for path, data in files(directory).items()
                    ),
                    *(
                        (path.name, canonical.digest(path.read_bytes()))
                        for path in sorted(Path(__file__).parent.glob("*.py"))
                    ),
                    *((library, version(library)) for library in ("jinja2", "markdown-it-py", "markupsafe")),
                    (title, base_url, examples, self.entities, eventful, index_people, has_board, __version__),
                ]
            )
        )

    def fixed(self) -> Iterator[tuple[str, bytes]]:
        """Yield what does not depend on any statistic: assets, documentation, the page of the service's health."""
        yield from self._assets
        yield self._page(layout.STATUS_PAGE, "status.html")
        # A server shows it in place of any page, so its links begin at the root.
        root = urlsplit(self._base_url or DEFAULT_BASE_URL).path
        yield layout.NOT_FOUND_PAGE, self._render("404.html", root=root, indexed=False, canonical=None)
        for entity in self.entities:
            # Its name is after the question mark, so it has no one address.
            indexed = self._index_people or entity != "person"
            context = {"root": "../", "indexed": indexed, "canonical": None, "entity": entity}
            yield layout.entity_page(entity), self._render("entity.html", **context)
        yield self._page(layout.DOCS_PAGE, "docs.html", sections=self._docs.sections)
        address = str(escape(self._base_url or DEFAULT_BASE_URL))
        for section, before, page, after in self._docs.in_order():
            html = page.html.replace(DEFAULT_BASE_URL, address) if section.for_readers else page.html
            shown = {"page": page, "html": html, "section": section, "before": before, "after": after}
            yield self._page(layout.doc_page(page.name), "doc.html", **shown, sections=self._docs.sections)
        for path, data in self._docs.files.items():
            yield layout.documentation(path), data
        if self._examples is not None:
            yield from examples.examples(self._examples, self._menu)

    def plugin(self, view: PluginView) -> Iterator[tuple[str, bytes]]:
        """Yield the page of a plugin and its plots."""
        drawn = self._drawn(view)
        order = view.kind.ordered_by
        top = charts.bars(figures.top(view, order), 10) if order is not None and not drawn else ()
        yield self._page(
            layout.page(view.info.name),
            "plugin.html",
            view=view,
            headline=figures.headline(view),
            state=_STATES.get(view.state),
            plots=drawn,
            first=plots.first(drawn),
            keys=plots.keys(drawn),
            bars=top,
            durations=figures.durations(view),
            links=self._links.of_keys(view),
            tables=[self._links.table(view, table) for table in tables(view)],
            feed=layout.feed(view.info.name) if view.kind.plugin.feed is not None else None,
            indexed=self._index_people or not view.info.people,
            dataset=None if self._base_url is None else discovery.dataset(view, self._base_url),
        )
        if view.kind.plugin.feed is not None:
            yield layout.feed(view.info.name), self._feed(view)
        for plot in drawn:
            path = layout.chart(view.info.name, plot.range.resolution)
            yield path, self._render("chart.svg", view=view, plot=plot)
        if drawn:
            yield layout.chart(view.info.name), self._render("chart.svg", view=view, plot=plots.main(drawn))
        elif top:
            yield layout.chart(view.info.name), self._render("bars.svg", view=view, bars=top)

    def index(self, views: Sequence[PluginView], through: int | None) -> Iterator[tuple[str, bytes]]:
        """Yield the front page, and the files that list the pages for search engines."""
        example = next((view.links[0].path for view in views if view.links), None)
        since = min((each for view in views if (each := view.known_since) is not None), default=None)
        shown = {
            "through": through,
            "since": since,
            "views": views,
            "numbers": [(number, self._links.of_keys(number.view)) for number in front.numbers(views)],
            "year": front.year(views),
            "news": [
                (item, self._links.of_news(item), self._links.of_key(item.view, item.other))
                for item in front.news(views, through)
            ],
            "groups": [
                (group, [[self._card(view, cluster[0]) for view in cluster] for cluster in group.clusters])
                for group in front.groups(views)
            ],
            "example": example,
            "board": boards.board(views, through),
            "feeds": _feeds(views),
        }
        yield self._page(layout.FRONT_PAGE, "index.html", **shown)
        if self.has_board:
            yield self._page(layout.BOARD_PAGE, "board.html", **_board(views, through, since))
        people = [view.info.name for view in views if view.info.people]
        hidden = [layout.entity_root("person"), *map(layout.keys_root, people)] if not self._index_people else []
        yield layout.ROBOTS, discovery.robots(self._base_url or DEFAULT_BASE_URL, hidden, sitemap=bool(self._base_url))
        if self._base_url is not None:
            entities = (entity for entity in self.entities if self._index_people or entity != "person")
            paths = (
                layout.FRONT_PAGE,
                *(layout.page(view.info.name) for view in views if self._index_people or not view.info.people),
                *((layout.BOARD_PAGE,) if self.has_board else ()),
                *map(layout.entity_page, entities),
                layout.STATUS_PAGE,
                layout.DOCS_PAGE,
                *(layout.doc_page(page.name) for page in self._docs),
            )
            yield layout.SITEMAP, discovery.sitemap([self._address(path) for path in paths])

    def _card(self, view: PluginView, plain: PluginView) -> Mapping[str, Any]:
        """Return what the card of a plugin shows, which is a variant of the plain one or that itself."""
        card = _card(view, plots.main(self._drawn(view)))
        newest = [
            ([self._links.cell(view, *part) for part in row.key], self._links.cell(view, *row.value), row.time)
            for row in (figures.newest(view, 4) if card["column"] is None else ())
        ]
        return {**card, "newest": newest, "variant": front.variant(view, plain), "links": self._links.of_keys(view)}

    def _feed(self, view: PluginView) -> bytes:
        """Return the Atom feed of a plugin."""
        feed = view.kind.plugin.feed
        assert feed is not None
        root = self._base_url or "../"
        page = layout.page(view.info.name)
        if view.board is not None and self.has_board:
            page = layout.BOARD_PAGE
        found = [
            (entry, root + (self._links.of_key(view, entry.key or None) or page))
            for entry in feeds.entries(view, self._base_url)
        ]
        context = {"id": feeds.feed_id(view.info.name, self._base_url), "title": feed.title, "page": root + page}
        return self._render("feed.xml", **context, own=root + layout.feed(view.info.name), entries=found)

    def _drawn(self, view: PluginView) -> list[Plot]:
        """Return the charts of a plugin, which its page and its card on the front page share."""
        known = self._plots.get(view.info.name)
        if known is None or known[0] is not view:
            # A view is the same object until a document of the plugin changes.
            known = self._plots[view.info.name] = view, plots.plots(view)
        return known[1]

    def _page(self, path: str, template: str, **context: Any) -> tuple[str, bytes]:
        """Return path and bytes of a page that has one address."""
        canonical = None if self._base_url is None else self._address(path)
        context = {"indexed": True, **context, "root": "../" * path.count("/"), "canonical": canonical}
        return path, self._render(template, **context)

    def _menu(self, path: str) -> bytes:
        """Return the menu of all pages for an example."""
        return self._render("example.html", root="../" * path.count("/"))

    def _address(self, path: str) -> str:
        """Return the one address of a page."""
        return f"{self._base_url}{'' if path == layout.FRONT_PAGE else path}"

    def _render(self, template: str, **context: Any) -> bytes:
        return self._environment.get_template(template).render(context).encode()


def _card(view: PluginView, plot: Plot | None) -> Mapping[str, Any]:
    """Return what the card of a plugin shows: headline, trend, small plot, and the newest values of a few rows."""
    column = view.kind.main_column(view.rows, view.partial)
    known = column if column is not None and column.name not in view.partial else None
    totals = column is not None and view.rows and not view.info.dimensions
    return {
        "view": view,
        "headline": figures.headline(view),
        "trend": figures.trend(view),
        "durations": figures.durations(view),
        "state": _STATES.get(view.state),
        "plot": plot,
        "spark": plots.sparkline(plot) if plot else None,
        "bars": charts.bars(figures.top(view, known.name), 4) if known and view.info.dimensions else (),
        "window": column.words if column is not None else "",
        "totals": [
            (each.heading, None if each.name in view.partial else view.rows[0][each.name], view.partial.get(each.name))
            for each in view.kind.card_columns
        ]
        if totals
        else (),
        "column": column,
    }


def _board(views: Sequence[PluginView], through: int | None, since: int | None) -> Mapping[str, Any]:
    """Return what the page Release engineering shows."""
    shown = [view for view in views if view.kind.plugin.board is not None]
    return {
        "board": boards.board(shown, through),
        "most": boards.MOST_ROWS,
        "through": max((view.through for view in shown if view.through is not None), default=None),
        "since": since,
        "views": shown,
        "feeds": _feeds(shown),
    }


def _feeds(views: Sequence[PluginView]) -> list[tuple[str, str]]:
    """Return title and path of the feeds of plugins."""
    found = ((view.kind.plugin.feed, view.info.name) for view in views)
    return [(feed.title, layout.feed(name)) for feed, name in found if feed is not None]

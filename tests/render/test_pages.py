"""Pages: complete without a script, at home under any path, inert whatever the bus says, and the same every time."""

import gzip
import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from small_site import whole_site
from statscache import layout, resources
from statscache.kinds import kinds
from statscache.kinds.presentation import noun_of
from statscache.plugins import Counter, Plugin
from statscache.render import tables, text
from statscache.render.assets import MODULES
from statscache.render.page_model import Leaderboard, Link, PluginView, SeriesView
from statscache.render.pages import Pages
from statscache.render.plots import first, plots, sparkline
from statscache.timeline import DAY, HOUR, parse_time
from statscache.windows import trailing_days

THROUGH = parse_time("2015-08-08T14:02")
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)> \u202etxt.exe \x00\x1b\ufffe {{ 7*7 }} 😀'
HOSTILE += "x" * 10_000
WINDOWS = {"total": 12_345, "last_24h": 1_234, "last_7d": 5_678, "last_30d": 9_012}


class Elements(HTMLParser):
    """Collects every element's name and attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text += data

    def values(self, name: str) -> list[str]:
        """Return the attribute's value on every element that has it."""
        return [attributes[name] or "" for _, attributes in self.found if name in attributes]


def series(name: str = "volume", keys: tuple[tuple[str | None, ...], ...] = ((),)) -> SeriesView:
    """Return six hours of a series, the last unfinished, with a gap."""
    start = THROUGH // HOUR * HOUR - 5 * HOUR
    rows: list[list[Any]] = [[start + at * HOUR, *key, 10 + at] for at in range(6) for key in keys]
    return SeriesView(
        resolution="1h",
        seconds=HOUR,
        columns=("timestamp", *("key" for _ in keys[0]), "value"),
        rows=rows,
        start=start,
        end=start + 6 * HOUR,
        complete_through=start + 5 * HOUR,
        gaps=[(start + HOUR, start + 2 * HOUR)],
        periods=(Link(f"v1/plugins/{name}/series/1h/2015-08.json", "2015-08", 4321),),
    )


def plugin(name: str = "volume", kind: str = "Counter", **changes: Any) -> PluginView:
    """Return a counter without dimensions, or what the changes make of it."""
    attributes = {
        "__doc__": "All messages on the bus.",
        "name": name,
        "title": "Messages",
        "definition": "One is counted for each message.\n\nCopies count once.",
        "observe": lambda self, message: (),
    }
    for each in Plugin.__annotations__.keys() & changes.keys():
        attributes[each] = changes.pop(each)
    made = type("Shown", (Counter,), attributes)()
    view = PluginView(
        info=made.info(),
        kind=made.kind if kind == "Counter" else kinds()[kind](made),
        state="ok",
        last_event=THROUGH,
        since=THROUGH // DAY * DAY - DAY,
        through=THROUGH,
        latest={"through": THROUGH, "rows": [WINDOWS]},
        series=(series(name),),
        links=(Link(f"v1/plugins/{name}/latest.json", "latest.json", 812),),
    )
    return replace(view, **changes)


def composes(*rows: dict[str, Any], kind: str = "Latest", **fields: Any) -> PluginView:
    """Return a `Latest`, or another kind, of these rows, or of one row with these fields."""
    shown = [*rows] or [{"branch": "rawhide", "timestamp": THROUGH, **fields}]
    return plugin("composes", kind, unit="composes", dimensions=("branch",), latest={"rows": shown}, series=())


VIEWS = (
    plugin(),
    plugin("by-category", dimensions=("category",), latest={"rows": [{"category": None, **WINDOWS}]}),
    plugin("by-user", dimensions=("user",), unbounded=True, series=(), latest={"rows": [{"user": "ralph", **WINDOWS}]}),
    composes(state="doomed"),
    plugin("new", latest=None, series=(), links=(), last_event=None, through=None),
)


@pytest.fixture(scope="module", autouse=True)
def _whole_site() -> Iterator[None]:
    with whole_site():
        yield


@pytest.fixture(scope="module")
def pages() -> Pages:
    """The pages of an installation, with no address configured."""
    return Pages(resources.sources(), title="statscache", base_url=None)


@pytest.fixture(scope="module")
def public_pages() -> Pages:
    """The pages of an installation whose address is configured, and which counts people."""
    return Pages(resources.sources(), title="A & B", base_url="https://s.example/x", entities=("person", "topic"))


def site(pages: Pages, views: tuple[PluginView, ...], through: int | None = THROUGH) -> dict[str, bytes]:
    """Return all files of a site."""
    made = chain(pages.fixed(), *(pages.plugin(view) for view in views), pages.index(views, through))
    return dict(made)


def page(pages: Pages, view: PluginView) -> str:
    """Return the page of one plugin."""
    return dict(pages.plugin(view))[f"plugins/{view.info.name}/index.html"].decode()


def words(html: str) -> str:
    """Return the text of a page, with single spaces."""
    return " ".join(Elements(html).text.split())


def test_the_same_views_give_the_same_bytes(pages: Pages) -> None:
    """Another process's pages, and a second call, do not differ in a byte."""
    again = Pages(resources.sources(), title="statscache", base_url=None)
    assert site(pages, VIEWS) == site(again, VIEWS)
    assert pages.fingerprint == again.fingerprint


def test_the_fingerprint_follows_what_influences_bytes(pages: Pages, tmp_path: Path) -> None:
    """A template, an asset, the title and the address each change it."""
    assets = tmp_path / "site"
    assets.mkdir()
    for path in resources.sources().site.iterdir():
        if path.is_file():
            (assets / path.name).write_bytes(path.read_bytes())
    (assets / "style.css").write_text("body { margin: 0 }")
    templates = tmp_path / "templates"
    templates.mkdir()
    for path in resources.sources().templates.iterdir():
        if path.is_file():
            (templates / path.name).write_bytes(path.read_bytes() + b"\n")
    others = (
        Pages(replace(resources.sources(), site=assets), title="statscache", base_url=None),
        Pages(replace(resources.sources(), templates=templates), title="statscache", base_url=None),
        Pages(resources.sources(), title="other", base_url=None),
        Pages(resources.sources(), title="statscache", base_url="https://stats.example.org/"),
    )
    assert len({pages.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_every_link_is_relative_and_resolves(pages: Pages) -> None:
    """Links to pages, plots, assets and fragments lead to what is there; none is absolute, so any path will do."""
    files = site(pages, VIEWS)
    documents = {link.path for view in VIEWS for link in (*view.links, *chain(*(s.periods for s in view.series)))}
    known = files.keys() | documents | {*layout.OUTSIDE}
    # What is shown in place of any page is at home at the root of a host.
    for path in (path for path in files if path.endswith(".html") and path != "404.html"):
        elements = Elements(files[path].decode())
        for target in elements.values("href") + elements.values("src"):
            parts = urlsplit(target)
            if path.startswith("docs/") and parts.scheme == "https":
                continue
            assert not parts.scheme, target
            assert not target.startswith("/"), target
            resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), parts.path)) if parts.path else path
            assert resolved in known, f"{path} links to {target}"
            if parts.fragment:
                assert parts.fragment in Elements(files[resolved].decode()).values("id"), target


def test_ids_are_unique_and_references_to_them_resolve(pages: Pages) -> None:
    """No page has an id twice, and each label and pattern that is referred to is there."""
    for path, data in site(pages, VIEWS).items():
        if path.endswith(".html"):
            elements = Elements(data.decode())
            ids = elements.values("id")
            assert len(ids) == len(set(ids)), path
            fills = [fill[5:-1] for fill in elements.values("fill") if fill.startswith("url(")]
            assert set(elements.values("aria-labelledby") + fills) <= set(ids), path


def test_pages_obey_their_own_strict_policy(pages: Pages) -> None:
    """Nothing is loaded from elsewhere, and there is no inline style, script or handler to be forbidden."""
    for path, data in site(pages, VIEWS).items():
        if not path.endswith(".html"):
            continue
        html = data.decode()
        elements = Elements(html)
        (policy,) = (at["content"] for tag, at in elements.found if at.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert not elements.values("style")
        assert "style" not in [tag for tag, _ in elements.found]
        scripts = [attributes for tag, attributes in elements.found if tag == "script"]
        assert all(each.get("src") or each.get("type") == "application/ld+json" for each in scripts)
        assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]


def test_plots_stand_alone(pages: Pages) -> None:
    """A plot is XML with a title and a description, a dark side, no script, and nothing to load."""
    plots = {path: data for path, data in site(pages, VIEWS).items() if path.endswith("chart.svg")}
    assert set(plots) == {f"v1/plugins/{name}/chart.svg" for name in ("volume", "by-category", "by-user")}
    for data in plots.values():
        tree = ElementTree.fromstring(data)
        names = [element.tag.rpartition("}")[2] for element in tree.iter()]
        assert names[:2] == ["title", "desc"] or names[:3] == ["svg", "title", "desc"]
        assert "script" not in names
        assert b"prefers-color-scheme: dark" in data
        assert set(re.findall(rb"https?://[^\"' <)]+", data)) == {b"http://www.w3.org/2000/svg"}
        assert set(re.findall(rb"url\(([^)]*)\)", data)) <= {b"#hatch-7d-1"}


def test_every_resolution_has_its_plot(pages: Pages) -> None:
    """The plot of the plugin is the one by hour, under a name that does not depend on it."""
    files = dict(pages.plugin(plugin()))
    assert files["v1/plugins/volume/chart.svg"] == files["v1/plugins/volume/chart-1h.svg"]


def daily(days: int, keys: tuple[str, ...] = ("a", "b"), **changes: Any) -> SeriesView:
    """Return days of a series that end with a day that is not over, one more for each key than for the one before."""
    end = parse_time("2015-08-08") + DAY
    rows = [[end - at * DAY, key, n] for at in range(days, 0, -1) for n, key in enumerate(keys, start=1)]
    shown = replace(series(), resolution="1d", seconds=DAY, columns=("timestamp", "key", "value"), rows=rows, gaps=[])
    return replace(shown, **{"start": end - days * DAY, "end": end, "complete_through": end - 1, **changes})


def test_a_year_is_drawn_by_week() -> None:
    """Sums of days are sums of weeks: whole ones, from Monday on; one that a gap touches is unknown."""
    gap = parse_time("2015-07-22")
    view = plugin(dimensions=("key",), series=(daily(60, gaps=[(gap, gap + 1)]),))
    month, year = plots(view)
    assert (month.range.name, year.range.name) == ("30d", "1y")
    assert month.data.buckets == 30
    assert (year.end, year.span) == (parse_time("2015-08-03"), "7 weeks")
    b, a = year.data.curves
    assert a.values == (None,) * 5 + (7,) * 5 + (None, 7)
    assert [value and value * 2 for value in a.values] == list(b.values)


def test_what_was_before_the_first_data_is_unknown() -> None:
    """A chart is never of a bucket or two alone: those before are hatched, and it says of what."""
    (month,) = plots(plugin(series=(daily(9),), dimensions=("key",)))
    assert month.data.gaps == ((0, 4),)
    assert (month.span, month.known) == ("8 days", 8)
    assert month.description.endswith("Hatched: before the first data.")
    (month,) = plots(plugin(series=(daily(2),), dimensions=("key",)))
    assert month.span == "1 day"


def test_what_all_names_begin_with_is_said_once() -> None:
    """Names differ at their end: the common beginning is left out, and what is too long is cut in the middle."""
    names = ("org.fedoraproject.prod.build.start", f"org.fedoraproject.prod.build.{'x' * 40}.end")
    plot = plots(plugin(dimensions=("key",), series=(daily(9, names),)))[0]
    assert plot.prefix == "org.fedoraproject.prod.build."
    assert [curve.label for curve in plot.data.curves] == [f"{'x' * 14}…{'x' * 9}.end", "start"]
    assert "All names begin with org.fedoraproject.prod.build." in plot.description
    assert plot.names == names[::-1]


def test_a_dimension_of_the_headline_is_no_part_of_a_name() -> None:
    """Each curve is of the same state: that is said once, in the number of all."""
    shown = daily(9, columns=("timestamp", "key", "state", "value"))
    rows = [[time, key, state, n] for time, key, n in shown.rows for state in ("complete", "failed")]
    view = plugin(dimensions=("key", "state"), headline={"state": "complete"}, series=(replace(shown, rows=rows),))
    month = plots(view)[0]
    assert [curve.label for curve in month.data.curves] == ["b", "a"]
    assert "24 messages complete." in month.description


def test_the_page_shows_first_what_says_most() -> None:
    """Thirty days, where a week of them is known; else seven days, and so on."""
    for days, name in ((9, "30d"), (3, "7d")):
        shown = first(plots(plugin(dimensions=("key",), series=(series(keys=(("a",),)), daily(days)))))
        assert shown is not None
        assert shown.range.name == name
    assert first([]) is None


def test_an_asset_is_named_by_its_content(pages: Pages) -> None:
    """Assets keep their extension and carry a digest; what other sites import has a name that stays, besides."""
    names = {path for path, _ in pages.fixed() if path.startswith("assets/")}
    assert names >= {f"assets/{name}" for name in MODULES}
    fingerprinted = names - {f"assets/{name}" for name in MODULES}
    plain = {re.sub(r"\.[0-9a-f]{8}\.", ".", name) for name in fingerprinted}
    assert plain >= {"assets/style.css", "assets/widgets.js"}
    assert all(re.fullmatch(r"assets/[a-z]+\.[0-9a-f]{8}(\.[a-z]+)+", name) for name in fingerprinted)


def test_a_module_imports_its_like(pages: Pages) -> None:
    """The module with a digest imports modules with digests, and the one without imports the one that stays."""
    files = {re.sub(r"[0-9a-f]{8}", "DIGEST", path): (path, data) for path, data in pages.fixed()}
    client, _ = files["assets/statscache.DIGEST.js"]
    assert f'from "./{client.removeprefix("assets/")}";'.encode() in files["assets/widgets.DIGEST.js"][1]
    assert b'from "./statscache.js";' in files["assets/widgets.js"][1]


def preloaded(html: str) -> list[str]:
    """Return the assets that a page asks for with its modules, by their names without digests."""
    links = (at for tag, at in Elements(html).found if tag == "link" and at.get("rel") == "modulepreload")
    return [re.sub(r".*/|\.[0-9a-f]{8}", "", str(link["href"])) for link in links]


def test_a_page_asks_at_once_for_all_that_its_modules_import(public_pages: Pages) -> None:
    """What search imports on every page, and what the modules of the page import besides, each once; no more."""
    files = site(public_pages, VIEWS)
    sources = {path.name: path.read_text() for path in resources.sources().site.glob("*.js")}

    def imported(*names: str) -> set[str]:
        direct = {other for name in names for other in re.findall(r' from "\./(\w+\.js)"', sources[name])}
        return direct | imported(*direct) if direct else set()

    for path, modules in (
        ("docs/index.html", ["search.js"]),
        ("status/index.html", ["search.js", "live.js"]),
        ("people/index.html", ["search.js", "widgets.js", "entity.js"]),
        ("plugins/volume/index.html", ["search.js", "charts.js"]),
    ):
        asked = preloaded(files[path].decode())
        assert len(asked) == len(set(asked))
        assert {*asked} == imported(*modules), path


def test_pages_of_the_docs_lead_to_each_other_and_to_their_sections(public_pages: Pages) -> None:
    """Each heading links to itself, each page to the one before and after it; the list has the sections of each."""
    files = site(public_pages, VIEWS)
    pages = [
        path for path in files if path.startswith("docs/") and path.endswith(".html") and path != "docs/index.html"
    ]
    turns: dict[str, list[str]] = {"prev": [], "next": []}
    for path in pages:
        html = files[path].decode()
        article = html[html.index("<article") : html.index("</article>")]
        headings = re.findall(r'<h[2-4] id="([^"]+)"><a href="#([^"]+)">', article)
        assert len(headings) == len(re.findall("<h[2-4]", article))
        assert all(own == target for own, target in headings), path
        for tag, attributes in Elements(html).found:
            if tag == "a" and attributes.get("rel") in turns:
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), str(attributes["href"])))
                turns[str(attributes["rel"])].append(target)
    # All but the first follow another, and all but the last are followed.
    for targets in turns.values():
        assert len({*targets}) == len(targets) == len(pages) - 1
        assert {*targets} <= {*pages}
    assert 'href="format/index.html#keys-in-paths"' in files["docs/index.html"].decode()


def test_examples_of_the_docs_are_for_the_site_that_shows_them(pages: Pages, public_pages: Pages) -> None:
    """Where its address is configured; an operator's own preview is where it is."""
    for made, address in ((pages, "http://localhost:8080/"), (public_pages, "https://s.example/x/")):
        files = site(made, VIEWS)
        shown = files["docs/start/index.html"].decode()
        assert f"curl --silent {address}v1/plugins/volume/latest.json" in shown
        assert ("localhost" in shown) == (made is pages)
        assert "curl -s http://localhost:8080/v1/index.json" in files["docs/tutorial/index.html"].decode()


def test_numbers_of_one_thing_are_tiles(pages: Pages) -> None:
    """A table of one row has its columns far apart; what names no key and is numbers alone needs none."""
    partial = {"through": THROUGH, "rows": [{**WINDOWS}], "partial": {"last_30d": THROUGH - DAY}}
    html = page(pages, plugin(latest=partial))
    assert "<table" not in html
    tiles = html[html.index("Latest</h2>") : html.index("About this statistic")]
    assert tiles.count("<dt>") == len(WINDOWS)
    assert "—</strong><span>known since" in tiles
    assert "<table" in page(pages, plugin(dimensions=("key",), latest={"rows": [{"key": "a", **WINDOWS}]}))
    assert "<table" in page(pages, composes(state="done"))


def hostile_views() -> tuple[PluginView, ...]:
    """Return views with hostile text wherever the bus controls it."""
    latest = {"rows": [{"key": HOSTILE, **WINDOWS}]}
    return (
        plugin("count", dimensions=("key",), latest=latest, series=(series(keys=((HOSTILE,),)),)),
        plugin("many", dimensions=("key",), unbounded=True, latest=latest, series=()),
        composes(
            {"text": HOSTILE, "nested": {HOSTILE: [HOSTILE]}, HOSTILE: HOSTILE, "branch": HOSTILE, "timestamp": THROUGH}
        ),
    )


def test_hostile_text_stays_text(pages: Pages) -> None:
    """Markup, template syntax, control characters and endless names in every field that the bus controls are inert."""
    for path, data in site(pages, hostile_views()).items():
        text = data.decode(errors="replace")
        if path.endswith(".svg"):
            assert "script" not in [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(data).iter()]
        if path.endswith((".svg", ".html")) and not path.startswith("assets/"):
            assert "<script>alert" not in text
            assert "<img" not in text
            assert not re.search("[\x00-\x08\x0b-\x1f\ufffe]", text), path
            # The documentation is as long as it is; nothing of the bus is in it.
            assert len(text) < 40_000 or path.startswith("docs/"), path
            assert "49 😀" not in text


def test_hostile_text_cannot_turn_the_line_around(pages: Pages) -> None:
    """Each piece of text from the bus is isolated, or a cell of its own, so right-to-left marks end with it."""
    for _, data in chain(*(pages.plugin(view) for view in hostile_views()), pages.index(hostile_views(), THROUGH)):
        html = data.decode()
        if html.startswith("<!doctype html>"):
            body = html[html.index("<main") :]
            visible = re.sub(r"<bdi>.*?</bdi>|<td[ >].*?</td>", "", re.sub(r'="[^"]*"', "", body), flags=re.DOTALL)
            assert "\u202e" not in visible


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "https://", "http://a b/", "//host/x"])
def test_only_web_addresses_become_links(pages: Pages, address: str) -> None:
    """Another scheme, or what is not an address, stays text."""
    assert f'href="{address}' not in page(pages, composes(url=address))
    assert 'href="https://example.org/a?b=1&amp;c=2"' in page(pages, composes(url="https://example.org/a?b=1&c=2"))


def test_values_are_readable(pages: Pages) -> None:
    """Null is a dash. Nested values are compact JSON, numbers have separators, times are UTC."""
    html = page(pages, composes(a=None, b={"x": [1, 2]}, c=1234567, d=True, e=-5))
    said = words(html)
    assert '<td class="unknown" data-label="A">\u2014</td>' in html
    assert "“—” is unknown" in said
    assert '{"x":[1,2]}' in said
    assert "1,234,567" in said
    assert "\u22125" in said
    assert '<time datetime="2015-08-08T14:02:00Z">2015-08-08 14:02 UTC</time>' in html


def test_a_field_that_is_absent_is_not_unknown(pages: Pages) -> None:
    """Rows with other fields share a table; what one lacks is an empty cell."""
    rows = [{"branch": "a", "timestamp": 1, "x": 1}, {"branch": "b", "timestamp": 2}]
    html = page(pages, replace(composes(), latest={"rows": rows}))
    assert 'class="unknown"' not in html
    assert "<td></td>" in html


def test_a_table_shows_what_there_is_and_says_of_how_many(pages: Pages) -> None:
    """The greatest 500 are shown; the rest is in the document."""
    rows = [{"category": f"c{n:03}", **WINDOWS, "total": n} for n in range(600)]
    html = page(pages, plugin(dimensions=("category",), latest={"rows": rows}))
    assert html.count("<tr>") == 501
    assert "The first 500 of 600 rows" in words(html)
    assert "c100" in html
    assert "c099" not in html


def table_of(html: str) -> list[list[str]]:
    """Return the words of each cell of the first table of a page."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[words(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


def test_rows_of_the_headline_come_first(pages: Pages) -> None:
    """Builds that are complete come before those that began, though more began."""
    rows = [{"state": state, **WINDOWS, "total": total} for state, total in (("building", 9), ("complete", 8))]
    html = page(pages, plugin(dimensions=("state",), headline={"state": "complete"}, latest={"rows": rows}, series=()))
    assert 0 < html.index(">complete</td>") < html.index(">building</td>")


def test_what_all_bars_begin_with_is_said_once(pages: Pages) -> None:
    """The names of topics would be cut in narrow places; in words, the description has them whole."""
    prefix = "org.fedoraproject.prod."
    rows = [{"topic": f"{prefix}{name}.end", **WINDOWS} for name in ("build", "chroot")]
    view = plugin("by-topic", dimensions=("topic",), unbounded=True, series=(), latest={"rows": rows})
    files = dict(pages.plugin(view))
    (bars,) = re.findall('<ol class="bars">.*?</ol>', files["plugins/by-topic/index.html"].decode(), re.DOTALL)
    assert "<bdi>chroot.end</bdi>" in bars
    assert prefix not in bars
    assert f'<p class="prefix"><bdi>{prefix}</bdi>…</p>' in files["plugins/by-topic/index.html"].decode()
    picture = files["v1/plugins/by-topic/chart.svg"].decode()
    assert ">chroot.end</text>" in picture
    assert f"· {prefix}…</tspan>" in picture
    assert f"{prefix}chroot.end: 12,345." in picture


def test_columns_stand_in_the_order_in_which_people_look(pages: Pages) -> None:
    """Key, state, times, durations, what identifies, the rest, links; what moved last comes first."""
    fields = {"area": "eu", "state": "done", "id": "x1", **dict.fromkeys(("link", "log"), "https://example.org/a/path")}
    rows = [
        {"branch": name, "start": start, "stop": None, "duration": 12_867, **fields}
        for name, start in (("old", THROUGH - DAY), ("new", THROUGH))
    ]
    head, first, second = table_of(page(pages, composes(*rows, kind="Span")))
    assert head == ["branch", "state", "Start (UTC)", "Stop (UTC)", "Took", "id", "area", "link", "log"]
    new = ["new", "done", "2015-08-08 14:02", "—", "3\u00a0h 34\u00a0min", "x1", "eu", "Open ↗", "Open ↗"]
    assert [cell.replace("\u00a0", " ") for cell in first] == [cell.replace("\u00a0", " ") for cell in new]
    assert second[0] == "old"


def test_a_link_shares_the_cell_of_the_id(pages: Pages) -> None:
    """A row without a link has its id alone; where a link has no id, there is a column of links."""
    rows = [{"branch": name, "timestamp": THROUGH, "id": name * 9, "link": None} for name in "ab"]
    rows[1]["link"] = "https://example.org/b"
    html = page(pages, composes(*rows))
    head, *_ = table_of(html)
    assert head == ["branch", "Time (UTC)", "id"]
    assert '<a href="https://example.org/b" rel="nofollow">bbbbbbbbb</a>' in html
    assert ">aaaaaaaaa</td>" in html
    rows[1]["id"] = None
    head, *_ = table_of(page(pages, composes(*rows)))
    assert head == ["branch", "Time (UTC)", "id", "link"]


def test_a_column_that_says_nothing_is_left_out(pages: Pages) -> None:
    """A part of the key that no row has, and an end that is always the time of the row; not what is unknown."""
    rows: list[dict[str, Any]] = [
        {"branch": None, "timestamp": THROUGH - age, "start": THROUGH - age - 5, "stop": stop, "size": None}
        for age, stop in ((0, None), (60, THROUGH - 60))
    ]
    head, *_ = table_of(page(pages, composes(*rows)))
    assert head == ["Time (UTC)", "Start (UTC)", "size"]
    rows[0]["stop"] = THROUGH + 1
    rows[1]["branch"] = "f45"
    head, *_ = table_of(page(pages, composes(*rows)))
    assert head == ["branch", "Time (UTC)", "Start (UTC)", "Stop (UTC)", "size"]


def test_the_order_of_rows_is_the_first_to_choose(pages: Pages) -> None:
    """It is the order of a column, or that of the newest of several times; links are in no order."""
    rows: list[dict[str, Any]] = [
        {"branch": f"b{n}", "timestamp": THROUGH - n, "log": f"https://a/{n}"} for n in range(9)
    ]
    html = page(pages, composes(*rows))
    options = re.findall(r"<option[^>]*>.*?</option>", html)
    assert options == [
        '<option value="0">Branch, A to Z</option>',
        '<option value="1" selected>Newest first</option>',
    ]
    assert html.count('class="time" aria-sort="descending"') == 1
    spans = [{"branch": f"b{n}", "start": n, "stop": None if n % 2 else 99 - n} for n in range(9)]
    html = page(pages, composes(*spans, kind="Span"))
    words = re.findall(r"<option[^>]*>(.*?)</option>", html)
    assert words == ["Newest first", "Branch, A to Z", "Start (UTC), newest first", "Stop (UTC), newest first"]
    assert "aria-sort" not in html


def test_the_style_knows_how_much_room_a_table_needs(pages: Pages) -> None:
    """The class says it in steps, of which the style has each; longer texts need more, those that may be cut do not."""

    def room(text: str) -> int:
        rows = [{"branch": f"{text}{n}", "timestamp": THROUGH, "size": n} for n in range(2)]
        found = re.search(r'class="data-table room-(\d+)"', page(pages, composes(*rows)))
        assert found
        return int(found[1])

    style = (resources.sources().site / "style.css").read_text()
    assert all(f".room-{steps} {{" in style for steps in range(tables.FEWEST_STEPS, tables.MOST_STEPS + 1))
    assert room("short") < room("m" * 14)
    assert room("m" * 30) == room("m" * 90)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_600, "1 h"),
        (12_867, "3 h 34 min"),
        (86_400, "1 d"),
        (642_427, "7 d 10 h"),
        (-90, "\u22121 min"),
    ],
)
def test_durations_are_said_in_their_greatest_units(seconds: int, said: str) -> None:
    """No one reads 12,867 seconds."""
    assert text.duration(seconds).replace("\u00a0", " ") == said


def test_a_leaderboard_of_each_period_is_on_a_tab(pages: Pages) -> None:
    """Ranked, with what is not wholly known said."""
    ranked = [{"user": "ann", "value": 7}, {"user": "bob", "value": 6}]
    partial: dict[str, int | None] = {"last_30d": THROUGH // DAY * DAY - DAY}
    boards = (Leaderboard(trailing_days(30), ranked, partial), Leaderboard(trailing_days(7), []))
    latest = {"rows": [{"user": "bob", **WINDOWS}]}
    view = plugin(dimensions=("user",), unbounded=True, series=(), latest=latest, leaderboards=boards)
    html = page(pages, view)
    assert re.findall(r'<input type="radio" name="period"( checked)?><span>(.*?)</span>', html) == [
        (" checked", "All time"),
        ("", "30 days"),
    ]
    assert table_of(html)[3:] == [["1 ann", "7"], ["2 bob", "6"]]
    assert "The top 2 in the last 30 full days." in words(html)
    assert "Not all of that time is known, only what is since 2015-08-07 00:00 UTC." in words(html)


@pytest.mark.parametrize("state", ["stale", "rebuilding", "failed"])
def test_a_state_that_is_not_ok_is_said_in_words(pages: Pages, state: str) -> None:
    """On its page and its card; and what is ok says nothing."""
    view = plugin(state=state)
    for html in (page(pages, view), dict(pages.index([view], THROUGH))["index.html"].decode()):
        assert f"{state.capitalize()}." in words(html)
        assert f'class="badge {state}"' in html
    assert "badge" not in page(pages, plugin())


def test_a_page_says_of_what(pages: Pages) -> None:
    """Definition by paragraph, unit, kind and source topics are there."""
    html = page(pages, plugin(topics=("bodhi.update.*",)))
    assert "<p>One is counted for each message.</p><p>Copies count once.</p>" in html
    assert "bodhi.update.*" in words(html)
    assert "<dt>Source topics</dt><dd>all messages</dd>" in page(pages, plugin())


def test_the_headline_is_of_the_shortest_window_that_has_something(pages: Pages) -> None:
    """A quiet day does not make a headline of zero while the week has numbers."""
    assert "1,234 messages in the last 24 full hours" in words(page(pages, plugin()))
    quiet = plugin(latest={"rows": [{**WINDOWS, "last_24h": 0}]})
    assert "5,678 messages in the last 7 full days" in words(page(pages, quiet))
    silent = plugin(latest={"rows": [dict.fromkeys(WINDOWS, 0)]})
    assert "0 messages in all" in words(page(pages, silent))


def test_the_headline_of_what_has_no_number_counts_its_rows(pages: Pages) -> None:
    """By the plugin's unit, and in the singular by the row."""
    assert "1 row " in words(page(pages, composes(state="done")))
    two = {"branch": "a"}, {"branch": "b"}
    assert "2 composes " in words(page(pages, composes(*two)))
    assert "2 newest composes " in words(page(pages, composes(*two, kind="Log")))
    assert "2 rows " in words(page(pages, composes(*two, kind="Table")))


def test_a_trend_compares_two_windows_that_are_known(pages: Pages) -> None:
    """A card tells how the day compares with the one before; where data are missing, or begin later, it does not."""
    end = THROUGH // HOUR * HOUR
    hours = [[end - at * HOUR, 10 if at > 24 else 7] for at in range(49, -1, -1)]
    two = replace(series(), rows=hours, start=end - 49 * HOUR, end=end + HOUR, complete_through=end, gaps=[])

    def card(known: SeriesView) -> str:
        return words(dict(pages.index([plugin(series=(known,))], THROUGH))["index.html"].decode())

    assert "in the last 24 full hours \u221230% on the 24 hours before" in card(two)
    assert "before" not in card(replace(two, gaps=[(end - 30 * HOUR, end - 29 * HOUR)]))
    assert "before" not in card(replace(two, start=end - 47 * HOUR))


def test_code_in_a_definition_is_shown_as_code(pages: Pages) -> None:
    """Between backticks; markup in it stays text."""
    html = page(pages, plugin(definition="From `<START>` on, or not`"))
    assert "<p>From <code>&lt;START&gt;</code> on, or not`</p>" in html


def test_the_plot_is_described_in_words(pages: Pages) -> None:
    """Who cannot see it reads what it shows, gaps and unfinished included."""
    text = words(page(pages, plugin()))
    assert "Busiest hour: 14, from 2015-08-08 13:00 UTC." in text
    assert (
        "Hatched: data are missing, which is not zero. Not drawn: the hour from 2015-08-08 14:00 UTC, with 15 so far."
        in text
    )


def test_what_is_not_over_is_not_drawn(pages: Pages) -> None:
    """Plots and small plots have a point for each bucket that is over, however low the one in progress is."""
    begun = replace(series(), gaps=[], rows=[[series().start + at * HOUR, 10 if at < 5 else 1] for at in range(6)])
    (plot,) = plots(plugin(series=(begun,)))
    assert plot.end == begun.end - HOUR
    for figure in (plot.figure, sparkline(plot)):
        (panel,) = figure.panels
        tops = re.findall(r"V([\d.]+)h", panel.layers[0].path)
        assert len(tops) == 5
        assert len(set(tops)) == 1, "no fall"
    assert not plots(plugin(series=(replace(begun, complete_through=begun.start),)))


def test_keys_that_do_not_add_up_are_neither_stacked_nor_summed(pages: Pages) -> None:
    """Each has a panel; of several the greatest is shown, though the days of one are a week."""
    keys = (("a",), ("b",))
    days = replace(
        series(keys=keys),
        resolution="1d",
        seconds=DAY,
        start=4 * DAY,
        end=4 * DAY + 9 * DAY,
        complete_through=12 * DAY,
        rows=[[(4 + at) * DAY, key, 10] for at in range(9) for (key,) in keys],
        gaps=[],
    )
    shown: dict[str, Any] = {"dimensions": ("key",), "series": (days,), "latest": {"rows": [{"key": "a", **WINDOWS}]}}
    apart = plugin(not_added_up=("key",), **shown)
    for plot, so_far in zip(plots(apart), (10, 20), strict=True):
        assert [panel.label for panel in plot.figure.panels] == ["a", "b"]
        assert plot.so_far.endswith(f"with {so_far} so far.")
    assert "data-keys-add-up" not in page(pages, apart)
    together = plugin(**shown)
    for plot, so_far in zip(plots(together), (20, 40), strict=True):
        assert len(plot.figure.panels) == 1
        assert plot.so_far.endswith(f"with {so_far} so far.")
    assert 'data-additive="true" data-keys-add-up="true"' in page(pages, together)


def test_pages_say_since_when_and_through_when_data_are(pages: Pages) -> None:
    """The page of a plugin has its own beginning, the front page the earliest; a last event is another thing."""
    views = (plugin(last_event=THROUGH - DAY), plugin("other", since=THROUGH - 9 * DAY), plugin("new", since=None))
    said = words(page(pages, views[0]))
    assert "Data through 2015-08-08 14:02 UTC Data since 2015-08-07" in said
    assert "2015-08-07 14:02 UTC" in said.partition("Last event")[2]
    front = words(dict(pages.index(views, THROUGH))["index.html"].decode())
    assert "Data through 2015-08-08 14:02 UTC Data since 2015-07-30" in front
    assert "Data since" not in words(dict(pages.index([views[2]], THROUGH))["index.html"].decode())


def test_the_headline_is_a_number_of_the_whole_site(pages: Pages, public_pages: Pages) -> None:
    """It is the number of keys of an unbounded counter, and names the key where values do not add up."""
    rows = [{"user": "ralph", **WINDOWS, "total": 2_005}, {"user": "ann", **WINDOWS, "total": 3}]
    many = plugin("by-user", dimensions=("user",), unbounded=True, series=(), unit="cheers")
    many = replace(many, latest={"rows": rows, "keys": 405})
    assert "405 users; the most cheers: ralph, 2,005" in words(page(pages, many))
    named = replace(many, info=replace(many.info, entities={"user": "person"}))
    link = 'the most cheers: <a href="../../people/index.html?ralph"><bdi>ralph</bdi></a>, 2,005'
    assert link in page(public_pages, named)
    apart = plugin("apart", dimensions=("category",), not_added_up=("category",))
    apart = replace(
        apart, latest={"rows": [{"category": "git", **WINDOWS}, {"category": "irc", **WINDOWS, "last_24h": 0}]}
    )
    assert "messages in the last 24 full hours: git, the most of any category" in words(page(pages, apart))


@pytest.mark.parametrize(
    ("dimension", "number", "noun"),
    [
        ("user", 2, "people"),
        ("user", 1, "person"),
        ("category", 2, "categories"),
        ("project", 2, "projects"),
        ("key", 3, "keys"),
    ],
)
def test_what_a_number_of_keys_are_called(dimension: str, number: int, noun: str) -> None:
    """An entity by its name, anything else by that of the dimension."""
    assert noun_of(dimension, {"user": "person"}, number) == noun


def test_an_empty_site_says_how_to_fill_it(pages: Pages) -> None:
    """Without messages and without plugins, the page tells what to do next."""
    empty = dict(pages.index([plugin(latest=None, series=(), links=(), last_event=None)], None))["index.html"].decode()
    assert "No messages yet." in words(empty)
    assert "statscache backfill FILE…" in words(empty)
    assert "No plugin is enabled." in words(dict(pages.index([], None))["index.html"].decode())


def test_examples_hold_the_configured_address() -> None:
    """curl, JavaScript, Python and R fetch a document that is there, from where the site is served."""
    pages = Pages(resources.sources(), title="statscache", base_url="https://stats.example.org/s")
    html = page(pages, plugin())
    shown = words(html[html.index("<body") :])
    assert shown.count("https://stats.example.org/s/v1/plugins/volume/latest.json") == 4


def test_the_title_of_the_site_is_escaped() -> None:
    """What an operator configures is text too."""
    pages = Pages(resources.sources(), title="<b>&", base_url=None)
    assert "<b>" not in dict(pages.index([], None))["index.html"].decode()


def test_the_index_of_many_plugins_is_small(pages: Pages) -> None:
    """With forty plugins, each with a plot and bars, the front page is under 150 kB compressed."""
    keys = tuple((f"category-{number}",) for number in range(8))
    latest = {"rows": [{"category": key, **WINDOWS} for (key,) in keys]}
    views = [
        plugin(f"plugin-{number}", dimensions=("category",), latest=latest, series=(series(f"plugin-{number}", keys),))
        for number in range(40)
    ]
    page = dict(pages.index(views, THROUGH))["index.html"]
    assert page.count(b'<article class="card"') == 40
    assert len(gzip.compress(page)) < 150_000


def test_gaps_are_listed_as_finely_as_the_series_tell(pages: Pages) -> None:
    """Where a finer series ends, a coarser one goes on; without a gap the page says so."""
    text = words(page(pages, plugin()))
    assert "Gaps2015-08-08 10:00 UTC to 2015-08-08 11:00 UTC seen by hour" in text
    assert "Gapsnone in what is shown" in words(page(pages, plugin(series=(replace(series(), gaps=[]),))))
    days = replace(series(), resolution="1d", seconds=DAY, start=THROUGH - 9 * DAY, gaps=[(THROUGH - 8 * DAY, THROUGH)])
    view = plugin(series=(series(), days))
    first, second = view.gaps
    assert (first.resolution, second.resolution) == ("1h", "1d")
    assert second.end == series().start


def meta(html: str) -> dict[str, str]:
    """Return what the head of a page says of it, by name; links by their relation."""
    found = {}
    for tag, attributes in Elements(html).found:
        name = attributes.get("name") or attributes.get("property") or attributes.get("rel")
        if tag in ("meta", "link") and name:
            found[name] = attributes.get("content") or attributes.get("href") or ""
    return found


def test_each_page_has_a_title_and_a_description_of_its_own(public_pages: Pages) -> None:
    """They tell a search engine, and whoever is sent a link, what a page holds."""
    files = {path: data.decode() for path, data in site(public_pages, VIEWS).items() if path.endswith(".html")}
    # Plugins of these tests have one title and one docstring; what they count differs.
    first = [path for path in files if not path.startswith("plugins/") or "composes" in path]
    titles = {path: re.findall("<title>(.*?)</title>", files[path])[0] for path in first}
    described = {path: meta(html)["description"] for path, html in files.items() if not path.startswith("docs/adr")}
    assert len({*titles.values()}) == len(titles)
    assert all(20 <= len(text) <= 200 for text in described.values()), described
    shown = meta(files["plugins/by-category/index.html"])
    assert shown["description"] == "All messages on the bus. 1,234 messages in the last 24 full hours."
    assert shown["og:description"] == shown["description"]
    assert shown["og:title"] == "Messages \u00b7 A & B"
    assert shown["og:site_name"] == "A & B"


def test_a_page_names_its_one_address(public_pages: Pages, pages: Pages) -> None:
    """Where it is configured; a page that is about what is after a question mark has no one address."""
    files = site(public_pages, VIEWS)
    for path, address in {"index.html": "", "plugins/volume/index.html": "plugins/volume/index.html"}.items():
        found = meta(files[path].decode())
        assert found["canonical"] == found["og:url"] == f"https://s.example/x/{address}"
    assert "canonical" not in meta(files["people/index.html"].decode())
    assert "canonical" not in meta(site(pages, VIEWS)["index.html"].decode())


def test_a_page_of_people_is_not_listed_unless_that_is_configured(public_pages: Pages) -> None:
    """Neither pages of any one person, nor rankings of them, nor their documents."""
    people = plugin("karma", dimensions=("user",), people=True, unbounded=True, series=(), latest={"rows": []})
    views = (*VIEWS, people)
    files = site(public_pages, views)
    for path in ("people/index.html", "plugins/karma/index.html", "404.html"):
        assert meta(files[path].decode())["robots"] == "noindex", path
    assert "robots" not in meta(files["topics/index.html"].decode())
    assert "people/" not in files["sitemap.xml"].decode()
    assert files["robots.txt"].decode().splitlines() == [
        "User-agent: *",
        "Disallow: /x/v1/entities/person/",
        "Disallow: /x/v1/plugins/karma/by/",
        "",
        "Sitemap: https://s.example/x/sitemap.xml",
    ]
    listing = Pages(
        resources.sources(), title="", base_url="https://s.example/", entities=("person",), index_people=True
    )
    files = site(listing, views)
    assert "robots" not in meta(files["people/index.html"].decode())
    assert "https://s.example/people/index.html" in files["sitemap.xml"].decode()
    assert files["robots.txt"].decode().splitlines()[:2] == ["User-agent: *", "Allow: /"]


def test_the_sitemap_names_pages_that_are_there(public_pages: Pages, pages: Pages) -> None:
    """By their one address; without a known address there is none."""
    files = site(public_pages, VIEWS)
    named = re.findall("<loc>(.*?)</loc>", "".join(ElementTree.canonicalize(files["sitemap.xml"])))
    paths = {address.removeprefix("https://s.example/x/") or "index.html" for address in named}
    left = {path for path in files if path.endswith(".html")} - paths
    assert paths <= files.keys()
    assert left == {"404.html", "people/index.html"}
    assert "sitemap.xml" not in site(pages, VIEWS)


def test_a_statistic_is_a_data_set(public_pages: Pages) -> None:
    """In the terms of schema.org, with its files; hostile text does not end the script."""
    html = page(public_pages, plugin(definition="</script><script>alert(1)</script>"))
    (text,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', html)
    found = json.loads(text)
    assert found["@type"] == "Dataset"
    assert found["description"] == "All messages on the bus. </script><script>alert(1)</script>"
    assert found["distribution"][0]["contentUrl"] == "https://s.example/x/v1/plugins/volume/latest.json"
    assert found["temporalCoverage"] == "2015-08-07/.."
    assert meta(html)["alternate"] == "../../v1/plugins/volume/latest.json"

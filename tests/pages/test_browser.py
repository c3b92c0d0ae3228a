"""Pages in a real browser: nothing goes wrong on them, whatever the data, the width and the colours."""

import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest
from playwright.sync_api import Browser, expect

import example_sites
from browser import BETWEEN, SCHEMES, WIDTHS, Visit, serving_tree
from npm import NODE_MODULES, require_npm
from statscache import layout

NAMES = ("empty", "demo", "hostile")
VISITED = (
    "build-time",
    "contributors",
    "newest-badges",
    "release-dashboard",
    "unique-contributors",
    "volume-by-category",
)


MADE_BY_SCRIPT = ("examples/", *layout.ENTITY_PAGES.values())
"""Pages that say where their numbers come from, to those without scripts."""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The roots of the published sites, by name."""
    return {name: example_sites.shared(tmp_path_factory, name) for name in NAMES}


@pytest.fixture(scope="module")
def sites(trees: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address below which all sites are served, each under a path of its own."""
    root = tmp_path_factory.mktemp("served")
    for name, tree in trees.items():
        # The preview follows no link that leads out of what it serves.
        shutil.copytree(tree, root / name, copy_function=os.link)
    with serving_tree(root) as url:
        yield url


def pages(tree: Path) -> list[str]:
    """Return the paths of all pages of a site, but for the one that a server shows where there is none."""
    paths = (path.relative_to(tree).as_posix() for path in tree.rglob("*.html"))
    return sorted(path for path in paths if not path.startswith(("v1/", ".statscache/", layout.NOT_FOUND_PAGE)))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_goes_wrong_on_any_page(name: str, sites: str, trees: dict[str, Path], chromium: Browser) -> None:
    """At every width, light and dark: no error, no refused or foreign request, nothing executed, no overflow.

    On a phone in the light, and of the busy site on a desk in the dark, axe finds no violation either: styles do not
    depend on the data. Pages of the documentation are looked at on a phone, and between the widths of tours.
    """
    with Visit(chromium, [f"{sites}{name}/"]) as visit:
        for path in pages(trees[name]):
            if not is_worth_a_visit(name, path):
                continue
            visit.open(f"{sites}{name}/{path}")
            if path.startswith("docs/"):
                # Prose in one template: what differs is what may be too wide.
                visit.look(WIDTHS[0], "light")
                visit.audit()
            else:
                visit.tour((WIDTHS[0], WIDTHS[-1]) if name == "demo" else (WIDTHS[0],))
            # Between the widths of tours, the rows of tables fit: as a table, or as cards.
            for width in BETWEEN if name == "hostile" or path.startswith("docs/") else ():
                visit.look(width, "light")
            assert not visit.problems, (path, visit.problems)


@pytest.mark.parametrize("path", [layout.FRONT_PAGE, layout.BOARD_PAGE, layout.page("volume-by-category")])
def test_the_colour_scheme_moves_nothing(path: str, sites: str, chromium: Browser) -> None:
    """At every width all that shows is where it is in the other scheme, so tours look at a width in one of them."""
    shown = "[...document.querySelectorAll('body *')].filter((one) => one.checkVisibility())"
    boxes = f"{shown}.map((one) => Object.values(one.getBoundingClientRect().toJSON()))"
    with Visit(chromium, [sites]) as visit:
        visit.open(f"{sites}demo/{path}")
        for width in WIDTHS:
            seen = []
            for scheme in SCHEMES:
                visit.look(width, scheme)
                seen.append(visit.page.evaluate(boxes))
            assert seen[0] == seen[1], width
        assert not visit.problems, visit.problems


def is_worth_a_visit(name: str, path: str) -> bool:
    """Return whether a page differs from those of the other sites, and from those of plugins of the same kind."""
    if name != "demo":
        return not path.startswith("docs/")
    return not path.startswith(("plugins/", "docs/adr/")) or path.split("/")[1] in VISITED


def words(text: str) -> set[str]:
    """Return the words and numbers of a text."""
    return set(re.findall(r"[\w.,:/-]+", text))


def test_without_script_everything_is_there(sites: str, trees: dict[str, Path], chromium: Browser) -> None:
    """Text, numbers and plots are the same, but for what scripts read from the documents outside the snapshot."""
    shown = "[...document.querySelectorAll('main, footer')].map((part) => part.innerText).join(' ')"
    plots = "document.querySelectorAll('svg.plane, svg.bar, .spark svg.chart').length"
    # Pages say through when data are in whole hours, or, as docs, leave it to scripts, which read it from the index.
    parts = ".filter, [data-changes], [data-status], [data-scripted], button.copy"
    live = f"[data-snapshot], [data-through], [data-span], [data-overdue], {parts}"
    remove = f"document.querySelectorAll('{live}').forEach((part) => part.remove())"
    site = f"{sites}demo/"
    with Visit(chromium, [site]) as with_script, Visit(chromium, [site], script=False) as without:
        for path in pages(trees["demo"]):
            if path.startswith(MADE_BY_SCRIPT) or not is_worth_a_visit("demo", path):
                continue
            if path.startswith("docs/") and "<table" not in (trees["demo"] / path).read_text(encoding="utf-8"):
                # Prose, of which scripts change nothing but tables.
                continue
            with_script.open(site + path)
            with_script.page.evaluate(remove)
            without.open(site + path)
            missing = words(with_script.page.evaluate(shown)) - words(without.page.evaluate(shown))
            here = urlsplit(sites).netloc
            assert {word for word in missing if here not in word} == set(), path
            assert without.page.evaluate(plots) == with_script.page.evaluate(plots)
            assert not without.problems, (path, without.problems)


def test_scripts_sort_and_copy(sites: str, chromium: Browser) -> None:
    """An address is copied in whole; a table is sorted by numbers and by text."""
    with Visit(chromium, [f"{sites}demo/"]) as visit:
        visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        visit.open(f"{sites}demo/plugins/volume-by-category/index.html#documents")
        visit.page.get_by_role("button", name="latest.csv").click()
        expect(visit.page.get_by_text("Copied")).to_be_visible()
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied == f"{sites}demo/v1/plugins/volume-by-category/latest.csv"
        visit.page.get_by_text("Overview", exact=True).click()
        for column, (name, first) in enumerate((("Category", "ascending"), ("Total", "descending"))):
            visit.page.get_by_role("columnheader", name=name).get_by_role("button").click()
            expect(visit.page.get_by_role("columnheader", name=name)).to_have_attribute("aria-sort", first)
            shown = visit.page.locator(f"tbody td:nth-child({column + 1})").all_inner_texts()
            values: list[Any] = [int(text.replace(",", "")) for text in shown] if column else shown
            assert values == sorted(values, reverse=first == "descending")
        assert not visit.problems, visit.problems


def test_the_status_is_renewed_where_it_is_read(sites: str, chromium: Browser) -> None:
    """Each minute the numbers are read again; the focus stays, and nothing but the verdict is announced."""
    with Visit(chromium, [f"{sites}demo/"]) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.page.clock.install()
        visit.open(f"{sites}demo/status/index.html")
        # The scripts of the page share what one of them reads.
        assert asked.count(f"{sites}demo/v1/index.json") == 1
        link = visit.page.get_by_role("link", name="volume-by-category", exact=True)
        link.focus()
        first = link.element_handle()
        visit.page.clock.run_for(61_000)
        visit.page.wait_for_function("(first) => !first.isConnected", arg=first)
        expect(link).to_be_focused()
        spoken = "[...document.querySelectorAll('main [role=status]:not([hidden]), main [aria-live]')]"
        assert visit.page.evaluate(f"{spoken}.every((one) => one.localName === 'p')")
        assert not visit.problems, visit.problems


def test_the_status_says_once_that_data_are_old(sites: str, chromium: Browser) -> None:
    """In its verdict; where that cannot be read, above it, as on every page."""
    with Visit(chromium, [f"{sites}demo/"]) as visit:
        visit.open(f"{sites}demo/status/index.html")
        expect(visit.page.get_by_text("Needs attention: the newest message is")).to_be_visible()
        expect(visit.page.locator("[data-overdue]")).to_be_hidden()
        assert not visit.problems, visit.problems
        visit.page.route("**/v1/status.json", lambda route: route.abort())
        visit.page.reload()
        expect(visit.page.get_by_text("These data are old: the newest message is")).to_be_visible()


class References(HTMLParser):
    """Collects what a page refers to, and its fragments."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.fragments: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element refers to."""
        values: dict[str, str] = {name: value or "" for name, value in attrs}
        self.targets += [values[name] for name in ("href", "src") if name in values]
        if "id" in values:
            self.fragments.add(values["id"])


@pytest.mark.parametrize("name", NAMES)
def test_every_internal_link_resolves(name: str, trees: dict[str, Path]) -> None:
    """Pages, plots, documents, assets and fragments that pages refer to are published; none is named absolutely."""
    tree = trees[name]
    found = {path: References((tree / path).read_text(encoding="utf-8")) for path in pages(tree)}
    for path, references in found.items():
        for target in references.targets:
            parts = urlsplit(target)
            if parts.scheme in ("http", "https") or target == "data:,":
                continue
            assert not parts.scheme, (path, target)
            assert not target.startswith("/"), (path, target)
            beside = posixpath.join(posixpath.dirname(path), unquote(parts.path))
            at = posixpath.normpath(beside) if parts.path else path
            assert (tree / at).is_file(), (path, target)
            if parts.fragment:
                assert unquote(parts.fragment) in found[at].fragments, (path, target)


def test_each_file_is_named_on_the_page_of_its_plugin(trees: dict[str, Path]) -> None:
    """All documents, tables and plots, but for those of single keys, and the plot that is one of the others."""
    tree = trees["demo"]
    for page in tree.glob("plugins/*/index.html"):
        named = {posixpath.normpath(f"plugins/x/{target}") for target in References(page.read_text()).targets}
        files = {path.relative_to(tree).as_posix() for path in tree.glob(f"v1/plugins/{page.parent.name}/**/*.*")}
        unnamed = {path for path in files - named if "/by/" not in path and path.endswith((".json", ".csv", ".svg"))}
        assert {posixpath.basename(path) for path in unnamed} <= {"chart.svg"}


def test_pages_are_valid_html(trees: dict[str, Path], tmp_path: Path) -> None:
    """html-validate finds nothing wrong with any page."""
    require_npm()
    rules: dict[str, Any] = {
        "doctype-style": ["error", {"style": "lowercase"}],
        # A heading may begin with a number.
        "valid-id": ["error", {"relaxed": True}],
        # The title of a page holds a name that an author chose.
        "long-title": "off",
        # A region that scrolls must be reached by keyboard.
        "no-redundant-role": "off",
        "prefer-native-element": "off",
        "void-style": "off",
        "no-trailing-whitespace": "off",
        "require-sri": "off",
    }
    config = tmp_path / "rules.json"
    config.write_bytes(orjson.dumps({"root": True, "extends": ["html-validate:recommended"], "rules": rules}))
    files = [
        tree / path
        for name, tree in trees.items()
        for path in (*pages(tree), layout.NOT_FOUND_PAGE)
        # The documentation is the same on each site.
        if name == "demo" or not path.startswith("docs/")
    ]
    done = subprocess.run(
        [NODE_MODULES / ".bin" / "html-validate", "--config", config, "--formatter", "text", *files],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[:4000] + done.stderr


def test_csv_opens_as_text(trees: dict[str, Path]) -> None:
    """No cell of a hostile site's tables begins as a formula does."""
    files = list(trees["hostile"].glob("v1/plugins/**/*.csv"))
    assert any("cmd|" in path.read_text(encoding="utf-8") for path in files)
    for path in files:
        for cell in re.findall(r'(?:^|,|\n)"?([^,"\n]*)', path.read_text(encoding="utf-8")):
            assert not cell.startswith(("=", "+", "@", "\t")), path
            assert not cell.startswith("-") or cell.lstrip("-").isdigit(), path

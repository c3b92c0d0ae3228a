"""How a page comes up, whatever the data and the width: light, soon, and without moving under the reader's eyes."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, expect

import example_sites
from browser import BETWEEN, WIDTHS, Visit, serving_tree
from statscache import layout

HEAVIEST = 120_000
"""Bytes that a page and all that it loads may have, compressed."""

SHIFT = 0.1
"""By how much a page may move while it comes up: what web vitals call good."""

SLOWEST = 1_000
"""Milliseconds to the first render; where even an empty page takes long, this many times what that one takes."""
TIMES_EMPTY = 10

NAMES = ("empty", "year", "demo", "hostile")
FIRST = {"person": "contributors", "package": "builds-by-package", "topic": "volume-by-topic", "release": "builds"}

_SHIFT = """() => new Promise((resolve) => {
  let moved = 0;
  const watch = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) moved += entry.value;
  });
  watch.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(moved), 50);
})"""
_RENDERED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The roots of the sites, by name."""
    return {name: example_sites.shared(tmp_path_factory, name) for name in NAMES}


@pytest.fixture(scope="module")
def empty_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a page of one word."""
    directory = tmp_path_factory.mktemp("nothing")
    (directory / "index.html").write_text('<!doctype html><html lang="en"><link rel="icon" href="data:,"><p>Hello')
    return directory


def paths(tree: Path) -> Iterator[str]:
    """Yield the main pages of a site: one of each form, and of each entity the list and one name."""
    yield from (layout.FRONT_PAGE, layout.STATUS_PAGE, layout.doc_page("widgets"), "no/such/page.html")
    if (tree / layout.BOARD_PAGE).is_file():
        yield layout.BOARD_PAGE
    # One of each kind, and of each form of chart.
    for name in (
        "volume",
        "volume-by-category",
        "unique-contributors-by-category",
        "contributors",
        "composes",
        "cloud-images",
        "recent-activity",
        "pull-requests-by-time-to-merge",
    ):
        if (tree / layout.page(name)).is_file():
            yield layout.page(name)
    for entity, plugin in FIRST.items():
        if (tree / layout.entity_page(entity)).is_file():
            yield layout.entity_page(entity)
            rows = (
                orjson.loads((tree / layout.latest(plugin)).read_bytes())["rows"]
                if (tree / layout.latest(plugin)).is_file()
                else []
            )
            for row in rows[:1]:
                name = next(value for field, value in row.items() if field in (entity, "user"))
                yield f"{layout.entity_page(entity)}?{name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_comes_up_light_soon_and_still(
    name: str, trees: dict[str, Path], empty_page: Path, chromium: Browser
) -> None:
    """Nothing moves by more than 0.1, at any width; all that is loaded is below 120 kB; it renders within a second."""
    tree = trees[name]
    with serving_tree(tree) as site, serving_tree(empty_page) as nothing, Visit(chromium, [site, nothing]) as visit:
        asked: set[str] = set()
        visit.page.on("request", lambda request: asked.add(request.url))
        faults = []
        for path in paths(tree):
            weighed, rendered = False, []
            for width in WIDTHS if name == "year" else (WIDTHS[0], WIDTHS[-1]):
                visit.page.set_viewport_size({"width": width, "height": 900})
                asked.clear()
                visit.page.goto("about:blank")
                visit.open(site + path)
                moved = visit.page.evaluate(_SHIFT)
                rendered.append(visit.page.evaluate(_RENDERED) or 0)
                if moved > SHIFT:
                    faults.append(f"{path} at {width} px moves by {moved:.3f}")
                if not weighed:
                    weighed = True
                    files = {url.removeprefix(site).partition("?")[0] for url in asked if url.startswith(site)}
                    sent = sum(
                        len(gzip.compress((tree / file).read_bytes())) for file in files if (tree / file).is_file()
                    )
                    if sent > HEAVIEST:
                        faults.append(f"{path} has {sent:,} bytes")
            if min(rendered) > SLOWEST and not renders_soon(visit, site + path, nothing):
                faults.append(f"{path} renders late")
        visit.problems = [problem for problem in visit.problems if "404" not in problem]
        assert not faults + visit.problems


def renders_soon(visit: Visit, page: str, nothing: str) -> bool:
    """Return whether a page renders within a second, or ten times what an empty one takes, in one of three attempts."""
    for _ in range(3):
        visit.open(nothing)
        usual = visit.page.evaluate(_RENDERED) or 0
        visit.open(page)
        if (visit.page.evaluate(_RENDERED) or 0) <= max(SLOWEST, TIMES_EMPTY * usual):
            return True
    return False


def test_nothing_goes_wrong_in_a_year(trees: dict[str, Path], chromium: Browser) -> None:
    """At every width, light and dark, with 13 months of data: nothing is too wide, axe finds nothing on a phone."""
    with serving_tree(trees["year"]) as site, Visit(chromium, [site]) as visit:
        for path in paths(trees["year"]):
            visit.open(site + path)
            visit.tour((WIDTHS[0],))
            for width in BETWEEN:
                visit.look(width, "light")
        visit.problems = [problem for problem in visit.problems if "404" not in problem]
        assert not visit.problems, visit.problems


def test_hostile_names_make_nothing_scroll_sideways(trees: dict[str, Path], chromium: Browser) -> None:
    """Between the widths of tours, also where no tour leads: on pages of a name, of decisions, and of none."""
    tree = trees["hostile"]
    decisions = [path.relative_to(tree).as_posix() for path in tree.glob("docs/adr/*/index.html")]
    with serving_tree(tree) as site, Visit(chromium, [site]) as visit:
        for path in (*decisions, *(path for path in paths(tree) if not (tree / path).is_file())):
            visit.open(site + path)
            for width in BETWEEN:
                visit.look(width, "light")
        visit.problems = [problem for problem in visit.problems if "404" not in problem]
        assert not visit.problems, visit.problems


def test_a_year_is_alive(trees: dict[str, Path], chromium: Browser) -> None:
    """Charts of years, trends, calendars: 13 months show in all of them, and nothing of them is unknown."""
    with serving_tree(trees["year"]) as site, Visit(chromium, [site]) as visit:
        visit.open(site + layout.FRONT_PAGE)
        expect(visit.page.locator(".figures .change").first).to_be_visible()
        expect(visit.page.get_by_role("heading", name="Messages by day")).to_be_visible()
        rows = orjson.loads((trees["year"] / layout.latest("contributors")).read_bytes())["rows"]
        visit.open(f"{site}{layout.entity_page('person')}?{rows[0]['user']}")
        expect(visit.page.locator(".plot:visible path.columns").first).to_be_visible()
        expect(visit.page.locator(".plot:visible rect.gap")).to_have_count(0)
        assert visit.page.locator("statscache-calendar .level").count() > 20

"""The examples that pages show are programs that run, as they are shown, against the site that shows them."""

import html
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import orjson
import pytest
from playwright.sync_api import Browser, Route, expect

import example_sites
from browser import SCHEMES, WIDTHS, Visit, serving_files, serving_tree
from conftest import ROOT
from npm import NODE_MODULES, require_npm
from statscache import layout

ADDRESS = "https://stats.example.org/"
PROGRAMS = {
    "curl": ("sh", "-e"),
    "JavaScript": ("node", "--input-type=module", "-"),
    "Python": (sys.executable, "-"),
    "R": ("Rscript", "-"),
}
PACKAGES = {"curl": "curl", "JavaScript": "nodejs", "R": "r-base-core and r-cran-jsonlite"}


@pytest.fixture(scope="module")
def url(tree: Path) -> Iterator[str]:
    """The address of the site."""
    with serving_tree(tree) as url:
        yield url


def examples(page: Path) -> dict[str, str]:
    """Return the examples of a page, by the language that they are labelled with."""
    pattern = r"<figcaption>(\w+)</figcaption>\n<pre[^>]*><code data-example>(.*?)</code></pre>"
    return {name: html.unescape(code) for name, code in re.findall(pattern, page.read_text(), re.DOTALL)}


def test_pages_with_examples_have_the_header_of_the_site(tree: Path) -> None:
    """The name of the site and its menu, with addresses that lead there from each page; the source is still linked."""
    menu = re.findall(r"<nav.*?</nav>", (tree / "status/index.html").read_text(), re.DOTALL)[0]
    for path in (tree / "examples").rglob("*.html"):
        header = re.findall(r"<header>.*?</header>", path.read_text(), re.DOTALL)[0]
        up = "../" * (len(path.relative_to(tree).parts) - 1)
        assert f'<a class="brand" href="{up}index.html">{example_sites.TITLE}</a>' in header, path
        assert menu.replace('href="../', f'href="{up}') in header, path
        assert "All statistics" not in header, path
        assert "menu -->" not in header, path
        assert path.parent.name == "examples" or "Source of this page" in header, path


@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize("page", ["index.html", "plugins/volume-by-category/index.html"])
def test_the_examples_run(page: str, language: str, tree: Path, url: str) -> None:
    """Each example of a page fetches what the page is about, and prints it."""
    shown = examples(tree / page)
    assert shown.keys() == PROGRAMS.keys()
    program = "curl" if language == "curl" else PROGRAMS[language][0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian: {PACKAGES[language]})")
    assert ADDRESS in shown[language]
    code = shown[language].replace(ADDRESS, url)
    done = subprocess.run(
        PROGRAMS[language], input=code, capture_output=True, text=True, timeout=60, check=False, cwd=tree
    )
    assert done.returncode == 0, done.stderr
    assert ("copr" if "category" in page else "total") in done.stdout


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "img"), (1, "#chart rect"), (2, "statscache-count strong, statscache-series svg, statscache-table tbody")],
    ids=["image", "chart", "widgets"],
)
def test_pages_of_getting_started_show_something(
    number: int, shown: str, url: str, chromium: Browser, tmp_path: Path
) -> None:
    """Each page that the docs begin with works as it is shown, from another site."""
    source = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    pages = re.findall(r"^```html\n(.*?)^```$", source, re.MULTILINE | re.DOTALL)
    assert len(pages) == 3
    (tmp_path / "index.html").write_text(pages[number].replace("http://localhost:8080/", url))
    # Browsers ask for it, of any site.
    (tmp_path / "favicon.ico").touch()
    with serving_files(tmp_path) as page, Visit(chromium, [page, url]) as visit:
        visit.open(page)
        for selector in shown.split(", "):
            visit.page.locator(selector).first.wait_for()
        assert visit.page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        assert not visit.problems, visit.problems


def test_the_dashboard_shows_each_group(tree: Path, url: str, chromium: Browser) -> None:
    """Every thing of the document, under the title of its group, with its state in the words of the layout."""
    root = tree / "v1" / "plugins" / "release-dashboard"
    board, shown = (orjson.loads((root / f"{name}.json").read_bytes()) for name in ("dashboard", "layout"))
    groups = [group for group in board["groups"] if group["items"]]
    titles = {group["id"]: group["title"] for group in shown["groups"]}
    with Visit(chromium, [url]) as visit:
        visit.open(f"{url}examples/dashboard/index.html")
        expect(visit.page.locator("#dashboard h2")).to_have_text([titles[group["id"]] for group in groups])
        expect(visit.page.locator("#dashboard li")).to_have_count(sum(len(group["items"]) for group in groups))
        # The name of a thing may be that of its release.
        for line in visit.page.locator("#dashboard li", has_text="rawhide").all():
            release = line.get_by_role("link", name="rawhide", exact=True)
            expect(release).to_have_attribute("href", f"{url}releases/index.html?rawhide")
        expect(visit.page.get_by_text("Fedora-Rawhide nightly · rawhide: done, but incomplete")).to_be_visible()
        assert not visit.problems, visit.problems


def defaced(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with hostile text wherever the bus controls it."""
    texts = itertools.cycle(text[:2_000] for text in example_sites.HOSTILE)

    def deface(value: Any) -> Any:
        if isinstance(value, list):
            return [deface(one) for one in value]
        if isinstance(value, dict):
            regions = {next(texts): deface(one) for one in value.get("regions", {}).values()}
            return {name: regions if name == "regions" else deface(one) for name, one in value.items()}
        return next(texts) if isinstance(value, str) else value

    groups = [{**group, "items": deface(group["items"])} for group in document.get("groups", ())]
    return {**document, "rows": deface(document.get("rows", [])), "groups": groups}


@pytest.mark.parametrize("page", ["dashboard", "profile", "leaderboards", "wall"])
def test_hostile_text_stays_text_in_the_examples(page: str, url: str, chromium: Browser) -> None:
    """At every width, light and dark: nothing is executed, refused or too wide, and links lead to the web only."""
    with urlopen(f"{url}v1/index.json") as answered:
        plugins = orjson.loads(answered.read())["plugins"]
    entries = [entry for plugin in plugins for entry in plugin["documents"]]
    layouts = tuple(entry["object"] for entry in entries if entry["path"].endswith("/layout.json"))

    def answer(route: Route) -> None:
        response = route.fetch()
        is_ours = route.request.url.endswith(("/layout.json", *layouts)) or response.status != 200
        body = response.body() if is_ours else orjson.dumps(defaced(orjson.loads(response.body())))
        route.fulfill(response=response, body=body)

    def answer_index(route: Route) -> None:
        response = route.fetch()
        index = orjson.loads(response.body())
        for plugin in index["plugins"]:
            for entry in plugin["documents"]:
                del entry["size"]
        route.fulfill(response=response, body=orjson.dumps(index))

    with Visit(chromium, [url]) as visit:
        # Where digests cannot be computed, and sizes are not told, objects can be altered unnoticed.
        visit.page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
        visit.page.route("**/v1/index.json", answer_index)
        for path in ("plugins", "objects"):
            visit.page.route(f"**/v1/{path}/**", answer)
        visit.open(f"{url}examples/{page}/index.html")
        shown = (
            "[...document.querySelectorAll('body, [plugin]')].map((one) => (one.shadowRoot ?? one).textContent).join()"
        )
        # Without a person, the profile shows nothing of the documents.
        if page != "profile":
            visit.page.wait_for_function(f"{shown}.includes('alert(1)')")
        for width, scheme in itertools.product(WIDTHS, SCHEMES):
            visit.look(width, scheme)
        schemes = visit.page.evaluate("[...document.links].map((link) => link.protocol)")
        assert set(schemes) <= {"http:", "https:"}
        assert not visit.problems, visit.problems


def test_the_wall_says_once_what_is_said_in_a_row(tree: Path, url: str, chromium: Browser) -> None:
    """Newest first, under their days; a category leads to the wall of it alone."""
    rows = orjson.loads((tree / layout.latest("recent-activity")).read_bytes())["rows"]
    category = rows[0]["category"]
    noon = 899_985_600
    told = [
        {**rows[0], "timestamp": time, "subtitle": text}
        for time, text in ((noon, "a"), (noon - 60, "a"), (noon - 120, "b"))
    ]
    told[2] |= {"agent": "ann", "subtitle": "ann wrote b", "link": "https://example.org/b"}
    told += [{**told[0], "category": "other"}, {**told[0], "timestamp": noon - 86_400}]

    def answer(route: Route) -> None:
        response = route.fetch()
        document = orjson.loads(response.body())
        if document.get("plugin") == "recent-activity":
            document["rows"] = told
        for plugin in document.get("plugins", ()):
            # What is not told its size can be altered unnoticed.
            for entry in plugin["documents"]:
                del entry["size"]
        route.fulfill(response=response, body=orjson.dumps(document))

    with Visit(chromium, [url]) as visit:
        visit.open(f"{url}examples/wall/index.html")
        expect(visit.page.locator("#wall h2")).not_to_have_count(0)
        assert 0 < visit.page.locator("#wall li").count() <= len(rows)
        visit.page.get_by_role("link", name=category, exact=True).first.click()
        visit.page.wait_for_url(f"{url}examples/wall/index.html?category={category}")
        expect(visit.page.locator("#wall .category").first).to_have_text(category)
        assert {*visit.page.locator("#wall .category").all_inner_texts()} == {category}
        visit.page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
        visit.page.route("**/v1/**", answer)
        visit.page.get_by_role("link", name="Show all").click()
        expect(visit.page.locator("#wall h2")).to_have_text(["1998-07-09", "1998-07-08"])
        expect(visit.page.locator("#wall li")).to_have_count(4)
        expect(visit.page.locator("#wall li small")).to_have_text(["2 times"])
        line = visit.page.locator("#wall li").filter(has_text="ann wrote b")
        expect(line.get_by_role("link", name="ann", exact=True)).to_have_attribute(
            "href", f"{url}people/index.html?ann"
        )
        expect(line.get_by_role("link", name="wrote b", exact=True)).to_have_attribute("href", "https://example.org/b")
        visit.page.get_by_role("button", name="Full screen").click()
        expect(visit.page.get_by_role("link", name="Examples")).to_be_hidden()
        assert not visit.problems, visit.problems


@pytest.mark.parametrize(("is_there", "said"), [(True, "Did you mean"), (False, "cannot be reached")])
def test_a_profile_of_no_one_says_so(is_there: bool, said: str, tree: Path, url: str, chromium: Browser) -> None:
    """Who is not known has no zeros; the case does not matter; where nothing answers, no page is blank."""
    [first, *_] = orjson.loads((tree / layout.latest("contributors")).read_bytes())["rows"]
    name = first["user"]
    with Visit(chromium, [url]) as visit:
        if is_there:
            visit.open(f"{url}examples/profile/index.html?user={name.upper()}")
            expect(visit.page.get_by_role("heading", level=1)).to_have_text(name)
        else:
            visit.page.route("**/v1/**", lambda route: route.abort())
        visit.page.goto(f"{url}examples/profile/index.html?user={name}x")
        expect(visit.page.locator("#said")).to_contain_text(said)
        expect(visit.page.locator("#profile")).to_be_hidden()
        assert [problem for problem in visit.problems if "script error" in problem] == []


@pytest.mark.parametrize("name", ["d3", "vega-lite"])
def test_charts_with_libraries_are_drawn(name: str, url: str, chromium: Browser, tmp_path: Path) -> None:
    """The example draws a chart of the site with the library that npm gives, and nothing goes wrong."""
    require_npm()
    directory = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, directory)
    (directory / "node_modules").symlink_to(NODE_MODULES)
    with serving_files(directory) as page, Visit(chromium, [page, url]) as visit:
        visit.open(f"{page}?site={url}")
        visit.page.locator("#chart svg path").first.wait_for(state="attached")
        assert visit.page.locator("#chart svg path").count() > 5
        for width in WIDTHS:
            visit.look(width, "dark")
        light = "context => getComputedStyle(document.documentElement).colorScheme"
        assert visit.page.evaluate(light) == "light dark"
        if name == "d3":
            # What the colours are.
            colours = visit.page.locator("#chart li rect").evaluate_all(
                "(all) => all.map((one) => one.getAttribute('fill'))"
            )
            drawn = visit.page.locator("#chart > svg > path").evaluate_all(
                "(all) => all.map((one) => one.getAttribute('fill'))"
            )
            assert colours == drawn
        assert not visit.problems, visit.problems


def test_pandas_reads_a_series(url: str) -> None:
    """The script prints a table of days and categories, without days that are not wholly known."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    script = ROOT / "examples" / "pandas" / "weekdays.py"
    done = subprocess.run(
        [sys.executable, script, url, "volume-by-category", "2015"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "copr" in done.stdout
    # There is a gap on Sunday, and Monday is not over.
    assert [line.split()[0] for line in done.stdout.splitlines()][2:] == ["Saturday"]

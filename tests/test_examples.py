"""The examples that pages show are programs that run, as they are shown, against the site that shows them."""

import html
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import worlds
from browser import Visit, chromium, serving_files, serving_tree
from conftest import ROOT
from npm import NODE_MODULES, require_npm

__all__ = ["chromium"]

ADDRESS = "http://localhost:8080/"
PROGRAMS = {
    "curl": ("sh", "-e"),
    "JavaScript": ("node", "--input-type=module", "-"),
    "Python": (sys.executable, "-"),
    "R": ("Rscript", "-"),
}
PACKAGES = {"curl": "curl", "JavaScript": "nodejs", "R": "r-base-core and r-cran-jsonlite"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a site with some messages."""
    return worlds.demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def url(tree: Path) -> Iterator[str]:
    """The address of the site."""
    with serving_tree(tree) as url:
        yield url


def examples(page: Path) -> dict[str, str]:
    """Return the examples of a page, by the language that they are labelled with."""
    pattern = r"<figcaption>(\w+)</figcaption>\n<pre[^>]*><code data-example>(.*?)</code></pre>"
    return {name: html.unescape(code) for name, code in re.findall(pattern, page.read_text(), re.DOTALL)}


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
    (tmp_path / "index.html").write_text(pages[number].replace(ADDRESS, url))
    # Browsers ask for it, of any site.
    (tmp_path / "favicon.ico").touch()
    with serving_files(tmp_path) as page, Visit(chromium, [page, url]) as visit:
        visit.open(page)
        for selector in shown.split(", "):
            visit.page.locator(selector).first.wait_for()
        assert visit.page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        assert not visit.problems, visit.problems


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
        assert not visit.problems, visit.problems


def test_pandas_reads_a_series(url: str) -> None:
    """The script prints a table of days and categories."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    script = ROOT / "examples" / "pandas" / "weekdays.py"
    done = subprocess.run(
        [sys.executable, script, url, "volume-by-category", "2015"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "copr" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()][-3:] == ["Monday", "Saturday", "Sunday"]

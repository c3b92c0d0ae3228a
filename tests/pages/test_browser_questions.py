"""The questions that people come with, each from the front page, by clicks and keys, in at most three steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

import example_sites
from browser import Visit
from statscache import layout

MOST_STEPS = 3
LONGEST = 5_000
"""Milliseconds from the front page to the answer, by the browser's clock, in the best of a few attempts; where even the
front page takes long, this many times what that one takes."""
TIMES_FRONT = 10
ATTEMPTS = 3

_NOW = "performance.timeOrigin + performance.now()"
_LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"

Step = Callable[[Page], None]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a site with 13 months."""
    return example_sites.shared(tmp_path_factory, "year")


def document(tree: Path, plugin: str, name: str) -> Any:
    """Return a document of a plugin."""
    return orjson.loads((tree / layout.document(plugin, name)).read_bytes())


def searched(words: str) -> Step:
    """Return the step of a search by keys alone; Enter leads to the first result, once it is there."""

    def search(page: Page) -> None:
        page.keyboard.press("/")
        page.keyboard.type(words)
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("Enter")

    return search


def answered(browser: Browser, site: str, width: int, steps: list[Step], answer: Callable[[Page], None]) -> None:
    """Take the steps from the front page, and check the answer, that nothing went wrong, and how long it took."""
    assert len(steps) <= MOST_STEPS
    took = []
    for _ in range(ATTEMPTS):
        with Visit(browser, [site]) as visit:
            visit.page.set_viewport_size({"width": width, "height": 900})
            visit.open(site)
            begun, usual = visit.page.evaluate(_NOW), visit.page.evaluate(_LOADED)
            for step in steps:
                step(visit.page)
            answer(visit.page)
            took.append(visit.page.evaluate(_NOW) - begun)
            visit.settle()
            assert not visit.problems, visit.problems
        if took[-1] <= max(LONGEST, TIMES_FRONT * usual):
            return
    pytest.fail(f"the answer takes {min(took):,.0f} ms")


@pytest.mark.parametrize("width", [390, 1280])
def test_which_packages_were_built_most_this_month(site: str, tree: Path, chromium: Browser, width: int) -> None:
    """The card of builds has a tab for packages, whose page has a ranking of 30 days."""
    wanted = [row["package"] for row in document(tree, "builds-by-package", "busiest-30d")["rows"][:5]]

    def answer(page: Page) -> None:
        rows = page.locator("[data-table]:visible tbody tr")
        expect(rows.first.locator("a")).to_be_visible()
        assert [rows.nth(at).locator("a").inner_text() for at in range(len(wanted))] == wanted

    steps: list[Step] = [
        lambda page: page.locator("#plugin-builds .switch").get_by_text("Package", exact=True).click(),
        lambda page: page.get_by_role("link", name="Builds by package").last.click(),
        lambda page: page.locator("[aria-labelledby=latest-title] .switch").get_by_text("30 days").click(),
    ]
    answered(chromium, site, width, steps, answer)


@pytest.mark.parametrize("width", [390, 1280])
def test_what_a_person_did(site: str, tree: Path, chromium: Browser, width: int) -> None:
    """A name and Enter lead to the page of a person, with the number, the year and the projects."""
    row = document(tree, "contributors", "latest")["rows"][0]

    def answer(page: Page) -> None:
        expect(page.get_by_role("heading", level=1)).to_have_text(row["user"])
        expect(page.locator(".tiles")).to_contain_text(f"{row['total']:,}")
        expect(page.locator("statscache-calendar .level").first).to_be_visible()
        expect(page.get_by_role("heading", name="Projects")).to_be_visible()

    answered(chromium, site, width, [searched(row["user"])], answer)


@pytest.mark.parametrize("width", [390, 1280])
def test_whether_the_compose_of_rawhide_is_done(site: str, tree: Path, chromium: Browser, width: int) -> None:
    """Search leads to what the page Release engineering says of it; the front page says it too."""
    groups = {group["id"]: group["items"] for group in document(tree, "release-dashboard", "dashboard")["groups"]}
    nightly = next(each for each in groups["rawhide"] if each["component"] == "Fedora-Rawhide nightly")
    words = {"done": "done", "incomplete": "done, but incomplete", "doomed": "doomed"}[nightly["steps"][0][1]]

    def answer(page: Page) -> None:
        row = page.locator("section:has(> #rawhide) [data-item]").filter(has_text="Fedora-Rawhide nightly")
        expect(row.locator(".state").first).to_contain_text(words)
        expect(row).to_be_in_viewport()

    answered(chromium, site, width, [searched("rawhide compose")], answer)
    answered(chromium, site, width, [lambda page: page.locator(".strip a[href$='#rawhide']").click()], answer)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_newest_image_of_a_region(site: str, tree: Path, chromium: Browser, width: int) -> None:
    """What is typed into the search filters the page Release engineering, which has the id with a button to copy it."""
    groups = document(tree, "release-dashboard", "dashboard")["groups"]
    images = [
        each
        for group in groups
        for each in group["items"]
        if each.get("provider") == "aws" and each["architecture"] == "x86_64" and "us-east-1" in each["regions"]
    ]
    wanted = max(images, key=lambda each: each["timestamp"])["regions"]["us-east-1"]

    def answer(page: Page) -> None:
        line = page.locator("[data-places] li:visible").filter(has_text=wanted)
        expect(line).to_contain_text("us-east-1")
        expect(line.get_by_role("button", name="Copy")).to_be_in_viewport()

    answered(chromium, site, width, [searched("us-east-1 x86_64")], answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("which packages were built most this month?", "Builds by package"),
        ("show me {}'s activity", "{}"),
        ("Is rawhide's compose done?", "rawhide compose"),
        ("newest AMI of us-east-1 x86_64", "ami us-east-1 x86_64"),
    ],
)
def test_search_takes_the_questions_themselves(
    site: str, tree: Path, chromium: Browser, question: str, answer: str
) -> None:
    """Words that name nothing do not keep a reader from the page that answers."""
    name = document(tree, "contributors", "latest")["rows"][0]["user"]
    with Visit(chromium, [site]) as visit:
        visit.open(site)
        visit.page.keyboard.press("/")
        visit.page.keyboard.type(question.format(name))
        expect(visit.page.get_by_role("option").first).to_contain_text(answer.format(name))
        assert not visit.problems, visit.problems


@pytest.mark.parametrize("words", ["ami", "us-east-1", "rawhide compose", "release engineering"])
def test_search_knows_the_words_of_release_engineering(site: str, chromium: Browser, words: str) -> None:
    """A word that is on the page leads there."""
    with Visit(chromium, [site]) as visit:
        visit.open(site)
        visit.page.keyboard.press("/")
        visit.page.keyboard.type(words)
        option = visit.page.get_by_role("option").filter(has_text="Release engineering").first
        option.click()
        visit.page.wait_for_url(f"{site}{layout.BOARD_PAGE}**")
        expect(visit.page.locator("[data-item]:visible").first).to_be_visible()
        assert not visit.problems, visit.problems

"""The page Release engineering in a real browser: the questions that people come with, and how it looks and weighs."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from browser import WIDTHS, Visit
from pages.test_browser_site import HEAVIEST, weight
from statscache import layout

BOARD = "v1/plugins/release-dashboard/dashboard.json"


def items(tree: Path, group: str) -> list[dict[str, Any]]:
    """Return the items of a group of the dashboard."""
    groups = orjson.loads((tree / BOARD).read_bytes())["groups"]
    found: list[dict[str, Any]] = next(each["items"] for each in groups if each["id"] == group)
    return found


def newest_ami(tree: Path, **wanted: str) -> str:
    """Return the id of the newest AMI of us-east-1 whose fields are these."""
    images = [each for each in items(tree, "cloud") if each["provider"] == "aws" and "us-east-1" in each["regions"]]
    fitting = [each for each in images if all(each[name] == value for name, value in wanted.items())]
    found: str = max(fitting, key=lambda each: each["timestamp"])["regions"]["us-east-1"]
    return found


def shown(page: Page, selector: str) -> Locator:
    """Return what a reader sees of the rows of the page."""
    return page.locator(f"[data-group] {selector}:visible")


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [390, 1280])
def test_whether_the_compose_of_rawhide_is_done(
    site: str, tree: Path, chromium: Browser, width: int, script: bool
) -> None:
    """The front page says it at once; one click leads to when, and to its steps, with and without scripts."""
    nightly = next(each for each in items(tree, "rawhide") if each["component"] == "Fedora-Rawhide nightly")
    assert nightly["steps"][0][1] == "incomplete"
    with Visit(chromium, [site], script=script) as visit:
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.open(site)
        answer = visit.page.get_by_role("link", name="Rawhide done, but incomplete")
        expect(answer).to_be_visible()
        answer.click()
        visit.page.wait_for_url(f"{site}{layout.BOARD_PAGE}#rawhide")
        row = visit.page.locator("section:has(> #rawhide) [data-item]").filter(has_text="Fedora-Rawhide nightly")
        expect(row).to_contain_text("done, but incomplete")
        expect(row).to_be_in_viewport()
        row.locator("summary").click()
        expect(row.locator(".steps li").first).to_be_visible()
        assert not visit.problems, visit.problems


@pytest.mark.parametrize("width", WIDTHS)
def test_the_newest_ami_of_a_region_by_typing(site: str, tree: Path, chromium: Browser, width: int) -> None:
    """A click, a few letters, and a click that copies the id; the address then leads others to the same."""
    wanted = newest_ami(tree, architecture="x86_64")
    with Visit(chromium, [site]) as visit:
        visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.open(site)
        visit.page.get_by_role("navigation").get_by_role("link", name="Release engineering").click()
        visit.page.get_by_role("searchbox", name="Show only").type("us-east-1 x86_64")
        first = shown(visit.page, "[data-places] li").first
        expect(first).to_contain_text(wanted)
        expect(first).to_be_in_viewport()
        first.get_by_role("button", name=f"Copy {wanted}").click()
        expect(first.get_by_role("button")).to_have_text("Copied")
        assert visit.page.evaluate("navigator.clipboard.readText()") == wanted
        expect(visit.page).to_have_url(f"{site}{layout.BOARD_PAGE}?filter=us-east-1+x86_64")
        visit.open(visit.page.url)
        expect(shown(visit.page, "[data-places] li").first).to_contain_text(wanted)
        assert not visit.problems, visit.problems


def test_what_is_typed_before_the_script_came_is_in_the_address(site: str, tree: Path, chromium: Browser) -> None:
    """A reader may be faster than the script: what the rows show then, the address leads others to."""
    with Visit(chromium, [site]) as visit:

        def type_first(route: Route) -> None:
            visit.page.get_by_role("searchbox", name="Show only").fill("us-east-1 x86_64")
            route.continue_()

        visit.page.route(re.compile(r"/assets/board\b[^/]*\.js$"), type_first)
        visit.open(site + layout.BOARD_PAGE)
        expect(shown(visit.page, "[data-places] li").first).to_contain_text(newest_ami(tree, architecture="x86_64"))
        expect(visit.page).to_have_url(f"{site}{layout.BOARD_PAGE}?filter=us-east-1+x86_64")
        assert not visit.problems, visit.problems


def test_the_newest_ami_of_a_region_by_choosing(site: str, tree: Path, chromium: Browser) -> None:
    """By keys alone: each choice narrows what is left, and is in the address."""
    wanted = newest_ami(tree, architecture="aarch64", release="rawhide")
    with Visit(chromium, [site]) as visit:
        visit.open(site + layout.BOARD_PAGE)
        for name, value in (("Region", "us-east-1"), ("Architecture", "aarch64"), ("Release", "rawhide")):
            visit.page.locator(".choose").get_by_label(name).focus()
            visit.page.keyboard.type(value)
            expect(visit.page.locator(".choose").get_by_label(name)).to_have_value(value)
        places = shown(visit.page, "[data-places] li")
        expect(places).to_have_count(1)
        expect(places).to_contain_text(wanted)
        assert parse_qs(urlsplit(visit.page.url).query) == {
            "release": ["rawhide"],
            "architecture": ["aarch64"],
            "region": ["us-east-1"],
        }
        # The other groups are not images, and stay.
        expect(visit.page.locator("section:has(> #rawhide)")).to_be_visible()
        visit.page.reload()
        expect(shown(visit.page, "[data-places] li")).to_contain_text(wanted)
        assert not visit.problems, visit.problems


def test_the_filter_looks_for_all_words_in_each_row(site: str, tree: Path, chromium: Browser) -> None:
    """The words of the group count too; what is folded is unfolded where it fits, and folded again."""
    with Visit(chromium, [site]) as visit:
        visit.open(site + layout.BOARD_PAGE)
        everything = shown(visit.page, "[data-item]").count()
        field = visit.page.get_by_role("searchbox", name="Show only")
        field.fill("rawhide compose")
        rows = shown(visit.page, "[data-item]")
        expect(rows).to_have_count(len(items(tree, "rawhide")))
        field.fill("container s390x f45")
        expect(rows.first).to_contain_text("container")
        assert all("s390x" in text and "f45" in text for text in rows.all_inner_texts())
        field.fill("no such thing")
        expect(rows).to_have_count(0)
        field.fill("")
        expect(rows).to_have_count(everything)
        expect(visit.page).to_have_url(site + layout.BOARD_PAGE)
        assert not visit.problems, visit.problems


def test_it_is_light_and_fits_every_screen(site: str, tree: Path, chromium: Browser) -> None:
    """At every width, light and dark, with all unfolded; axe finds nothing in either scheme, and nothing shifts."""
    watch = """window.shift = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });"""
    with Visit(chromium, [site]) as visit:
        visit.page.add_init_script(watch)
        assert weight(visit, tree, site, layout.BOARD_PAGE) < HEAVIEST
        assert visit.page.evaluate("window.shift") < 0.1
        # As it is, test_browser tours it with all other pages of this site.
        visit.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        visit.tour()
        assert not visit.problems, visit.problems

"""Wide tables in a real browser: a table on a laptop, cards that can be sorted on a phone, and nothing moves."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Browser, Route, expect

from browser import WIDTHS, Visit
from statscache import layout

LAPTOP = 1280
IMAGES = layout.page("cloud-images")
WIDE = (IMAGES, layout.page("release-dashboard"), layout.page("composes"), layout.page("recent-activity"))
"""The pages whose tables have most columns."""

_SIDEWAYS = "document.querySelector('.scroll').scrollWidth - document.querySelector('.scroll').clientWidth"
_PLACES = """[...document.querySelectorAll("[data-table] :is(.scroll, th, td)")]
  .filter((part) => part.offsetWidth)
  .map((part) => [part.getBoundingClientRect(), part.closest("[data-table]").getBoundingClientRect()])
  .map(([box, whole]) => [box.x - whole.x, box.y - whole.y, box.width, box.height].map(Math.round).join(" "))"""


@pytest.mark.parametrize("script", [True, False])
def test_a_laptop_shows_wide_tables_as_tables(site: str, chromium: Browser, script: bool) -> None:
    """With and without scripts: each row is one line, and nothing scrolls sideways; a phone shows cards."""
    with Visit(chromium, [site], script=script) as visit:
        for path in WIDE[:2]:
            visit.page.set_viewport_size({"width": LAPTOP, "height": 900})
            visit.open(site + path)
            expect(visit.page.locator("thead")).to_be_visible()
            row = visit.page.locator("tbody tr").first.bounding_box()
            assert row is not None
            assert row["height"] < 45
            assert visit.page.evaluate(_SIDEWAYS) == 0
            visit.page.set_viewport_size({"width": 390, "height": 900})
            expect(visit.page.locator("thead")).to_be_hidden()
            expect(visit.page.locator("[data-label='Time (UTC)']").first).to_be_visible()
        assert not visit.problems, visit.problems


def test_a_long_id_is_cut_in_the_middle_and_copied_whole(site: str, tree: Path, chromium: Browser) -> None:
    """Its cell shows both ends on one line, and has all of it for who selects, filters, or points at it."""
    rows = orjson.loads((tree / layout.latest("cloud-images")).read_bytes())["rows"]
    longest = max((row["id"] for row in rows), key=len)
    with Visit(chromium, [site]) as visit:
        visit.page.set_viewport_size({"width": LAPTOP, "height": 900})
        visit.open(site + IMAGES)
        cell = visit.page.get_by_title(longest).first
        assert cell.inner_text() == longest
        head = cell.locator(".cut > span")
        assert head.evaluate("(part) => part.scrollWidth > part.clientWidth")
        visit.page.set_viewport_size({"width": 390, "height": 900})
        assert not head.evaluate("(part) => part.scrollWidth > part.clientWidth")


def test_cards_are_sorted_by_a_list_of_columns(site: str, tree: Path, chromium: Browser) -> None:
    """By keys: it says the order that the rows have, and sorts as the head of the table does."""
    rows: list[dict[str, Any]] = orjson.loads((tree / layout.latest("cloud-images")).read_bytes())["rows"]
    with Visit(chromium, [site]) as visit:
        visit.page.set_viewport_size({"width": 390, "height": 900})
        visit.open(site + IMAGES)
        order = visit.page.get_by_role("combobox", name="Sort")
        expect(order.locator(":checked")).to_have_text("Newest first")
        regions = visit.page.locator("tbody td:nth-child(5)")
        order.focus()
        visit.page.keyboard.type("Region")
        assert regions.all_text_contents() == sorted(row["region"] for row in rows)
        expect(visit.page.locator("thead th").nth(4)).to_have_attribute("aria-sort", "ascending")
        visit.audit()
        visit.page.set_viewport_size({"width": LAPTOP, "height": 900})
        expect(order).to_be_hidden()
        visit.page.get_by_role("button", name="Time").click()
        times = visit.page.locator("tbody td.time")
        assert times.all_text_contents() == sorted(times.all_text_contents(), reverse=True)
        visit.page.set_viewport_size({"width": 390, "height": 900})
        expect(order.locator(":checked")).to_have_text("Newest first")
        assert not visit.problems, visit.problems


@pytest.mark.parametrize("path", WIDE)
def test_nothing_moves_when_scripts_come_late(site: str, chromium: Browser, path: str) -> None:
    """Rows are seen at once, as a table or as cards, and stay where they are when every script runs at last."""
    with Visit(chromium, [site]) as visit:
        held: list[Route] = []
        is_late = True

        def handle(route: Route) -> None:
            if is_late:
                held.append(route)
            else:
                route.continue_()

        visit.page.route(re.compile(r"\.js$"), handle)
        for width in (*WIDTHS, LAPTOP):
            visit.page.set_viewport_size({"width": width, "height": 900})
            visit.page.goto("about:blank")
            is_late = True
            visit.page.goto(site + path, wait_until="commit")
            visit.page.locator("[data-table]").first.evaluate("(part) => part.scrollIntoView()")
            expect(visit.page.locator("tbody td:visible").first).to_be_in_viewport()
            before = visit.page.evaluate(_PLACES)
            is_late = False
            while held:
                held.pop().continue_()
            visit.page.wait_for_load_state()
            visit.settle()
            assert visit.page.evaluate(_PLACES) == before, width
        assert not visit.problems, visit.problems

"""Tables, the front page and what search engines read, in a real browser."""

import gzip
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import WIDTHS, Visit
from statscache import layout
from statscache.render import text

HEAVIEST = 120_000
"""Bytes that a page and all that it loads may have, compressed."""

IMAGES = layout.page("cloud-images")


def shown_rows(page: Page) -> Locator:
    """Return the rows of the first table that a reader sees."""
    return page.locator("[data-table]:visible").first.locator("tbody tr:visible")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_image_of_a_region_is_found_by_typing_its_name(
    site: str, tree: Path, chromium: Browser, width: int
) -> None:
    """On the first screen, without scrolling; the address of the page then leads others to the same rows."""
    rows = orjson.loads((tree / layout.latest("cloud-images")).read_bytes())["rows"]
    wanted = {"release": "rawhide", "architecture": "x86_64", "region": "us-east-1"}
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    newest = max(found, key=lambda row: row["timestamp"])
    with Visit(chromium, [site]) as visit:
        visit.open(site + IMAGES)
        visit.look(width, "light")
        visit.page.get_by_role("searchbox", name="Filter").type("us-east-1")
        expect(visit.page.locator(".filter [role=status]")).to_have_text(
            f"{len([row for row in rows if 'us-east-1' in str(row.values())])} of {len(rows)} rows"
        )
        cell = shown_rows(visit.page).get_by_text(newest["id"], exact=True).first
        box = cell.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900
        assert box["x"] + box["width"] <= width
        expect(visit.page).to_have_url(f"{site}{IMAGES}?filter=us-east-1")
        visit.page.get_by_role("searchbox", name="Filter").type(" x86_64 nothing")
        expect(shown_rows(visit.page)).to_have_count(0)
        visit.open(f"{site}{IMAGES}?filter=us-east-1")
        assert shown_rows(visit.page).count() == len([row for row in rows if "us-east-1" in str(row.values())])
        assert not visit.problems, visit.problems


def test_the_head_of_a_table_stays(site: str, chromium: Browser) -> None:
    """While its rows scroll, a reader sees what the columns are."""
    with Visit(chromium, [site]) as visit:
        visit.open(site + IMAGES)
        scroll = visit.page.locator("[data-table] .scroll")
        scroll.scroll_into_view_if_needed()
        before = visit.page.locator("thead th").first.bounding_box()
        scroll.evaluate("part => { part.scrollTop = 500; }")
        assert visit.page.locator("thead th").first.bounding_box() == before


@pytest.mark.parametrize("script", [True, False])
def test_the_leaders_of_each_period_are_chosen_with_a_key(
    site: str, tree: Path, chromium: Browser, script: bool
) -> None:
    """With and without scripts: an arrow key, or a click, shows the ranking of 30 or of 7 days."""
    with Visit(chromium, [site], script=script) as visit:
        visit.open(site + layout.page("builds-by-package"))
        first = visit.page.get_by_role("radio", name="All time")
        expect(first).to_be_checked()
        first.focus()
        visit.page.keyboard.press("ArrowRight")
        expect(visit.page.get_by_role("radio", name="30 days")).to_be_checked()
        visit.page.get_by_text("7 days", exact=True).click()
        rows = orjson.loads((tree / "v1/plugins/builds-by-package/busiest-7d.json").read_bytes())["rows"]
        expect(shown_rows(visit.page)).to_have_count(len(rows))
        expect(shown_rows(visit.page).first).to_contain_text(f"1 {rows[0]['package']}")
        if script:
            visit.audit()
        assert not visit.problems, visit.problems


def weight(visit: Visit, tree: Path, site: str, path: str) -> int:
    """Return the bytes of a page and of all that it loads, compressed."""
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.open(site + path)
    files = {url.removeprefix(site).partition("?")[0] for url in asked}
    return sum(len(gzip.compress((tree / file).read_bytes())) for file in files)


@pytest.mark.parametrize("path", [IMAGES, layout.page("composes"), layout.page("builds-by-package")])
def test_tables_are_light_and_fit_every_screen(site: str, tree: Path, chromium: Browser, path: str) -> None:
    """At every width, light and dark; axe finds nothing; the page weighs less than 120 kB."""
    with Visit(chromium, [site]) as visit:
        assert weight(visit, tree, site, path) < HEAVIEST
        visit.tour()
        assert not visit.problems, visit.problems


def test_no_heading_is_broken_within_a_word(site: str, chromium: Browser) -> None:
    """On a phone, a column of dashes is as wide as the longest word above it."""
    with Visit(chromium, [site]) as visit:
        visit.look(WIDTHS[0], "light")
        visit.open(site + layout.page("volume-by-topic"))
        heads = visit.page.locator("[data-table]:visible th.number")
        expect(heads.get_by_text("Last 30 days")).to_be_attached()
        assert max(box["height"] for head in heads.all() if (box := head.bounding_box())) < 90


def test_the_front_page_answers_at_a_glance(site: str, tree: Path, chromium: Browser) -> None:
    """Numbers, what changed, statistics by subject; light, without a shift; test_browser tours it."""
    watch = """window.shift = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });"""
    with Visit(chromium, [site]) as visit:
        visit.page.add_init_script(watch)
        assert weight(visit, tree, site, layout.FRONT_PAGE) < HEAVIEST
        headings = visit.page.locator("h3.subject").all_inner_texts()
        assert headings == ["People", "Packages and builds", "Release engineering", "Code review", "The bus"]
        # Of the people, no whole day is known: there is a gap in the last one.
        expect(visit.page.locator(".figures > div")).to_have_count(3)
        expect(visit.page.locator(".card").filter(has_text="Messages").locator(".tab:visible")).to_have_count(1)
        assert visit.page.evaluate("window.shift") < 0.1
        assert not visit.problems, visit.problems


def test_names_in_the_newest_lists_lead_to_their_pages(site: str, tree: Path, chromium: Browser) -> None:
    """Releases of composes, updates and images are links, without a script; a list without keys has no label."""
    with Visit(chromium, [site], script=False) as visit:
        visit.open(site)
        rows = orjson.loads((tree / layout.latest("cloud-images")).read_bytes())["rows"]
        newest = visit.page.locator("#plugin-cloud-images .newest .key a")
        assert newest.count() == 4
        names = newest.all_text_contents()
        assert set(names) <= {row["release"] for row in rows}
        assert newest.first.get_attribute("href") == f"releases/index.html?{names[0]}"
        assert not visit.page.locator("#plugin-newest-badges .newest .key").count()
        assert visit.page.locator("#plugin-composes .newest .key").first.inner_text().count(" · ") == 1
        assert not visit.problems, visit.problems


def test_a_table_says_since_when_each_column_is_known(site: str, chromium: Browser) -> None:
    """Where columns differ in that, the note names them."""
    with Visit(chromium, [site], script=False) as visit:
        visit.open(site + layout.page("unique-contributors-by-category"))
        note = visit.page.locator(".tab:visible > .note").first
        expect(note).to_contain_text("“—” under Last week, Last day is not known for all of that time, only since")
        expect(note).to_contain_text("“—” under Last month is not known")
        assert not visit.problems, visit.problems


@pytest.mark.parametrize("path", [layout.DOCS_PAGE, layout.doc_page("format"), layout.NOT_FOUND_PAGE])
def test_pages_that_no_message_changes_say_the_time_of_the_data(
    site: str, tree: Path, chromium: Browser, path: str
) -> None:
    """A script fills it in, so the page is not published again with each message; without one nothing is claimed."""
    index = orjson.loads((tree / layout.INDEX).read_bytes())
    assert '<p class="span" data-span></p>' in (tree / path).read_text()
    with Visit(chromium, [site]) as visit:
        visit.open(site + path)
        times = visit.page.locator("[data-span] time")
        expect(times).to_have_count(2)
        since, through = (time.get_attribute("datetime") or "" for time in times.all())
        assert since[:10] == text.when(min(each["since"] for each in index["plugins"] if each["since"]))[:10]
        assert through[:16].replace("T", " ") == text.when(index["slow_through"])[:16]
        assert not visit.problems, visit.problems


@pytest.mark.parametrize("script", [True, False])
def test_variants_and_files_are_behind_tabs(site: str, chromium: Browser, script: bool) -> None:
    """With and without scripts, by a click and by keys."""
    with Visit(chromium, [site], script=script) as visit:
        visit.open(site + layout.FRONT_PAGE)
        card = visit.page.locator("#plugin-volume")
        card.get_by_text("Category", exact=True).click()
        expect(card.get_by_role("link", name="Messages by category")).to_be_visible()
        expect(visit.page.get_by_text("latest.json").first).to_be_hidden()
        visit.page.get_by_role("radio", name="By subject").focus()
        visit.page.keyboard.press("ArrowRight")
        expect(card).to_be_hidden()
        visit.page.locator('.files [href="plugins/volume/index.html#documents"]').click()
        if script:
            expect(visit.page.get_by_role("heading", name="Documents")).to_be_visible()
            visit.audit()
        else:
            visit.page.get_by_text("Data", exact=True).click()
        expect(visit.page.get_by_text("v1/plugins/volume/latest.json").first).to_be_visible()
        assert not visit.problems, visit.problems


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_of_the_docs_is_read_from_its_text_on(site: str, chromium: Browser, width: int) -> None:
    """On a phone the menu follows the text, on a desk it is beside it; headings have addresses, examples a button."""
    with Visit(chromium, [site]) as visit:
        visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        visit.open(f"{site}docs/start/index.html")
        visit.look(width, "light")
        title = visit.page.get_by_role("heading", level=1).bounding_box()
        menu = visit.page.get_by_role("navigation", name="Documentation").bounding_box()
        assert title is not None
        assert menu is not None
        assert title["y"] < 450
        assert menu["x"] < title["x"] if width == WIDTHS[-1] else menu["y"] > title["y"]
        visit.page.get_by_role("heading", name="Fetch a number").get_by_role("link").click()
        visit.page.wait_for_url(f"{site}docs/start/index.html#fetch-a-number")
        sample = visit.page.locator(".sample").first
        sample.get_by_role("button", name="Copy the example").click()
        expect(sample.get_by_text("Copied")).to_be_visible()
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied.strip() == "curl --silent https://stats.example.org/v1/plugins/volume/latest.json"
        visit.page.get_by_role("link", name="Next").click()
        visit.page.wait_for_url(f"{site}docs/statistics/index.html")
        assert not visit.problems, visit.problems


def test_an_address_without_a_page_leads_to_search(site: str, chromium: Browser) -> None:
    """However deep it is: styled, searchable, with a way back."""
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}plugins/no/such/page.html")
        visit.tour()
        visit.page.keyboard.press("/")
        visit.page.keyboard.type("messages by category")
        expect(visit.page.get_by_role("option").first).to_contain_text("Messages by category")
        visit.page.keyboard.press("Escape")
        visit.page.get_by_role("link", name="the front page").click()
        visit.page.wait_for_url(f"{site}index.html")
        assert [problem for problem in visit.problems if "404" not in problem] == []


def test_what_search_engines_read_is_no_script_to_a_browser(site: str, chromium: Browser) -> None:
    """The data set of a statistic is in its page, and the page's policy has nothing to say against it."""
    with Visit(chromium, [site]) as visit:
        visit.open(site + layout.page("builds"))
        found = orjson.loads(visit.page.locator("script[type='application/ld+json']").inner_text())
        assert found["url"] == "https://stats.example.org/plugins/builds/index.html"
        canonical = visit.page.locator("link[rel=canonical]")
        assert canonical.get_attribute("href") == found["url"]
        visit.open(site + layout.entity_page("person"))
        assert visit.page.locator("meta[name=robots]").get_attribute("content") == "noindex"
        assert not visit.problems, visit.problems

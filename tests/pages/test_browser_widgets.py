"""The custom elements and the client, in a real browser, on a page of another site with a strict policy of its own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Locator, Page, expect

import example_sites
from browser import SCHEMES, WIDTHS, Visit, serving_files, serving_tree
from conftest import ROOT
from keypairs import write_key
from published import BUILD, EDIT, PublishedSite, line

WIDGETS = """
<statscache-count plugin="edits" window="total"></statscache-count>
<statscache-count plugin="builds" key='["Ralph.B", null]'></statscache-count>
<statscache-activity plugin="builds" key='["Ralph.B", null]' weeks="8"></statscache-activity>
<statscache-calendar plugin="builds" key='["owner-1", "f42"]'></statscache-calendar>
<statscache-calendar plugin="edits" label="A year of edits"></statscache-calendar>
<statscache-series plugin="edits" days="2"></statscache-series>
<statscache-series plugin="edits" resolution="1d" days="30"></statscache-series>
<statscache-table plugin="edits" sort="-total"></statscache-table>
<statscache-table plugin="newest-build" limit="1"></statscache-table>
"""
HOSTILE = """
<statscache-count plugin="sales" window="total"></statscache-count>
<statscache-series plugin="sales"></statscache-series>
<statscache-series plugin="volume-by-category"></statscache-series>
<statscache-calendar plugin="sales"></statscache-calendar>
<statscache-table plugin="links" limit="100"></statscache-table>
<statscache-table plugin="receipts"></statscache-table>
<statscache-table plugin="buyers"></statscache-table>
"""
NAMES = ("count", "series", "calendar", "table")
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>A page of somebody else</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<script type="module" src="{site}assets/widgets.js"></script>
<main><h1>A page of somebody else</h1>{body}</main>
</html>
"""
POLICY = "default-src 'none'; script-src {site}; connect-src {site}; style-src 'self'; img-src data:"
STYLE = """:root { color-scheme: light dark; color: light-dark(#222, #ddd); background: light-dark(#fff, #111); }"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublishedSite]:
    """A site of a few messages."""
    site = PublishedSite(tmp_path_factory.mktemp("widgets"))
    site.start()
    yield site
    site.close()


@contextmanager
def elsewhere(directory: Path, root: Path, body: str) -> Iterator[tuple[str, str]]:
    """Serve a page with elements, and from another origin the site; give the addresses of both."""
    with serving_tree(root) as url, serving_files(directory) as page:
        (directory / "index.html").write_text(
            PAGE.format(site=url, body=body, policy=POLICY.format(site=url)), encoding="utf-8"
        )
        (directory / "style.css").write_text(STYLE, encoding="utf-8")
        yield page, url


def texts(page: Page) -> list[str]:
    """Return the text of each element of the page."""
    every = "[...document.querySelectorAll('main > *')].filter((one) => one.shadowRoot)"
    script = f"{every}.map((one) => one.shadowRoot.textContent)"
    found: list[str] = page.evaluate(script)
    return found


def ranges(element: Locator) -> list[str]:
    """Return the ranges that a chart with controls offers."""
    return element.locator(".segments").first.locator("span").all_inner_texts()


def days(page: Page) -> dict[str, str]:
    """Return what the first calendar says of each day of its year, as it is read by keyboard."""
    script = """(box) => {
      const press = (key) => box.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
      press("Home");
      const said = [];
      for (let at = 0; at <= Number(box.getAttribute("aria-valuemax")); at += 1, press("ArrowDown")) {
        said.push(box.getAttribute("aria-valuetext").split(": "));
      }
      press("Escape");
      return Object.fromEntries(said);
    }"""
    found: dict[str, str] = page.locator("statscache-calendar .days").first.evaluate(script)
    return found


@contextmanager
def visiting(chromium: Browser, directory: Path, site: PublishedSite, body: str) -> Iterator[Page]:
    """Visit a page with elements of the site; nothing may go wrong on it."""
    with elsewhere(directory, site.root, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        assert not [text for text in texts(visit.page) if "Loading" in text]
        yield visit.page
        assert not visit.problems, visit.problems


@pytest.mark.parametrize("world", ["small", "hostile", "empty"])
def test_nothing_goes_wrong_with_any_element(
    world: str, site: PublishedSite, chromium: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """At every width, light and dark: no error, nothing executed, no overflow; axe finds no violation."""
    root, body = (site.root, WIDGETS) if world == "small" else (example_sites.shared(tmp_path_factory, world), HOSTILE)
    if world == "empty":
        body = "".join(f'<statscache-{name} plugin="volume"></statscache-{name}>' for name in NAMES)
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    with elsewhere(directory, root, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        if world == "hostile":
            assert "alert(1)" in "".join(texts(visit.page))
        for opened in (False, True):
            visit.tour()
            for summary in visit.page.locator("summary").all():
                summary.evaluate("(one) => { one.parentElement.open = true; }")
            assert not visit.problems, (opened, visit.problems)


def test_elements_show_what_is_published(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """Numbers, plots with their description, tables behind them, and the age of the data."""
    with visiting(chromium, tmp_path, site, WIDGETS) as page:
        text = " ".join(texts(page))
        assert re.search(r"3\s*\w+ in all", text)
        assert "Builds: Ralph.B · unknown" in text
        assert "Data through 2015-08-09 13:00 UTC" in text
        plots = page.locator("[role=img], [role=slider]").evaluate_all(
            "(all) => all.map((one) => one.getAttribute('aria-label'))"
        )
        assert any(re.match(r"Edits: at least 3 \w+ in 30 days to 2015-08-09 13:00 UTC", plot) for plot in plots), plots
        assert any(re.match(r"Builds, owner-1 · f42: at least 1 \w+ in 2015", plot) for plot in plots), plots
        calendar = page.locator("statscache-calendar").first
        assert calendar.locator(".calendar rect").count() == len(days(page)) == 365
        # The first day began before the first message.
        assert days(page)["2015-08-09"] == "unknown"
        calendar.locator("summary").click()
        assert calendar.locator("tbody tr").first.inner_text().split() == ["2015-08-09", "unknown"]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a site of a few days, with a gap."""
    return example_sites.shared(tmp_path_factory, "demo")


def test_a_gap_is_unknown_in_plot_and_table(busy: Path, chromium: Browser, tmp_path: Path) -> None:
    """Where data are missing, the line breaks, and the table says that they are unknown."""
    body = '<statscache-series plugin="volume"></statscache-series>'
    with elsewhere(tmp_path, busy, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        chart = visit.page.get_by_role("slider")
        hours = int(chart.get_attribute("aria-valuemax") or "") + 1
        width = float((chart.locator("rect.gap").get_attribute("width") or "").removesuffix("%"))
        assert round(width * hours / 100, 1) == 5
        visit.page.locator("summary").click()
        rows = visit.page.locator("tbody tr").all_inner_texts()
        assert [row.split()[-1] for row in rows if row.startswith("2015-08-09 0")][-5:] == ["unknown"] * 5
        assert not visit.problems


def test_a_calendar_tells_zero_from_unknown_and_from_what_is_to_come(
    busy: Path, chromium: Browser, tmp_path: Path
) -> None:
    """A day of which data are missing is unknown, in its cell and in the table; a day after the data is not yet."""
    body = '<statscache-calendar plugin="volume"></statscache-calendar>'
    with elsewhere(tmp_path, busy, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        said = days(visit.page)
        assert said["2015-08-09"] == "unknown"
        assert re.fullmatch(r"[\d,]+ messages", said["2015-08-08"])
        assert said["2015-01-01"] == "unknown", "before the first message"
        assert said["2015-12-31"] == "not yet"
        visit.page.locator("summary").click()
        assert "2015-08-09 unknown" in [
            " ".join(row.split()) for row in visit.page.locator("tbody tr").all_inner_texts()
        ]
        assert not visit.problems


def test_uniques_never_add_up(busy: Path, chromium: Browser, tmp_path: Path) -> None:
    """Of several days the greatest is shown, not their sum; those of several keys are not made one number."""
    body = """
    <statscache-count plugin="unique-contributors"></statscache-count>
    <statscache-series plugin="unique-contributors" resolution="1d" days="3"></statscache-series>
    <statscache-calendar plugin="unique-contributors"></statscache-calendar>
    <statscache-count plugin="unique-contributors-by-category"></statscache-count>
    <statscache-series plugin="unique-contributors-by-category" resolution="1d" days="3"></statscache-series>
    """
    days = orjson.loads((busy / "v1/plugins/unique-contributors/series/1d/2015.json").read_bytes())["rows"]
    latest = orjson.loads((busy / "v1/plugins/unique-contributors/latest.json").read_bytes())
    assert latest["rows"][0]["last_day"] > 0
    assert "last_day" in latest["partial"], "that day has a gap"
    most = max(value for _, value in days)
    with elsewhere(tmp_path, busy, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        count, series, calendar, by_category, several = texts(visit.page)
        assert re.search(r"—, since 9 Aug \d\d:\d\dpeople in the last full day", count)
        assert f"{most} people in the busiest bucket of 3 days" in series
        assert f"{most} people in the busiest bucket of 2015" in calendar
        assert "do not add up" in by_category
        assert "other (" not in several
        assert not visit.problems


def test_a_person_has_parts(chromium: Browser, tmp_path: Path, site: PublishedSite) -> None:
    """The parts of a document of a key are stacked, named in the legend, and columns of the table."""
    parts = [
        {"category": None, "total": 1, "weeks": {"2015": [[1437955200, 1]]}},
        {"category": "<b>git</b>", "total": 5, "weeks": {"2015": [[1437955200, 5]]}},
    ]
    body = '<statscache-activity plugin="builds" key="ralph" weeks="4"></statscache-activity>'
    with elsewhere(tmp_path, site.root, body) as (page, url), Visit(chromium, [page, url]) as visit:
        document = {"schema": "statscache/key/1", "total": 6, "years": [], "days": {}, "parts": parts}
        answer = {"body": orjson.dumps(document).decode(), "headers": {"Access-Control-Allow-Origin": "*"}}
        visit.page.route("**/by/ralph.json", lambda route: route.fulfill(content_type="application/json", **answer))
        visit.open(page)
        assert visit.page.locator(".legend li").all_inner_texts() == [
            "<b>git</b>\n5",
            "unknown\n1",
        ]
        visit.page.locator("summary").click()
        assert [row.split() for row in visit.page.locator("tbody tr").all_inner_texts()] == [
            ["2015-07-27", "5", "1", "6"]
        ]
        visit.page.get_by_role("slider").press("End")
        expect(visit.page.locator(".tip")).to_have_text("Week of 2015-07-27unknown1<b>git</b>5All6")
        assert not visit.problems


def test_older_years_of_a_key_are_fetched_where_they_are_shown(
    site: PublishedSite, chromium: Browser, tmp_path: Path
) -> None:
    """A calendar of one of them, and weeks that reach back so far; others ask for the key's own document alone."""
    body = """<statscache-calendar plugin="builds" key='["Ralph.B", null]' year="2012"></statscache-calendar>
    <statscache-activity plugin="builds" key='["Ralph.B", null]' weeks="300"></statscache-activity>
    <statscache-activity plugin="builds" key='["Ralph.B", null]'></statscache-activity>"""
    with visiting(chromium, tmp_path, site, body) as page:
        calendar, long, year = texts(page)
        assert re.search(r"1 \w+ in 2012", calendar)
        assert re.search(r"at least 1 \w+ in 300 weeks, and at least 1 in the one that is not over", long)
        assert re.search(r"0 \w+ in 52 weeks, and at least 1 in the one that is not over", year)


def test_an_element_that_has_nothing_to_show_says_why(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """A wrong name, key, attribute or document is explained, with what there is instead; markup in it is text."""
    body = """
    <statscache-count plugin="<b>build</b>"></statscache-count>
    <statscache-count></statscache-count>
    <statscache-count plugin="edits" window="yesterday"></statscache-count>
    <statscache-activity plugin="builds"></statscache-activity>
    <statscache-table plugin="edits" list="nothing"></statscache-table>
    <statscache-series plugin="newest-build"></statscache-series>
    <statscache-table plugin="edits" document="nothing"></statscache-table>
    <statscache-count plugin="builds"></statscache-count>
    <statscache-activity plugin="edits" key="Main"></statscache-activity>
    """
    with visiting(chromium, tmp_path, site, body) as page:
        shown = texts(page)
        assert 'there is no statistic "<b>build</b>".' in shown[0]
        assert 'needs an attribute plugin, such as plugin="volume"' in shown[1]
        assert "window is one of last_24h" in shown[2]
        assert "it needs an attribute key" in shown[3]
        assert 'has no list "nothing"' in shown[4]
        assert "newest-build has no series/1h/index.json; it has: latest.json" in shown[5]
        assert "edits has no nothing.json; it has: badge.json" in shown[6]
        assert "only the greatest keys are listed" in shown[7]
        assert "edits publishes no documents of its keys" in shown[8]


def test_a_number_stands_in_a_sentence(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """It is inline and says through when by its title; without a statistic, what the page has inside stays."""
    body = """<p>Edits: <statscache-count inline plugin="edits" window="total">some</statscache-count>,
    <statscache-count inline plugin="edit">many</statscache-count>,
    <statscache-count inline plugin="edit"></statscache-count>.</p>
    <statscache-series plugin="edit"><img src="data:," alt="Edits"></statscache-series>
    <statscache-series plugin="edit"></statscache-series>"""
    with visiting(chromium, tmp_path, site, body) as page:
        assert page.locator("p").first.evaluate("(one) => one.getClientRects().length") == 1
        number = page.locator("statscache-count").first
        assert number.evaluate("(one) => getComputedStyle(one).display") == "inline"
        expect(number.locator("[part=number]")).to_have_text("3")
        expect(number.locator("[part=number]")).to_have_attribute(
            "title", re.compile("in all, through 2015-08-09 13:00")
        )
        expect(page.get_by_text("many")).to_be_visible()
        expect(page.locator("statscache-count").nth(2)).to_contain_text("—")
        expect(page.get_by_role("img", name="Edits")).to_be_attached()
        expect(page.locator("statscache-series").last).to_contain_text("did you mean edits?")


def test_on_a_dark_page_elements_are_dark(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """Also where the page does not say so by a color-scheme, whatever the reader prefers."""
    with elsewhere(tmp_path, site.root, WIDGETS) as (page, url), Visit(chromium, [page, url]) as visit:
        html = (tmp_path / "index.html").read_text().replace('<meta name="color-scheme" content="light dark">', "")
        (tmp_path / "index.html").write_text(html)
        (tmp_path / "style.css").write_text("html { background: #16181d; color: #ddd; }")
        visit.open(page)
        for scheme in SCHEMES:
            visit.look(768, scheme)
            visit.audit()
        empty = "getComputedStyle(document.querySelector('statscache-calendar').shadowRoot.querySelector('.cell')).fill"
        assert visit.page.evaluate(empty) == "rgb(42, 48, 55)"
        assert not visit.problems, visit.problems


def test_a_chart_with_controls(busy: Path, chromium: Browser, tmp_path: Path) -> None:
    """Ranges that the data permit, views, a log scale and files; the address of the page is left alone."""
    person = orjson.loads((busy / "v1/plugins/contributors/latest.json").read_bytes())["rows"][0]["user"]
    body = f"""<statscache-series plugin="volume-by-category" controls></statscache-series>
    <statscache-series plugin="unique-contributors" controls></statscache-series>
    <statscache-activity plugin="contributors" key="{person}" controls></statscache-activity>"""
    with elsewhere(tmp_path, busy, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        series, uniques, activity = (
            visit.page.locator(name)
            for name in ("statscache-series >> nth=0", "statscache-series >> nth=1", "statscache-activity")
        )
        assert ranges(series) == ["3 h", "7 d", "30 d", "1 y", "All"]
        assert ranges(uniques) == ["30 d", "1 y", "All"]
        assert ranges(activity) == ["30 d", "1 y", "All"]
        for element, text in ((series, "3 h"), (uniques, "30 d"), (activity, "1 y")):
            element.locator(".segments label").filter(has_text=re.compile(f"^{text}$")).click()
            expect(element.locator(".plot:visible")).to_have_count(1)
            element.get_by_label("Log scale").check()
            expect(element.locator(".plot:visible .line").first).to_be_attached()
            with visit.page.expect_download() as download:
                element.get_by_role("button", name="SVG").click()
            assert "<path" in Path(download.value.path()).read_text()
        assert visit.page.url == page
        for width in WIDTHS:
            visit.look(width, "light")
        visit.audit()
        assert not visit.problems, visit.problems


def test_a_key_that_never_occurred_is_zero(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """Absent is zero, not an error."""
    body = """<statscache-calendar plugin="builds" key='["nobody", "f42"]'></statscache-calendar>
    <statscache-count plugin="builds" key='["nobody", "f42"]'></statscache-count>
    <statscache-activity plugin="builds" key='["nobody", "f42"]'></statscache-activity>"""
    with elsewhere(tmp_path, site.root, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        calendar, count, activity = texts(visit.page)
        assert re.search(r"0 \w+ in 2015", calendar)
        assert count.startswith("0")
        assert re.search(r"0 \w+ in 52 weeks", activity)
        assert all("404" in problem for problem in visit.problems)


def test_a_calendar_of_a_key_is_read_from_where_the_key_is(
    site: PublishedSite, chromium: Browser, tmp_path: Path
) -> None:
    """From the series, where keys have no document of their own."""
    body = '<statscache-calendar plugin="edits" key="Main"></statscache-calendar>'
    with visiting(chromium, tmp_path, site, body) as page:
        (text,) = texts(page)
        assert re.search(r"2 \w+ in 2015", text)


def test_a_table_is_sorted_by_keyboard(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """Heads are buttons; the order is announced, and the focus stays where it was."""
    with visiting(chromium, tmp_path, site, '<statscache-table plugin="edits"></statscache-table>') as page:
        head = page.locator("th button").first
        first = "tbody tr td:first-child"
        for order in ("ascending", "descending", "ascending"):
            head.focus()
            page.keyboard.press("Enter")
            expect(page.locator("th").first).to_have_attribute("aria-sort", order)
            shown = page.locator(first).all_inner_texts()
            assert shown == sorted(shown, reverse=order == "descending")
        assert page.evaluate("document.activeElement.shadowRoot.activeElement.textContent") == "page"


def test_a_leaderboard_has_ranks(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """Rows that are sorted by a number, the greatest first, have their rank; equal numbers share one."""
    body = """<statscache-table plugin="builds" sort="-total" columns="owner total"></statscache-table>
    <statscache-table plugin="builds" columns="owner total"></statscache-table>"""
    with visiting(chromium, tmp_path, site, body) as page:
        ranked, plain = (table.locator("tr") for table in page.locator("statscache-table").all())
        lines = [row.locator("td").all_inner_texts() for row in ranked.all()[1:]]
        totals = [total for *_, total in lines]
        assert [rank for rank, *_ in lines] == [str(1 + totals.index(total)) for total in totals]
        assert len({*totals}) < len(totals)
        expect(ranked.first).to_contain_text("Rank")
        expect(plain.first).not_to_contain_text("Rank")


@contextmanager
def watching(chromium: Browser, tmp_path: Path) -> Iterator[tuple[PublishedSite, Visit]]:
    """Visit an element of a site of its own, by a clock that the test moves; nothing may go wrong on the page."""
    site = PublishedSite(tmp_path)
    site.start()
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    body = '<statscache-count plugin="edits" window="total"></statscache-count>'
    with elsewhere(directory, site.root, body) as (page, url), Visit(chromium, [page, url]) as visit:
        made = orjson.loads((site.root / "v1/index.json").read_bytes())["generated_at"]
        visit.page.clock.install(time=datetime.fromtimestamp(made, UTC))
        visit.open(page)
        yield site, visit
        assert not visit.problems
    site.close()


def test_elements_follow_what_is_published(chromium: Browser, tmp_path: Path) -> None:
    """A new snapshot shows without a reload, an attribute at once; an element that was removed asks for nothing."""
    with watching(chromium, tmp_path) as (site, visit):
        assert visit.page.locator("strong").inner_text() == "3"
        site.take(line(EDIT, {"title": "Main"}, 100_000), line(BUILD, {"owner": "Ralph.B"}, 100_001))
        site.publish()
        visit.page.clock.run_for(61_000)
        expect(visit.page.locator("strong")).to_have_text("4")
        visit.page.evaluate("document.querySelector('statscache-count').setAttribute('key', 'Main')")
        expect(visit.page.locator("strong")).to_have_text("3")
        visit.settle()
        visit.page.evaluate("document.querySelector('statscache-count').remove()")
        asked: list[Any] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.page.clock.run_for(130_000)
        visit.settle()
        assert asked == []


def test_an_element_says_when_nothing_comes_any_longer(chromium: Browser, tmp_path: Path) -> None:
    """It was drawn in time, and is overdue three intervals later, without a reload."""
    with watching(chromium, tmp_path) as (_, visit):
        assert "overdue" not in texts(visit.page)[0]
        visit.page.clock.run_for(4 * 60_000)
        expect(visit.page.locator(".note")).to_contain_text("overdue")
        assert visit.page.locator("strong").inner_text() == "3"


def test_parts_are_those_of_the_docs(busy: Path, chromium: Browser, tmp_path: Path) -> None:
    """Each part that the docs name is there to be styled, and there is no other."""
    source = (ROOT / "docs" / "widgets.md").read_text(encoding="utf-8")
    [text] = re.findall(r"styled as a part: (.*?): `statscache-count", source, re.DOTALL)
    body = """
<statscache-count plugin="volume"></statscache-count>
<statscache-series plugin="volume-by-category"></statscache-series>
<statscache-table plugin="volume-by-category"></statscache-table>
<statscache-count plugin="nothing"></statscache-count>
"""
    with elsewhere(tmp_path, busy, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        found = visit.page.evaluate(
            "[...document.querySelectorAll('main > *')].flatMap((one) => one.shadowRoot ? "
            "[...one.shadowRoot.querySelectorAll('[part]')].map((part) => part.part.value) : [])"
        )
        assert {*found} == {*re.findall("`([a-z]+)`", text)}


def test_colours_are_those_of_the_page(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """CSS properties that the page sets reach into the elements."""
    with visiting(chromium, tmp_path, site, WIDGETS) as page:
        page.evaluate("document.querySelector('main').style.setProperty('--statscache-c1', 'rgb(1, 2, 3)')")
        fill = "getComputedStyle(document.querySelector('statscache-calendar').shadowRoot.querySelector('.level')).fill"
        assert page.evaluate(fill) == "rgb(1, 2, 3)"


def test_the_client_in_a_browser(site: PublishedSite, chromium: Browser, tmp_path: Path) -> None:
    """A page of another origin pins a snapshot with digests, reads a key by way of manifests, and asks cheaply."""
    with elsewhere(tmp_path, site.root, "") as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        program = """async (url) => {
            const { Client, keyPath } = await import(`${url}assets/statscache.js`);
            const pinned = await new Client().pin();
            const span = await pinned.series("edits", "1d", 1438992000, 1439164800);
            const known = await pinned.key("builds", "Ralph.B", null);
            const unknown = await pinned.key("builds", "nobody", null);
            const path = await keyPath(["x".repeat(300)]);
            return [new Client().base, known.total, unknown, span.rows.length, path.length];
        }"""
        assert visit.page.evaluate(program, url) == [url, 2, None, 3, 113]
        preflights: list[str] = []
        visit.page.on("request", lambda request: preflights.append(request.method))
        polling = """async (url) => {
            const client = new (await import(`${url}assets/statscache.js`)).Client();
            await client.discover();
            await client.discover();
        }"""
        visit.page.evaluate(polling, url)
        assert set(preflights) == {"GET"}
        assert not visit.problems, visit.problems


def test_signatures_are_checked_in_a_browser(chromium: Browser, tmp_path: Path) -> None:
    """With a key, Chromium reads what is signed, refuses what was altered, and says where it cannot check."""
    key = write_key(tmp_path / "key.pem", Ed25519PrivateKey.generate())
    site = PublishedSite(tmp_path, signing_keys=(key,))
    site.start()
    site.close()
    program = """async ([url, key]) => {
        const { Client } = await import(`${url}assets/statscache.js`);
        const failing = (client) => client.discover().then(() => "none", (error) => error.name);
        const trusting = () => new Client(url, { keys: [key] });
        const { rows } = await trusting().latest("edits");
        const real = globalThis.fetch;
        globalThis.fetch = async (...request) => {
            const text = await (await real(...request)).text();
            return new Response(text.replace("builds", "bulids"));
        };
        const altered = await failing(trusting());
        globalThis.fetch = real;
        crypto.subtle.importKey = async () => { throw new DOMException("no Ed25519", "NotSupportedError"); };
        return [rows.length, altered, await failing(trusting()), await failing(new Client(url))];
    }"""
    with elsewhere(tmp_path, site.root, "") as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        found = visit.page.evaluate(program, [url, key.with_suffix(".pub").read_text()])
    assert found == [2, "BadSignature", "Unverifiable", "none"]

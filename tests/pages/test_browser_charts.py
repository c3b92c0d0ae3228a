"""The charts of pages in a real browser: the readout by pointer, touch and keyboard, and what a reader may ask for."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import Visit

STACK = "plugins/volume-by-category/index.html"
PANELS = "plugins/unique-contributors-by-category/index.html"


@pytest.fixture
def visit(site: str, chromium: Browser) -> Iterator[Visit]:
    """A visit on which nothing may go wrong."""
    with Visit(chromium, [site]) as visit:
        yield visit
        assert not visit.problems, visit.problems


def chart(page: Page) -> Locator:
    """Return the chart that is shown."""
    return page.locator(".plot:visible .drawing")


def shown(page: Page) -> Any:
    """Return all that a chart draws, without what only tells its elements apart."""
    script = """(box) => [...box.querySelectorAll(".plane, .plane *")].map((one) =>
      [one.localName, one.localName === "text" ? one.textContent : "",
        ...[...one.attributes].filter(({ name }) => name !== "id")
          .map(({ name, value }) => `${name}=${value.replace(/hatch-[^)]*/, "hatch")}`).sort()].join(" "))
      .filter((words) => !/^(pattern|path  class=hatch)/.test(words)).sort()"""
    return chart(page).evaluate(script)


def switch(page: Page, name: str) -> None:
    """Choose a range or a view as people do: by its label."""
    page.locator(".segments label").filter(has_text=re.compile(rf"^{name}$")).click()


@pytest.mark.parametrize("path", [STACK, PANELS, "plugins/volume/index.html"])
def test_the_script_draws_what_the_publisher_draws(path: str, site: str, visit: Visit) -> None:
    """Every element of every range is the same after the script has drawn it."""
    visit.open(site + path)
    for label in visit.page.locator(".segments label:has([name=range])").all_inner_texts():
        if label == "All":
            continue
        switch(visit.page, label)
        before = shown(visit.page)
        assert len(before) > 10
        visit.page.get_by_label("Log scale").check()
        expect(chart(visit.page).locator("path.line").first).to_be_attached()
        assert shown(visit.page) != before
        visit.page.get_by_label("Log scale").uncheck()
        expect(chart(visit.page).locator("path.line")).to_have_count(0)
        assert shown(visit.page) == before, label


def test_all_keys_of_a_bucket_are_read_by_pointer(site: str, visit: Visit) -> None:
    """The box names the time and each key, as the stack has them, with their sum; it goes when the pointer does."""
    visit.open(f"{site}{STACK}#range=7d")
    plane, tip = chart(visit.page).locator(".plane"), chart(visit.page).locator(".tip")
    box = plane.bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 50)
    expect(tip.locator("strong")).to_have_text(re.compile(r"2015-08-1\d \d\d:00 UTC"))
    rows = [row.split("\n") for row in tip.locator("li").all_inner_texts()]
    assert [name for name, _ in rows][-1] == "All"
    assert rows[0][0].startswith("other (")
    assert sum(int(value.replace(",", "")) for _, value in rows[:-1]) == int(rows[-1][1].replace(",", ""))
    assert chart(visit.page).locator(".rule").count() == 1
    visit.page.mouse.move(0, 0)
    expect(tip).to_be_hidden()


def test_buckets_are_read_by_keyboard(site: str, visit: Visit) -> None:
    """The arrows move from bucket to bucket, and what is there is said; unknown is unknown."""
    visit.open(f"{site}{STACK}#range=7d")
    box = chart(visit.page)
    box.focus()
    for key, at in (("End", -1), ("ArrowLeft", -2), ("PageDown", -12), ("ArrowRight", -11), ("Home", 0)):
        visit.page.keyboard.press(key)
        last = int(box.get_attribute("aria-valuemax") or "")
        expect(box).to_have_attribute("aria-valuenow", str(at if at >= 0 else last + 1 + at))
    words = set()
    for _ in range(int(box.get_attribute("aria-valuemax") or "")):
        visit.page.keyboard.press("ArrowRight")
        words.add(box.get_attribute("aria-valuetext") or "")
    assert len([text for text in words if re.fullmatch(r".* UTC: All unknown, (.* unknown(, )?)+", text)]) == 5
    expect(box.locator(".tip")).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(box.locator(".tip")).to_be_hidden()


def test_buckets_are_read_by_touch(site: str, chromium: Browser) -> None:
    """A touch shows what is below it, and that stays when the finger is gone; the page can still be scrolled."""
    context = chromium.new_context(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto(f"{site}{STACK}")
    expect(chart(page)).to_have_attribute("role", "slider")
    plane = chart(page).locator(".plane")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 60)
    expect(chart(page).locator(".tip li").first).to_be_visible()
    assert chart(page).evaluate("(box) => getComputedStyle(box).touchAction") == "pan-y"
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    context.close()


def test_the_address_says_what_is_shown(site: str, visit: Visit) -> None:
    """Range, view, scale and keys that are off are in the fragment, and come back from it; the usual is not there."""
    page = visit.page
    visit.open(site + STACK)
    assert "#" not in page.url
    switch(page, "3 h")
    expect(page).to_have_url(re.compile(r"#range=3h$"))
    switch(page, "Separate")
    expect(page).to_have_url(re.compile(r"#range=3h&view=each$"))
    expect(chart(page).locator(".pane")).to_have_count(6)
    page.get_by_label("Log scale").check()
    expect(page).to_have_url(re.compile(r"view=each&scale=log$"))
    page.get_by_label("Log scale").uncheck()
    switch(page, "Stacked")
    first = page.locator(".plot:visible .legend button").first
    name = first.locator("bdi").inner_text()
    tall = shown(page)
    first.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    expect(first).to_be_focused()
    expect(page).to_have_url(re.compile(rf"#range=3h&off={name}$"))
    changed = shown(page)
    assert changed != tall
    link = page.url
    visit.open("about:blank")
    visit.open(link)
    expect(page.locator(".plot:visible .legend [aria-pressed=false] bdi")).to_have_text(name)
    assert shown(page) == changed
    page.evaluate("location.hash = '#range=30d'")
    expect(page.locator("[value='30d']")).to_be_checked()
    page.evaluate("location.hash = '#range=<b>&view=x&scale=y&off=z'")
    expect(chart(page)).to_be_visible()


def test_all_is_drawn_of_the_published_series(site: str, visit: Visit) -> None:
    """A longer time than the publisher draws is by week; what was before the first data is hatched."""
    visit.open(site + STACK)
    switch(visit.page, "All")
    expect(visit.page.locator(".plot:visible strong").first).to_have_text(re.compile("by week"))
    expect(chart(visit.page)).to_have_attribute("aria-valuemax", re.compile(r"-?\d+"))


def test_two_keys_are_compared(site: str, visit: Visit, tree: Path) -> None:
    """Every key can be chosen, not only those with a curve of their own; the two are lines on one scale."""
    page = visit.page
    visit.open(f"{site}{STACK}#range=7d")
    one, other = page.get_by_label("Compare"), page.get_by_label("with")
    expect(other).to_be_disabled()
    rows = (tree / "v1/plugins/volume-by-category/latest.json").read_text()
    keys = set(re.findall(r'"category":"([^"]+)"', rows))
    expect(one.locator("option")).to_have_count(len(keys) + 1)
    chosen = one.locator("option").evaluate_all("(all) => [all[1].value, all.at(-1).value]")
    one.select_option(chosen[0])
    expect(chart(page).locator("path.line")).to_have_count(1)
    other.select_option(chosen[1])
    expect(chart(page).locator("path.line")).to_have_count(2)
    expect(page.locator(".plot:visible .legend bdi")).to_have_text(chosen)
    expect(page).to_have_url(re.compile(f"#key={chosen[0]}&key={chosen[1]}"))
    expect(chart(page).locator("rect.gap").first).to_be_attached()
    other.select_option("")
    one.select_option("")
    expect(chart(page).locator("path.columns").first).to_be_attached()


def test_all_periods_of_a_series_can_be_saved_as_one_file(tree: Path, site: str, visit: Visit) -> None:
    """The rows of all its files, in order of time, under one heading; a file that cannot be read is named."""
    visit.open(f"{site}{STACK}#documents")
    button = visit.page.get_by_role("button", name="All periods as one CSV, by minute")
    with visit.page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename == "volume-by-category-1m.csv"
    parts = [
        path.read_text().splitlines()
        for path in sorted((tree / "v1/plugins/volume-by-category/series/1m").glob("*.csv"))
    ]
    assert len(parts) > 1
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines == [parts[0][0], *(line for part in parts for line in part[1:])]
    visit.page.route("**/*.csv", lambda route: route.fulfill(status=503))
    button.click()
    expect(visit.page.locator("[data-series] [role=status]").first).to_contain_text(".csv answers 503")
    visit.problems = [problem for problem in visit.problems if "503" not in problem]


def test_what_is_shown_can_be_saved(site: str, visit: Visit, tmp_path: Path) -> None:
    """CSV has an empty cell where the chart has a gap; SVG is complete by itself; PNG is twice as large."""
    page = visit.page
    visit.open(f"{site}{STACK}#range=7d")
    saved = {}
    for name in ("CSV", "SVG", "PNG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    assert [path.name for path in saved.values()] == [f"volume-by-category-7d.{end}" for end in ("csv", "svg", "png")]
    heads, *lines = saved["CSV"].read_text().splitlines()
    assert heads.startswith("start,")
    assert sum(line.endswith(",,,,,,") for line in lines) == 5
    picture = saved["SVG"].read_text()
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "--c1" in picture
    assert "<script" not in picture
    assert saved["PNG"].read_bytes()[:4] == b"\x89PNG"
    assert int.from_bytes(saved["PNG"].read_bytes()[16:20]) == 1440
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy embed code").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    code = page.evaluate("navigator.clipboard.readText()")
    assert '<statscache-series plugin="volume-by-category" resolution="1h" days="7"></statscache-series>' in code
    page.get_by_text("Separate").click()
    page.get_by_role("button", name="Copy embed code").click()
    page.wait_for_function(
        """navigator.clipboard.readText().then((text) => text.includes(`controls="range=7d&amp;view=each"`))"""
    )
    page.get_by_text("Stacked").click()
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.endsWith('#range=7d'))")


def test_a_series_that_cannot_be_read_is_reported(site: str, visit: Visit) -> None:
    """What was shown stays, and it says what is wrong."""
    visit.page.route("**/objects/**", lambda route: route.fulfill(status=500))
    visit.open(f"{site}{STACK}#range=7d")
    visit.page.get_by_label("Compare").select_option("bodhi")
    expect(visit.page.get_by_text("The numbers could not be read")).to_be_visible()
    assert shown(visit.page)
    visit.page.get_by_label("Compare").select_option("")
    switch(visit.page, "All")
    expect(visit.page.get_by_role("radio", name="7 d")).to_be_checked()
    expect(visit.page.get_by_text("The numbers could not be read")).to_be_visible()
    assert shown(visit.page)
    visit.settle()
    visit.problems = [problem for problem in visit.problems if "500" not in problem]


@pytest.mark.parametrize("state", ["", "#view=each", "#scale=log", "#range=7d&key=copr&key=git"])
def test_nothing_goes_wrong_in_any_view(state: str, site: str, visit: Visit) -> None:
    """At every width, light and dark, with the box open: no overflow; axe finds no violation."""
    visit.open(f"{site}{STACK}{state}")
    chart(visit.page).press("End")
    visit.tour()


def test_without_a_script_every_range_can_be_chosen(site: str, chromium: Browser) -> None:
    """The publisher's charts are complete; what needs a script is not offered."""
    with Visit(chromium, [site], script=False) as visit:
        visit.open(site + STACK)
        for name, by in (("3 h", "by minute"), ("7 d", "by hour")):
            switch(visit.page, name)
            expect(visit.page.locator(".plot:visible strong").first).to_contain_text(by)
            assert visit.page.locator(".plot:visible .plane path.columns").count() == 6
        expect(visit.page.get_by_text("Log scale")).to_be_hidden()
        expect(visit.page.get_by_role("button", name="CSV")).to_be_hidden()
        assert not visit.problems


def test_the_script_is_small(site: str, tree: Path, visit: Visit) -> None:
    """What a page with charts loads besides what every page and every table does is at most 4.95 kB compressed.

    What one may then ask of a chart (other views, other numbers, files) is loaded if asked: 12.6 kB in all.
    """
    asked: set[str] = set()
    visit.page.on("request", lambda request: asked.add(request.url.removeprefix(site)))

    def size(paths: set[str]) -> int:
        return sum(len(gzip.compress((tree / path).read_bytes(), 9)) for path in paths if path.endswith(".js"))

    visit.open(f"{site}docs/index.html")
    everywhere = {*asked}
    asked.clear()
    visit.open(f"{site}{STACK}")
    table = {path for path in asked if path.startswith(("assets/table.", "assets/rows."))}
    assert size(asked - everywhere - table) <= 4_950
    on_use = ("chart.", "models.", "chartfile.")
    assert not [path for path in asked if path.removeprefix("assets/").startswith(on_use) and path.endswith(".js")]
    switch(visit.page, "Separate")
    visit.page.get_by_label("Compare").select_option("bodhi")
    switch(visit.page, "All")
    with visit.page.expect_download():
        visit.page.get_by_role("button", name="CSV").click()
    visit.settle()
    assert {path.removeprefix("assets/").partition(".")[0] for path in asked} >= {each[:-1] for each in on_use}
    assert size(asked - everywhere - table) <= 12_600

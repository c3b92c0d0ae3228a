"""Search and the pages of people, packages, releases and topics, in a real browser."""

import gzip
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

import example_sites
from browser import WIDTHS, Visit, serving_tree
from statscache import layout

HEAVIEST = 120_000
"""Bytes that a page and all that it loads may have, compressed."""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The roots of a busy site, and of an attacker's."""
    return {name: example_sites.shared(tmp_path_factory, name) for name in ("demo", "hostile")}


@pytest.fixture(scope="module")
def site(trees: dict[str, Path]) -> Iterator[str]:
    """The address of the busy site."""
    with serving_tree(trees["demo"]) as url:
        yield url


@pytest.fixture(scope="module")
def first(trees: dict[str, Path]) -> dict[str, str]:
    """The greatest person, package and topic, and a release, by entity."""
    found = {}
    for plugin, field, entity in (
        ("contributors", "user", "person"),
        ("builds-by-package", "package", "package"),
        ("volume-by-topic", "topic", "topic"),
        ("volume-by-release", "release", "release"),
    ):
        rows = orjson.loads((trees["demo"] / layout.latest(plugin)).read_bytes())["rows"]
        found[entity] = next(row[field] for row in rows if row[field])
    return found


def combobox(page: Page) -> Any:
    """Return the field in the header."""
    return page.get_by_role("combobox")


def test_search_finds_all_that_has_a_page(site: str, first: dict[str, str], chromium: Browser) -> None:
    """From any page, `/` and a name lead by keys alone to a statistic, a person, a package, a topic or a release."""
    wanted = [
        ("messages by category", "plugins/volume-by-category/index.html", "Messages by category"),
        *((first[entity].upper(), f"{layout.entity_page(entity)}?{first[entity]}", first[entity]) for entity in first),
    ]
    with Visit(chromium, [site]) as visit:
        for typed, path, title in wanted:
            visit.open(f"{site}docs/plugins/index.html")
            visit.page.keyboard.press("/")
            expect(combobox(visit.page)).to_be_focused()
            visit.page.keyboard.type(typed)
            expect(visit.page.get_by_role("option").first).to_contain_text(title)
            visit.page.keyboard.press("Enter")
            visit.page.wait_for_url(f"{site}{path}")
            expect(visit.page.get_by_role("heading", level=1)).to_have_text(title)
        assert not visit.problems, visit.problems


def test_the_search_is_a_combobox(site: str, first: dict[str, str], chromium: Browser) -> None:
    """Arrows move through the list and back into the field, Escape closes it; the active item is not focused."""
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}index.html")
        field, listbox = combobox(visit.page), visit.page.get_by_role("listbox")
        field.fill(first["person"][:2])
        expect(field).to_have_attribute("aria-expanded", "true")
        options = visit.page.get_by_role("option")
        expect(options.first).to_be_visible()
        count = options.count()
        for key, active in (
            ("ArrowDown", 0),
            ("ArrowDown", 1),
            ("ArrowUp", 0),
            ("ArrowUp", None),
            ("ArrowUp", count - 1),
        ):
            field.press(key)
            if active is None:
                expect(field).not_to_have_attribute("aria-activedescendant", re.compile("."))
            else:
                expect(field).to_have_attribute("aria-activedescendant", f"found-{active}")
                expect(options.nth(active)).to_have_attribute("aria-selected", "true")
            expect(field).to_be_focused()
        visit.audit()
        field.press("Escape")
        expect(listbox).to_be_hidden()
        expect(field).to_have_attribute("aria-expanded", "false")
        field.fill("nothing like it")
        expect(visit.page.get_by_text("Nothing is called nothing like it.").first).to_be_visible()
        # A slash in a field is a slash.
        field.fill("")
        field.press("/")
        expect(field).to_have_value("/")
        assert not visit.problems, visit.problems


def test_search_finds_pages_of_the_docs_and_their_sections(site: str, chromium: Browser) -> None:
    """After all that has numbers: a word of a heading leads to where it is explained."""
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}index.html")
        combobox(visit.page).press_sequentially("keys in paths")
        option = visit.page.get_by_role("option")
        expect(option).to_have_count(1)
        expect(option).to_contain_text("Keys in paths · The published format, v1")
        combobox(visit.page).press("Enter")
        visit.page.wait_for_url(f"{site}docs/format/index.html#keys-in-paths")
        combobox(visit.page).press_sequentially("messages")
        expect(option.first).to_contain_text("Statistic")
        expect(option.last).to_contain_text("Docs")
        assert not visit.problems, visit.problems


def test_nothing_is_fetched_before_the_search_is_used(site: str, chromium: Browser) -> None:
    """A name costs the list of each entity, and a shard or two where these are many."""
    with Visit(chromium, [site]) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.open(f"{site}docs/plugins/index.html")
        assert not [url for url in asked if "/v1/entities/" in url]
        combobox(visit.page).press_sequentially("kern")
        visit.settle()
        assert len([url for url in asked if "/v1/entities/" in url]) <= 8


@pytest.mark.parametrize("entity", layout.ENTITY_PAGES)
def test_nothing_goes_wrong_on_the_page_of_an_entity(
    entity: str, site: str, first: dict[str, str], trees: dict[str, Path], chromium: Browser
) -> None:
    """At every width, light and dark: no error, nothing too wide, no violation; and it weighs little."""
    with Visit(chromium, [site]) as visit:
        loaded: set[str] = set()
        visit.page.on("response", lambda response: loaded.add(response.url))
        visit.open(f"{site}{layout.entity_page(entity)}?{first[entity]}")
        expect(visit.page.get_by_role("heading", level=1)).to_have_text(first[entity])
        expect(visit.page.locator(".tiles dd").first).to_contain_text(re.compile(r"[1-9]"))
        visit.tour()
        assert not visit.problems, visit.problems
        paths = [url.removeprefix(site).partition("?")[0] for url in loaded]
        assert sum(len(gzip.compress((trees["demo"] / path).read_bytes())) for path in paths) < HEAVIEST


def test_the_page_of_a_person_shows_the_documents(
    site: str, first: dict[str, str], trees: dict[str, Path], chromium: Browser
) -> None:
    """Total, rank, calendar, parts and links are those of the published documents."""
    name = first["person"]
    document = orjson.loads((trees["demo"] / layout.key_document("contributors", (name,))).read_bytes())
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}people/index.html?{name}")
        tile = visit.page.locator(".tiles > div").first.inner_text()
        assert f"{document['total']:,}" in tile
        assert "#1 of" in tile
        busiest = max(document["parts"], key=lambda part: part["total"])
        assert visit.page.locator(".panels li").first.inner_text().split() == [
            busiest["category"],
            f"{busiest['total']:,}",
        ]
        assert visit.page.locator("statscache-calendar .calendar rect.level").count() > 0
        assert visit.page.locator(".plot:visible path.columns").count() > 0
        assert visit.page.locator("statscache-calendar .legend li").first.inner_text() == "none"
        visit.page.get_by_text("JSON: ").click()
        visit.page.get_by_role("link", name=layout.key_document("contributors", (name,))).click()
        assert orjson.loads(visit.page.inner_text("pre")) == document


def test_the_months_of_a_calendar_are_above_their_days(site: str, first: dict[str, str], chromium: Browser) -> None:
    """Also on a phone, where the calendar scrolls."""
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}people/index.html?{first['person']}")
        for width in WIDTHS:
            visit.look(width, "light")
            left = "(all) => all.map((one) => one.getBoundingClientRect().left)"
            calendar = visit.page.locator("statscache-calendar")
            months = calendar.locator(".ticks span").evaluate_all(left)
            days = calendar.locator("rect").filter(has_text=re.compile(r"^\d{4}-\d\d-01")).evaluate_all(left)
            assert len(months) == len(days) == 12
            assert max(abs(month - day) for month, day in zip(months, days, strict=True)) < 5


def test_the_newest_days_of_a_package(
    site: str, first: dict[str, str], trees: dict[str, Path], chromium: Browser
) -> None:
    """Of any package, also of one that no recent message names: the days and releases of its own documents."""
    builds, messages = (
        orjson.loads((trees["demo"] / layout.key_document(plugin, (first["package"],))).read_bytes())
        for plugin in ("builds-by-package", "volume-by-package")
    )
    by_day = [
        {time: value for year in document["days"].values() for time, value in year} for document in (builds, messages)
    ]
    times = sorted({*by_day[0], *by_day[1]}, reverse=True)[:10]
    wanted = [
        [f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}", *(str(days.get(time, 0)) for days in by_day)]
        for time in times
    ]
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}packages/index.html?{first['package']}")
        table = visit.page.get_by_role("region", name="Latest days")
        assert table.locator("th").all_inner_texts() == ["Day", "Builds", "Messages"]
        rows = [row.locator("td") for row in table.locator("tbody tr").all()]
        assert [[cell.split()[0] for cell in cells.all_inner_texts()] for cells in rows] == wanted
        # The traffic is of three days of a week, so that a release of each is not always known.
        linked = {link.inner_text() for link in table.locator("td a").all()}
        assert linked <= {part["release"] for part in builds["parts"]}
        assert not visit.problems, visit.problems


def test_the_newest_builds_of_a_package_link_to_koji(
    site: str, trees: dict[str, Path], first: dict[str, str], chromium: Browser
) -> None:
    """Each is a line with its state and version, newest first; the version is the link, so no column has addresses."""
    path = trees["demo"] / layout.key_document("builds-by-package", (first["package"],))
    entries = orjson.loads(path.read_bytes())["entries"]
    assert entries
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}packages/index.html?{first['package']}")
        builds = visit.page.get_by_role("region", name="Recent builds")
        rows = builds.locator("tbody tr").all()
        links = builds.locator("tbody a[rel=nofollow]")
        assert [row.locator("td").first.text_content() for row in rows] == [entry["state"] for entry in entries]
        assert [each.text_content() for each in links.all()] == [entry["version"] for entry in entries]
        assert [each.get_attribute("href") for each in links.all()] == [entry["link"] for entry in entries]
        assert "link" not in builds.locator("thead th").all_text_contents()


def test_the_page_of_a_release_shows_how_it_fares(site: str, trees: dict[str, Path], chromium: Browser) -> None:
    """Its state by group as the page Release engineering has it, its rank, its year, and its composes by state."""
    rows = orjson.loads((trees["demo"] / layout.latest("composes")).read_bytes())["rows"]
    states = Counter(row["state"] for row in rows if row["release"] == "rawhide")
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}releases/index.html?rawhide")
        card = visit.page.locator(".strip li").first
        expect(card).to_contain_text("Rawhide")
        expect(card.locator("a")).to_have_attribute("href", f"{site}{layout.BOARD_PAGE}?filter=rawhide#rawhide")
        expect(visit.page.locator(".tiles")).to_contain_text(re.compile(r"#\d of \d releases"))
        expect(visit.page.locator("statscache-calendar .level").first).to_be_visible()
        bars = visit.page.locator(".panel").filter(has_text="Composes by state").locator("li")
        assert [bar.split() for bar in bars.all_inner_texts()] == [[s, str(n)] for s, n in states.most_common()]
        # Not building, though more builds began than are complete.
        builds = visit.page.get_by_role("region", name="Builds").locator("tbody tr")
        expect(builds.first).to_contain_text("complete")
        card.locator("a").click()
        expect(visit.page.locator("[data-board-filter]")).to_have_value("rawhide")
        assert not visit.problems, visit.problems


def test_a_cycle_of_karma_is_a_release(site: str, trees: dict[str, Path], chromium: Browser) -> None:
    """Whoever was thanked: the cycles on the page lead to the releases."""
    name = orjson.loads((trees["demo"] / layout.latest("karma-received")).read_bytes())["rows"][0]["user"]
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}people/index.html?{name}")
        cycle = visit.page.locator(".panel").filter(has_text=re.compile("Karma received|Cycles")).locator("li a").first
        expect(cycle).to_have_attribute("href", re.compile(rf"^{site}releases/index.html\?f\d+$"))


def test_a_person_is_looked_at_over_time(
    site: str, first: dict[str, str], trees: dict[str, Path], chromium: Browser
) -> None:
    """Range, scale and another person are in the address and come back from it; who is not known gets near names."""
    name = first["person"]
    rows = orjson.loads((trees["demo"] / layout.latest("contributors")).read_bytes())["rows"]
    other = next(row["user"] for row in rows if row["user"] != name)
    with Visit(chromium, [site]) as visit:
        page = visit.page
        visit.open(f"{site}people/index.html?{name}")
        assert page.locator(".segments").first.locator("span").all_inner_texts() == ["30 d", "1 y", "All"]
        page.get_by_text("30 d", exact=True).click()
        expect(page.locator(".plot:visible strong")).to_have_text("Contributions by day")
        page.get_by_label("Log scale").check()
        field = page.get_by_label("Compare with")
        field.fill(other.upper())
        field.press("Enter")
        expect(page.locator(".plot:visible .legend bdi")).to_have_text([name, other])
        expect(page).to_have_url(f"{site}people/index.html?{name}#range=30d&scale=log&key={other.upper()}")
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV").click()
        heads, *lines = Path(download.value.path()).read_text().splitlines()
        assert heads == f"start,{name},{other}"
        assert len(lines) == 30
        # What was before the first day is unknown, and so are the day with a gap and one that is not whole.
        assert lines[0].endswith("Z,,")
        link = page.url
        visit.open("about:blank")
        visit.open(link)
        expect(page.locator(".plot:visible .legend bdi")).to_have_text([name, other])
        page.get_by_label("Compare with").fill(f"{other}x")
        page.get_by_label("Compare with").press("Enter")
        expect(page.get_by_text(f"no person is called {other}x; near it are {other}")).to_be_visible()
        visit.open(f"{site}releases/index.html?{first['release']}")
        expect(page.locator(".plot:visible .plane")).to_be_visible()
        assert not visit.problems, visit.problems


def test_case_does_not_matter_and_unknown_names_get_near_ones(
    site: str, first: dict[str, str], chromium: Browser
) -> None:
    """The address is put right; who is not known is said to be so, with names that look alike."""
    name = first["person"]
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}people/index.html?{name.upper()}")
        expect(visit.page.get_by_role("heading", level=1)).to_have_text(name)
        assert visit.page.url.endswith(f"?{name}")
        visit.open(f"{site}people/index.html?{name}x")
        expect(visit.page.get_by_text("No person of this name is known.")).to_be_visible()
        visit.page.locator(".near").get_by_role("link", name=name, exact=True).click()
        visit.page.wait_for_url(f"{site}people/index.html?{name}")
        visit.settle()
        visit.open(f"{site}packages/index.html?%E0%A4%A")
        expect(visit.page.get_by_role("heading", level=1)).to_have_text("%E0%A4%A")
        assert not visit.problems, visit.problems


def test_without_a_name_the_greatest_are_listed(site: str, first: dict[str, str], chromium: Browser) -> None:
    """Each of them is a link to its page."""
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}people/index.html")
        link = visit.page.locator(".ranked a").first
        assert link.inner_text() == first["person"]
        link.click()
        expect(visit.page.get_by_role("heading", level=1)).to_have_text(first["person"])


def test_few_names_are_all_listed(site: str, trees: dict[str, Path], chromium: Browser) -> None:
    """Also those that the main statistic does not count: a release without a build has a page too."""
    names = {name for name, *_ in orjson.loads((trees["demo"] / layout.entities("release")).read_bytes())["names"]}
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}releases/index.html")
        expect(visit.page.get_by_role("heading", name="Others")).to_be_visible()
        assert {*visit.page.locator(".ranked a, .near a").all_inner_texts()} == names
        assert not visit.problems, visit.problems


def test_offline_and_old_are_reported(site: str, first: dict[str, str], chromium: Browser) -> None:
    """Where no document can be fetched the page says so, and offers to try again; old data are said to be old."""
    with Visit(chromium, [site]) as visit:
        visit.open(f"{site}people/index.html?{first['person']}")
        expect(visit.page.get_by_text("These data are old: the newest message is")).to_be_visible()
        visit.page.route("**/v1/**", lambda route: route.abort())
        visit.page.reload()
        expect(visit.page.get_by_text("The site cannot be reached")).to_be_visible()
        visit.page.unroute("**/v1/**")
        visit.page.get_by_role("button", name="Try again").click()
        expect(visit.page.locator(".tiles")).to_be_visible()


def test_without_a_script_the_page_says_where_the_numbers_are(site: str, chromium: Browser) -> None:
    """It links to the JSON; there is no field that does nothing."""
    with Visit(chromium, [site], script=False) as visit:
        visit.open(f"{site}people/index.html?ralph")
        expect(visit.page.get_by_role("link", name="v1/entities/person/index.json")).to_be_visible()
        expect(visit.page.locator("[role=combobox]")).to_be_hidden()


def test_hostile_names_are_text(trees: dict[str, Path], chromium: Browser) -> None:
    """Whatever the bus says is a name is found, shown and linked as such; nothing is executed."""
    with serving_tree(trees["hostile"]) as site, Visit(chromium, [site]) as visit:
        for entity in ("person", "package", "topic"):
            listed = orjson.loads((trees["hostile"] / layout.entities(entity)).read_bytes())["names"]
            assert listed
            visit.open(f"{site}{layout.entity_page(entity)}?")
            for name, _, _ in listed:
                # As `encodeURIComponent` does.
                encoded = quote(name, safe="!~*'()")
                visit.open(f"{site}{layout.entity_page(entity)}?{encoded}")
                expect(visit.page.locator(".kicker")).to_be_visible()
                visit.look(360, "light")
            combobox(visit.page).fill("<s")
            visit.settle()
        assert not visit.problems, visit.problems


def test_without_people_the_site_says_nothing_of_them(
    trees: dict[str, Path], tmp_path: Path, chromium: Browser
) -> None:
    """Search asks for no list of people where the index names no statistic of theirs."""
    tree = tmp_path / "tree"
    shutil.copytree(trees["demo"], tree)
    index = orjson.loads((tree / layout.INDEX).read_bytes())
    index["plugins"] = [plugin for plugin in index["plugins"] if not plugin["people"]]
    (tree / layout.INDEX).write_bytes(orjson.dumps(index))
    (tree / f"{layout.INDEX}.gz").unlink()
    with serving_tree(tree) as site, Visit(chromium, [site]) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.open(f"{site}index.html")
        combobox(visit.page).fill("le")
        expect(visit.page.get_by_role("option").first).to_be_visible()
        assert any("/v1/entities/package/" in url for url in asked)
        assert not any("/v1/entities/person/" in url for url in asked)

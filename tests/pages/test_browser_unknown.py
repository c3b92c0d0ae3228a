"""A day of which nothing is known looks other than a day on which nothing happened: in pages, and on other sites."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, Locator, expect

from browser import Visit, serving_tree
from pages.test_browser_widgets import elsewhere, texts
from samples import NOON, Site, line
from statscache.store import coverage
from statscache.timeline import DAY
from statscache_plugins.contributors import Contributors, UniqueContributors
from statscache_plugins.volume import Volume

FIRST = NOON - 7 * DAY
"""1 August 2015, noon."""

UNKNOWN = ["2015-07-31", "2015-08-01", "2015-08-05"]
ZERO = ["2015-08-03", "2015-08-06"]
KEY = """plugin="contributors" key='["ann"]'"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of eight days, on four of which somebody acted, with a gap of an hour on the fifth."""
    directory = tmp_path_factory.mktemp("unknown")
    site = Site(f"sqlite:///{directory}/x.db", directory, (Contributors, UniqueContributors, Volume))
    days = 0, 1, 3, 4, 7
    site.feed(
        line(f"m{at}", FIRST + at * DAY, "org.fedoraproject.prod.wiki.article.edit", {"user": "ann"}) for at in days
    )
    with site.database.writing() as connection:
        coverage.record(connection, FIRST + 4 * DAY, FIRST + 4 * DAY + 3600, complete=False)
    site.publish()
    site.close()
    return site.public


@contextmanager
def widget(chromium: Browser, directory: Path, root: Path, body: str) -> Iterator[Visit]:
    """Visit somebody else's page with an element."""
    with elsewhere(directory, root, body) as (page, url), Visit(chromium, [page, url]) as visit:
        visit.open(page)
        yield visit
        assert not visit.problems, visit.problems


@contextmanager
def person(chromium: Browser, root: Path) -> Iterator[Visit]:
    """Visit the page of the person."""
    with serving_tree(root) as url, Visit(chromium, [url]) as visit:
        visit.open(f"{url}people/index.html?ann")
        yield visit
        assert not visit.problems, visit.problems


def looks(calendar: Locator) -> dict[str, tuple[str, str]]:
    """Return of each day what its cell says, and what it looks like."""
    script = """(all) => all.map((cell) => {
        const { fill, stroke, strokeDasharray } = getComputedStyle(cell);
        return [...cell.textContent.split(": "), [fill, stroke, strokeDasharray].join(" ")];
    })"""
    return {day: (says, look) for day, says, look in calendar.locator(".calendar rect").evaluate_all(script)}


def check(calendar: Locator) -> None:
    """Check that all kinds of days differ, and that the legend says what they are."""
    cells = looks(calendar)
    assert [cells[day][0] for day in UNKNOWN] == ["unknown"] * 3
    assert [cells[day][0].partition(" ")[0] for day in ZERO] == ["0", "0"]
    assert cells["2015-08-08"][0].endswith("so far")
    assert cells["2015-08-09"][0] == "not yet"
    of_unknown, of_zero = ({cells[day][1] for day in days} for days in (UNKNOWN, ZERO))
    assert (len(of_unknown), len(of_zero)) == (1, 1)
    others = {cells[day][1] for day in ("2015-08-02", "2015-08-08")}
    assert len(of_unknown | of_zero | others) == 4
    legend = calendar.locator(".legend").inner_text()
    assert legend.split("\n")[0] == "none"
    assert "so far" in legend
    assert "unknown" in legend


@pytest.mark.parametrize("attributes", [KEY, 'plugin="volume"', 'plugin="unique-contributors"'])
def test_an_unknown_day_is_not_a_quiet_one_in_the_widget(
    attributes: str, root: Path, chromium: Browser, tmp_path: Path
) -> None:
    """In the calendar of a key, of a counter, and of uniques; sums over gaps are lower bounds."""
    with widget(chromium, tmp_path, root, f"<statscache-calendar {attributes}></statscache-calendar>") as visit:
        calendar = visit.page.locator("statscache-calendar")
        if attributes == KEY:
            check(calendar)
        else:
            # A series begins with the bucket of its first message.
            cells = looks(calendar)
            assert [cells[day][0].partition(" ")[0] for day in (UNKNOWN[0], UNKNOWN[2], *ZERO)] == ["unknown"] * 2 + [
                "0"
            ] * 2
        assert "at least" in calendar.locator("figcaption").inner_text()


def test_an_unknown_day_is_not_a_quiet_one_in_the_page(root: Path, chromium: Browser) -> None:
    """In the page of a person, too; and the page says since when there are data."""
    with person(chromium, root) as visit:
        check(visit.page.locator("statscache-calendar"))
        assert "Data since 2015-08-02" in visit.page.locator("main").inner_text()
        activity = visit.page.locator(".charts")
        activity.get_by_role("slider").press("End")
        assert activity.locator(".tip").inner_text().split("\n") == ["Week of 2015-07-27", "wiki", "at least 2"]
        assert activity.locator("rect.gap").count() == 1
        assert activity.locator("path.columns").count() == 1
        expect(activity.get_by_text("Hatched: not wholly known")).to_be_visible()


def test_the_newest_days_say_what_a_week_tells(root: Path, chromium: Browser) -> None:
    """A week of one category names it on each of its days; nothing but the documents of the page is read."""
    with serving_tree(root) as url, Visit(chromium, [url]) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url.removeprefix(url)))
        visit.open(f"{url}people/index.html?ann")
        table = visit.page.get_by_role("region", name="Latest days")
        days = ["2015-08-08", "2015-08-05", "2015-08-04", "2015-08-02", "2015-08-01"]
        assert table.locator("tbody td").all_inner_texts() == [cell for day in days for cell in (day, "1 wiki")]
        documents = {path for path in asked if "/plugins/" in path and path.startswith("v1/")}
        assert documents == {"v1/plugins/contributors/by/ann.json"}
        assert not visit.problems, visit.problems


def test_on_its_first_day_a_page_has_no_empty_chart(chromium: Browser, tmp_path: Path) -> None:
    """Nothing is known of a whole day yet: there is the calendar and the newest day, and no time that is to come."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Contributors, Volume))
    site.feed([line("m", NOON, "org.fedoraproject.prod.wiki.article.edit", {"user": "ann"})])
    site.publish()
    site.close()
    with person(chromium, site.public) as visit:
        words = visit.page.locator("main").inner_text()
        assert "First seen 2015-08-08, last 2015-08-08 12:00 UTC. Data through 2015-08-08 12:00 UTC." in words
        assert "2015-08-09" not in words
        expect(visit.page.locator("statscache-calendar .calendar")).to_be_visible()
        assert visit.page.locator(".plot").count() == 0


def test_a_leaderboard_says_since_when_it_is_known(root: Path, chromium: Browser, tmp_path: Path) -> None:
    """Its numbers are the least where not all days of its window are known."""
    document = orjson.loads((root / "v1/plugins/contributors/leaders-30d.json").read_bytes())
    assert document["partial"] == {"last_30d": FIRST + 4 * DAY + 3600}
    body = '<statscache-table plugin="contributors" document="leaders-30d"></statscache-table>'
    with widget(chromium, tmp_path, root, body) as visit:
        (text,) = texts(visit.page)
        assert (
            "Numbers are the least: not all of the last 30 full days is known, but since 2015-08-05 13:00 UTC." in text
        )
        assert "since 2015-08-02" in text


def test_a_number_of_a_window_that_is_not_wholly_known_says_since_when_it_is(
    root: Path, chromium: Browser, tmp_path: Path
) -> None:
    """A dash and the time: of a statistic and of a key, alone and in a table."""
    body = f"""<statscache-count plugin="volume" window="last_7d"></statscache-count>
        <statscache-count {KEY} window="last_7d"></statscache-count>
        <statscache-count plugin="volume" window="total"></statscache-count>
        <statscache-table plugin="volume"></statscache-table>"""
    with widget(chromium, tmp_path, root, body) as visit:
        of_all, of_key, total, table = texts(visit.page)
        assert of_all.startswith("—, since 5 Aug 13:00")
        assert of_key.startswith("—, since 6 Aug")
        assert total.startswith("5")
        assert "—, since 5 Aug 13:00" in table

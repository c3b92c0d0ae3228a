"""Unknown is not zero: gaps, and the time before the first data, in every form of the documents."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from samples import NOON, Buyers, Customers, Line, Sales, Site, line
from statscache.exceptions import PluginError
from statscache.kinds.known import Known
from statscache.kinds.presentation import counted
from statscache.plugins import Counter, Message
from statscache.store import coverage
from statscache.timeline import DAY, HOUR
from statscache.windows import LAST_7D, LAST_24H, LAST_30D
from statscache_plugins.badges import Badges
from statscache_plugins.builds import Builds
from statscache_plugins.contributors import UniqueContributorsByCategory
from statscache_plugins.volume import Volume

WINDOWS = LAST_24H, LAST_7D, LAST_30D
THROUGH = 100 * DAY + 5
MONTH = NOON - DAY // 2 - 7 * DAY


@pytest.mark.parametrize(
    ("known", "partial"),
    [
        (Known(), {"last_24h": None, "last_7d": None, "last_30d": None}),
        (Known(10 * DAY), {}),
        (Known(70 * DAY), {}),
        (Known(70 * DAY + 1), {"last_30d": 70 * DAY + 1}),
        (Known(100 * DAY + 3), {"last_24h": 100 * DAY + 3, "last_7d": 100 * DAY + 3, "last_30d": 100 * DAY + 3}),
        (Known(99 * DAY + 1), {"last_24h": 99 * DAY + 1, "last_7d": 99 * DAY + 1, "last_30d": 99 * DAY + 1}),
        (Known(0, [(80 * DAY, 81 * DAY), (82 * DAY, 82 * DAY + 9)]), {"last_30d": 82 * DAY + 9}),
        (Known(0, [(99 * DAY + HOUR, THROUGH)]), {"last_24h": None, "last_7d": None, "last_30d": None}),
        (Known(0, [(10 * DAY, 70 * DAY)]), {}),
    ],
)
def test_windows_say_since_when_they_are_known(known: Known, partial: dict[str, int | None]) -> None:
    """A window is whole only if nothing of it is missing; a gap before it does not matter."""
    assert known.partial(WINDOWS, THROUGH) == partial


def test_since_is_the_first_whole_day() -> None:
    """A day that began before the first data is not complete."""
    assert Known(5 * DAY).since == 5 * DAY
    assert Known(5 * DAY + 1).since == 6 * DAY
    assert Known().since is None


HOUR_1 = NOON + HOUR, NOON + 2 * HOUR
"""An hour in the middle that no one heard."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site that has been heard for two days, but for an hour."""
    made = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Sales, Buyers, Builds))
    made.feed([sale(1, NOON - DAY), sale(2, NOON), sale(3, NOON + 2 * HOUR), sale(4, NOON + 3 * HOUR)])
    yield made
    made.close()


def sale(number: int, at: int) -> Line:
    """Return a message."""
    return line(f"s{number}", at, body={"buyer": "a", "thing": "hat"})


def record(site: Site, start: int, end: int, *, complete: bool) -> None:
    """Record coverage."""
    with site.database.writing() as connection:
        coverage.record(connection, start, end, complete=complete)


def test_a_gap_is_a_row_without_a_value_in_csv(site: Site) -> None:
    """So is each bucket before the first data of its period; lower bounds are left out."""
    record(site, NOON + 1800, HOUR_1[1], complete=False)
    site.build()
    rows = site.tree()["v1/plugins/sales/series/1h/2015-08.csv"].decode().split("\r\n")
    assert rows[0] == "timestamp,buyer,thing,value"
    assert rows[-5:-1] == [f"{NOON},,,", f"{HOUR_1[0]},,,", f"{HOUR_1[1]},a,hat,1", f"{HOUR_1[1] + HOUR},a,hat,1"]
    before = [row for row in rows[1:] if row and int(row.split(",")[0]) < NOON - DAY]
    assert len(before) == (NOON - DAY - MONTH) // HOUR
    assert all(row.endswith(",,,") for row in before)


def test_windows_and_badges_say_what_is_unknown(site: Site) -> None:
    """A gap makes a window partial until it is filled; the time before the first data, until it has passed."""
    site.build()
    latest = orjson.loads(site.tree()["v1/plugins/sales/latest.json"])
    assert latest["partial"] == {"last_7d": NOON - DAY, "last_30d": NOON - DAY}
    assert orjson.loads(site.tree()["v1/plugins/buyers/latest.json"])["partial"] == latest["partial"]
    record(site, *HOUR_1, complete=False)
    site.build()
    latest = orjson.loads(site.tree()["v1/plugins/sales/latest.json"])
    assert latest["partial"]["last_24h"] == HOUR_1[1]
    badge = orjson.loads(site.tree()["v1/plugins/sales/badge.json"])
    assert badge["message"] == "\u2014 things in 24 h, since 8 Aug 14:00"
    record(site, *HOUR_1, complete=True)
    site.build()
    badge = orjson.loads(site.tree()["v1/plugins/sales/badge.json"])
    assert badge["message"] == "2 things in 24 h"


def test_incremental_rendering_follows_data_from_before_the_first(site: Site) -> None:
    """Files of the period in which the data began change when they begin earlier, and when coverage does."""
    site.build()
    for step in range(3):
        if step == 2:
            record(site, NOON - 900 * DAY, NOON, complete=True)
        else:
            site.feed([sale(10 + step, NOON - (40 + 400 * step) * DAY)])
        site.build()
        made = site.tree()
        site.build(force=True)
        assert site.tree() == made


def test_the_index_says_since_when_numbers_are_complete(site: Site) -> None:
    """The first day began before the first message, unless it is known to be complete."""
    site.publish()
    assert since(site) == NOON - DAY // 2
    record(site, NOON - 3 * DAY // 2, NOON, complete=True)
    site.publish()
    assert since(site) == NOON - 3 * DAY // 2


def since(site: Site) -> int | None:
    """Return what the index says of the plugin."""
    plugins = orjson.loads((site.public / "v1/index.json").read_bytes())["plugins"]
    found: int | None = next(plugin["since"] for plugin in plugins if plugin["name"] == "sales")
    return found


def test_pages_show_a_dash_where_a_window_is_unknown(site: Site) -> None:
    """The headline takes what is known; the table has no number that looks like one of a whole window."""
    site.publish()
    page = (site.public / "plugins/sales/index.html").read_text()
    assert "<strong>2</strong> <span><bdi>things in the last 24 full hours</bdi>" in page
    record(site, *HOUR_1, complete=False)
    site.publish()
    page = (site.public / "plugins/sales/index.html").read_text()
    assert "<strong>4</strong> <span><bdi>things in all</bdi>" in page


def test_a_headline_counts_each_thing_once(site: Site) -> None:
    """A build that begins and is complete is one build in headline, badge, and description of the plot."""
    times = NOON - DAY, NOON, NOON + 60, NOON + 120
    site.feed([build(number, at, at != NOON) for number, at in enumerate(times)])
    site.publish()
    badge = orjson.loads((site.public / "v1/plugins/builds/badge.json").read_bytes())
    assert badge["message"] == "2 builds complete in 24 h"
    page = (site.public / "plugins/builds/index.html").read_text()
    assert "<strong>2</strong> <span><bdi>builds complete in the last 24 full hours</bdi>" in page
    assert "3 builds complete. Busiest" in page


def build(number: int, at: int, is_complete: bool) -> Line:
    """Return a message of koji."""
    body = {"name": "bash", "version": "5", "release": "1.fc45", "new": int(is_complete), "instance": "primary"}
    return line(f"b{number}", at, "org.fedoraproject.prod.buildsys.build.state.change", body)


def test_a_headline_names_dimensions_only() -> None:
    """A class with another name is refused with the fix."""
    with pytest.raises(PluginError, match="`headline` names \\['colour'\\]; give names of `dimensions`"):

        class Wrong(Sales):
            headline: ClassVar[dict[str, str]] = {"colour": "red"}


def test_pandas_reads_keys_that_look_like_missing_values(site: Site) -> None:
    """As docs/format.md says: keys stay text, and a bucket in a gap has no value."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    names = "NA", "null", "None", "007", "nan"
    site.feed([line(f"n{name}", NOON + HOUR, body={"buyer": name, "thing": name}) for name in names])
    record(site, NOON + 2 * HOUR, NOON + 3 * HOUR, complete=False)
    site.build()
    root = "v1/plugins/sales"
    given: dict[str, Any] = {"keep_default_na": False, "dtype": {"buyer": str, "thing": str}}
    series = io.BytesIO(site.tree()[f"{root}/series/1h/2015-08.csv"])
    rows = pandas.read_csv(series, na_values={"value": [""]}, **given)
    assert sorted(rows.loc[rows["timestamp"] == NOON + HOUR, "buyer"]) == sorted(names)
    assert rows.loc[rows["timestamp"] == NOON + 2 * HOUR, "value"].isna().tolist() == [True]
    latest = pandas.read_csv(io.BytesIO(site.tree()[f"{root}/latest.csv"]), **given)
    assert {*names} <= {*latest["buyer"]}


class Sides(Counter):
    """Each sale under the buyer and under the shop, so that one counts twice."""

    name = "sides"
    title = "Sides"
    unit = "things"
    dimensions = ("side",)
    topics = ("shop.sale",)
    not_added_up = ("side",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count both sides."""
        yield ("buyer",)
        yield ("shop",)


def test_what_counts_twice_is_not_added_up(tmp_path: Path) -> None:
    """The headline is the greatest key, not the sum; the index says over what no one may add up."""
    made = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Sides, Sales, UniqueContributorsByCategory))
    made.feed(sale(number, NOON + number) for number in range(3))
    made.publish()
    plugins = orjson.loads((made.public / "v1/index.json").read_bytes())["plugins"]
    assert {plugin["name"]: plugin["not_added_up"] for plugin in plugins} == {
        "sales": [],
        "sides": ["side"],
        "unique-contributors-by-category": ["timestamp", "category"],
    }
    page = (made.public / "plugins/sides/index.html").read_text()
    assert "<strong>3</strong> <span><bdi>things in all: buyer, the most of any side</bdi>" in page
    assert "badge.json" not in [Path(path).name for path in made.aliases() if "/sides/" in path]
    assert "3 things. Busiest" not in page
    made.close()


def test_what_is_not_added_up_is_a_dimension() -> None:
    """A class with another name, or documents without days, is refused with the fix."""
    with pytest.raises(
        PluginError, match="`not_added_up` is \\('timestamp',\\); give a tuple of names of `dimensions`"
    ):

        class Wrong(Sales):
            """Wrong."""

            not_added_up = ("timestamp",)

    with pytest.raises(PluginError, match=r"`trailing` is {'leaders': 0}; give documents and whole days"):

        class Never(Sales):
            """Wrong."""

            trailing: ClassVar[dict[str, int]] = {"leaders": 0}


def test_a_window_that_is_not_wholly_known_is_empty_in_csv(tmp_path: Path) -> None:
    """A cell cannot say `at least`. JSON has what was counted, and the mark; the total of all time stays."""
    site = Site(f"sqlite:///{tmp_path}/site.db", tmp_path, (Volume,))
    site.feed([line(f"m{n}", NOON + HOUR * n) for n in range(30)])
    site.build()
    document = orjson.loads(site.tree()["v1/plugins/volume/latest.json"])
    assert set(document["partial"]) == {"last_7d", "last_30d"}
    [row] = document["rows"]
    names, cells = (part.split(",") for part in site.tree()["v1/plugins/volume/latest.csv"].decode().split())
    told = dict(zip(names, cells, strict=True))
    assert told == {name: "" if name in document["partial"] else str(value) for name, value in row.items()}
    assert told["total"] == "30"
    site.close()


def test_what_a_headline_counts_is_said_once() -> None:
    """A part of the key that is the unit's own word is not repeated."""
    assert counted("builds", {"measure": "builds"}) == "builds"
    assert counted("builds", {"state": "complete"}) == "builds complete"


def test_the_bucket_in_which_the_data_begin_is_unknown(tmp_path: Path) -> None:
    """Of it only a part is known: its row is the least, its cell empty, and no chart has a column of it."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Sales,))
    site.feed(sale(number, NOON + 30 + 1200 * number) for number in range(12))
    site.publish()
    tree = site.tree()
    first = {"1m": NOON + 60, "1h": NOON + HOUR, "1d": NOON + DAY // 2}
    periods = {"1m": "2015-08-08T12", "1h": "2015-08", "1d": "2015"}
    for name, known in first.items():
        series = orjson.loads(tree[f"v1/plugins/sales/series/{name}/{periods[name]}.json"])
        assert series["gaps"] == [[series["start"], known]], name
        assert series["rows"][0][0] < known, name
        cells = tree[f"v1/plugins/sales/series/{name}/{periods[name]}.csv"].decode().split()[1:]
        of_first = [cell for cell in cells if int(cell.split(",")[0]) == series["rows"][0][0]]
        assert of_first == [f"{series['rows'][0][0]},,,"], name
    chart = tree["v1/plugins/sales/chart-1h.svg"].decode()
    # Three sales in each of the two hours that are known and over.
    assert "6 things. Busiest hour: 3, from 2015-08-08 13:00 UTC." in chart
    assert "Hatched: before the first data." in chart
    site.close()


def test_time_that_is_recorded_complete_is_not_before_the_first_data(site: Site) -> None:
    """Nothing happened in it: zero, which is drawn as such, from the start of what is recorded."""
    record(site, NOON - 4 * DAY, NOON + 4 * HOUR, complete=True)
    site.publish()
    for name in ("1m", "1h"):
        chart = site.tree()[f"v1/plugins/sales/chart-{name}.svg"].decode()
        assert "Hatched" not in chart, name
        assert 'class="gap"' not in chart, name
    chart = site.tree()["v1/plugins/sales/chart-1d.svg"].decode()
    assert "Hatched: before the first data." in chart
    page = (site.public / "plugins/sales/index.html").read_text()
    assert "4 days to" in page


def test_windows_of_the_first_days_say_since_when_they_are_known(tmp_path: Path) -> None:
    """The last 7 days end at midnight: on the second day less of them is known than of the last 24 hours."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Sales, Customers, Volume))
    begin = NOON + 2 * HOUR + 60
    site.feed(sale(number, begin + 600 * number) for number in range(30))
    site.publish()
    latest = orjson.loads(site.tree()["v1/plugins/sales/latest.json"])
    assert latest["partial"] == {"last_24h": begin, "last_7d": begin, "last_30d": begin}
    page = (site.public / "plugins/sales/index.html").read_text()
    assert page.count('<td class="unknown number" ') == 3
    note = 'is not known for all of that time, only since <time datetime="2015-08-08T14:01:00Z">'
    assert page.count(note) == 1
    for name in ("index.html", "plugins/sales/index.html"):
        words = (site.public / name).read_text()
        assert 'Data since <strong><time datetime="2015-08-08T14:01:00Z">' in words, "the first whole day is tomorrow"
    site.feed(sale(number, begin + 600 * number) for number in range(30, 6 * 28))
    site.publish()
    latest = orjson.loads(site.tree()["v1/plugins/sales/latest.json"])
    assert latest["partial"] == {"last_7d": begin, "last_30d": begin}
    assert latest["rows"][0]["last_24h"] > latest["rows"][0]["last_7d"] > 0
    page = (site.public / "plugins/sales/index.html").read_text()
    assert "<strong>144</strong> <span><bdi>things in the last 24 full hours</bdi>" in page
    assert page.count('<td class="unknown number" ') == 2
    assert page.count(note) == 1
    since = '<small>known since <time datetime="2015-08-08T14:01:00Z">8\u00a0Aug 14:01</time></small>'
    front = (site.public / "index.html").read_text()
    assert f"<div><dt>Last 7 days</dt><dd>\u2014 {since}</dd></div>" in front
    customers = (site.public / "plugins/customers/index.html").read_text()
    assert f"<strong>\u2014</strong> <span><bdi>people in the last full day</bdi></span> {since}" in customers
    site.close()


def test_nothing_is_zero_where_time_is_recorded_complete(site: Site) -> None:
    """A plugin that never counted anything knows so for the time that is recorded, and nothing of any other."""

    def badge() -> str:
        """Return the badge of the builds, of which there are none."""
        site.publish()
        message: str = orjson.loads((site.public / "v1/plugins/builds/badge.json").read_bytes())["message"]
        return message

    assert badge() == "\u2014 builds complete in 24 h"
    record(site, NOON - 2 * DAY, NOON + 3 * HOUR, complete=True)
    assert badge() == "0 builds complete in 24 h"
    latest = orjson.loads((site.public / "v1/plugins/builds/latest.json").read_bytes())
    assert latest["partial"] == {"last_7d": NOON - 2 * DAY, "last_30d": NOON - 2 * DAY}
    site.feed([sale(9, NOON + 6 * HOUR)])
    assert badge() == "\u2014 builds complete in 24 h"


def test_a_badge_that_returns_to_earlier_bytes_is_newer(tmp_path: Path) -> None:
    """Nothing, one award, nothing again: who asks whether it changed since the second one gets the third."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (Volume, Badges))
    record(site, NOON - DAY, NOON + 4 * DAY, complete=True)
    award = line(
        "b",
        NOON + 400,
        "org.fedoraproject.prod.fedbadges.badge.award",
        {"user": {"username": "ann"}, "badge": {"name": "Egg"}},
    )
    seen: list[tuple[str, int]] = []
    for lines in ([line("1", NOON)], [award, line("2", NOON + HOUR + 100)], [line("3", NOON + 47 * HOUR)]):
        site.feed(lines)
        site.publish()
        path = site.public / "v1/plugins/badges/badge.json"
        seen.append((orjson.loads(path.read_bytes())["message"], path.stat().st_mtime_ns))
    assert [message for message, _ in seen] == ["0 badges in 24 h", "1 badges in 24 h", "0 badges in 24 h"]
    assert seen[0][1] < seen[1][1] < seen[2][1]
    site.close()


def test_the_page_of_a_statistic_without_series_lists_gaps(site: Site) -> None:
    """By day, as the index has them."""
    site.feed([sale(7, NOON - 5 * DAY), sale(8, NOON - 3 * DAY)])
    assert "<dt>Gaps</dt><dd>none</dd>" in page_of(site, "buyers")
    record(site, NOON - 2 * DAY, NOON - 2 * DAY + HOUR, complete=False)
    gaps = page_of(site, "buyers").partition("<dt>Gaps</dt>")[2].partition("</dd>")[0]
    assert "2015-08-06 00:00 UTC" in gaps
    assert "2015-08-07 00:00 UTC" in gaps


def page_of(site: Site, name: str) -> str:
    """Return the page of a plugin after a publication."""
    site.publish()
    return (site.public / f"plugins/{name}/index.html").read_text()

"""Unknown is not zero: gaps, and the time before the first data, in every form of the documents."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from samples import NOON, Buyers, Line, Sales, Site, line
from statscache.exceptions import PluginError
from statscache.kinds.known import Known
from statscache.kinds.presentation import counted
from statscache.plugins import Counter, Message
from statscache.store import coverage
from statscache.timeline import DAY, HOUR
from statscache.windows import LAST_7D, LAST_24H, LAST_30D
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
    assert badge["message"] == "\u2014 things in 24 h"
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
    assert "<strong>3</strong> <span><bdi>things in all for buyer, the most</bdi>" in page
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

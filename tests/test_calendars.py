"""Calendars of people as SVG: each day in its place, inert, made and removed with the document of the key."""

import re
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pytest

from samples import NOON, Buyers, Site, line
from statscache.kinds.base import ByYear, KeyDocument
from statscache.render.calendar import calendar

DAY = 86400
MIDNIGHT = NOON - DAY // 2


class People(Buyers):
    """Sales by buyer, who is a person."""

    name = "people"
    people: ClassVar[bool] = True
    calendars: ClassVar[bool] = True


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that counts people."""
    return Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, [People, Buyers])


def test_calendars_follow_the_documents_of_keys(site: Site) -> None:
    """Each person has one, of the last year with an event; it changes with the person's own events of that year."""
    site.feed([line("1", body={"buyer": "ralph"}), line("2", NOON + 365 * DAY, body={"buyer": "ralph"})])
    site.feed([line("3", body={"buyer": "Toshio"})])
    site.publish()
    by = site.public / "v1/plugins/people/by"
    names = {path.name for path in by.rglob("*.svg")}
    assert names == {"ralph.svg", "_54oshio.svg"}
    assert b"1 sales in 2016" in (by / "ralph.svg").read_bytes()
    assert not list((site.public / "v1/plugins/buyers").rglob("by/*.svg"))
    for time, changed in ((NOON + 60, set()), (NOON + 365 * DAY + 1, {"ralph.svg"})):
        before = {name: (by / name).read_bytes() for name in names}
        site.feed([line(str(time), time, body={"buyer": "ralph"})])
        site.publish()
        assert {name for name in names if (by / name).read_bytes() != before[name]} == changed
    assert b"2 sales in 2016" in (by / "ralph.svg").read_bytes()
    incremental = site.aliases()
    site.publish(force=True)
    assert site.aliases() == incremental
    site.close()


def of_days(name: str, days: ByYear) -> KeyDocument:
    """Return what is published of a person with these days."""
    return KeyDocument((name,), 1, NOON, NOON, [(int(year), 1) for year in days], days)


def test_each_day_has_its_place() -> None:
    """Columns are weeks and rows days from Monday; the busier, the less transparent."""
    days: ByYear = {"2014": [(MIDNIGHT - 365 * DAY, 7)]}
    days |= {"2015": [(MIDNIGHT, 1), (MIDNIGHT + DAY, 2), (MIDNIGHT + 2 * DAY, 3), (MIDNIGHT + 3 * DAY, 40)]}
    document = calendar(People(), of_days("ralph", days))
    tree = ElementTree.fromstring(document.data)
    assert document.path == "v1/plugins/people/by/ralph.svg"
    drawn = [
        (element.get("fill-opacity"), re.findall(r"M(\d+) (\d+)", element.get("d") or ""))
        for element in tree.iter("{http://www.w3.org/2000/svg}path")
        if element.get("class") == "l"
    ]
    # 2015 began on a Thursday: 8 August, a Saturday, is in the 32nd column.
    assert drawn == [
        ("0.3", [("373", "61")]),
        ("0.5", [("373", "73")]),
        ("0.75", [("385", "1")]),
        ("1", [("385", "13")]),
    ]
    title = next(tree.iter("{http://www.w3.org/2000/svg}title")).text
    assert title == "ralph: 46 sales in 2015 (Buyers)"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "x" * 10_000, "\x00\ufffe\x1b", "]]>&<!--"])
def test_a_hostile_name_stays_text(name: str) -> None:
    """The file is XML without a script whatever the name, and small."""
    document = calendar(People(), of_days(name, {"2015": [(MIDNIGHT, 1)]}))
    tree = ElementTree.fromstring(document.data)
    assert "script" not in [element.tag.rpartition("}")[2] for element in tree.iter()]
    assert len(document.data) < 4_000


def test_a_busy_year_is_a_small_file() -> None:
    """A year of busy days fits into 10 kB."""
    days = {"2016": [(1451606400 + at * DAY, at + 1) for at in range(366)]}
    document = calendar(People(), of_days("ralph", days))
    assert len(document.data) < 10_000

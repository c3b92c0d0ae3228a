"""Calendars of people as SVG: each day in its place, inert, made and removed with the document of the key."""

import re
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pytest

from samples import NOON, Buyers, Site, line
from statscache.kinds.known import Known
from statscache.kinds.state import ByYear, KeyDocument
from statscache.render.calendar import calendar
from statscache.store import coverage

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
    last = max(start for of_year in days.values() for start, _ in of_year) + DAY // 2
    return KeyDocument((name,), 1, NOON, last, [(int(year), 1) for year in days], days)


def paths(document: bytes, name: str) -> list[tuple[str, str]]:
    """Return where the paths of a class begin, in units of a cell, as drawn in the year."""
    tree = ElementTree.fromstring(document)
    drawn = tree.findall("{http://www.w3.org/2000/svg}g")[0].iter("{http://www.w3.org/2000/svg}path")
    return [
        at
        for path in drawn
        if path.get("class") == name
        for at in re.findall(r"M([\d.]+) ([\d.]+)", path.get("d") or "")
    ]


def test_each_day_has_its_place() -> None:
    """Columns are weeks and rows days from Monday; the busier, the less transparent."""
    days: ByYear = {"2014": [(MIDNIGHT - 365 * DAY, 7)]}
    days |= {"2015": [(MIDNIGHT, 1), (MIDNIGHT + DAY, 2), (MIDNIGHT + 2 * DAY, 3), (MIDNIGHT + 3 * DAY, 40)]}
    document = calendar(People(), of_days("ralph", days), Known(0))
    tree = ElementTree.fromstring(document.data)
    assert document.path == "v1/plugins/people/by/ralph.svg"
    drawn = [
        (element.get("fill-opacity"), re.findall(r"M(\d+) (\d+)", element.get("d") or ""))
        for element in tree.findall("{http://www.w3.org/2000/svg}g")[0]
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
    document = calendar(People(), of_days(name, {"2015": [(MIDNIGHT, 1)]}), Known(0))
    tree = ElementTree.fromstring(document.data)
    assert "script" not in [element.tag.rpartition("}")[2] for element in tree.iter()]
    assert len(document.data) < 4_000


def test_a_busy_year_is_a_small_file() -> None:
    """A year of busy days fits into 10 kB."""
    days = {"2016": [(1451606400 + at * DAY, at + 1) for at in range(366)]}
    document = calendar(People(), of_days("ralph", days), Known(1451606400 + 3 * DAY, [(1456790400, 1456790401)]))
    assert len(document.data) < 10_000


def test_an_unknown_day_is_not_a_day_without_an_event() -> None:
    """Days before the first data and in gaps are crossed, quiet ones are not; the year ends with the newest day."""
    days: ByYear = {"2015": [(MIDNIGHT - DAY, 9), (MIDNIGHT + 9 * DAY, 1)]}
    known = Known(MIDNIGHT - 2 * DAY + 1, [(MIDNIGHT + 3 * DAY + 5, MIDNIGHT + 4 * DAY + 5)])
    made = calendar(People(), of_days("ralph", days), known).data
    unknown = paths(made, "u")
    assert len(unknown) == 218 + 2
    # 11 and 12 August, a Tuesday and a Wednesday in the 33rd column.
    assert unknown[-2:] == [("387", "21"), ("387", "33")]
    assert paths(made, "s") == [("396.5", "0.5")]
    assert ">not known</text>" in made.decode()
    assert "at least 10 sales in 2015" in made.decode()
    whole = calendar(People(), of_days("ralph", days), Known(0)).data
    assert (paths(whole, "u"), b"not known" in whole, b"at least" in whole) == ([], False, False)
    shape = re.search(r'url\(#e\)" d="([^"]*)"', whole.decode())
    assert shape is not None
    assert shape[1] == "M0 36h12V84H0zM12 0H396V84H12zM396 0h12v12h-12z"


def test_calendars_follow_coverage(site: Site) -> None:
    """A gap changes the calendars, and documents, of those who have an event after it; and no one else's."""
    at = {"ann": NOON, "bob": NOON + 40 * DAY, "cid": NOON + 500 * DAY}
    site.feed([line(name, time, body={"buyer": name}) for name, time in at.items()])
    site.feed([line("old", NOON - 1000 * DAY, body={"buyer": "bob"})])
    site.publish()
    cases = [
        ((NOON + 39 * DAY, NOON + 39 * DAY + 5), {"bob.svg", "bob.json", "cid.json"}),
        ((NOON - 900 * DAY, NOON - 890 * DAY), set()),
        ((NOON - 999 * DAY, NOON - 998 * DAY), {"bob/2012.json"}),
        ((NOON - DAY, NOON), {"ann.svg", "ann.json", "bob.svg", "bob.json", "cid.json"}),
        ((NOON + 600 * DAY, NOON + 601 * DAY), set()),
    ]
    for complete in (False, True):
        for interval, expected in cases:
            before = of_people(site)
            with site.database.writing() as connection:
                coverage.record(connection, *interval, complete=complete)
            site.publish()
            after = of_people(site)
            assert {path for path in after if before.get(path) != after[path]} == expected, (complete, interval)
            incremental = site.aliases()
            site.publish(force=True)
            assert site.aliases() == incremental
    site.close()


def of_people(site: Site) -> dict[str, bytes]:
    """Return the documents of people and their calendars by path."""
    root = "v1/plugins/people/by/"
    return {path.removeprefix(root): data for path, data in site.aliases().items() if path.startswith(root)}

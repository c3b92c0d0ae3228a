"""Builds of koji: states, rates, busiest packages, and how long they took."""

import re
from pathlib import Path
from typing import Any

import pytest

from samples import Site, line
from statscache import canonical, testing
from statscache.testing import NOON
from statscache_plugins.builds import Builds, BuildsByPackage, BuildTime

TOPIC = "org.fedoraproject.prod.buildsys.build.state.change"
DAY = 86_400


def build(new: Any, timestamp: int = NOON, **changes: Any) -> Any:
    """Return the announcement that a build entered a state."""
    body = {"new": new, "name": "bash", "version": "5.3", "release": "1.fc45", "owner": "ann", "build_id": 1, **changes}
    return testing.message(TOPIC, body, timestamp=timestamp)


def test_builds_are_counted_by_release_and_state() -> None:
    """The release is that of the target, or else of the dist tag; unknown states are not counted."""
    targeted = build(1, request=["git+https://src.fedoraproject.org/rpms/bash#1", "rawhide", {}])
    messages = [
        build(0),
        build(1),
        build(3),
        build(4),
        build(2),
        targeted,
        build(9),
        build("1"),
        build(None),
        build(True),
    ]
    rows = testing.run(Builds, messages)["latest.json"]["rows"]
    assert {(row["release"], row["state"]): row["total"] for row in rows} == {
        ("f45", "building"): 1,
        ("f45", "complete"): 1,
        ("f45", "failed"): 1,
        ("f45", "canceled"): 1,
        ("f45", "deleted"): 1,
        ("rawhide", "complete"): 1,
    }


def test_the_success_rate_is_published_as_whole_numbers() -> None:
    """Complete and failed builds of each release, in all and in each window; one that never ended has no row."""
    messages = [
        build(1, NOON - 2 * DAY, build_id=1),
        build(1, NOON, build_id=2),
        build(3, NOON - 20 * DAY, build_id=3),
        build(0, NOON, release="1.el9"),
        build(3, NOON - 3600, release="1.el10"),
    ]
    rows = testing.run(Builds, messages)["success.json"]["rows"]
    assert rows == [
        {
            "release": "epel10",
            "complete_total": 0,
            "complete_last_24h": 0,
            "complete_last_7d": 0,
            "complete_last_30d": 0,
            "failed_total": 1,
            "failed_last_24h": 1,
            "failed_last_7d": 0,
            "failed_last_30d": 0,
        },
        {
            "release": "f45",
            "complete_total": 2,
            "complete_last_24h": 0,
            "complete_last_7d": 1,
            "complete_last_30d": 1,
            "failed_total": 1,
            "failed_last_24h": 0,
            "failed_last_7d": 0,
            "failed_last_30d": 1,
        },
    ]


def test_the_success_rate_of_a_window_says_since_when_it_is_known(tmp_path: Path) -> None:
    """As `latest` does; in CSV there is no number of such a window."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Builds,))
    builds = [build(1, NOON - DAY, build_id=1), build(3, NOON, build_id=2)]
    site.feed(line(f"{at}", each.timestamp, each.topic, each.body) for at, each in enumerate(builds))
    site.publish()
    document = site.document("v1/plugins/builds/success.json")
    assert document["partial"] == {"last_7d": NOON - DAY, "last_30d": NOON - DAY}
    assert document["partial"] == site.document("v1/plugins/builds/latest.json")["partial"]
    names, cells = (line.split(",") for line in (site.public / "v1/plugins/builds/success.csv").read_text().split())
    empty = {name for name, cell in zip(names, cells, strict=True) if not cell}
    assert empty == {f"{state}_last_{window}" for state in ("complete", "failed") for window in ("7d", "30d")}
    site.close()


def test_the_busiest_packages_are_those_with_the_most_builds_that_ended() -> None:
    """One build counts once, whether it failed or not; whole days before the newest message are looked at."""
    ended = [build(1, NOON - DAY, name=name, build_id=number) for number, name in enumerate(["vim", "bash", "vim"])]
    old = [build(3, NOON - 10 * DAY, name="gcc", build_id=number) for number in range(9)]
    others = [build(new, NOON - DAY) for new in (0, 2, 4)]
    documents = testing.run(BuildsByPackage, [*ended, *old, *others, build(1, NOON, name="glibc")])
    assert documents["busiest-7d.json"]["rows"] == [{"package": "vim", "value": 2}, {"package": "bash", "value": 1}]
    assert documents["busiest-30d.json"]["rows"][0] == {"package": "gcc", "value": 9}
    assert documents["by/glibc.json"]["total"] == 1


def test_a_package_lists_its_newest_builds_and_how_they_ended() -> None:
    """The newest ten, newest first, with version and link; however long what a sender writes is, it stays small."""
    ended = [build(3 if n % 4 else 1, NOON + 60 * n, build_id=n, release=f"{n}.fc45") for n in range(13)]
    hostile = build(3, NOON, name="vim", version="\x01" * 500, release="\x02" * 500)
    documents = testing.run(BuildsByPackage, [*ended, hostile])
    entries = documents["by/bash.json"]["entries"]
    assert [entry["timestamp"] for entry in entries] == [NOON + 60 * n for n in range(12, 2, -1)]
    assert entries[0] == {
        "timestamp": NOON + 720,
        "state": "complete",
        "release": "f45",
        "version": "5.3-12.fc45",
        "link": "https://koji.fedoraproject.org/koji/buildinfo?buildID=12",
    }
    assert documents["by/bash.json"]["total"] == 13
    (entry,) = documents["by/vim.json"]["entries"]
    assert entry["state"] == "failed"
    assert len(canonical.encode(entry)) <= 1_100


def test_rankings_of_the_last_days_are_on_tabs_and_durations_are_not(tmp_path: Path) -> None:
    """What is not known of a period is said there, as the document says it."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (BuildsByPackage, BuildTime))
    changes = {"creation_time": "2026-08-01T00:00:00+00:00", "completion_time": "2026-08-01T00:01:00+00:00"}
    builds = [build(0, NOON - DAY, build_id=1), build(1, NOON - DAY, build_id=1, **changes), build(1, NOON, build_id=2)]
    site.feed(line(f"{at}", each.timestamp, each.topic, each.body) for at, each in enumerate(builds))
    site.publish()
    assert "last_30d" in site.document("v1/plugins/builds-by-package/busiest-30d.json")["partial"]
    assert site.document("v1/plugins/build-time/durations.json")["rows"]
    ranking = (site.public / "v1/plugins/builds-by-package/busiest-30d.csv").read_text()
    assert ranking.split() == ["package,value", "bash,"], "a number of a window that is not wholly known"
    pages = {
        name: (site.public / f"plugins/{name}/index.html").read_text() for name in ("builds-by-package", "build-time")
    }
    assert re.findall(r'name="period"(?: checked)?><span>(.*?)</span>', pages["builds-by-package"]) == [
        "All time",
        "30 days",
        "7 days",
    ]
    assert pages["builds-by-package"].count("Not all of that time is known") == 2
    assert 'name="period"' not in pages["build-time"]
    site.close()


@pytest.mark.parametrize("seconds", [0, 299, 300, 3_600, 10**6])
def test_the_time_in_build_is_what_koji_states(seconds: int) -> None:
    """Both times are in the message that ends the build, in any time zone."""
    minutes, rest = divmod(seconds, 60)
    days, minutes = divmod(minutes, 1440)
    ended = f"2026-08-{1 + days:02}T{minutes // 60:02}:{minutes % 60:02}:{rest:02}+00:00"
    message = build(1, creation_time="2026-08-01T02:00:00.000000+02:00", completion_time=ended)
    series = testing.run(BuildTime, [message])["series/1h/2015-08.json"]["rows"]
    expected = {"builds": 1, "seconds": seconds}
    assert {measure: value for _, _, measure, value in series} == expected


@pytest.mark.parametrize(
    ("new", "began", "ended"),
    [
        (1, None, "2026-08-01T00:00:00+00:00"),
        (1, "2026-08-01T00:00:00+00:00", None),
        (1, "2026-08-01T00:00:00", "2026-08-01T00:01:00+00:00"),
        (1, "2026-08-02T00:00:00+00:00", "2026-08-01T00:00:00+00:00"),
        (1, "yesterday", "2026-08-01T00:00:00+00:00"),
        (1, 1785542400, 1785542460),
        (3, "2026-08-01T00:00:00+00:00", "2026-08-01T00:01:00+00:00"),
    ],
)
def test_a_build_without_times_is_not_counted(new: int, began: Any, ended: Any) -> None:
    """Old messages state none; times without a zone, and those that run backwards, are none."""
    message = build(new, creation_time=began, completion_time=ended)
    assert testing.run(BuildTime, [message])["latest.json"]["rows"] == []


def test_real_builds(messages_path: Path) -> None:
    """What was really sent tells of three builds."""
    rows = testing.run(Builds, messages_path.read_bytes().splitlines())["latest.json"]["rows"]
    assert {(row["release"], row["state"]): row["total"] for row in rows} == {
        ("f19", "building"): 1,
        ("f22", "failed"): 1,
        ("f23", "canceled"): 1,
    }

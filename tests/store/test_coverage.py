"""Coverage: what is known to be complete, and what is known to be missing."""

import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import NOON, Sales, Site, id_digest, line
from statscache.store import Database, coverage
from statscache.store.intervals import Interval, subtract, union

intervals = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=6
)


def seconds(of: Iterable[Interval]) -> set[int]:
    """Return the seconds that intervals cover."""
    return {second for start, end in of for second in range(start, end)}


@given(intervals, intervals)
def test_union_and_difference_are_those_of_the_seconds(one: list[Interval], other: list[Interval]) -> None:
    """The result covers the same time, in order, and no two intervals touch."""
    filled = [pair for pair in one if pair[0] < pair[1]]
    holes = [pair for pair in other if pair[0] < pair[1]]
    for result, expected in (
        (union(filled), seconds(filled)),
        (subtract(filled, holes), seconds(filled) - seconds(holes)),
    ):
        assert seconds(result) == expected
        assert all(left[1] < right[0] for left, right in pairwise(result))


def test_complete_wins_over_missing_whichever_came_first(database_url: str) -> None:
    """A gap that was completed is none, and time that is complete does not become one."""
    database = Database(database_url)
    database.prepare()
    with database.writing() as connection:
        coverage.record(connection, 0, 10, complete=False)
        coverage.record(connection, 4, 6, complete=True)
        coverage.record(connection, 5, 5, complete=False)
        coverage.record(connection, 20, 30, complete=True)
        coverage.record(connection, 25, 35, complete=False)
    with database.reading() as connection:
        assert coverage.gaps(connection) == [(0, 4), (6, 10), (30, 35)]
    database.close()


def gaps(site: Site) -> list[Interval]:
    """Return what is known to be missing."""
    with site.database.reading() as connection:
        return coverage.gaps(connection)


def test_a_live_source_that_was_away_leaves_a_gap(database_url: str, tmp_path: Path) -> None:
    """From when it was last heard to when it is heard again; another source's silence is none."""
    site = Site(database_url, tmp_path, (Sales,))
    site.feed([line("1", NOON)], "fedmsg", connected=NOON)
    site.feed([line("2", NOON + 10)], "fedmsg", connected=NOON)
    site.feed([line("other", NOON + 500)], "archive:x")
    assert gaps(site) == []
    site = site.reopened()
    site.feed([line("3", NOON + 100)], "fedmsg", connected=NOON + 100)
    site.feed([line("4", NOON + 200)], "fedmsg", connected=NOON + 100)
    assert gaps(site) == [(NOON + 10, NOON + 100)]
    site.close()


def test_a_clock_that_was_fast_hides_no_gap(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said before it was set back counts no longer; how far everything has come, messages say."""
    site = Site(database_url, tmp_path, (Sales,))
    fast, right = NOON + 86_400, NOON + 60
    monkeypatch.setattr("time.time", lambda: float(fast))
    site.feed([line("1", NOON)], "fedmsg", connected=fast + 1)
    monkeypatch.setattr("time.time", lambda: float(right))
    site.feed([line("2", right)], "fedmsg", connected=fast + 1)
    monkeypatch.setattr("time.time", lambda: NOON + 36_000.0)
    site.feed([line("3", NOON + 36_000)], "fedmsg", connected=NOON + 36_000)
    assert gaps(site) == [(NOON, NOON + 36_000)]
    site.close()


LEFT, BACK = NOON, NOON + 600
"""When a service goes away and is connected again."""

LAST = {
    "in step": [LEFT - 2, LEFT - 1, LEFT],
    "one clock is fast": [LEFT - 1, LEFT, LEFT + 250],
    "one clock is very fast": [LEFT - 1, LEFT, LEFT + 290, LEFT + 800],
    "one clock is slow": [LEFT - 4000, LEFT - 1, LEFT],
    "all clocks are fast": [LEFT + 200, LEFT + 250],
    "no message": [],
}
FIRST = {
    "in step": [BACK, BACK + 1, BACK + 2],
    "all are late": [LEFT - 60, LEFT - 30],
    "late, from the middle of the gap": [LEFT + 30, BACK + 1],
    "one clock is fast": [BACK + 280, BACK + 1],
    "one clock is slow": [BACK - 300, BACK + 1],
    "no message": [],
}


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("first", FIRST)
def test_a_gap_covers_the_time_away_whatever_the_messages_around_it_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, first: str
) -> None:
    """Late messages, and clocks that go wrong, neither hide a gap nor cut it short, and it stays one."""
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Sales,))
    for at, connected, times in ((LEFT - 10, LEFT - 60, [LEFT - 10]), (LEFT, LEFT - 60, LAST[last])):
        monkeypatch.setattr(time, "time", lambda at=at: float(at))
        site.feed([line(f"a{moment}", moment) for moment in times], "fedmsg", connected=connected)
    site = site.reopened()
    monkeypatch.setattr(time, "time", lambda: float(BACK))
    poison(site, "b0")
    site.feed([line(f"b{index}", moment) for index, moment in enumerate(FIRST[first])], "fedmsg", connected=BACK)
    monkeypatch.setattr(time, "time", lambda: float(BACK + 30))
    site.feed([line("c", BACK + 30)], "fedmsg", connected=BACK)
    ((start, end),) = gaps(site)
    assert LEFT - 10 <= start <= LEFT
    assert end == BACK
    site.close()


def poison(site: Site, id: str) -> None:
    """Let the database refuse a message, so that the delivery with it is halved."""
    digest = id_digest(site, id)
    with site.database.writing() as connection:
        body = f"BEGIN SELECT RAISE(ABORT, 'poison') WHERE NEW.digest = {digest}; END"
        connection.exec_driver_sql(f"CREATE TRIGGER poison BEFORE INSERT ON message_id {body}")


def test_a_bus_that_is_behind_leaves_a_gap_from_what_was_last_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited to be taken when the service died is missing too: it was sent after what was taken last."""
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Sales,))
    monkeypatch.setattr(time, "time", lambda: float(NOON + 900))
    site.feed([line("1", NOON + 1), line("2", NOON), line("fast", NOON + 1100)], "fedmsg", connected=NOON)
    monkeypatch.setattr(time, "time", lambda: float(NOON + 1500))
    site.feed([line("3", NOON + 1500)], "fedmsg", connected=NOON + 1000)
    assert gaps(site) == [(NOON + 1, NOON + 1000)]
    site.close()

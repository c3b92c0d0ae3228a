"""Coverage: what is known to be complete, and what is known to be missing."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from samples import NOON, Sales, Site, line
from statscache.store import Database, coverage
from statscache.store.coverage import Interval, subtract, union

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


def test_a_live_source_that_was_away_leaves_a_gap(database_url: str, tmp_path: Path) -> None:
    """From its last message to the first after it came back; another source's silence is none."""
    site = Site(database_url, tmp_path, (Sales,))
    site.feed([line("1", NOON)], "fedmsg", resumed=True)
    site.feed([line("2", NOON + 10)], "fedmsg")
    site.feed([line("other", NOON + 500)], "archive:x")
    with site.database.reading() as connection:
        assert coverage.gaps(connection) == []
    site = site.reopened()
    site.feed([line("3", NOON + 100)], "fedmsg", resumed=True)
    with site.database.reading() as connection:
        assert coverage.gaps(connection) == [(NOON + 10, NOON + 100)]
    site.close()


def test_a_straggler_after_a_reconnection_does_not_hide_the_gap(database_url: str, tmp_path: Path) -> None:
    """The gap reaches to the newest message of the first delivery, since an older one may have been under way."""
    site = Site(database_url, tmp_path, (Sales,))
    site.feed([line("1", NOON)], "fedmsg", resumed=True)
    site.feed([line("2", NOON - 5), line("3", NOON + 200), line("4", NOON + 60)], "fedmsg", resumed=True)
    site.feed([line("5", NOON + 300)], "fedmsg")
    with site.database.reading() as connection:
        assert coverage.gaps(connection) == [(NOON, NOON + 200)]
    site.close()

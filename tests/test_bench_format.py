"""The benchmark's table says what was promised and whether it is kept, and its sections measure real work."""

from pathlib import Path

import pytest

from benchmarks import timed, traffic
from benchmarks.result import Result, table


@pytest.mark.parametrize(("value", "verdict"), [(7.9, "met"), (8.0, "met"), (8.1, "MISSED")])
def test_a_promise_is_kept_up_to_its_limit(value: float, verdict: str) -> None:
    """The limit itself is within the promise."""
    assert Result("backfill", value, most=8).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(1.3, "MISSED"), (1.4, "met")])
def test_a_promise_is_kept_from_its_limit_on(value: float, verdict: str) -> None:
    """The other limit is within the promise too."""
    assert Result("jobs", value, least=1.4).verdict == verdict


def test_the_table_aligns_its_columns() -> None:
    """Each result is a line; what is not promised has no verdict; notes come last."""
    lines = table([Result("speed", 12.345, most=8, note="so many"), Result("memory", 1.5, "MB")]).splitlines()
    assert lines == [
        "        measured  promised",
        "speed    12.35 x    <= 8 x  MISSED  so many",
        "memory   1.50 MB         -       -",
    ]


def test_backfill_and_rebuild_are_measured(tmp_path: Path) -> None:
    """A small history is measured whole, its rebuild too, and both beside the time of parsing the same lines."""
    archive = tmp_path / "messages.ndjson"
    traffic.write(archive, traffic.dense(500))
    for rebuild in (False, True):
        done = timed.run(timed.Task(str(archive), str(tmp_path), rebuild=rebuild))
        assert done.messages == 500
        assert len(done.parts) == len(done.parsed) == len(done.ratios) == 1
        assert done.ratio > 1
        assert done.wall_ratio > 1
        assert done.written > 100
        assert 10e6 < done.peak < 250e6

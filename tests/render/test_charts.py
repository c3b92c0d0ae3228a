"""Plots: zero and unknown look different, and the same data gives the same figure."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statscache.render.charts import Figure, Frame, bars, draw
from statscache.render.curves import MOST_CURVES, Curves, of_rows
from statscache.timeline import DAY, HOUR, parse_time

START = parse_time("2015-08-08T00:00:00")
FRAME = Frame(height=100, ticks=8)


def hourly(rows: list[list[Any]], hours: int = 6, **more: Any) -> Curves:
    """Return curves of so many hours from `START`."""
    return of_rows(rows, start=START, end=START + hours * HOUR, seconds=HOUR, gaps=more.get("gaps", ()))


def labels(figure: Figure) -> list[str]:
    """Return what is on the time axis."""
    return [tick.label.replace("\u202f", " ") for tick in figure.x_ticks]


def path(figure: Figure) -> str:
    """Return the outline of all that is in the first panel."""
    return figure.panels[0].layers[0].path


def span(start: str, end: str, seconds: int) -> Figure:
    """Return an empty plot between two times."""
    begin, stop = parse_time(start), parse_time(end)
    return draw(of_rows([], start=begin, end=stop, seconds=seconds, gaps=()), FRAME)


def test_an_absent_bucket_is_zero_and_a_gap_is_unknown() -> None:
    """Quiet is drawn on the baseline; a bucket that a gap touches, even in part, has no value."""
    data = hourly([[START, 5], [START + 3 * HOUR, 7]], gaps=[(START + 3 * HOUR + 60, START + 4 * HOUR + 60)])
    assert data.curves[0].values == (5, 0, 0, None, None, 0)
    assert data.gaps == ((3, 5),)


def test_a_gap_has_no_columns() -> None:
    """Columns stop before a gap and begin again after it; without one, columns that touch are one outline."""
    rows = [[START + at * HOUR, 4] for at in range(100)]
    whole, broken = (hourly(rows, 100, gaps=gaps) for gaps in ([], [(START + 2 * HOUR, START + 4 * HOUR)]))
    assert [path(draw(data, FRAME)).count("M") for data in (whole, broken)] == [1, 2]
    assert path(draw(broken, FRAME)) == "M0 100v-96h2V100zM4 100v-96h96V100z"


def test_a_gap_has_a_band_of_its_width() -> None:
    """The band covers exactly the buckets that are unknown."""
    (band,) = draw(hourly([], gaps=[(START + 3 * HOUR, START + 6 * HOUR)]), FRAME).bands
    assert (band.x, band.width) == ("50%", "50%")


def test_neighbouring_gaps_are_one_band_and_far_ones_are_clipped() -> None:
    """Gaps that touch are one; what lies outside the plot is not drawn."""
    around = [(START - DAY, START + HOUR), (START + HOUR, START + 2 * HOUR), (START + DAY, START + 2 * DAY)]
    assert hourly([], gaps=around).gaps == ((0, 2),)


def test_few_buckets_stand_apart_each_in_its_own_place() -> None:
    """A column of one bucket between gaps is seen; a quiet bucket has none, and is not hatched."""
    data = hourly([[START + HOUR, 1]], hours=3, gaps=[(START, START + HOUR)])
    assert path(draw(data, FRAME)) == "M1.12 100V4h0.76V100z"


def test_what_adds_up_is_stacked_and_what_does_not_is_not() -> None:
    """A stack has a layer for each key, which reaches up to the sum; uniques and numbers below zero have panels."""
    rows = [[START, "a", 6], [START, "b", 2]]
    (panel,) = draw(hourly(rows), FRAME).panels
    assert [layer.colour for layer in panel.layers] == ["c2", "c1"], "the whole is painted first"
    assert [re.findall(r"V(\d+)h", layer.path)[0] for layer in panel.layers] == ["4", "28"]
    assert panel.total == 8
    for is_additive in (True, False):
        apart = of_rows(
            rows, start=START, end=START + HOUR, seconds=HOUR, gaps=(), is_additive=is_additive, keys_add_up=False
        )
        assert [panel.label for panel in draw(apart, FRAME).panels] == ["a", "b"]
    below = draw(hourly([[START, "a", 6], [START, "b", -2]]), FRAME)
    assert [panel.baseline for panel in below.panels] == ["100", "34"]


def test_the_greatest_curves_have_names_and_the_rest_is_their_sum() -> None:
    """Beyond the limit, what is left is added up in the last curve, so nothing is lost."""
    rows: list[list[Any]] = [[START, f"k{number:02}", number] for number in range(1, 13)]
    data = hourly(rows)
    assert [curve.label for curve in data.curves] == [*(f"k{n:02}" for n in range(12, 7, -1)), "other (7)"]
    assert len(data.curves) == MOST_CURVES
    assert [curve.colour(6) for curve in data.curves[-2:]] == ["c6", "rest"]
    assert sum(curve.total for curve in data.curves) == sum(range(1, 13))


def test_null_and_the_empty_string_are_distinguished() -> None:
    """Null is unknown; the empty string says that it is empty."""
    data = hourly([[START, None, 2], [START, "", 1]])
    assert [curve.label for curve in data.curves] == ["unknown", "(empty)"]


@pytest.mark.parametrize(
    ("start", "end", "seconds", "expected"),
    [
        ("2015-08-08T11:03", "2015-08-08T14:03", 60, ["11:30", "12:00", "12:30", "13:00", "13:30", "14:00"]),
        (
            "2015-08-07T12:00",
            "2015-08-08T12:00",
            HOUR,
            ["12:00", "15:00", "18:00", "21:00", "8 Aug", "03:00", "06:00", "09:00"],
        ),
        ("2015-08-01T15:00", "2015-08-07T15:00", HOUR, ["2 Aug", "3 Aug", "4 Aug", "5 Aug", "6 Aug", "7 Aug"]),
        ("2015-07-01", "2015-08-08", DAY, ["6 Jul", "13 Jul", "20 Jul", "27 Jul", "3 Aug"]),
        ("2015-08-06", "2015-08-09", DAY, ["6 Aug", "7 Aug", "8 Aug"]),
        ("2015-08-03", "2015-08-17", 7 * DAY, ["3 Aug", "10 Aug"]),
        ("2014-08-09", "2015-08-09", DAY, ["Sep", "Nov", "Jan 2015", "Mar", "May", "Jul"]),
    ],
)
def test_ticks_are_round_moments_in_utc(start: str, end: str, seconds: int, expected: list[str]) -> None:
    """Midnights show the day, weeks start on Monday, months by name; the machine's time zone has no say."""
    assert labels(span(start, end, seconds)) == expected


@pytest.mark.parametrize(
    ("greatest", "expected"),
    [(1, "0 1"), (9, "0 2 4 6 8"), (86, "0 20 40 60 80"), (100, "0 20 40 60 80 100"), (1_120, "0 500 1k")],
)
def test_the_value_axis_has_enough_levels_to_read(greatest: int, expected: str) -> None:
    """A peak of 86 is not read between 0 and 50 alone."""
    (panel,) = draw(hourly([[START, greatest]]), FRAME).panels
    assert " ".join(tick.label for tick in panel.y_ticks) == expected


def test_one_beside_a_million_is_seen() -> None:
    """Places are whole pixels, and what is not zero is not on the baseline."""
    figure = draw(hourly([[START, 1], [START + HOUR, 10**6]], hours=3), FRAME)
    assert path(figure) == "M0.12 100V99h0.76V100zM1.12 100V4h0.76V100z"


@given(st.lists(st.integers(min_value=-(10**6), max_value=10**12), min_size=1, max_size=30))
@example([1, -151])
def test_the_value_axis_has_a_few_whole_levels(values: list[int]) -> None:
    """One to six levels, of which zero is one; columns and levels lie within the plot, which wastes little."""
    figure = draw(hourly([[START + at * HOUR, value] for at, value in enumerate(values)], hours=len(values)), FRAME)
    (panel,) = figure.panels
    heights = [float(tick.at) for tick in panel.y_ticks]
    assert 1 <= len(heights) <= 6
    assert "0" in [tick.label for tick in panel.y_ticks]
    tops = [float(y) for y in re.findall(r"V(-?[\d.]+)", path(figure))]
    assert all(0 <= y <= FRAME.height for y in tops + heights)
    if max(values) > 0:
        assert min(tops) < 5


@given(
    st.lists(st.integers(min_value=START - DAY, max_value=START + 2 * DAY), max_size=6),
    st.integers(min_value=0, max_value=30),
)
def test_gaps_make_unknown_exactly_what_they_touch(edges: list[int], complete: int) -> None:
    """Whatever the gaps, a bucket is unknown if and only if a gap overlaps it."""
    gaps = [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=False) if low < high]
    data = hourly([], hours=24, complete=complete, gaps=gaps)
    for bucket, value in enumerate(data.curves[0].values):
        begin, end = data.time(bucket), data.time(bucket + 1)
        assert (value is None) == any(low < end and high > begin for low, high in gaps)
    draw(data, FRAME)


def test_an_empty_span_is_drawn() -> None:
    """A plot of no buckets is an empty plot, not an error."""
    assert path(draw(hourly([], hours=0), FRAME)) == ""


def test_bars_are_shares_of_the_longest() -> None:
    """The first fills the width, the others a share of it; only as many as asked for are there."""
    assert [bar.share for bar in bars([("a", 8), ("b", 4), ("c", 0), ("d", 0)], 3)] == [1000, 500, 0]

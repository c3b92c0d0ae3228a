"""Charts are geometry computed here and drawn by an SVG template: the same data gives the same bytes.

Keys whose numbers add up are stacked; others, such as uniques, have a small panel each. Nothing in a chart depends
on the clock, on chance or on anything outside the file. Zero is drawn on the baseline; what is unknown (a gap) is a
hatched band without columns; a bucket that is not over yet is not drawn, because its count would look like a fall.
`site/chart.js` draws the same from the same data where a reader asks for another view; a test compares the two.
docs/adr/0009-charts.md says why no plotting library draws them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from math import ceil, floor, log10

from statscache.render.curves import Curve, Curves, is_stacked
from statscache.render.text import MONTHS, compact
from statscache.timeline import DAY, HOUR, MINUTE

WIDE = 60
"""With at most so many buckets, columns are apart; with more, they touch."""

_INSET = 0.12

_STEPS = (
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * DAY for days in (1, 2, 7)),
)
_MONTH_STEPS = (1, 2, 3, 6, 12)


@dataclass(frozen=True)
class Frame:
    """The size of a panel: `height` in pixels; `ticks` is the maximum number on its time axis."""

    height: int
    ticks: int = 0


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where (in per cent of the width, or in pixels down), and what it says."""

    at: str
    label: str


@dataclass(frozen=True)
class Band:
    """A range of the time axis without data, in per cent of the width."""

    x: str
    width: str


@dataclass(frozen=True)
class Layer:
    """The columns of one key as SVG path data: across, a unit is a bucket; down, it is a pixel.

    Layers of a stack reach down to the baseline, each in front of those that are higher.
    """

    colour: str
    path: str


@dataclass(frozen=True)
class Panel:
    """One surface with an axis of values; `layers` are in the order in which they are painted."""

    label: str
    total: int
    layers: tuple[Layer, ...]
    y_ticks: tuple[Tick, ...]
    baseline: str


@dataclass(frozen=True)
class Figure:
    """A chart, ready for the template: every coordinate is text with few decimals."""

    frame: Frame
    buckets: int
    panels: tuple[Panel, ...]
    x_ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Bar:
    """One row of a bar plot: `share` is its length as whole per mille of the longest."""

    label: str
    value: int
    share: int


@lru_cache(maxsize=256)
def draw(data: Curves, frame: Frame) -> Figure:
    """Return the curves as a figure: one panel with a stack, or a panel of the frame's size for each.

    Figures are kept: of all that a site shows, little changes from one publication of a process to the next.
    """
    ticks = _time_ticks(data, frame.ticks) if frame.ticks else ()
    if is_stacked(data):
        panels: tuple[Panel, ...] = (_panel(data.curves, "", data.as_one().total, frame.height),)
    else:
        panels = tuple(_panel((curve,), curve.label, curve.total, frame.height) for curve in data.curves)
    return Figure(
        frame=frame,
        buckets=data.buckets,
        panels=panels,
        x_ticks=tuple(Tick(_share((moment - data.start) / data.seconds, data), label) for moment, label in ticks),
        bands=tuple(Band(_share(begin, data), _share(stop - begin, data)) for begin, stop in data.gaps),
    )


def bars(rows: Iterable[tuple[str, int]], most: int) -> tuple[Bar, ...]:
    """Return the first `most` pairs of label and value as bars, in the order given."""
    shown = list(rows)[:most]
    longest = max([1, *(value for _, value in shown)])
    return tuple(Bar(label, value, max(0, value) * 1000 // longest) for label, value in shown)


def _share(bucket: float, data: Curves) -> str:
    """Return where a bucket starts, in per cent of the width."""
    return _decimal(bucket * 100 / max(1, data.buckets), 2) + "%"


def _panel(curves: Sequence[Curve], label: str, total: int, height: int) -> Panel:
    """Return a panel in which each curve is on top of those before it."""
    sums: list[list[int | None]] = []
    for curve in curves:
        below = sums[-1] if sums else [0] * len(curve.values)
        sums.append([None if v is None else v + (under or 0) for v, under in zip(curve.values, below, strict=True)])
    known = [value for line in sums for value in line if value is not None]
    levels = _levels(min([0, *known]), max([1, *known]))
    # The axis ends a little above the greatest value, not at the next round number.
    top = max([1, *known]) * 1.04
    down = height / (top - levels[0])

    def place(value: int) -> int:
        """Return how many whole pixels down a value is; the least that is not zero is a pixel off the baseline."""
        return max(0, floor((top - value) * down + 0.5) - (0 < value * down < 0.5))

    ground = place(0)
    layers = [
        Layer(
            curve.colour(number),
            _columns([None if value is None else place(value) for value in line], ground),
        )
        for number, (curve, line) in enumerate(zip(curves, sums, strict=True), start=1)
    ]
    return Panel(
        label=label,
        total=total,
        layers=tuple(reversed(layers)),
        y_ticks=tuple(Tick(str(place(level)), compact(level)) for level in levels),
        baseline=str(ground),
    )


def _columns(tops: Sequence[int | None], ground: int) -> str:
    """Return path data of a column for each bucket, from the baseline to its top in pixels down.

    Few columns are apart. Many touch: one outline has them all, in relative steps, which take half the bytes.
    """
    if len(tops) <= WIDE:
        wide = _decimal(1 - 2 * _INSET, 2)
        return "".join(
            f"M{_decimal(at + _INSET, 2)} {ground}V{top}h{wide}V{ground}z"
            for at, top in enumerate(tops)
            if top is not None and top != ground
        )
    path: list[str] = []
    at, before = 0, ground
    for top, run in groupby(ground if top is None else top for top in tops):
        length = len(list(run))
        if top != ground:
            path.append(f"M{at} {ground}v{top - ground}" if before == ground else f"v{top - before}")
            path.append(f"h{length}")
        elif before != ground:
            path.append(f"V{ground}z")
        at, before = at + length, top
    if before != ground:
        path.append(f"V{ground}z")
    return "".join(path)


def _decimal(value: float, places: int) -> str:
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _levels(low: int, high: int) -> list[int]:
    """Return 2 to 6 whole, evenly spaced levels in steps of 1, 2 or 5 times a power of ten.

    One of them is zero; the first is at or below the low end, and the high end is less than a step above the last.
    """
    span = max(1, high - low)
    magnitude = 10 ** max(0, floor(log10(span)) - 1)
    step = next(step for factor in (1, 2, 5, 10, 20) if (step := factor * magnitude) * 5 >= span)
    return list(range(step * floor(low / step), high + 1, step))


def _time_ticks(data: Curves, most: int) -> Sequence[tuple[int, str]]:
    """Return at most `most` round moments (seconds since 1970 UTC) within the plot, with their labels."""
    end = data.time(data.buckets)
    span = end - data.start
    for step in _STEPS:
        # Between two buckets there is nothing to read.
        if step >= data.seconds and span <= step * most:
            # Weeks start on Monday; 1970 began on a Thursday.
            offset = 4 * DAY if step == 7 * DAY else 0
            first = data.start + (offset - data.start) % step
            # A day or a week is named below its middle, where its point is; an hour begins at its label.
            middle = data.seconds // 2 if step == data.seconds >= DAY else 0
            return [(moment + middle, _tick_label(moment)) for moment in range(first, end, step)]
    begin, stop = (datetime.fromtimestamp(moment, UTC) for moment in (data.start, end))
    months = range(begin.year * 12 + begin.month - 1, stop.year * 12 + stop.month)
    step = next((step for step in _MONTH_STEPS if len(months) <= step * most), 12 * ceil(len(months) / 12 / most))
    ticks = (
        (int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()), month)
        for month in months
        if month % step == 0
    )
    return [
        (moment, f"{MONTHS[month % 12]}\u202f{month // 12}" if month % 12 == 0 else MONTHS[month % 12])
        for moment, month in ticks
        if data.start <= moment < end
    ]


def _tick_label(moment: int) -> str:
    when = datetime.fromtimestamp(moment, UTC)
    if moment % DAY == 0:
        return f"{when.day}\u202f{MONTHS[when.month - 1]}"
    return f"{when:%H:%M}"

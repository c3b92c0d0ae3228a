"""Plots are geometry computed here and drawn by an SVG template: the same data gives the same bytes.

Nothing in a plot depends on the clock, on chance or on anything outside the file. Zero is drawn on the baseline;
what is unknown (a gap) is a break in the line; a bucket that is not over yet is not drawn, because its count would look
like a fall. docs/adr/0005-plots.md says why no plotting library draws them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from math import ceil, floor, log10
from typing import Any

from statscache.render.text import MONTHS, compact, key_label

MOST_LINES = 8
ACROSS = 1000

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 7)),
)
_MONTH_STEPS = (1, 2, 3, 6, 12)


@dataclass(frozen=True)
class Curve:
    """One key's values, a bucket each; None is unknown."""

    label: str
    values: tuple[int | None, ...]
    is_additive: bool = True

    @property
    def total(self) -> int:
        """The sum of what is known; the greatest, where values do not add up."""
        known = [value for value in self.values if value is not None]
        return sum(known) if self.is_additive else max(known, default=0)


@dataclass(frozen=True)
class Curves:
    """What a plot shows: buckets of `seconds` from `start` (seconds since 1970 UTC), and a curve for each key.

    All of them are over. `gaps` are ranges of bucket numbers, `[from, to)`.
    """

    start: int
    seconds: int
    buckets: int
    curves: tuple[Curve, ...]
    gaps: tuple[tuple[int, int], ...]
    keys_add_up: bool = True

    def time(self, bucket: int) -> int:
        """Return the start of the bucket, in seconds since 1970 UTC."""
        return self.start + bucket * self.seconds

    def as_one(self) -> Curve:
        """Return the sum of all curves as one; the greatest of them in each bucket, where values do not add up."""
        merged = sum if self.keys_add_up else max
        values = (
            None if column[0] is None else merged(value or 0 for value in column)
            for column in zip(*(curve.values for curve in self.curves), strict=True)
        )
        return Curve("all", tuple(values), self.keys_add_up and self.curves[0].is_additive)


@dataclass(frozen=True)
class Frame:
    """The size of a plot's surface; `ticks` is the most that stand on its time axis.

    Across, a plot is `ACROSS` units, which a template stretches to the width at hand; down, a unit is a pixel.
    """

    height: int
    ticks: int = 0


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where (in per cent of the width, or in pixels down), and what it says."""

    at: str
    label: str


@dataclass(frozen=True)
class Band:
    """A stretch of the time axis where data are missing, in per cent of the width."""

    x: str
    width: str


@dataclass(frozen=True)
class Stroke:
    """One curve as SVG path data, and the surface below (single curves only).

    `marks` are points, per cent across and pixels down.
    """

    number: int
    label: str
    total: int
    solid: str
    area: str
    marks: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Figure:
    """A plot, ready for the template: every coordinate is text with few decimals."""

    frame: Frame
    strokes: tuple[Stroke, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    baseline: str


@dataclass(frozen=True)
class Bar:
    """One row of a bar plot: `share` is its length as whole per mille of the longest."""

    label: str
    value: int
    share: int


def curves(
    rows: Iterable[Sequence[Any]],
    *,
    start: int,
    end: int,
    seconds: int,
    gaps: Iterable[tuple[int, int]],
    is_additive: bool = True,
    keys_add_up: bool = True,
) -> Curves:
    """Return the rows of a series, `[timestamp, *dimensions, value]`, as curves over `[start, end)`.

    A bucket starts at `start`. Absent buckets are zero, buckets that a gap touches are unknown. At most `MOST_LINES`
    curves come back, greatest first; the keys that do not fit are summed in the last one, `other`, and are left out
    where values do not add up.
    """
    buckets = max(0, ceil((end - start) / seconds))
    missing = tuple(_bucket_ranges(gaps, start, seconds, buckets))
    unknown = {bucket for low, high in missing for bucket in range(low, high)}
    by_key: dict[tuple[str | None, ...], list[int]] = {}
    for timestamp, *key, value in rows:
        bucket = (timestamp - start) // seconds
        if 0 <= bucket < buckets:
            by_key.setdefault(tuple(key), [0] * buckets)[bucket] += value
    ranked = sorted(by_key.items(), key=lambda item: (-sum(item[1]), key_label(item[0])))
    named = [(key_label(key), values) for key, values in ranked]
    if len(named) > MOST_LINES:
        rest = named[MOST_LINES - 1 :]
        summed = [sum(column) for column in zip(*(values for _, values in rest), strict=True)]
        named = [*named[: MOST_LINES - 1], (f"other ({len(rest)})", summed)] if keys_add_up else named[:MOST_LINES]
    return Curves(
        start=start,
        seconds=seconds,
        buckets=buckets,
        curves=tuple(
            Curve(label, tuple(None if at in unknown else value for at, value in enumerate(values)), is_additive)
            for label, values in named or [("", [0] * buckets)]
        ),
        gaps=missing,
        keys_add_up=keys_add_up,
    )


@lru_cache(maxsize=256)
def draw(data: Curves, frame: Frame) -> Figure:
    """Return the curves as a figure of the frame's size; points stand at the middle of their bucket.

    Figures are kept: of all that a site shows, little changes from one publication of a process to the next.
    """
    known = [value for curve in data.curves for value in curve.values if value is not None]
    levels = _levels(min([0, *known]), max([1, *known]))
    low, high = levels[0], levels[-1]
    scale = _Scale(across=ACROSS / max(1, data.buckets), down=frame.height / (high - low), high=high)
    ticks = _time_ticks(data, frame.ticks) if frame.ticks else ()
    return Figure(
        frame=frame,
        strokes=tuple(
            _stroke(number, curve, scale, filled=len(data.curves) == 1)
            for number, curve in enumerate(data.curves, start=1)
        ),
        x_ticks=tuple(Tick(scale.share((moment - data.start) / data.seconds), label) for moment, label in ticks),
        y_ticks=tuple(Tick(scale.y(level), compact(level)) for level in levels),
        bands=tuple(Band(scale.share(begin), scale.share(stop - begin)) for begin, stop in data.gaps),
        baseline=scale.y(0),
    )


def bars(rows: Iterable[tuple[str, int]], most: int) -> tuple[Bar, ...]:
    """Return the first `most` pairs of label and value as bars, in the order given."""
    shown = list(rows)[:most]
    longest = max([1, *(value for _, value in shown)])
    return tuple(Bar(label, value, max(0, value) * 1000 // longest) for label, value in shown)


def _bucket_ranges(
    gaps: Iterable[tuple[int, int]], start: int, seconds: int, buckets: int
) -> Iterator[tuple[int, int]]:
    """Yield the buckets that each gap touches, clipped to the plot; neighbours are joined."""
    touched = sorted(
        bucket
        for begin, stop in gaps
        for bucket in range(max(0, floor((begin - start) / seconds)), min(buckets, ceil((stop - start) / seconds)))
    )
    for _, run in groupby(enumerate(sorted(set(touched))), key=lambda pair: pair[1] - pair[0]):
        numbers = [bucket for _, bucket in run]
        yield numbers[0], numbers[-1] + 1


@dataclass(frozen=True)
class _Scale:
    """From buckets and values to coordinates, as text."""

    across: float
    down: float
    high: int

    def x(self, bucket: float) -> str:
        return _decimal(bucket * self.across, 1)

    def y(self, value: float) -> str:
        return _decimal((self.high - value) * self.down, 1)

    def share(self, bucket: float) -> str:
        return _decimal(bucket * self.across * 100 / ACROSS, 2) + "%"


def _stroke(number: int, curve: Curve, scale: _Scale, *, filled: bool) -> Stroke:
    solid: list[str] = []
    area: list[str] = []
    for known, run in groupby(enumerate(curve.values), key=lambda pair: pair[1] is not None):
        if not known:
            continue
        points = [(scale.x(bucket + 0.5), scale.y(value or 0)) for bucket, value in run]
        solid.append(_path(points))
        if filled:
            area.append(f"{_path(points)}V{scale.y(0)}H{points[0][0]}z")
    return Stroke(
        number=number,
        label=curve.label,
        total=curve.total,
        solid="".join(solid),
        area="".join(area),
        marks=() if filled else tuple(_marks(number, curve, scale)),
    )


def _marks(number: int, curve: Curve, scale: _Scale) -> Iterator[tuple[str, str]]:
    """Yield a few points at which the curve's shape of mark stands, so that curves differ in more than colour."""
    apart = max(1, len(curve.values) // 4)
    for bucket in range(apart * number // (MOST_LINES + 1), len(curve.values), apart):
        value = curve.values[bucket]
        if value is not None:
            yield scale.share(bucket + 0.5), scale.y(value)


def _path(points: Sequence[tuple[str, str]]) -> str:
    first, *others = points
    if not others:
        # A path without length shows with round caps: a point that stands alone between gaps is not lost.
        return f"M{first[0]} {first[1]}h0"
    return f"M{first[0]} {first[1]}L" + " ".join(f"{px} {py}" for px, py in others)


def _decimal(value: float, places: int) -> str:
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _levels(low: int, high: int) -> list[int]:
    """Return 2 to 6 whole, evenly spaced levels in steps of 1, 2 or 5 times a power of ten that enclose both ends."""
    span = max(1, high - low)
    magnitude = 10 ** max(0, floor(log10(span)) - 1)
    step = next(step for factor in (1, 2, 5, 10, 20, 50) if (step := factor * magnitude) * 4 >= span or factor == 50)
    return list(range(step * floor(low / step), step * ceil(high / step) + 1, step))


def _time_ticks(data: Curves, most: int) -> Sequence[tuple[int, str]]:
    """Return at most `most` round moments (seconds since 1970 UTC) within the plot, with their labels."""
    end = data.time(data.buckets)
    span = end - data.start
    for step in _STEPS:
        # Between two buckets there is nothing to read.
        if step >= data.seconds and span <= step * most:
            # Weeks start on Monday; 1970 began on a Thursday.
            offset = 4 * _DAY if step == 7 * _DAY else 0
            first = data.start + (offset - data.start) % step
            # A day or a week is named below its middle, where its point stands; an hour begins at its label.
            middle = data.seconds // 2 if step == data.seconds >= _DAY else 0
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
    if moment % _DAY == 0:
        return f"{when.day}\u202f{MONTHS[when.month - 1]}"
    return f"{when:%H:%M}"

"""Curves: what a plot shows of the rows of a series, before any geometry.

Keys whose numbers add up can be stacked, and those that do not fit are summed. A value that is unknown (in a gap) is
None.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor
from typing import Any

from statscache.render.text import LONGEST_NAME, key_label

MOST_CURVES = 6


@dataclass(frozen=True)
class Curve:
    """One key's values, a bucket each; None is unknown."""

    label: str
    values: tuple[int | None, ...]
    is_additive: bool = True
    is_rest: bool = False
    """True if it is the sum of the keys that have no curve of their own."""

    def colour(self, number: int) -> str:
        """Return the class of its colour, as the curve of that number."""
        return "rest" if self.is_rest else f"c{number}"

    @property
    def total(self) -> int:
        """The sum of the known values; the greatest one, where values do not add up."""
        known = [value for value in self.values if value is not None]
        return sum(known) if self.is_additive else max(known, default=0)


@dataclass(frozen=True)
class Curves:
    """What a plot shows: buckets of `seconds` from `start` (seconds since 1970 UTC), and a curve for each key.

    All of them are over. `gaps` are ranges of bucket numbers, `[from, to)`. `keys_add_up` is True if the values of
    several keys in one bucket may be added up. `names` are of all keys, also of those without a curve of their own.
    """

    start: int
    seconds: int
    buckets: int
    curves: tuple[Curve, ...]
    gaps: tuple[tuple[int, int], ...]
    keys_add_up: bool = True
    names: tuple[str, ...] = ()

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


def of_rows(
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

    A bucket starts at `start`. Absent buckets are zero, buckets that a gap touches are unknown. At most `MOST_CURVES`
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
            if (values := by_key.get(of := tuple(key))) is None:
                values = by_key[of] = [0] * buckets
            values[bucket] += value
    ranked = sorted(by_key.items(), key=lambda item: (-sum(item[1]), key_label(item[0], LONGEST_NAME)))
    named = [(key_label(key, LONGEST_NAME), values) for key, values in ranked]
    if len(named) > MOST_CURVES:
        rest = named[MOST_CURVES - 1 :]
        summed = [sum(column) for column in zip(*(values for _, values in rest), strict=True)]
        named = [*named[: MOST_CURVES - 1], (f"other ({len(rest)})", summed)] if keys_add_up else named[:MOST_CURVES]
    rest_at = MOST_CURVES - 1 if keys_add_up and len(ranked) > MOST_CURVES else None
    return Curves(
        start=start,
        seconds=seconds,
        buckets=buckets,
        curves=tuple(
            Curve(label, _known(values, unknown), is_additive, is_rest=number == rest_at)
            for number, (label, values) in enumerate(named or [("", [0] * buckets)])
        ),
        gaps=missing,
        keys_add_up=keys_add_up,
        names=tuple(key_label(key, LONGEST_NAME) for key, _ in ranked),
    )


def is_stacked(data: Curves) -> bool:
    """Return whether the curves are drawn on top of each other: their keys add up, and none is below zero."""
    return data.keys_add_up and not any(value and value < 0 for curve in data.curves for value in curve.values)


def _known(values: Sequence[int], unknown: Container[int]) -> tuple[int | None, ...]:
    return tuple(None if at in unknown else value for at, value in enumerate(values))


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

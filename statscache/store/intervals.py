"""Arithmetic of time: intervals `[start, end)` in seconds since 1970 UTC."""

from collections.abc import Iterable

Interval = tuple[int, int]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same time in intervals that neither overlap nor touch, oldest first."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def subtract(intervals: Iterable[Interval], removed: Iterable[Interval]) -> list[Interval]:
    """Return the time of `intervals` that is in none of `removed`, oldest first."""
    holes = union(removed)
    rest: list[Interval] = []
    for start, end in union(intervals):
        for low, high in holes:
            if high <= start or low >= end:
                continue
            if low > start:
                rest.append((start, low))
            start = max(start, high)
        if start < end:
            rest.append((start, end))
    return rest

"""How long things take: a counter keeps numbers by span, and seconds added up; mean and median are made of both."""

from collections.abc import Iterable, Mapping
from typing import Any

SECONDS = "seconds"
"""The measure under which seconds are added up, beside that of how many there were."""

Spans = Mapping[str, tuple[int, int | None]]
"""Name of each span, and its ends in seconds, in order; the last one has no end."""


def summary(rows: Iterable[Mapping[str, Any]], by: str, span: str, spans: Spans, counted: str) -> dict[str, Any]:
    """Return the document of durations, over the last 30 whole days: of everything, and of each key that has any.

    The mean is exact, to a second. The median is interpolated within its span, as if its members were evenly spread; in
    the last span, which has no end, it is the least that it can be.

    Args:
        rows: Rows of `latest`, by key, span and measure.
        by: The dimension that is the key.
        span: The dimension that is the span.
        spans: What the values of that dimension mean.
        counted: The measure under which things are counted.
    """
    counts: dict[Any, dict[str, int]] = {}
    seconds: dict[Any, int] = {}
    for row in rows:
        if row["measure"] == counted:
            of = counts.setdefault(row[by], {})
            of[row[span]] = of.get(row[span], 0) + row["last_30d"]
        elif row["measure"] == SECONDS:
            seconds[row[by]] = seconds.get(row[by], 0) + row["last_30d"]
    everything = {name: sum(of.get(name, 0) for of in counts.values()) for name in spans}
    return {
        "all": _of(everything, sum(seconds.values()), spans),
        "rows": [{by: key, **_of(of, seconds.get(key, 0), spans)} for key, of in counts.items() if sum(of.values())],
    }


def _of(counts: Mapping[str, int], seconds: int, spans: Spans) -> dict[str, int | None]:
    count = sum(counts.values())
    return {"count": count, "mean": round(seconds / count) if count else None, "median": _median(counts, count, spans)}


def _median(counts: Mapping[str, int], count: int, spans: Spans) -> int | None:
    below = 0
    for name, (low, high) in spans.items():
        inside = counts.get(name, 0)
        if inside and 2 * (below + inside) >= count:
            return low if high is None else low + round((high - low) * (count / 2 - below) / inside)
        below += inside
    return None

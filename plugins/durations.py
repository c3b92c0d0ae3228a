"""Durations: for each key, how many things there were, the sum of their seconds, and a histogram of their seconds.

The histogram has spans of at most a tenth of their start. Sums of it are exact, whatever the order of the
messages, so a median of any of its days is: the middle of the span that holds it, which is wrong by at most 5 %.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

SECONDS = "seconds"
"""The measure of the sum of seconds, next to the measure of the number."""

DAYS = 30
"""Number of whole days in the document of durations."""

COLUMNS = ("count", "mean", "median")
"""Fields of the document of durations, after the key."""

MOST_ROWS = 100_000
"""Maximum number of rows read for these days; there are about 100 for each key."""

_LONGEST = 100 * 366 * 86_400


def _starts() -> list[int]:
    """Return the first second of each span, up to a hundred years: 0 to 20, 22, …, 10,488, 11,536, and so on."""
    starts = [0]
    while starts[-1] < _LONGEST:
        starts.append(starts[-1] + 1 + starts[-1] // 10 - (starts[-1] >= 10))
    return starts


_STARTS = _starts()


def yields(key: str | None, seconds: int, counted: str) -> tuple[tuple[tuple[str | None, str], int], ...]:
    """Return the yields for one duration of a key: one, its seconds, and one in the span of its seconds.

    Args:
        key: The key.
        seconds: How long it took, from 0.
        counted: The measure under which things are counted.
    """
    span = _STARTS[bisect_right(_STARTS, seconds) - 1]
    return ((key, counted), 1), ((key, SECONDS), seconds), ((key, str(span)), 1)


def summary(rows: Iterable[Mapping[str, Any]], by: str, counted: str) -> dict[str, Any]:
    """Return the document of durations, of everything and of each key that has any.

    The mean is exact, to a second. The median is wrong by at most 5 %, and exact below 20 seconds.

    Args:
        rows: Sums by key and measure, of the days that the document is of.
        by: The dimension that is the key.
        counted: The measure under which things are counted.
    """
    keys: dict[Any, Counter[str]] = {}
    for row in rows:
        keys.setdefault(row[by], Counter())[row["measure"]] += row["value"]
    counts = {key: of for key, of in keys.items() if of[counted] > 0}
    listed = sorted(counts.items(), key=lambda item: (item[0] is not None, item[0] or ""))
    return {
        "all": _of(sum(counts.values(), Counter()), counted),
        "rows": [{by: key, **_of(of, counted)} for key, of in listed],
    }


def _of(measures: Mapping[str, int], counted: str) -> dict[str, int | None]:
    count = measures.get(counted, 0)
    spans = sorted((int(name), number) for name, number in measures.items() if name.isdecimal())
    mean = round(measures.get(SECONDS, 0) / count) if count else None
    return {"count": count, "mean": mean, "median": _median(spans)}


def _median(spans: list[tuple[int, int]]) -> int | None:
    """Return the middle of the span in which the median lies, the lower one of two; None of nothing."""
    left = (sum(number for _, number in spans) + 1) // 2
    for start, number in spans:
        left -= number
        if left <= 0:
            end = _STARTS[bisect_right(_STARTS, start)] if start < _STARTS[-1] else start + 1
            return (start + end - 1) // 2
    return None

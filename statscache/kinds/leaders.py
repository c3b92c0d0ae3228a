"""Top keys and first-seen keys of a counter: queries for a plugin's own documents."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from statscache.exceptions import DamagedStatistics
from statscache.kinds import days as filed
from statscache.kinds import parts
from statscache.kinds.packed import Whole, starts, sums
from statscache.kinds.state import State
from statscache.kinds.tables import bucket, key
from statscache.store.bulk import Lookup
from statscache.timeline import DAY, floor

Leader = tuple[bytes, int]
"""A key as it is stored, and its sum."""

_lookup = Lookup(key, "key", "dimensions")


def leaders(state: State, days: int | None, part: bytes | None, limit: int, *, by_key: bool) -> list[Leader]:
    """Return the keys with the greatest sums; ties in order of the key.

    Args:
        state: State of the plugin.
        days: Over how many whole UTC days before the day of `through`; None for everything.
        part: Only this part of the keys' numbers; None for all of them.
        limit: Maximum number of keys.
        by_key: True if the numbers of days are stored by key, as unbounded counters do.
    """
    if state.through is None:
        return []
    number = None if part is None else parts.number_of(state.connection, state.plugin, part)
    if part is not None and number is None:
        return []
    if days is None and number is None:
        return _all_time(state, limit)
    end = floor(state.through, DAY)
    if days is not None and not by_key:
        return _in_buckets(state, end - days * DAY, end, limit)
    found = _of_part(state, number) if days is None else _in_days(state, end - days * DAY, end, number)
    return _greatest(state, *_added_up(found), limit)


def newcomers(state: State, days: int, part: bytes | None) -> list[list[int]]:
    """Return `[start of the day, number of keys that were seen first on it]`, oldest first; see `leaders`."""
    if state.through is None:
        return []
    end = floor(state.through, DAY)
    if part is None:
        day = (key.c.first - key.c.first % DAY).label("day")
        begins = key.c.plugin == state.plugin, key.c.first >= end - days * DAY, key.c.first < end
        query = select(day, func.count()).where(*begins).group_by(day).order_by(day)
        return [[start, number] for start, number in state.connection.execute(query)]
    day_of, part_of = _first_seen(state, end - days * DAY, end)
    number = parts.number_of(state.connection, state.plugin, part)
    counted = np.unique(day_of[part_of == number], return_counts=True)
    return [[start, number] for start, number in zip(*(column.tolist() for column in counted), strict=True)]


def newest(state: State, since: int, limit: int) -> list[tuple[bytes, int]]:
    """Return the keys that were seen first at `since` or later, each with that moment, newest first."""
    query = select(key.c.dimensions, key.c.first).where(key.c.plugin == state.plugin, key.c.first >= since)
    rows = state.connection.execute(query.order_by(key.c.first.desc(), key.c.dimensions).limit(limit))
    return [(row.dimensions, row.first) for row in rows]


def newcomers_by_part(state: State, days: int) -> list[tuple[int, bytes, int]]:
    """Return start of the day, part, and number of keys that were seen first in the part on it, in that order."""
    if state.through is None:
        return []
    end = floor(state.through, DAY)
    day_of, part_of = _first_seen(state, end - days * DAY, end)
    # One number holds both: the day, and 32 bits of the part.
    seen, counts = np.unique((day_of // DAY << 32) | part_of, return_counts=True)
    names = parts.names(state.connection, state.plugin, np.unique(seen & 0xFFFFFFFF).tolist())
    counted = zip(seen.tolist(), counts.tolist(), strict=True)
    return sorted(((both >> 32) * DAY, names[both & 0xFFFFFFFF], number) for both, number in counted)


def _first_seen(state: State, start: int, end: int) -> tuple[Whole, Whole]:
    """Return the day in `[start, end)` on which a key was first seen in a part, and the part, for each of both."""
    portions = [(of.first, of.part) for of in parts.of_all_keys(state.connection, state.plugin)]
    nothing = np.zeros(0, np.int64)
    first, part = (np.concatenate(columns) for columns in zip((nothing, nothing), *portions, strict=True))
    inside = (first >= start) & (first < end)
    return first[inside] // DAY * DAY, part[inside]


def _all_time(state: State, limit: int) -> list[Leader]:
    query = select(key.c.dimensions, key.c.total).where(key.c.plugin == state.plugin)
    rows = state.connection.execute(query.order_by(key.c.total.desc(), key.c.dimensions).limit(limit))
    return [(row.dimensions, row.total) for row in rows]


def _in_buckets(state: State, start: int, end: int, limit: int) -> list[Leader]:
    value = func.sum(bucket.c.value).label("value")
    query = (
        select(key.c.dimensions, value)
        .join(key, (key.c.plugin == bucket.c.plugin) & (key.c.key == bucket.c.key))
        .where(bucket.c.plugin == state.plugin, bucket.c.width == DAY, bucket.c.start >= start, bucket.c.start < end)
        .group_by(key.c.dimensions)
        .order_by(value.desc(), key.c.dimensions)
    )
    return [(row.dimensions, int(row.value)) for row in state.connection.execute(query.limit(limit))]


def _of_part(state: State, number: int | None) -> Iterator[tuple[Whole, Whole]]:
    """Yield keys and their totals of a part."""
    for of in parts.of_all_keys(state.connection, state.plugin):
        which = of.part == number
        yield of.key[which], of.total[which]


def _in_days(state: State, start: int, end: int, number: int | None) -> Iterator[tuple[Whole, Whole]]:
    """Yield keys and their values in days, perhaps of one part; a key may occur several times."""
    for of in filed.in_window(state.connection, state.plugin, start, end):
        which = slice(None) if number is None else of.part == number
        yield of.key[which], of.value[which]


def _added_up(portions: Iterator[tuple[Whole, Whole]]) -> tuple[Whole, NDArray[np.int64] | NDArray[np.object_]]:
    """Return keys, each once, and the sum of each."""
    nothing = np.zeros(0, np.int64)
    key_of, value = (np.concatenate(columns) for columns in zip((nothing, nothing), *portions, strict=True))
    order = np.argsort(key_of, kind="stable")
    at = starts(key_of[order])
    return key_of[order][at], sums(value[order], at)


def _greatest(state: State, key_of: Whole, value: NDArray[np.int64] | NDArray[np.object_], limit: int) -> list[Leader]:
    if len(value) > limit:
        # Among ties at the end, the order of the keys decides.
        which = value >= np.sort(value)[-limit]
        key_of, value = key_of[which], value[which]
    totals = dict(zip(key_of.tolist(), value.tolist(), strict=True))
    rows = _lookup(state.connection, (state.plugin,), [*totals])
    if len(rows) < len(totals):
        raise DamagedStatistics("days have no key in the database: `statscache db check` names the plugin")
    found = [(row.dimensions, totals[row.key]) for row in rows]
    return sorted(found, key=lambda leader: (-leader[1], leader[0]))[:limit]

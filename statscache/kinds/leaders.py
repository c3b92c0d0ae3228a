"""Who counts most, and who is new: queries over the keys of a counter, for documents of a plugin's own."""

from typing import Any

from sqlalchemy import Label, Select, Table, func, select

from statscache.kinds.base import State
from statscache.kinds.tables import bucket, key, key_day, key_part
from statscache.timeline import DAY, floor

Leader = tuple[bytes, int]
"""A key as it is stored, and its sum."""


def leaders(state: State, days: int | None, part: bytes | None, limit: int, *, by_key: bool) -> list[Leader]:
    """Return the keys with the greatest sums; ties in order of the key.

    Args:
        state: Of the plugin.
        days: Over how many whole UTC days before the day of `through`; None for everything.
        part: Only this part of the keys' numbers; None for all of them.
        limit: How many at most.
        by_key: Whether the numbers of days are filed by key, as those of unbounded counters.
    """
    if state.through is None:
        return []
    query = _all_time(state, part) if days is None else _in_days(state, days, part, by_key=by_key)
    query = query.order_by(query.selected_columns.value.desc(), key.c.dimensions).limit(limit)
    return [(row.dimensions, int(row.value)) for row in state.connection.execute(query)]


def newcomers(state: State, days: int, part: bytes | None) -> list[list[int]]:
    """Return `[start of the day, number of keys that were seen first on it]`, oldest first; see `leaders`."""
    if state.through is None:
        return []
    day, query = _first_seen(key if part is None else key_part, state.plugin, state.through, days)
    if part is not None:
        query = query.where(key_part.c.part == part)
    return [[start, number] for start, number in state.connection.execute(query.group_by(day).order_by(day))]


def newcomers_by_part(state: State, days: int) -> list[tuple[int, bytes, int]]:
    """Return start of the day, part, and number of keys that were seen first in the part on it, in that order."""
    if state.through is None:
        return []
    day, query = _first_seen(key_part, state.plugin, state.through, days)
    query = query.add_columns(key_part.c.part).group_by(day, key_part.c.part).order_by(day, key_part.c.part)
    return [(start, part, number) for start, number, part in state.connection.execute(query)]


def _first_seen(table: Table, plugin: int, through: int, days: int) -> tuple[Label[int], Select[Any]]:
    """Return the day, and the query for it and for the number of rows that begin on it."""
    day = (table.c.first - table.c.first % DAY).label("day")
    end = floor(through, DAY)
    begins = table.c.first >= end - days * DAY, table.c.first < end
    return day, select(day, func.count()).where(table.c.plugin == plugin, *begins)


def _all_time(state: State, part: bytes | None) -> Select[Any]:
    if part is None:
        return select(key.c.dimensions, key.c.total.label("value")).where(key.c.plugin == state.plugin)
    return (
        select(key.c.dimensions, key_part.c.total.label("value"))
        .join(key, (key.c.plugin == key_part.c.plugin) & (key.c.key == key_part.c.key))
        .where(key_part.c.plugin == state.plugin, key_part.c.part == part)
    )


def _in_days(state: State, days: int, part: bytes | None, *, by_key: bool) -> Select[Any]:
    assert state.through is not None
    end = floor(state.through, DAY)
    start = end - days * DAY
    table = key_day if by_key else bucket
    query = (
        select(key.c.dimensions, func.sum(table.c.value).label("value"))
        .join(key, (key.c.plugin == table.c.plugin) & (key.c.key == table.c.key))
        .where(key.c.plugin == state.plugin, key.c.last >= start, table.c.start >= start, table.c.start < end)
        .group_by(key.c.dimensions)
    )
    if not by_key:
        query = query.where(bucket.c.width == DAY)
    return query if part is None else query.where(key_day.c.part == part)

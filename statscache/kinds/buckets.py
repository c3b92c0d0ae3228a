"""Numbers by bucket of time and key, shared by the kinds that publish series.

A bucket is identified by the width of its resolution, its start, and its key, which is stored once in the table
`key` with its total and with the times of its first and last event.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, Integer, Select, bindparam, delete, func, select
from sqlalchemy.sql.expression import ColumnElement

from statscache.kinds import keys
from statscache.kinds.keys import MOST_IN_SERIES, OTHER
from statscache.kinds.state import State
from statscache.kinds.tables import BUCKET, KEY, bucket, key
from statscache.store.bulk import Upsert, among
from statscache.timeline import Resolution

if TYPE_CHECKING:
    from statscache.kinds.packed import Whole
    from statscache.kinds.sums import Sightings, Sums


def _with(table: Any, new: Any) -> dict[str, Any]:
    value = table.c.value + new.value
    return {"value": value, "checksum": BUCKET.merged({"value": value})}


_add = Upsert(bucket, _with)

_MINE = bucket.c.plugin == bindparam("plugin"), bucket.c.width == bindparam("width")
_FROM = *_MINE, bucket.c.start >= bindparam("first")
_INSIDE = (*_FROM, bucket.c.start < bindparam("end"))
_NAMED = (key.c.plugin == bucket.c.plugin) & (key.c.key == bucket.c.key)
_IS_KEY = bucket.c.key != bindparam("other")
_SUMS = select(bucket.c.key, func.sum(bucket.c.value)).where(*_INSIDE).group_by(bucket.c.key)
_NUMBER_OF_KEYS = select(func.count(bucket.c.key.distinct())).where(*_INSIDE, _IS_KEY)
_ROWS = (
    select(bucket.c.start, key.c.dimensions, bucket.c.value)
    .join(key, _NAMED)
    .where(*_INSIDE)
    .order_by(bucket.c.start, key.c.dimensions)
)
_GREATEST = (
    select(bucket.c.key)
    .join(key, _NAMED)
    .where(*_INSIDE, _IS_KEY)
    .group_by(bucket.c.key, key.c.dimensions)
    .order_by(func.sum(bucket.c.value).desc(), key.c.dimensions)
    .limit(bindparam("most", type_=Integer))
)
_COUNTED = (
    select(bucket.c.start, func.count().label("keys"), func.sum(bucket.c.value).label("value"))
    .where(*_INSIDE)
    .group_by(bucket.c.start)
)
_NEXT = select(func.min(bucket.c.start)).where(*_FROM)
_EXPIRED = delete(bucket).where(*_MINE, bucket.c.start < bindparam("kept_from"))


def add(state: State, width: int, start: "Whole", key: "Whole", value: "Whole") -> None:
    """Add values to buckets of a width, given as columns, sorted by start and key."""
    columns = start, key, value, BUCKET.of(state.plugin, width, start, key, value)
    rows = zip(repeat(state.plugin), repeat(width), *(column.tolist() for column in columns))
    _add(state.connection, [*rows])


def _adding_keys(least: Callable[..., Any], greatest: Callable[..., Any]) -> Upsert:
    def merge(table: Any, new: Any) -> dict[str, Any]:
        numbers = {
            "total": table.c.total + new.total,
            "first": least(table.c.first, new.first),
            "last": greatest(table.c.last, new.last),
        }
        columns = {"parts": new.parts, "years": new.years, "entries": new.entries}
        return {**numbers, **columns, "checksum": KEY.merged(numbers)}

    return Upsert(key, merge)


_add_keys = {
    "sqlite": _adding_keys(func.min, func.max),
    "postgresql": _adding_keys(func.least, func.greatest),
}


def add_keys(
    state: State,
    new: "Sums | Sightings",
    totals: Sequence[int],
    parts: Sequence[bytes] | None = None,
    years: Sequence[bytes] | None = None,
    entries: Sequence[bytes] | None = None,
) -> None:
    """Add totals to the keys of a batch, widen their times, and store their new compact columns, if any."""
    columns = new.keys.tolist(), new.stored, totals, new.first.tolist(), new.last.tolist()
    packed = (repeat(None) if column is None else column for column in (parts, years, entries))
    checksums = KEY.of(state.plugin, new.keys, np.array(totals, np.int64), new.first, new.last)
    rows = zip(repeat(state.plugin), *columns, *packed, checksums.tolist())
    _add_keys[state.connection.dialect.name](state.connection, [*rows])


def kept_from(resolution: Resolution, through: int | None) -> int:
    """Return the start of the oldest bucket that is kept; 0 if all are."""
    start = None if through is None else resolution.kept_from(through)
    return 0 if start is None else start


def add_values(state: State, resolution: Resolution, new: "Sums") -> list[int]:
    """Add the sums of a batch to the buckets of a resolution that are kept, and return their starts, sorted."""
    of = new.buckets[resolution.width]
    kept = of.start >= kept_from(resolution, state.through)
    start = of.start[kept]
    # In the order of the table: buckets are sorted by start and index of the key, and keys by digest.
    add(state, resolution.width, start, new.keys[of.key[kept]], of.value[kept])
    starts: list[int] = np.unique(start).tolist()
    return starts


def drop_expired(state: State, resolution: Resolution) -> None:
    """Remove the buckets of periods that are no longer kept."""
    if resolution.keep is not None:
        kept = kept_from(resolution, state.through)
        state.connection.execute(_EXPIRED, {"plugin": state.plugin, "width": resolution.width, "kept_from": kept})


def sums(state: State, resolution: Resolution, start: int, end: int) -> dict[int, int]:
    """Return the sum of the buckets in `[start, end)` by digest of key."""
    inside = {"plugin": state.plugin, "width": resolution.width, "first": start, "end": end}
    return {digest: int(total) for digest, total in state.connection.execute(_SUMS, inside)}


def series(
    state: State,
    resolution: Resolution,
    start: int,
    end: int,
    dimensions: int,
    *,
    summed: bool,
    listed: Sequence[ColumnElement[bool]] = (),
) -> list[list[Any]]:
    """Return the rows `[timestamp, *dimensions, value]` of the buckets in `[start, end)`, sorted so.

    Of more than `MOST_IN_SERIES` keys they are the greatest. What others have in a bucket is added up under `OTHER` if
    values may be `summed`, else it is left out. Only buckets that satisfy the conditions `listed` are read.
    """
    inside = _inside(state, resolution, start, end)
    other, most = {"other": _other(dimensions)}, {"most": MOST_IN_SERIES}
    is_cut = (state.connection.scalar(_only(_NUMBER_OF_KEYS, listed), inside | other) or 0) > MOST_IN_SERIES
    chosen = [*listed]
    if is_cut:
        chosen.append(among(bucket.c.key, state.connection.scalars(_only(_GREATEST, listed), inside | other | most)))
    found = state.connection.execute(_only(_ROWS, chosen), inside).all()
    loaded = {stored: keys.load(stored) for stored in {stored for _, stored, _ in found}}
    rows = [[begin, *loaded[stored], value] for begin, stored, value in found]
    if not is_cut or not summed:
        return rows
    counted = state.connection.execute(_only(_COUNTED, listed), inside).all()
    rows += _others(counted, rows, dimensions)
    return sorted(rows, key=lambda row: (row[0], keys.stored(tuple(row[1:-1]))))


def number_of_keys(state: State, resolution: Resolution, start: int, end: int, dimensions: int) -> int:
    """Return how many keys have a value in the buckets in `[start, end)`; `OTHER` is none."""
    inside = _inside(state, resolution, start, end)
    return state.connection.scalar(_NUMBER_OF_KEYS, inside | {"other": _other(dimensions)}) or 0


def _other(dimensions: int) -> int:
    return keys.digest((OTHER,) * dimensions)


def _inside(state: State, resolution: Resolution, start: int, end: int) -> dict[str, int]:
    """Return the parameters of `_INSIDE`."""
    first = max(start, kept_from(resolution, state.through))
    return {"plugin": state.plugin, "width": resolution.width, "first": first, "end": end}


def _only(query: Select[Any], conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    return query.where(*conditions) if conditions else query


def _others(counted: Sequence[Any], rows: list[list[Any]], dimensions: int) -> Iterator[list[Any]]:
    """Yield a row for each bucket that has keys besides those in `rows`: what they have in it.

    Args:
        counted: For each bucket, its start, and number and sum of its keys.
        rows: The rows of a series.
        dimensions: Number of dimensions of a key.
    """
    shown: dict[int, list[int]] = {}
    for row in rows:
        shown.setdefault(row[0], []).append(row[-1])
    for each in counted:
        values = shown.get(each.start, [])
        if each.keys > len(values):
            yield [each.start, *(OTHER,) * dimensions, int(each.value) - sum(values)]


def starts(state: State, resolution: Resolution) -> list[int]:
    """Return the start of one bucket in each period that has one, oldest first."""
    found: list[int] = []
    after = kept_from(resolution, state.through)
    # One seek for each period, instead of a scan of all its buckets.
    while True:
        start = state.connection.scalar(_NEXT, {"plugin": state.plugin, "width": resolution.width, "first": after})
        if start is None:
            return found
        found.append(start)
        after = resolution.period(start).end


def names(connection: Connection, plugin: int) -> Mapping[int, keys.Key]:
    """Return all keys of a plugin by their digest."""
    query = select(key.c.key, key.c.dimensions).where(key.c.plugin == plugin)
    return {row.key: keys.load(row.dimensions) for row in connection.execute(query)}


def dump(
    connection: Connection, plugin: int, resolutions: Sequence[Resolution], through: int | None
) -> Iterator[tuple[Any, ...]]:
    """Yield keys and kept buckets, row by row in a declared order, for a recount to compare with."""
    for row in connection.execute(select(key).where(key.c.plugin == plugin).order_by(key.c.dimensions)):
        yield ("key", keys.load(row.dimensions), row.total, row.first, row.last)
    of = names(connection, plugin)
    for resolution in resolutions:
        query = select(bucket).where(
            bucket.c.plugin == plugin,
            bucket.c.width == resolution.width,
            bucket.c.start >= kept_from(resolution, through),
        )
        for row in connection.execute(query.order_by(bucket.c.start, bucket.c.key)):
            yield (resolution.name, row.start, of[row.key], row.value)

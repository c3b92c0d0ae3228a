"""Rows that are lost, or stored in another place because a number of their primary key decayed.

A query for their place does not find them, so their checksums are not compared. But other rows say that they must
exist: a key has days, days have hours, a set has as many members as its bucket says.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np
from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Select,
    Table,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)

from statscache.kinds import days, member_sets, years
from statscache.kinds.packed import Whole, starts, sums
from statscache.kinds.tables import bucket, key, key_quarter, member
from statscache.store.schema import plugin
from statscache.timeline import DAILY, DAY, HOURLY, MINUTELY, Resolution

_ADDED_UP = ((MINUTELY, HOURLY), (HOURLY, DAILY))

_LEAST, _GREATEST = -(2**63), 2**63 - 1
"""Of 64 bits."""

_plugin: BindParameter[int] = bindparam("plugin")
_width: BindParameter[int] = bindparam("width")
_start: BindParameter[int] = bindparam("start")
_KEYS = select(key.c.key).where(key.c.plugin == _plugin)
_TOTAL = select(func.sum(key.c.total)).where(key.c.plugin == _plugin)
_MEMBERS = select(func.count(), func.max(member.c.number)).where(member.c.plugin == _plugin)
_MOVED_IN_QUARTER = _KEYS.where(
    key.c.last.between(bindparam("begin"), bindparam("end")) | key.c.first.between(bindparam("begin"), bindparam("end"))
)
_HAVING_QUARTER = select(key_quarter.c.key).where(
    key_quarter.c.plugin == _plugin, key_quarter.c.quarter == bindparam("quarter")
)
_IN_BUCKETS = bucket.c.plugin == _plugin, bucket.c.width == _width, bucket.c.start >= _start
_SUM = select(func.sum(bucket.c.value)).where(*_IN_BUCKETS)
_COUNTED = (
    select(bucket.c.width, bucket.c.start, bucket.c.key, bucket.c.value)
    .where(*_IN_BUCKETS)
    .order_by(bucket.c.start, bucket.c.key)
)


def _missing(keys: Select[tuple[int]], having: Select[tuple[int]]) -> CompoundSelect[tuple[int]]:
    """Return the query for a key that one query finds and another does not."""
    # Not a join: before PostgreSQL has counted rows, it may look through all of one side for each of the other.
    return keys.except_(having).limit(1)


_WITHOUT_QUARTER = _missing(_MOVED_IN_QUARTER, _HAVING_QUARTER)


@cache
def _without_key(table: Table) -> CompoundSelect[tuple[int]]:
    """Return the query for a key of a plugin's rows that the plugin does not have.

    Parameters besides `plugin` are `width` and `start` of the oldest, or `quarters`, where the table has these.
    """
    query = select(table.c.key).where(table.c.plugin == _plugin)
    if "width" in table.c:
        query = query.where(table.c.width == _width, table.c.start >= _start)
    elif table is key_quarter:
        query = query.where(table.c.quarter.in_(bindparam("quarters", expanding=True)))
    return _missing(query, _KEYS)


@cache
def _without_row(table: Table) -> CompoundSelect[tuple[int]]:
    """Return the query for a key of a plugin that has no row in a table."""
    return _missing(_KEYS, select(table.c.key).where(table.c.plugin == _plugin))


@cache
def _between(tables: tuple[Table, ...]) -> CompoundSelect[Any]:
    """Return the query for the index of each table, and the least number of a plugin in it, `first` to `last`."""
    return union_all(
        *(
            select(literal_column(str(index)), func.min(table.c.plugin)).where(
                table.c.plugin.between(bindparam("first"), bindparam("last"))
            )
            for index, table in enumerate(tables)
        )
    )


def of_no_plugin(connection: Connection, tables: tuple[Table, ...]) -> Table | None:
    """Return the first of these tables that has a row of a plugin that does not exist; None if there is none."""
    known = connection.scalars(select(plugin.c.id).order_by(plugin.c.id))
    # One seek for each plugin that is missing between others, instead of a scan of all rows.
    for before, after in pairwise([_LEAST - 1, *known, _GREATEST + 1]):
        if after - before > 1:
            found = connection.execute(_between(tables), {"first": before + 1, "last": after - 1})
            if indices := [int(index) for index, least in found if least is not None]:
                return tables[min(indices)]
    return None


def have_no_key(connection: Connection, number: int, tables: Iterable[Table], since: Mapping[int, int]) -> bool:
    """Return whether a row of a plugin belongs to no key.

    Args:
        connection: The transaction.
        number: The number of the plugin.
        tables: Where to look.
        since: By width of buckets, the start of the oldest to look at; others are left out.
    """
    for table in tables:
        if table is key or "key" not in table.c:
            continue
        places: list[dict[str, Any]] = [{}]
        if "width" in table.c:
            places = [{"width": width, "start": start} for width, start in since.items()]
        elif table is key_quarter:
            start = since.get(DAY)
            places = [] if start is None else [{"quarters": days.quarters(connection, number, start, days.END)}]
        if any(_finds(connection, _without_key(table), plugin=number, **place) for place in places):
            return True
    return False


def keys_have_none(connection: Connection, number: int, table: Table) -> bool:
    """Return whether a key of a plugin has no row in a table."""
    return _finds(connection, _without_row(table), plugin=number)


def keys_lack_days(connection: Connection, number: int, start: int, newest: int) -> bool:
    """Return whether a key of a plugin began or moved in a quarter in which it has no days.

    Args:
        connection: The transaction.
        number: The number of the plugin.
        start: The oldest day that matters; quarters before are left out.
        newest: Timestamp of the newest message that the plugin counted.
    """
    for quarter in days.touched(start, newest + 1):
        bounds = {"begin": days.quarter_start(quarter), "end": days.quarter_start(quarter + 1) - 1}
        if _finds(connection, _WITHOUT_QUARTER, plugin=number, quarter=quarter, **bounds):
            return True
    return False


def years_lack_days(connection: Connection, number: int, rows: Sequence[Any], start: int) -> bool:
    """Return whether the years of some keys do not add up to the total, or the days of a recent year not to the year.

    Args:
        connection: The transaction.
        number: The number of the plugin.
        rows: Digest, total, and column `years` of the keys.
        start: The oldest day that matters; years before are left out.
    """
    of = years.unpacked([row.key for row in rows], [row.years for row in rows])
    digests, totals = (np.array([row[at] for row in rows], np.int64) for at in (0, 1))
    if _differ((digests,), totals, (of.key,), of.total):
        return True
    oldest = days.year_of(np.array(days.touched(start, start + 1)))[0]
    recent = of.year >= oldest
    found = days.of_years(connection, number, of.key[recent], of.year[recent])
    year_of = days.year_of(days.quarter_of(found.start))
    return _differ((of.key[recent], of.year[recent]), of.total[recent], (found.key, year_of), found.value)


def _differ(groups: Sequence[Whole], values: Whole, other_groups: Sequence[Whole], others: Whole) -> bool:
    """Return whether values do not have the same sums by group as others."""
    columns = [np.concatenate(pair) for pair in zip(groups, other_groups, strict=True)]
    order = np.lexsort(columns)
    return bool(np.any(sums(np.concatenate([values, -others])[order], starts(*(column[order] for column in columns)))))


def do_not_add_up(connection: Connection, number: int, since: Mapping[int, int], through: int) -> bool:
    """Return whether minutes do not add up to hours, hours not to days, or all days not to totals, in what is read.

    Args:
        connection: The transaction.
        number: The number of the plugin, a counter with buckets.
        since: By width of buckets, the start of the oldest that is read.
        through: The journal's clock.
    """
    if since.get(DAY) == 0 and _sum(connection, number, DAILY, 0) != (
        connection.scalar(_TOTAL, {"plugin": number}) or 0
    ):
        return True
    for fine, coarse in _ADDED_UP:
        oldest = [since[each.width] for each in (fine, coarse) if each.width in since]
        if fine.width not in since or not oldest:
            continue
        start = max(coarse.floor(min(oldest)), fine.kept_from(through) or 0)
        if _sum(connection, number, fine, start) != _sum(connection, number, coarse, start):
            return True
    return False


def _finds(connection: Connection, query: CompoundSelect[Any], **parameters: Any) -> bool:
    return connection.execute(query, parameters).first() is not None


def _sum(connection: Connection, number: int, resolution: Resolution, start: int) -> int:
    mine = {"plugin": number, "width": resolution.width, "start": start}
    return int(connection.scalar(_SUM, mine) or 0)


def members_lack_numbers(connection: Connection, number: int) -> bool:
    """Return whether a member of a plugin is missing: they are numbered from 0 on."""
    members, greatest = connection.execute(_MEMBERS, {"plugin": number}).one()
    return bool(members) and members != greatest + 1


def members_are_not_counted(connection: Connection, number: int, since: Mapping[int, int]) -> bool:
    """Return whether a set has other members than its bucket says, or a member is missing.

    Args:
        connection: The transaction.
        number: The number of the plugin.
        since: By width of buckets, the start of the oldest to look at; others are left out.
    """
    if members_lack_numbers(connection, number):
        return True
    for width, start in since.items():
        rows = connection.execute(_COUNTED, {"plugin": number, "width": width, "start": start})
        sets = member_sets.counts(connection, number, {width: start})
        if any(row is None or tuple(row) != members for row, members in zip_longest(rows, sets)):
            return True
    return False

"""Rows that are lost, or stored in another place because a number of their primary key decayed.

A query for their place does not find them, so their checksums are not compared. But other rows say that they must
exist: a key has days, days have hours, a set has as many members as its bucket says.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, Table, func, select

from statscache.kinds import days, member_sets, years
from statscache.kinds.packed import Whole, starts, sums
from statscache.kinds.tables import bucket, key, key_quarter, member
from statscache.store.schema import plugin
from statscache.timeline import DAILY, DAY, HOURLY, MINUTELY, Resolution

_ADDED_UP = ((MINUTELY, HOURLY), (HOURLY, DAILY))


def of_no_plugin(connection: Connection, tables: Iterable[Table]) -> Table | None:
    """Return the first of these tables that has a row of a plugin that does not exist; None if there is none."""
    known = {*connection.scalars(select(plugin.c.id))}
    for table in tables:
        # One seek for each plugin, instead of a scan of all its rows.
        number = connection.scalar(select(func.min(table.c.plugin)))
        while number is not None:
            if number not in known:
                return table
            number = connection.scalar(select(func.min(table.c.plugin)).where(table.c.plugin > number))
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
        query = select(table.c.key).where(table.c.plugin == number)
        queries = [query]
        if "width" in table.c:
            queries = [query.where(table.c.width == width, table.c.start >= start) for width, start in since.items()]
        elif table is key_quarter:
            start = since.get(DAY)
            recent = [] if start is None else days.quarters(connection, number, start, days.END)
            queries = [query.where(table.c.quarter.in_(recent))]
        if any(_are_missing(connection, each, select(key.c.key).where(key.c.plugin == number)) for each in queries):
            return True
    return False


def keys_have_none(connection: Connection, number: int, table: Table) -> bool:
    """Return whether a key of a plugin has no row in a table."""
    keys = select(key.c.key).where(key.c.plugin == number)
    return _are_missing(connection, keys, select(table.c.key).where(table.c.plugin == number))


def keys_lack_days(connection: Connection, number: int, start: int) -> bool:
    """Return whether a key of a plugin began or moved in a quarter in which it has no days.

    Args:
        connection: The transaction.
        number: The number of the plugin.
        start: The oldest day that matters; quarters before are left out.
    """
    newest = connection.scalar(select(func.max(key.c.last)).where(key.c.plugin == number))
    for quarter in () if newest is None else days.touched(start, newest + 1):
        begin, end = days.quarter_start(quarter), days.quarter_start(quarter + 1)
        inside = (key.c.last.between(begin, end - 1)) | (key.c.first.between(begin, end - 1))
        keys = select(key.c.key).where(key.c.plugin == number, inside)
        having = select(key_quarter.c.key).where(key_quarter.c.plugin == number, key_quarter.c.quarter == quarter)
        if _are_missing(connection, keys, having):
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
        connection.scalar(select(func.sum(key.c.total)).where(key.c.plugin == number)) or 0
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


def _are_missing(connection: Connection, keys: Select[tuple[int]], having: Select[tuple[int]]) -> bool:
    """Return whether a query finds keys that another one does not."""
    # Not a join: before PostgreSQL has counted rows, it may look through all of one side for each of the other.
    return connection.execute(keys.except_(having).limit(1)).first() is not None


def _sum(connection: Connection, number: int, resolution: Resolution, start: int) -> int:
    mine = bucket.c.plugin == number, bucket.c.width == resolution.width, bucket.c.start >= start
    return int(connection.scalar(select(func.sum(bucket.c.value)).where(*mine)) or 0)


def members_lack_numbers(connection: Connection, number: int) -> bool:
    """Return whether a member of a plugin is missing: they are numbered from 0 on."""
    query = select(func.count(), func.max(member.c.number)).where(member.c.plugin == number)
    members, greatest = connection.execute(query).one()
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
        columns = bucket.c.width, bucket.c.start, bucket.c.key, bucket.c.value
        mine = bucket.c.plugin == number, bucket.c.width == width, bucket.c.start >= start
        rows = connection.execute(select(*columns).where(*mine).order_by(bucket.c.start, bucket.c.key))
        sets = member_sets.counts(connection, number, {width: start})
        if any(row is None or tuple(row) != members for row, members in zip_longest(rows, sets)):
            return True
    return False

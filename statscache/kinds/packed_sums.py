"""Invariants of compact rows: their entries add up to what is stored beside them."""

from collections.abc import Callable, Iterator

import numpy as np
from sqlalchemy import Connection, SelectBase, select

from statscache.exceptions import DamagedStatistics
from statscache.kinds import days as filed
from statscache.kinds import key_entries, lost_rows, member_sets, parts, years
from statscache.kinds.packed import Whole
from statscache.kinds.tables import bucket, key, key_quarter, member, member_set, part
from statscache.store.schema import plugin

Adds = Iterator[tuple[Whole, Whole]]
"""Digests of keys, and numbers that count for each; a key may occur several times."""


def days(connection: Connection) -> str | None:
    """Return the name of a plugin of whose keys the days do not add up to the total; None if there is none."""

    def values(number: int) -> Adds:
        for portion in filed.in_window(connection, number, filed.BEGINNING, filed.END):
            yield portion.key, portion.value

    # A key that has years has days, also where all rows of these are lost.
    having = select(key_quarter.c.plugin).union(select(key.c.plugin).where(key.c.years.is_not(None)))
    return _first(connection, having, lambda number: _add_up(connection, number, values(number)))


def parts_of_keys(connection: Connection) -> str | None:
    """Return the name of a plugin of whose keys the parts do not add up to the total; None if there is none."""

    def totals(number: int) -> Adds:
        for portion in parts.of_all_keys(connection, number):
            yield portion.key, portion.total

    def hold(number: int) -> bool:
        known = [*parts.names(connection, number)]
        named = [np.isin(portion.part, known).all() for portion in parts.of_all_keys(connection, number)]
        # Most counters do not divide their numbers.
        return not (named or known) or (all(named) and _add_up(connection, number, totals(number)))

    return _first(connection, select(key.c.plugin).union(select(part.c.plugin)), hold)


def years_of_keys(connection: Connection) -> str | None:
    """Return the name of a plugin of whose keys the years do not add up to the total; None if there is none."""

    def totals(number: int) -> Adds:
        for portion in years.of_all_keys(connection, number):
            yield portion.key, portion.total

    return _first(connection, select(key_quarter.c.plugin), lambda number: _add_up(connection, number, totals(number)))


def entries_of_keys(connection: Connection) -> str | None:
    """Return the name of a plugin of whose keys the entries are not of its time, or too many; None if there is none."""

    def hold(number: int) -> bool:
        for row, entries in key_entries.of_all_keys(connection, number):
            ordered = entries == sorted(entries, reverse=True)
            if not ordered or any(not row.first <= timestamp <= row.last for timestamp, _ in entries):
                return False
            if len(entries) > row.total:
                return False
        return True

    return _first(connection, select(key.c.plugin).where(key.c.entries.is_not(None)), hold)


def members(connection: Connection) -> str | None:
    """Return the name of a plugin of whose buckets the members are not as many as the number; None if there is none."""

    def hold(number: int) -> bool:
        if lost_rows.members_lack_numbers(connection, number):
            return False
        rows = select(bucket.c.width, bucket.c.start, bucket.c.key, bucket.c.value).where(bucket.c.plugin == number)
        expected = {row[:3]: row[3] for row in map(tuple, connection.execute(rows))}
        counted = {(width, start, digest): n for width, start, digest, n in member_sets.counts(connection, number)}
        return counted == expected

    return _first(connection, select(member_set.c.plugin).union(select(member.c.plugin)), hold)


def _first(connection: Connection, having: SelectBase, hold: Callable[[int], bool]) -> str | None:
    """Return the name of the first plugin, of those whose numbers a query finds, for which something does not hold."""
    rows = select(plugin.c.id, plugin.c.name).where(plugin.c.id.in_(having))
    for number, name in connection.execute(rows.order_by(plugin.c.id)).all():
        try:
            if not hold(number):
                return str(name)
        except (DamagedStatistics, ValueError, IndexError) as error:
            return f"{name} ({error})"
    return None


def _add_up(connection: Connection, number: int, values: Adds) -> bool:
    """Return whether the values of each key add up to its total; values of unknown keys are left out."""
    rows = connection.execute(select(key.c.key, key.c.total).where(key.c.plugin == number).order_by(key.c.key))
    columns = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
    digests, totals = columns[:, 0], columns[:, 1]
    # Beyond 64 bits both sides wrap around, so that equal sums stay equal.
    left = totals.copy()
    for keys, each in values:
        if not len(digests):
            return not len(keys)
        at = np.minimum(np.searchsorted(digests, keys), len(digests) - 1)
        known = digests[at] == keys
        np.subtract.at(left, at[known], each[known])
    return not left.any()

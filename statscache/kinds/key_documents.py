"""What is published of the keys of an unbounded counter: their recent years, and the older ones that changed.

Everything is done for many keys at once, on whole columns. Of each key the rows of the wanted years are read and no
others, with a few statements for a thousand keys.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from statscache.kinds import days, keys, parts, years
from statscache.kinds.base import KeyDocument, KeyPart, KeyYear, State, Times
from statscache.kinds.packed import Whole, starts, sums
from statscache.kinds.tables import key
from statscache.store.bulk import Lookup
from statscache.store.changed_keys import Keys
from statscache.timeline import DAY, WEEK

_YEARS_AT_ONCE = 1_000
"""Changed years of keys that are in memory at a time."""

_BEYOND = 2**32
"""More than there are years: one number tells a key by its index, and a year."""

_lookup = Lookup(key, "key", "dimensions", "total", "first", "last", "parts", "years")

_Filed = Mapping[tuple[int, ...], Times]
"""Times and values by digest of the key, year, and for weeks the number of the part."""


class _Year(NamedTuple):
    """One year of a key: its sum, whether it is recent, and whether what is published of it may have changed."""

    year: int
    total: int
    is_recent: bool
    is_wanted: bool


class _Part(NamedTuple):
    """One part of a key: its number, name and sum."""

    number: int
    name: str | None
    total: int


def documents(state: State, changed: Keys, breakdown: str | None) -> Iterator[KeyDocument]:
    """Yield what is published of keys that exist; a bounded number of them is in memory at a time.

    Args:
        state: Of the plugin.
        changed: The keys, and the years of each that changed; see `changed_keys`.
        breakdown: The field of a part's name; None where numbers are not divided.
    """
    if not len(changed):
        return
    first = starts(changed["key"])
    # A portion ends with the last year of a key.
    cuts = first[starts(first // _YEARS_AT_ONCE)].tolist()
    for begin, end in pairwise([*cuts, len(changed)]):
        yield from _portion(state, changed[begin:end], breakdown)


def _portion(state: State, changed: Keys, breakdown: str | None) -> Iterator[KeyDocument]:
    connection, plugin = state.connection, state.plugin
    digests = np.unique(changed["key"])
    rows = _lookup(connection, (plugin,), digests.tolist())
    of = years.unpacked([(row.key, row.years) for row in rows])
    index = np.searchsorted(digests, of.key)
    is_recent = of.year > years.newest(index, of.year, len(digests))[index] - years.RECENT
    is_changed = np.isin(
        index * _BEYOND + of.year, np.searchsorted(digests, changed["key"]) * _BEYOND + changed["year"]
    )
    is_wanted = is_recent | is_changed
    found = days.of_years(connection, plugin, of.key[is_wanted], of.year[is_wanted])
    found_year = days.year_of(days.quarter_of(found.start))
    by_day = _filed((found.key, found_year), found.start, found.value)
    by_week: _Filed = {}
    parts_of: Mapping[int, Sequence[_Part]] = {}
    if breakdown is not None:
        # Mondays: 1970 began on a Thursday.
        monday = found.start - (found.start + 3 * DAY) % WEEK
        by_week = _filed((found.key, found_year, found.part), monday, found.value)
        parts_of = _parts(state, [(row.key, row.parts) for row in rows])
    years_of: dict[int, list[_Year]] = {row.key: [] for row in rows}
    for digest, *about in zip(*(c.tolist() for c in (*of, is_recent, is_wanted)), strict=True):
        years_of[digest].append(_Year(*about))
    for row in rows:
        digest, of_key, of_parts = row.key, years_of[row.key], parts_of.get(row.key, ())
        recent = [each.year for each in of_key if each.is_recent]
        yield KeyDocument(
            key=keys.load(row.dimensions),
            total=row.total,
            first=row.first,
            last=row.last,
            years=[(each.year, each.total) for each in of_key],
            days={str(each): by_day[digest, each] for each in recent},
            part=breakdown,
            parts=[
                KeyPart(name, total, {str(at): weeks for at in recent if (weeks := by_week.get((digest, at, number)))})
                for number, name, total in of_parts
            ],
            older=[
                KeyYear(year, total, by_day[digest, year], _parts_in(digest, year, of_parts, by_week))
                for year, total, is_recent, is_wanted in of_key
                if is_wanted and not is_recent
            ],
        )


def _filed(owner: Sequence[Whole], time: Whole, value: Whole) -> _Filed:
    """Return the values of each owner by time, ascending; values of the same time are added up."""
    order = np.lexsort((time, *reversed(owner)))
    owner, time, value = [column[order] for column in owner], time[order], value[order]
    at = starts(*owner, time)
    pairs = [*zip(time[at].tolist(), sums(value, at).tolist(), strict=True)]
    owner = [column[at] for column in owner]
    at = starts(*owner)
    owners = zip(*(column[at].tolist() for column in owner), strict=True)
    ends = pairwise([*at.tolist(), len(pairs)])
    return {which: pairs[begin:end] for which, (begin, end) in zip(owners, ends, strict=True)}


def _parts(state: State, rows: Sequence[tuple[int, bytes]]) -> Mapping[int, Sequence[_Part]]:
    """Return the parts of each key in order of their names, null first, by digest."""
    stored = parts.names(state.connection, state.plugin)
    names = {number: keys.load(name)[0] for number, name in stored.items()}
    of = parts.unpacked(rows)
    order = np.lexsort((parts.ranks(stored)[of.part], of.key))
    found: dict[int, list[_Part]] = {digest: [] for digest, _ in rows}
    for digest, number, total in zip(*(c[order].tolist() for c in (of.key, of.part, of.total)), strict=True):
        found[digest].append(_Part(number, names[number], total))
    return found


def _parts_in(digest: int, year: int, of_key: Sequence[_Part], by_week: _Filed) -> list[KeyPart]:
    """Return the parts that a key has in one year."""
    found = ((part.name, by_week.get((digest, year, part.number))) for part in of_key)
    return [KeyPart(name, sum(value for _, value in weeks), {str(year): weeks}) for name, weeks in found if weeks]

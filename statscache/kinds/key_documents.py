"""What is published of the keys of an unbounded counter: their recent years, and the older ones that changed.

Everything is done for many keys at once, on whole columns. Only the rows of the wanted years
of each key are read, with a few statements for a thousand keys.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from statscache.kinds import days, key_entries, keys, parts, years
from statscache.kinds.packed import Whole, starts, sums
from statscache.kinds.state import ByYear, KeyDocument, KeyPart, KeyYear, State, Times
from statscache.kinds.tables import key
from statscache.store.bulk import Lookup
from statscache.store.changed_keys import Keys
from statscache.timeline import DAY, WEEK

_YEARS_AT_ONCE = 1_000
"""Changed years of keys that are in memory at a time."""

_BEYOND = 2**32
"""More than there are years, so that one number can hold the index of a key and a year."""

_lookup = Lookup(key, "key", "dimensions", "total", "first", "last", "parts", "years", "entries")

_Filed = Mapping[tuple[int, ...], Times]
"""Times and values by digest of the key, year, and for weeks the number of the part."""


class _Year(NamedTuple):
    """One year of a key: its sum, whether it is recent, and whether its document may have changed."""

    year: int
    total: int
    is_recent: bool
    is_wanted: bool


class _Part(NamedTuple):
    """One part of a key: its number, name and sum."""

    number: int
    name: str | None
    total: int


def documents(
    state: State, changed: Keys, breakdown: str | None, name: str, *, has_entries: bool
) -> Iterator[KeyDocument]:
    """Yield the documents of keys that exist; a bounded number of them is in memory at a time.

    Args:
        state: State of the plugin.
        changed: The keys, and the years of each that changed; see `changed_keys`.
        breakdown: The field of a part's name; None where numbers are not divided.
        name: Name of the plugin.
        has_entries: True if entries of keys are kept.

    Raises:
        DamagedStatistics: The days or the years of a key do not add up, or its digest is not that of its name.
    """
    if not len(changed):
        return
    first = starts(changed["key"])
    # A portion ends with the last year of a key.
    cuts = first[starts(first // _YEARS_AT_ONCE)].tolist()
    for begin, end in pairwise([*cuts, len(changed)]):
        yield from _Portion(state, changed[begin:end], breakdown, name).documents(has_entries=has_entries)


class _Portion:
    """The data for the documents of some keys.

    Args:
        state: State of the plugin.
        changed: The keys, and the years of each that changed.
        breakdown: The field of a part's name; None where numbers are not divided.
        name: Name of the plugin.
    """

    def __init__(self, state: State, changed: Keys, breakdown: str | None, name: str) -> None:
        digests = np.unique(changed["key"])
        self._rows = _lookup(state.connection, (state.plugin,), digests.tolist())
        gone = ~np.isin(changed["key"], [row.key for row in self._rows])
        # A key that was forgotten or dropped has no days either.
        if gone.any() and len(
            days.of_years(state.connection, state.plugin, changed["key"][gone], changed["year"][gone]).key
        ):
            raise keys.damaged(name)
        self._breakdown = breakdown
        self._plugin = name
        of = years.unpacked([row.key for row in self._rows], [row.years for row in self._rows])
        index = np.searchsorted(digests, of.key)
        is_recent = of.year > years.newest(index, of.year, len(digests))[index] - years.RECENT
        touched = np.searchsorted(digests, changed["key"]) * _BEYOND + changed["year"]
        is_wanted = is_recent | np.isin(index * _BEYOND + of.year, touched)
        self._years: dict[int, list[_Year]] = {row.key: [] for row in self._rows}
        for digest, *about in zip(*(column.tolist() for column in (*of, is_recent, is_wanted)), strict=True):
            self._years[digest].append(_Year(*about))
        found = days.of_years(state.connection, state.plugin, of.key[is_wanted], of.year[is_wanted])
        year = days.year_of(days.quarter_of(found.start))
        self._by_day = _filed((found.key, year), found.start, found.value)
        self._by_week: _Filed = {}
        self._parts: Mapping[int, Sequence[_Part]] = {}
        if breakdown is not None:
            # Mondays: 1970 began on a Thursday.
            monday = found.start - (found.start + 3 * DAY) % WEEK
            self._by_week = _filed((found.key, year, found.part), monday, found.value)
            self._parts = _parts(state, [row.key for row in self._rows], [row.parts for row in self._rows])

    def documents(self, *, has_entries: bool) -> Iterator[KeyDocument]:
        """Yield the document of each key."""
        for row in self._rows:
            of_key = self._years[row.key]
            # Sums are stored beside what they are made of, so a row that decayed or is lost is noticed here.
            if row.total != sum(each.total for each in of_key) or any(
                each.is_wanted and each.total != sum(value for _, value in self._by_day.get((row.key, each.year), ()))
                for each in of_key
            ):
                raise keys.damaged(self._plugin)
            recent = [each.year for each in of_key if each.is_recent]
            yield KeyDocument(
                key=keys.named(self._plugin, row.key, row.dimensions),
                total=row.total,
                first=row.first,
                last=row.last,
                years=[(each.year, each.total) for each in of_key],
                days={str(year): self._by_day[row.key, year] for year in recent},
                part=self._breakdown,
                parts=[
                    KeyPart(name, total, self._weeks(row.key, number, recent))
                    for number, name, total in self._parts.get(row.key, ())
                ],
                older=[self._older(row.key, each) for each in of_key if each.is_wanted and not each.is_recent],
                entries=key_entries.unpacked(row.key, row.entries) if has_entries else None,
            )

    def _older(self, digest: int, of: _Year) -> KeyYear:
        """Return the document of one older year of a key."""
        parts_of_year = []
        for number, name, _ in self._parts.get(digest, ()):
            if weeks := self._weeks(digest, number, [of.year]):
                parts_of_year.append(KeyPart(name, sum(value for _, value in weeks[str(of.year)]), weeks))
        return KeyYear(of.year, of.total, self._by_day[digest, of.year], parts_of_year)

    def _weeks(self, digest: int, number: int, wanted: Sequence[int]) -> ByYear:
        """Return the weeks of a part in those of the years in which it has any."""
        return {str(year): weeks for year in wanted if (weeks := self._by_week.get((digest, year, number)))}


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


def _parts(state: State, digests: Sequence[int], data: Sequence[bytes]) -> Mapping[int, Sequence[_Part]]:
    """Return the parts of each key in order of their names, null first, by digest."""
    of = parts.unpacked(digests, data)
    stored = parts.names(state.connection, state.plugin, np.unique(of.part).tolist())
    names = {number: keys.load(name)[0] for number, name in stored.items()}
    order = np.lexsort((parts.ranks(stored)[of.part], of.key))
    found: dict[int, list[_Part]] = {digest: [] for digest in digests}
    for digest, number, total in zip(*(c[order].tolist() for c in (of.key, of.part, of.total)), strict=True):
        found[digest].append(_Part(number, names[number], total))
    return found

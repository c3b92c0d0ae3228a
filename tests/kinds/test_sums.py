"""Sums by column equal sums by hand, whatever was yielded."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statscache.kinds.sums import group, sightings, sum_up
from statscache.kinds.yields import Yields
from statscache.timeline import DAILY, DAY, HOURLY, MINUTELY

KEYS = [(digest, f"key {digest}".encode()) for digest in (-(2**63), -5, 0, 7, 2**63 - 1)]
ITEMS = st.tuples(st.sampled_from(KEYS), st.integers(-5, 5), st.sampled_from([b"", b"a", b"b"]))
TIMES = st.integers(0, 400) | st.integers(0, 200 * DAY)
ROWS = st.lists(st.tuples(TIMES, ITEMS), min_size=1, max_size=60)


def columns(items: list[Any], times: list[int]) -> Yields:
    """Return yields of the first items, one for each time; no yield refers to the other items."""
    which = np.arange(len(times))
    return Yields([*items, items[0]], which, which, np.array(times, np.int64))


@given(ROWS)
def test_sums_are_those_by_hand(rows: list[tuple[int, Any]]) -> None:
    """By key, bucket, part and day, with the first and the last time of each."""
    items = [(key[0], key[1], amount, part) for _, (key, amount, part) in rows]
    times = [time for time, _ in rows]
    sums = sum_up(columns([*items, (*KEYS[0], 1, b"unused")], times), (MINUTELY, HOURLY, DAILY), divided=True)
    totals: dict[int, int] = defaultdict(int)
    parts: dict[tuple[int, bytes], int] = defaultdict(int)
    first_of_part: dict[tuple[int, bytes], int] = {}
    days: dict[tuple[int, bytes, int], int] = defaultdict(int)
    for (digest, _, amount, part), time in zip(items, times, strict=True):
        totals[digest] += amount
        parts[digest, part] += amount
        first_of_part[digest, part] = min(time, first_of_part.get((digest, part), time))
        days[digest, part, time // DAY * DAY] += amount
    keys = sums.keys.tolist()
    assert dict(zip(keys, sums.totals.tolist(), strict=True)) == totals
    assert dict(zip(keys, sums.stored, strict=True)) == {digest: dict(KEYS)[digest] for digest in totals}
    for index, digest in enumerate(keys):
        mine = [time for time, item in zip(times, items, strict=True) if item[0] == digest]
        assert (sums.first[index], sums.last[index]) == (min(mine), max(mine))
    assert sums.parts is not None
    assert {*sums.parts.names} == {part for _, part in parts}
    names = [(keys[key], sums.parts.names[part]) for key, part in zip(sums.parts.key, sums.parts.part, strict=True)]
    assert dict(zip(names, sums.parts.total.tolist(), strict=True)) == parts
    assert dict(zip(names, sums.parts.first.tolist(), strict=True)) == first_of_part
    by_day = zip(sums.parts.day_key, sums.parts.day_part, sums.parts.day_start, sums.parts.day_value, strict=True)
    assert {(keys[key], sums.parts.names[part], int(start)): int(value) for key, part, start, value in by_day} == days
    for resolution in (MINUTELY, HOURLY, DAILY):
        buckets: dict[tuple[int, int], int] = defaultdict(int)
        for (digest, _, amount, _), time in zip(items, times, strict=True):
            if time >= (resolution.kept_from(max(times)) or 0):
                buckets[digest, resolution.floor(time)] += amount
        made = zip(*(column.tolist() for column in sums.buckets[resolution.width]), strict=True)
        assert {(keys[key], start): value for key, start, value in made} == buckets


def test_a_sum_that_might_not_fit_is_refused() -> None:
    """So that its messages are tried by fewer at a time, and the one to blame is found."""
    items = [(1, b"k", 2**52, b"")] * 4096
    with pytest.raises(OverflowError, match="4096 amounts"):
        sum_up(columns(items, [0] * 4096), (), divided=False)
    assert sum_up(columns(items[:2000], [0] * 2000), (), divided=False).totals.tolist() == [2000 * 2**52]


@given(st.lists(st.tuples(TIMES, st.sampled_from(KEYS), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=60))
def test_sightings_hold_each_member_of_a_day_once(rows: list[tuple[int, Any, int]]) -> None:
    """Whatever the digests of keys and members."""
    seen = sightings(columns([(key[0], key[1], member) for _, key, member in rows], [time for time, *_ in rows]))
    made = zip(seen.keys[seen.key].tolist(), seen.start.tolist(), seen.member.tolist(), strict=True)
    expected = {(key[0], time // DAY * DAY, member) for time, key, member in rows}
    triples = [*made]
    assert len(triples) == len(expected)
    assert {*triples} == expected


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 10**6), st.integers(-4, 4)), max_size=50))
def test_groups_are_those_by_hand(rows: list[tuple[int, int, int]]) -> None:
    """By counting and by sorting, with amounts and without."""
    first, second, amounts = (np.array(column, np.int64) for column in (zip(*rows, strict=True) if rows else [[]] * 3))
    for spread in (second, second % 3):
        expected: dict[tuple[int, int], int] = defaultdict(int)
        counted: dict[tuple[int, int], int] = defaultdict(int)
        for one, other, amount in zip(first.tolist(), spread.tolist(), amounts.tolist(), strict=True):
            expected[one, other] += amount
            counted[one, other] += 1
        for given_amounts, right in ((amounts, expected), (None, counted)):
            (ones, others), sums = group((first, spread), given_amounts)
            assert dict(zip(zip(ones.tolist(), others.tolist(), strict=True), sums.tolist(), strict=True)) == right


def test_combinations_beyond_64_bits_are_refused() -> None:
    """Their codes would wrap around, and two groups could become one."""
    wide = np.array([0, 2**31])
    with pytest.raises(OverflowError, match="do not fit into 64 bits"):
        group((wide, wide, np.array([0, 1])))


def test_compact_yields_are_the_same_without_the_items_of_others() -> None:
    """What is left of a batch when it is halved costs what it holds."""
    items = [(key[0], key[1], 1, b"") for key in KEYS]
    half = columns(items, [0, 1, 2, 3, 4]).only(np.array([False, True, False, True, False]))
    assert half.compact().items == [items[1], items[3]]
    assert half.compact().which.tolist() == [0, 1]
    assert half.compact().times.tolist() == [1, 3]

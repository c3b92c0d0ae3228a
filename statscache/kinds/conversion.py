"""Sums and sightings in dictionaries, as columns: until `combine` makes columns itself."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from statscache.kinds import reduced, sums
from statscache.kinds.packed import Whole


def sums_as_columns(of: sums.Sums, widths: Collection[int]) -> reduced.Sums:
    """Return sums with the buckets of each of these widths."""
    index = {digest: at for at, digest in enumerate(of.totals)}
    return reduced.Sums(
        keys=_whole(index),
        stored=[of.stored[digest] for digest in index],
        totals=_whole(of.totals.values()),
        first=_whole(of.first[digest] for digest in index),
        last=_whole(of.last[digest] for digest in index),
        buckets={width: _buckets(of.buckets, width, index) for width in widths},
        parts=None if of.parts is None else _parts(of.parts, index),
    )


def _buckets(of: Mapping[int, Mapping[int, int]], width: int, index: Mapping[int, int]) -> reduced.Buckets:
    rolled: dict[tuple[int, int], int] = defaultdict(int)
    for start, values in of.items():
        for digest, value in values.items():
            rolled[start - start % width, digest] += value
    return reduced.Buckets(
        key=_whole(index[digest] for _, digest in rolled),
        start=_whole(start for start, _ in rolled),
        value=_whole(rolled.values()),
    )


def _parts(of: sums.PartSums, index: Mapping[int, int]) -> reduced.PartSums:
    names = {name: at for at, name in enumerate(dict.fromkeys(name for _, name in of.totals))}
    return reduced.PartSums(
        names=[*names],
        key=_whole(index[digest] for digest, _ in of.totals),
        part=_whole(names[name] for _, name in of.totals),
        total=_whole(of.totals.values()),
        first=_whole(of.first[which] for which in of.totals),
        day_key=_whole(index[digest] for _, (digest, _) in of.days),
        day_part=_whole(names[name] for _, (_, name) in of.days),
        day_start=_whole(start for start, _ in of.days),
        day_value=_whole(of.days.values()),
    )


def sightings_as_columns(
    seen: Collection[tuple[int, int, int]],
    stored: Mapping[int, bytes],
    first: Mapping[int, int],
    last: Mapping[int, int],
) -> reduced.Sightings:
    """Return sightings; `seen` has start of the day, digest of the key and digest of the member."""
    index = {digest: at for at, digest in enumerate(stored)}
    return reduced.Sightings(
        keys=_whole(index),
        stored=[*stored.values()],
        first=_whole(first[digest] for digest in index),
        last=_whole(last[digest] for digest in index),
        key=_whole(index[digest] for _, digest, _ in seen),
        start=_whole(start for start, _, _ in seen),
        member=_whole(member for _, _, member in seen),
    )


def _whole(values: Iterable[int]) -> Whole:
    return np.array([*values], np.int64)

"""Keys whose documents changed, as one compact row for each fold: digest and calendar year, each pair once."""

from collections.abc import Iterable
from random import Random

import numpy as np
from numpy.typing import ArrayLike, NDArray

Keys = NDArray[np.void]
"""Rows with `key`, the digest, and `year`, the calendar year of days that changed; sorted, each once."""

Digests = NDArray[np.int64]
"""Digests of keys."""

_FORM = np.dtype([("key", "<i8"), ("year", "<i2")])


def pack(digests: ArrayLike, years: ArrayLike) -> bytes:
    """Return the row of these keys, given as columns; a pair may occur more than once."""
    made = np.empty(np.size(digests), _FORM)
    made["key"], made["year"] = digests, years
    return _each_once(made).tobytes()


def unpack(rows: Iterable[bytes]) -> Keys:
    """Return the keys of all these rows."""
    return _each_once(np.frombuffer(b"".join(rows), _FORM))


def split(keys: Keys, most: int) -> tuple[Keys, Keys]:
    """Return some keys with about `most` rows in all, at least one key, and the rest.

    The keys are chosen at random, so that a sender of made-up names cannot delay the others.
    """
    if most >= len(keys):
        return keys, keys[:0]
    distinct, which, rows = np.unique(keys["key"], return_inverse=True, return_counts=True)
    order = np.array(Random().sample(range(len(distinct)), len(distinct)))
    fitting = np.searchsorted(np.cumsum(rows[order]), most, side="right")
    chosen = np.zeros(len(distinct), bool)
    chosen[order[: max(1, int(fitting))]] = True
    return keys[chosen[which]], keys[~chosen[which]]


def are_in(digests: ArrayLike, among: Digests) -> NDArray[np.bool_]:
    """Return for each of the digests whether it is among others, which are sorted.

    numpy's `isin` would sort them again in each call; a flood of names asks for a few of 100,000 many times.
    """
    wanted = np.asarray(digests, np.int64)
    if not len(among):
        return np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    found: NDArray[np.bool_] = among[at] == wanted
    return found


def _each_once(keys: Keys) -> Keys:
    # Sorting by columns is some ten times as fast as sorting structures.
    ordered: Keys = keys[np.lexsort((keys["year"], keys["key"]))]
    is_new = np.ones(len(ordered), bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]

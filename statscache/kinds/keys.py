"""Keys of statistics: tuples of strings and nulls, their allowed values, and their encodings in the database.

The bus decides what is counted, so any sender could make keys of any length and number. A part that
its dimension does not admit is counted under `OTHER`, and so is what one message yields beyond `MOST`. Both depend on
the message alone, so the order and the batches in which messages come change nothing (law 1).

- *stored*: bytes whose order is the order of the keys (null first, then by code point), one zero byte after each part;
- *digest*: 64 bits of the digest of these bytes, by which tables refer to a key.

In paths, a key is encoded by `statscache.layout.key_name`.
"""

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Any

from statscache import canonical
from statscache.exceptions import DamagedStatistics, YieldError

Key = tuple[str | None, ...]
"""The values of a statistic's dimensions."""

OTHER = "(other)"
"""The part of a key that stands for all that has no key of its own, because it is too long, too strange or too much."""

MOST = 100
"""Yields of one message that count with keys of their own, for each statistic."""

MOST_KEYS = 1_000
"""Keys of a bounded counter that `latest` lists, the greatest; the rest is added up under `OTHER`."""

MOST_IN_SERIES = 300
"""Keys that one period of a series lists, the greatest of it; the rest is added up under `OTHER`, or left out."""

LONGEST = 200
"""Characters of the longest part of a key, unless its dimension admits fewer or more."""

ALPHABETS: Mapping[str, re.Pattern[str]] = {
    "category": re.compile(r"[A-Za-z0-9_+-]{0,64}"),
    "cycle": re.compile(r"[A-Za-z0-9._-]{0,32}"),
    "release": re.compile(r"[A-Za-z0-9._-]{0,32}"),
    # AMQP has no longer one.
    "topic": re.compile(r"[!-~]{0,255}"),
}
"""What a dimension admits, by its name. Any other one admits up to `LONGEST` printable characters."""

_NULL = b"\x00"
_TEXT = b"\x01"
_END = b"\x00"


def stored(key: Key) -> bytes:
    """Return the bytes of a key; they sort as keys do."""
    # A list is joined in half the time of a generator.
    return b"".join([_NULL if part is None else _TEXT + part.encode() + _END for part in key])


def load(data: bytes) -> Key:
    """Return the key that `stored` encoded as `data`."""
    parts: list[str | None] = []
    at = 0
    while at < len(data):
        if data[at : at + 1] == _NULL:
            parts.append(None)
            at += 1
        else:
            end = data.index(_END, at + 1)
            parts.append(data[at + 1 : end].decode())
            at = end + 1
    return tuple(parts)


@lru_cache(maxsize=8_192)
def named(plugin: str, digest: int, data: bytes) -> Key:
    """Return a key of a plugin, given as it is stored and with its digest.

    Raises:
        DamagedStatistics: Both are not of one key.
    """
    if canonical.digest64(data) != digest:
        raise damaged(plugin)
    return load(data)


def damaged(plugin: str) -> DamagedStatistics:
    """Return the error that a row of a plugin's state is damaged."""
    return DamagedStatistics(
        f"a row of the statistics of {plugin} is damaged in the database: `statscache rebuild {plugin}` counts again"
    )


@lru_cache(maxsize=32_768)
def identity(key: Key) -> tuple[int, bytes]:
    """Return the digest of a key and the key as it is stored; several statistics count for one name."""
    data = stored(key)
    return canonical.digest64(data), data


def digest(key: Key) -> int:
    """Return the 64 bits by which tables refer to a key."""
    return canonical.digest64(stored(key))


def check(dimensions: tuple[str, ...], key: Any) -> Key:
    """Return a key of these dimensions, with `OTHER` for each part that its dimension does not admit.

    Raises:
        YieldError: It is not one; the text shows the value and what was expected.
    """
    if not isinstance(key, tuple):
        message = f"a key is a tuple with one part for each of {dimensions}, such as ('copr',); got {key!r:.200}"
        raise YieldError(message)
    if len(key) != len(dimensions):
        raise YieldError(f"the key {key!r:.200} has {len(key)} parts; the dimensions are {dimensions}")
    for name, part in zip(dimensions, key, strict=True):
        if part is not None and (type(part) is not str or admitted(name, part) is not part):
            return tuple(_checked(name, part, key) for name, part in zip(dimensions, key, strict=True))
    return key if type(key) is tuple else (*key,)


def _checked(dimension: str, part: Any, key: Any) -> str | None:
    """Return a part of a key, or `OTHER`; see `check`."""
    if part is None:
        return None
    if not isinstance(part, str):
        raise YieldError(f"the part {dimension!r} of the key {key!r:.200} must be a string or None")
    left = admitted(dimension, part)
    # No dimension admits a NUL or a lone surrogate.
    if left is not part and ("\0" in part or not _encodes(part)):
        raise YieldError(f"the part {dimension!r} of the key {key!r:.200} holds a NUL or a lone surrogate")
    return left


def admitted(dimension: str, part: str) -> str:
    """Return a part of a key if its dimension admits it, else `OTHER`."""
    alphabet = ALPHABETS.get(dimension)
    if alphabet is None:
        return part if len(part) <= LONGEST and part.isprintable() else OTHER
    return part if alphabet.fullmatch(part) else OTHER


def is_dropped(key: Key, patterns: tuple[str, ...]) -> bool:
    """Return whether a part of a key matches one of the patterns, as in a shell."""
    matches = matching(patterns).match
    return any(part is not None and matches(part) for part in key)


@lru_cache
def matching(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches the whole of a text that matches one of the patterns, as in a shell; case counts."""
    return re.compile("|".join(map(translate, patterns)))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

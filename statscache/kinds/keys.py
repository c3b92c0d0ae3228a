"""Keys of statistics: tuples of strings and nulls, and their encodings in the database.

- *stored*: bytes whose order is the order of the keys (null first, then by code point), one zero byte behind each part;
- *digest*: 64 bits of the digest of these bytes, by which tables refer to a key.

In paths, a key is encoded by `statscache.layout.key_name`.
"""

from functools import lru_cache
from typing import Any

from statscache import canonical
from statscache.exceptions import YieldError
from statscache.kinds.dimensions import admitted

Key = tuple[str | None, ...]
"""The values of a statistic's dimensions."""

_NULL = b"\x00"
_TEXT = b"\x01"
_END = b"\x00"


def stored(key: Key) -> bytes:
    """Return the bytes of a key; they sort as keys do."""
    return b"".join(_NULL if part is None else _TEXT + part.encode() + _END for part in key)


def load(data: bytes) -> Key:
    """Return the key of which `stored` made `data`."""
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
def digest(key: Key) -> int:
    """Return the 64 bits by which tables refer to a key."""
    return canonical.digest64(stored(key))


def check(dimensions: tuple[str, ...], key: Any) -> Key:
    """Return a key of these dimensions, with `OTHER` for each part that its dimension does not admit.

    Raises:
        YieldError: It is not; the text shows it and what was expected.
    """
    if not isinstance(key, tuple):
        message = f"a key is a tuple with one part for each of {dimensions}, such as ('copr',); got {key!r:.200}"
        raise YieldError(message)
    if len(key) != len(dimensions):
        raise YieldError(f"the key {key!r:.200} has {len(key)} parts; the dimensions are {dimensions}")
    for name, part in zip(dimensions, key, strict=True):
        if part is None:
            continue
        if not isinstance(part, str):
            raise YieldError(f"the part {name!r} of the key {key!r:.200} must be a string or None")
        if "\0" in part or not _encodes(part):
            raise YieldError(f"the part {name!r} of the key {key!r:.200} holds a NUL or a lone surrogate")
    return tuple(part if part is None else admitted(name, part) for name, part in zip(dimensions, key, strict=True))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Canonical JSON and digests: the same value gives the same bytes on every machine.

The form is that of the published format: UTF-8, keys sorted by code point, no spaces, no needless escapes and a
final newline. Values that are hashed for an identity have no final newline.
"""

import hashlib
from typing import Any

import orjson


def dumps(value: Any) -> bytes:
    """Return `value` as canonical JSON with a final newline, for a file.

    Raises:
        TypeError: The value holds something that JSON cannot represent.
    """
    return trimmed(orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def encode(value: Any) -> bytes:
    """Return `value` as canonical JSON without a final newline, as identities are hashed.

    To keep many of them, trim them first.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def trimmed(data: bytes) -> bytes:
    """Return a copy that takes only the memory it needs: orjson leaves 4 kB and more unused."""
    return bytes(memoryview(data))


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lowercase hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest64(data: bytes) -> int:
    """Return the first 64 bits of the SHA-256 of `data`, as a signed integer that a BIGINT holds."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big", signed=True)

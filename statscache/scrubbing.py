"""Remove people's names from messages: each occurrence becomes `_`, which derivation ignores.

A name is replaced where it is a whole word, in upper or lower case; a hyphen or an underscore next to it makes it part
of another name. In a header that names a person or package, the word is what follows `fedora_messaging_user_`.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import orjson

from statscache.message import Message

NOBODY = "_"
"""Replaces the name of a suppressed person; derivation ignores it."""

_HEADER = re.compile(r"(fedora_messaging_[a-z]+_)(.*)", re.DOTALL)
_WHERE_AND_WHEN = frozenset({"topic", "id", "msg_id"})
"""Fields of an envelope that identify a message; never a person's name."""


def forms(name: str) -> frozenset[str]:
    """Return the Unicode forms of a name: a letter with an accent can be one character or two."""
    return frozenset(unicodedata.normalize(form, name.strip()) for form in ("NFC", "NFD"))


def spellings(names: frozenset[str]) -> set[str]:
    """Return the names in the usual cases: as given, lowercase, uppercase, and capitalized."""
    return {each for name in names for each in (name, name.lower(), name.upper(), name.capitalize())}


def scrub(message: Message, names: frozenset[str]) -> Message:
    """Return the message without these names in its body and headers, keys included; the same one if none occurs.

    Topic, id and time stay, so that the message is still counted in the same places.
    """
    record = message.record()
    if not is_within(record, names):
        return message
    replace = _replacing(names)
    id, topic, timestamp, body, *headers = orjson.loads(record)
    kept = {_header(key, replace): _scrubbed(value, replace) for key, value in headers[0].items()} if headers else None
    return Message(id, topic, timestamp, _scrubbed(body, replace), kept)


def scrub_bytes(raw: bytes, names: frozenset[str]) -> bytes:
    """Return a malformed or held line without these names; the same bytes if none occurs.

    In JSON, every text and key is scrubbed except topic and id; in anything else, whatever can be read as text.
    """
    text = raw.decode(errors="surrogateescape")
    escaped = _escaped_words(names)
    try:
        value = json.loads(text)
        scrubbed = _scrubbed_envelope(value, _replacing(names))
        # If an object has a key twice, the parser drops the first.
        if scrubbed == value and not escaped.search(text):
            return raw
        return json.dumps(scrubbed).encode()
    except (ValueError, RecursionError):
        return escaped.sub(NOBODY, text).encode(errors="surrogateescape")


def occurs(text: str, names: frozenset[str]) -> bool:
    """Return whether one of these names is in a text as a whole word."""
    return _words(names).search(text) is not None


def is_within(data: bytes, names: frozenset[str]) -> bool:
    """Return whether one of these names is in canonical JSON, even within a word; much faster than `occurs`."""
    ascii_only, needles = _needles(names)
    lowered = data.lower() if ascii_only else data.decode().lower().encode()
    return any(needle in lowered for needle in needles)


def texts(value: Any) -> Iterator[str]:
    """Yield every text and key of a value of JSON."""
    if type(value) is str:
        yield value
    elif type(value) is dict:
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif type(value) is list:
        for inner in value:
            yield from texts(inner)


@cache
def _words(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, _ordered(names)))})(?![\w-])", re.IGNORECASE)


@cache
def _needles(names: frozenset[str]) -> tuple[bool, tuple[bytes, ...]]:
    """Return whether all names are ASCII, and each name as written in JSON, in lowercase."""
    return all(map(str.isascii, names)), tuple(orjson.dumps(name.lower())[1:-1] for name in names)


@cache
def _escaped_words(names: frozenset[str]) -> re.Pattern[str]:
    """Return a pattern of the names as whole words, in text and in JSON whose characters may be escaped."""
    written = ("".join(f"(?:{'|'.join(_characters(character))})" for character in name) for name in _ordered(names))
    before = r"(?:(?<![\w-])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
    return re.compile(rf"{before}(?:{'|'.join(written)})(?![\w-])", re.IGNORECASE)


def _characters(character: str) -> Iterator[str]:
    yield re.escape(character)
    for cased in sorted({character, character.lower(), character.upper()}):
        yield re.escape(json.dumps(cased)[1:-1])
        yield "".join(rf"\\u{unit:04x}" for unit in _utf16(cased))


def _utf16(text: str) -> Iterator[int]:
    data = text.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


def _ordered(names: frozenset[str]) -> list[str]:
    # If one name is the beginning of another, the longer one is tried first.
    return sorted(names, key=lambda name: (-len(name), name))


def _replacing(names: frozenset[str]) -> Callable[[str], str]:
    words = _words(names)
    return lambda text: words.sub(NOBODY, text)


def _header(key: str, replace: Callable[[str], str]) -> str:
    matched = _HEADER.fullmatch(key)
    return matched[1] + replace(matched[2]) if matched else replace(key)


def _scrubbed_envelope(value: Any, replace: Callable[[str], str]) -> Any:
    if type(value) is not dict:
        return _scrubbed(value, replace)
    scrubbed = {}
    for key, inner in value.items():
        if key == "headers" and type(inner) is dict:
            inner = {_header(name, replace): _scrubbed(value, replace) for name, value in inner.items()}
        elif key not in _WHERE_AND_WHEN:
            inner = _scrubbed(inner, replace)
        scrubbed[replace(key)] = inner
    return scrubbed


def _scrubbed(value: Any, replace: Callable[[str], str]) -> Any:
    if type(value) is str:
        return replace(value)
    if type(value) is dict:
        return {replace(key): _scrubbed(inner, replace) for key, inner in value.items()}
    if type(value) is list:
        return [_scrubbed(inner, replace) for inner in value]
    return value

"""Leaving people out: a message without a person's name says `_` where it stood, which is nobody.

A name is replaced where it stands as a whole word, in any case of its letters: a hyphen or an underscore beside it
makes it part of another name. In a header that names a person or package, what follows `fedora_messaging_user_` is
the word.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from statscache.message import Message

NOBODY = "_"
"""What stands for a person who is left out; derivation takes it for nobody."""

_HEADER = re.compile(r"(fedora_messaging_[a-z]+_)(.*)", re.DOTALL)


def scrub(message: Message, names: frozenset[str]) -> Message:
    """Return the message without these names in its body and headers, keys included; itself where none occurs.

    Topic, id and time stay, so that the message still counts where it counted.
    """
    occurs, replace = _patterns(names)
    record = message.record()
    if not occurs(record.decode()):
        return message
    id, topic, timestamp, body, *headers = orjson.loads(record)
    kept = {_header(key, replace): _scrubbed(value, replace) for key, value in headers[0].items()} if headers else None
    return Message(id, topic, timestamp, _scrubbed(body, replace), kept)


@cache
def _patterns(names: frozenset[str]) -> tuple[Callable[[str], object], Callable[[str], str]]:
    """Return what finds any of the names in JSON, perhaps within a word, and what replaces them in text."""
    # Of two names that begin alike, the longer one is tried first.
    ordered = sorted(names, key=lambda name: (-len(name), name))
    escaped = "|".join(re.escape(orjson.dumps(name).decode()[1:-1]) for name in ordered)
    words = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, ordered))})(?![\w-])", re.IGNORECASE)
    return re.compile(escaped, re.IGNORECASE).search, lambda text: words.sub(NOBODY, text)


def _header(key: str, replace: Callable[[str], str]) -> str:
    matched = _HEADER.fullmatch(key)
    return matched[1] + replace(matched[2]) if matched else replace(key)


def _scrubbed(value: Any, replace: Callable[[str], str]) -> Any:
    # A message is nested at most 100 deep.
    if type(value) is str:
        return replace(value)
    if type(value) is dict:
        return {replace(key): _scrubbed(inner, replace) for key, inner in value.items()}
    if type(value) is list:
        return [_scrubbed(inner, replace) for inner in value]
    return value

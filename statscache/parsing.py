"""Parse a message from any envelope, live or historical, or raise an error that describes the fault.

A message is identified by what its sender published: topic, time, body, and the sender's headers that name people and
packages. Fields that a history server adds (`meta`, `users`, `packages`, `agent_name`) and that the transport adds
(`i`, `crypto`, `signature`, the Unix account in `username`) are not read at all, so a message is the same message from
every source.

Parsing is the hot path: `orjson` does the work. Each rule that `orjson` does not enforce is first checked by a cheap
search over the record (the canonical JSON of all that is kept), which never misses a violation. Only a record in which
the search finds something is examined value by value.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from statscache import canonical
from statscache.exceptions import MalformedMessage
from statscache.message import Message, record_of

MAX_TOPIC = 1000
"""Characters of the longest topic that is accepted."""

MAX_ID = 500
"""Characters of the longest id that is accepted."""

MAX_DEPTH = 100
"""Maximum depth of nested objects and arrays; the envelope is the first level."""

END_OF_TIME = 253402300800
"""Seconds since 1970 UTC of the year 10000, which no timestamp reaches."""

_PEOPLE_AND_PACKAGES = (
    "fedora_messaging_user_",
    "fedora_messaging_rpm_",
    "fedora_messaging_container_",
    "fedora_messaging_flatpak_",
    "fedora_messaging_module_",
)
# An integer beyond 64 bits is read as a float, and a float of 1e16 and more is written so: 1.8446744073709552e+19.
_LARGE_NUMBER = b"e+"
_NUL = b"\\u0000"
_LONGEST_PATH = 200
_PLUS, _BACKSLASH = ord("+"), ord("\\")
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]*)?", re.ASCII)


def parse(raw: bytes) -> Message:
    """Return the message in `raw`, which is JSON in the envelope of fedmsg, fedora-messaging or datagrepper.

    A message without an id, or with an empty one, is identified by the SHA-256 of its topic, time and body.
    An id that is not text is refused: no sender makes one. A message without a body has the body null.

    Raises:
        MalformedMessage: The bytes are not a message; the text says what is wrong, where, and what was expected.
    """
    try:
        envelope = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedMessage(f"not JSON: {error}") from error
    if type(envelope) is not dict:
        raise MalformedMessage(f"JSON, but {_kind(envelope)}: expected an object with topic and timestamp")

    topic = envelope.get("topic")
    if type(topic) is not str or not 0 < len(topic) <= MAX_TOPIC:
        raise MalformedMessage(_refusal("topic", topic, f"text of 1 to {MAX_TOPIC} characters"))

    body_field = "msg" if "msg" in envelope else "body"
    body = envelope.get(body_field)
    headers = envelope.get("headers")
    kept: dict[str, Any] | None = None
    if headers and type(headers) is dict:
        kept = _kept(headers)
    else:
        headers = {}

    timestamp = envelope.get("timestamp")
    if (type(timestamp) is float or type(timestamp) is int) and 0 <= timestamp < END_OF_TIME:
        seconds = int(timestamp)
    elif timestamp is not None:
        seconds = _seconds("timestamp", timestamp)
    else:
        seconds = _seconds("headers.sent-at", headers.get("sent-at"))

    field = "msg_id" if "msg_id" in envelope else "id"
    id = envelope.get(field)
    if id is not None and (type(id) is not str or len(id) > MAX_ID):
        raise MalformedMessage(_refusal(field, id, f"text of at most {MAX_ID} characters, or none"))

    try:
        if not id:
            id = canonical.digest(canonical.encode([topic, seconds, body]))
        record = record_of(id, topic, seconds, body, kept)
    except orjson.JSONEncodeError as error:
        # `orjson` reads deeper nesting than it writes.
        raise MalformedMessage(f"nested more than {MAX_DEPTH} deep") from error
    # A single byte is found many times as fast as two, fastest when given as a number, so it is searched for first.
    if (_PLUS in record and _LARGE_NUMBER in record) or (_BACKSLASH in record and _NUL in record):
        _examine(raw, ("topic", field, body_field, "headers"))
    # Brackets are counted by removing them: `replace` jumps from one to the next, `count` reads every byte.
    if len(record) - len(record.replace(b"{", b"").replace(b"[", b"")) > MAX_DEPTH:
        _bound_depth(body_field, body, 1)
        _bound_depth("headers", kept, 1)
    return Message(id, topic, seconds, body, kept, record)


def _kept(headers: dict[str, Any]) -> dict[str, Any]:
    """Return the headers that name people and packages."""
    return {key: value for key, value in headers.items() if key.startswith(_PEOPLE_AND_PACKAGES)}


def _seconds(field: str, value: Any) -> int:
    """Return `value`, a number or text in ISO 8601 (no zone means UTC), as whole seconds since 1970 UTC."""
    expected = "seconds since 1970 or ISO 8601, in the years 1970 to 9999"
    seconds: float | None = None
    if type(value) is int or type(value) is float:
        seconds = value
    elif type(value) is str:
        if _DECIMAL.fullmatch(value):
            seconds = float(value)
        else:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError as error:
                raise MalformedMessage(_refusal(field, value, expected)) from error
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    elif value is None:
        raise MalformedMessage(f"no timestamp: expected timestamp or headers.sent-at as {expected}")
    if seconds is None or not 0 <= seconds < END_OF_TIME:
        raise MalformedMessage(_refusal(field, value, expected))
    return int(seconds)


def _examine(raw: bytes, fields: tuple[str, ...]) -> None:
    """Refuse a NUL or an integer beyond 64 bits in the `fields` of the envelope, which are the ones that are kept.

    `orjson` turns such an integer into a float, so this uses the parser of the standard library, which does not.
    """
    try:
        exact = json.loads(raw, parse_int=_Integer)
    except RecursionError as error:
        raise MalformedMessage(f"nested more than {MAX_DEPTH} deep") from error
    for field in fields:
        found = exact.get(field)
        for path, value in _walk(field, _kept(found) if field == "headers" and type(found) is dict else found):
            if isinstance(value, _Integer) and not value.fits:
                raise MalformedMessage(f"{path} is an integer beyond 64 bits")
            if isinstance(value, str) and "\0" in value:
                raise MalformedMessage(f"{path} holds a NUL character (\\u0000)")


class _Integer:
    """The size of an integer literal, which may have more digits than `int` accepts."""

    __slots__ = ("fits",)

    def __init__(self, literal: str) -> None:
        self.fits = len(literal) <= 20 and -(2**63) <= int(literal) < 2**64


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each scalar and each key under `value` with the path that leads to it, without recursion.

    A path is cut at `_LONGEST_PATH` characters: with deep nesting, paths would be longer than the message.
    """
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        path = path if len(path) < _LONGEST_PATH else path[:_LONGEST_PATH]
        if isinstance(value, dict):
            yield from ((f"a key of {path}", key) for key in value)
            waiting.extend((f"{path}.{key[:40]}", item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend((f"{path}[{index}]", item) for index, item in enumerate(value))
        else:
            yield path, value


def _bound_depth(field: str, value: Any, depth: int) -> None:
    """Refuse values nested in more than `MAX_DEPTH` objects and arrays, `depth` of which enclose `value`."""
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise MalformedMessage(f"{field} is nested more than {MAX_DEPTH} deep")
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]


def _refusal(field: str, value: Any, expected: str) -> str:
    if value is None:
        return f"no {field}: expected {expected}"
    shown = repr(value) if isinstance(value, int | float) else _kind(value)
    if isinstance(value, str):
        shown = repr(value) if len(value) <= 60 else f"{value[:60]!r}… ({len(value)} characters)"
    return f"{field} is {shown}: expected {expected}"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {dict: "an object", list: "an array", str: "text", bool: "a truth value"}
    return kinds.get(type(value), "a number")

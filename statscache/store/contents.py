"""The quarantined content: malformed lines, and messages of the journal, with their topics."""

import re
from collections.abc import Iterable, Iterator

import orjson
from sqlalchemy import Connection

from statscache.message import envelope
from statscache.store import journal, quarantine
from statscache.store.journal import Segment
from statscache.store.quarantine import Quarantined

# A line that is not JSON, or is cut off, may still name its topic.
_TOPIC = re.compile(rb'"topic"\s*:\s*("(?:[^"\\]|\\.){1,300}")')


def contents(connection: Connection, items: Iterable[Quarantined]) -> Iterator[tuple[Quarantined, bytes | None]]:
    """Yield each item with its bytes, those of one segment of the journal together; None if they are gone."""
    held: Segment | None = None
    lines: list[bytes] = []
    for item in sorted(items, key=lambda item: item.position or 0):
        if item.position is None:
            yield item, quarantine.load(connection, item)
            continue
        # Unpacking a segment takes milliseconds, and neighbours are often quarantined together.
        if held is None or not held.first <= item.position < held.first + len(lines):
            held = journal.following(connection, item.position - 1)
            lines = held.data.split(b"\n") if held is not None else []
        at = item.position - held.first if held is not None else -1
        yield item, envelope(lines[at]) if at >= 0 else None


def topic(data: bytes | None) -> str:
    """Return the topic that bytes give themselves; empty if they give none."""
    if data is None:
        return ""
    try:
        value = orjson.loads(data)
        found = value.get("topic") if isinstance(value, dict) else None
    except orjson.JSONDecodeError:
        match = _TOPIC.search(data)
        try:
            found = orjson.loads(match[1]) if match else None
        except orjson.JSONDecodeError:
            found = None
    return found if isinstance(found, str) else ""

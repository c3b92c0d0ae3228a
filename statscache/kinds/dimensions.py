"""What may stand in a part of a key: a length and an alphabet for each dimension.

The bus decides what is counted, so whoever may send a message could make keys of any length and any number. A part that
its dimension does not admit is counted under `OTHER`, and so is what one message yields beyond `MOST`. Both depend on
the message alone, so the order and the batches in which messages come change nothing (law 1).
"""

import re
from collections.abc import Mapping

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
    "event": re.compile(r"[!-~]{0,100}"),
    "release": re.compile(r"[A-Za-z0-9._-]{0,32}"),
    # AMQP has no longer one.
    "topic": re.compile(r"[!-~]{0,255}"),
}
"""What a dimension admits, by its name. Any other one admits up to `LONGEST` printable characters."""


def admitted(dimension: str, part: str) -> str:
    """Return a part of a key if its dimension admits it, else `OTHER`."""
    alphabet = ALPHABETS.get(dimension)
    if alphabet is None:
        return part if len(part) <= LONGEST and part.isprintable() else OTHER
    return part if alphabet.fullmatch(part) else OTHER

"""Reading the body of a message, which may hold anything anywhere.

Nothing here raises: what is missing, or of another type than its sender promised, is None, or an empty list. Whatever
a sender wrote, little of it is read.
"""

from heapq import nsmallest
from itertools import islice
from typing import Any

from statscache.derivation.text import is_url
from statscache.derivation.values import without_addresses

LONGEST = 500
"""Characters of the longest text that `text` and `texts` return."""

MOST = 100
"""Texts that `texts` returns at most, and entries that `entries` does: the first."""


def value(found: Any, *path: str) -> Any:
    """Return what is at `path`, one key of an object for each part; None if there is nothing."""
    for part in path:
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found


def text(found: Any, *path: str) -> str | None:
    """Return the text at `path`; None if there is none, or if it is empty or longer than `LONGEST` characters.

    `_` replaces each mail or IP address in it.
    """
    # Statistics read three texts of a message in the mean, so nothing is called that need not be.
    for part in path:
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return without_addresses(found) if type(found) is str and 0 < len(found) <= LONGEST else None


def number(found: Any, *path: str) -> int | None:
    """Return the whole number at `path`, such as 7 or 7.0; None if there is none. True and "7" are not numbers."""
    found = value(found, *path)
    if type(found) is float and found.is_integer() and abs(found) < 2**53:
        return int(found)
    return found if type(found) is int else None


def items(found: Any, *path: str) -> list[Any]:
    """Return the list at `path`; an empty one if there is none."""
    found = value(found, *path)
    return found if type(found) is list else []


def texts(found: Any, *path: str) -> list[str]:
    """Return the texts in the list at `path`; other items are left out.

    At most `MOST` are returned, the first.
    """
    return [without_addresses(item) for item in islice(filter(_is_text, items(found, *path)), MOST)]


def entries(found: Any, *path: str) -> list[tuple[str, str]]:
    """Return those entries of the object at `path` of which `text` would return key and value, sorted by key.

    The order in which a sender wrote them means nothing, and the journal does not keep it. At most `MOST` are returned,
    the first by key.
    """
    found = value(found, *path)
    if not isinstance(found, dict):
        return []
    named = nsmallest(MOST, (entry for entry in found.items() if all(map(_is_text, entry))))
    return sorted((without_addresses(key), without_addresses(text)) for key, text in named)


def url(found: Any, *path: str) -> str | None:
    """Return the http or https URL at `path`, which is safe as the target of a link; None if there is none."""
    found = value(found, *path)
    return found if isinstance(found, str) and is_url(found) else None


def _is_text(found: Any) -> bool:
    return type(found) is str and 0 < len(found) <= LONGEST

"""Read the body of a message, which may hold any value anywhere.

No function raises: a value that is missing or of another type than expected is None, or an empty list. However much a
sender wrote, only a bounded part of it is read.
"""

from heapq import nsmallest
from itertools import islice
from typing import Any

from statscache.derivation.text import is_url
from statscache.derivation.values import without_addresses

LONGEST = 500
"""Characters of the longest text that `text` and `texts` return."""

MOST = 100
"""Maximum number of texts from `texts`, and of entries from `entries`: the first ones."""


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
    # Statistics read three texts of a message on average, so calls that can be avoided are.
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
    """Return the entries of the object at `path` whose key and value `text` would return, sorted by key.

    The sender's order means nothing, and the journal does not keep it. At most `MOST` are returned, the first by key.
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

"""Find a name in published files: in text, and in paths, in all their encodings."""

import html
import re
from urllib.parse import quote

import orjson

from statscache import layout
from statscache.scrubbing import forms, spellings


class NameMatcher:
    """Finds a name as a whole word in published bytes.

    It may find too much, but never too little: files that are found and still in use are kept.

    Args:
        name: Name of the person.
    """

    def __init__(self, name: str) -> None:
        written = {way.lower() for each in spellings(forms(name)) for way in _ways(each)}
        self._written = tuple(sorted(written, key=lambda way: (-len(way), way)))
        # In a path, all characters but lowercase letters and digits are encoded.
        before = r"(?:(?<![\w-])|(?<=_[0-9a-f]{2})|(?<=%[0-9a-f]{2})|(?<=\\[bfnrt]))"
        after = r"(?:(?![\w-])|(?=_[0-9a-f]{2}))"
        self._words = re.compile(f"{before}(?:{'|'.join(map(re.escape, self._written))}){after}")

    def __call__(self, data: bytes) -> bool:
        """Return whether the name is in these bytes."""
        text = data.decode(errors="replace").lower()
        return any(way in text for way in self._written) and self._words.search(text) is not None


def _ways(name: str) -> set[str]:
    return {name, layout.key_name((name,)), quote(name, safe=""), html.escape(name), orjson.dumps(name).decode()[1:-1]}

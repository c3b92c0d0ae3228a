"""Tables as CSV (RFC 4180): the same values as the JSON beside them, safe to open in a spreadsheet.

Null is an empty cell and the empty string is `""`, which the standard library's writer cannot distinguish. A text
cell that a spreadsheet would take for a formula gets a leading apostrophe.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from statscache import canonical

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NEEDS_QUOTES = frozenset(',"\r\n')


def dumps(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a header line and a line for each row, ended by CR LF, as UTF-8."""
    lines = [",".join(_cell(name) for name in columns)]
    lines.extend(",".join(map(_cell, row)) for row in rows)
    return ("\r\n".join(lines) + "\r\n").encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        value = canonical.encode(value).decode()
        if value[0] not in "[{":
            return str(value)
    text = f"'{value}" if value.startswith(_FORMULA) else value
    if not text or not _NEEDS_QUOTES.isdisjoint(text):
        return '"' + text.replace('"', '""') + '"'
    return str(text)

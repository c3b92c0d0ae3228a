"""Values as people read them: numbers with separators, times in UTC, sizes, keys, cells of tables.

All text that the bus controls passes through here on its way into a page: control characters that XML forbids are
replaced and overlong text is clipped. Escaping is the templates' own, always on.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from statscache import canonical, kinds

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST_CELL = 160
LONGEST_LABEL = 28
LONGEST_NAME = 100
UNKNOWN = "unknown"
_LAST_MOMENT = 253_402_300_799  # 9999-12-31T23:59:59Z
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, ""))
_STATES = ("state", "status")
_HEADINGS = {"architecture": "arch"}
_SPACES = re.compile(r"\s+")
_CODE = re.compile("`([^`]+)`")


@dataclass(frozen=True)
class Cell:
    """One value of a table: `form` is `number`, `time`, `link`, `entity`, `data`, `text`, `unknown` or `absent`.

    `sort` is what a sorting script compares in numbers and times; `href` is set for links, times and entities. `rank`
    is the place of the row, from 1, in the cell that names it; 0 where rows have none.
    """

    form: str
    text: str
    sort: str = ""
    href: str = ""
    rank: int = 0


def clean(text: str, longest: int = LONGEST_CELL) -> str:
    """Return the text on one line, without characters that XML forbids, clipped to `longest` characters."""
    head = _SPACES.sub(" ", _FORBIDDEN.sub("\ufffd", text[: 4 * longest])).strip()
    if len(head) <= longest and len(text) <= 4 * longest:
        return head
    return head[: longest - 1].rstrip() + "…"


def middle(text: str, longest: int = LONGEST_LABEL) -> str:
    """Return the text as `clean` does, but cut in its middle: names often differ at their end."""
    whole = clean(text)
    kept = longest - 1
    return whole if len(whole) <= longest else f"{whole[: kept - kept // 2]}…{whole[len(whole) - kept // 2 :]}"


def common_prefix(labels: Sequence[str]) -> str:
    """Return what all of two or more labels begin with, whole words between dots; empty if that is short."""
    if len(labels) < 2:
        return ""
    low, high = min(labels), max(labels)
    shared = next((at for at, letters in enumerate(zip(low, high, strict=False)) if len({*letters}) > 1), len(low))
    prefix = low[: low.rfind(".", 0, shared) + 1]
    return prefix if len(prefix) >= 8 and all(len(label) > len(prefix) for label in labels) else ""


def prose(text: str, longest: int) -> Markup:
    """Return an author's text as `clean` does, as HTML: text between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(clean(text, longest)))))


def number(value: float) -> str:
    """Return the number with commas between thousands and a true minus sign."""
    return f"{value:,}".replace("-", "\u2212")


def compact(value: int) -> str:
    """Return the number in at most four characters and a letter, such as `1.2k`, for the ticks of an axis."""
    for size, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".removesuffix(".0").replace("-", "\u2212") + letter
    return number(value)


def duration(seconds: float) -> str:
    """Return a number of seconds in its two greatest units: `45 s`, `34 min`, `3 h 34 min`, `7 d 10 h`."""
    sign, left = ("\u2212" if seconds < 0 else ""), abs(int(seconds))
    if left < 60:
        return f"{sign}{left}\u00a0s"
    for (size, name), (part, finer) in pairwise(_UNITS):
        if left >= size:
            more = left % size // part
            whole = f"{left // size:,}\u00a0{name}"
            return f"{sign}{whole} {more}\u00a0{finer}" if more and finer else f"{sign}{whole}"
    return f"{sign}{left}\u00a0s"


def amount(value: float, unit: str) -> str:
    """Return a number of a unit as people read it: seconds as a duration, others as they are."""
    return duration(value) if unit == "seconds" else number(value)


def size(octets: int) -> str:
    """Return a number of bytes as people read it: `612 B`, `3.4 kB` (1 kB is 1,000 bytes)."""
    if octets < 1000:
        return f"{octets}\u00a0B"
    if octets < 1_000_000:
        return f"{octets / 1000:.1f}\u00a0kB"
    return f"{octets / 1_000_000:.1f}\u00a0MB"


def is_moment(value: object) -> bool:
    """Return whether the value is a number of seconds since 1970 UTC before the year 10000."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LAST_MOMENT


def when(timestamp: int) -> str:
    """Return a moment (seconds since 1970 UTC) as `2015-08-08 14:02 UTC`."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M} UTC"


def short_time(timestamp: int) -> str:
    """Return a moment (seconds since 1970 UTC) of the last weeks as `27 Nov`, or `27 Nov 10:30` within a day."""
    moment = datetime.fromtimestamp(timestamp, UTC)
    day = f"{moment.day}\u00a0{MONTHS[moment.month - 1]}"
    return day if timestamp % 86_400 == 0 else f"{day} {moment:%H:%M}"


def since(timestamp: int | None) -> Cell:
    """Return the cell of a number of a window that is known since a moment only; None if its end is missing too."""
    if timestamp is None:
        return Cell("unknown", UNKNOWN)
    return Cell("unknown", short_time(timestamp), href=machine_time(timestamp))


def machine_time(timestamp: int) -> str:
    """Return a moment (seconds since 1970 UTC) as the `datetime` attribute of HTML wants it."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}"


def key_label(key: Iterable[str | None], longest: int = LONGEST_LABEL) -> str:
    """Return the dimensions of a key as one short label; null is `unknown`, the empty string is `(empty)`."""
    parts = (UNKNOWN if part is None else str(part) or "(empty)" for part in key)
    return middle(" · ".join(parts), longest)


def cell(value: object, *, column: str = "", unit: str = "") -> Cell:
    """Return a JSON value as a cell of the named column; a whole number in one of times is a moment.

    Args:
        value: The value.
        column: The name of the field.
        unit: What numbers in columns that a kind provides count.
    """
    match value:
        case None:
            return Cell("unknown", UNKNOWN)
        case bool():
            return Cell("text", "yes" if value else "no")
        case int() if is_time(column) and is_moment(value):
            return Cell("time", when(value), sort=str(value), href=machine_time(value))
        case int() | float() if is_duration(column):
            return Cell("number", duration(value), sort=repr(value))
        case int() | float():
            return Cell("number", amount(value, unit if is_number(column) else ""), sort=repr(value))
        case str() if _is_web_address(value):
            # The whole address says less at a glance than where it leads.
            return Cell("link", clean(urlsplit(value).hostname or value, 40), href=value)
        case str():
            return Cell("text", clean(value))
        case _:
            return Cell("data", clean(canonical.encode(value).decode()))


def took(seconds: object) -> Cell:
    """Return a number of seconds as a cell; an empty one where nothing took any time."""
    return Cell("number", duration(seconds), sort=repr(seconds)) if isinstance(seconds, int) else Cell("absent", "")


def columns(rows: Sequence[dict[str, Any]], dimensions: Sequence[str]) -> list[str]:
    """Return the columns of flat records, in the order in which people look for them.

    That is: dimensions, state, times, numbers from long to short, `id` and `subtitle`, others by name, links.
    """
    provided = kinds.columns()
    windows = [column.name for column in reversed(provided) if column.window]
    states = (name for name in _STATES if name not in dimensions)
    fixed = (*dimensions, *states, *(column.name for column in provided if not column.window), *windows)
    present = {name for row in rows for name in row}
    links = {name for name in present if any(_is_web_address(str(row.get(name, ""))) for row in rows)}
    others = sorted(present.difference(fixed), key=lambda name: (name in links, name not in ("id", "subtitle"), name))
    return [name for name in fixed if name in present] + others


def is_time(name: str) -> bool:
    """Return True if fields of that name hold moments."""
    column = kinds.column(name)
    return column is not None and not column.is_number


def is_duration(name: str) -> bool:
    """Return True if fields of that name hold numbers of seconds, whatever the plugin."""
    column = kinds.column(name)
    return column is not None and column.is_duration


def is_number(name: str) -> bool:
    """Return True if fields of that name hold numbers, whatever the plugin."""
    column = kinds.column(name)
    return column is not None and column.is_number


def heading(name: str) -> str:
    """Return the heading of a column of a table."""
    column = kinds.column(name)
    return column.heading if column else _HEADINGS.get(name) or clean(name, 40)


def table(rows: Sequence[dict[str, Any]], names: Sequence[str], unit: str = "") -> list[list[Cell]]:
    """Return a row of cells for each record; a field that the record lacks is an `absent` cell."""
    absent = Cell("absent", "")
    return [[cell(row[name], column=name, unit=unit) if name in row else absent for name in names] for row in rows]


def _is_web_address(text: str) -> bool:
    if len(text) > 2000 or not text.startswith(("https://", "http://")) or _FORBIDDEN.search(text) or " " in text:
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False

"""A year of one person's days as SVG, for pages without scripts: small, since there is one for each person.

Days are cells in columns of weeks, Monday on top. The year's shape is filled with one pattern of empty cells, and busy
days are one path for each of four levels, so a file has at most a few kilobytes.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from statscache import layout
from statscache.kinds.base import KeyDocument
from statscache.plugins import Plugin
from statscache.render.documents import Document
from statscache.render.text import MONTHS, clean, key_label, number
from statscache.timeline import DAY

_CELL = 12
_LEFT, _TOP = 16, 58
_STYLE = (
    "svg{font:12px/1.3 system-ui,-apple-system,sans-serif}"
    ".g{fill:#fff}.t{fill:#1c2024}.q{fill:#5b636e}.e{fill:#e9ebee}.l{fill:#1f5fb4}"
    "@media(prefers-color-scheme:dark){.g{fill:#1a1d21}.t{fill:#e8eaed}.q{fill:#a3abb6}.e{fill:#2a2f36}.l{fill:#78acff}}"
)


def calendar(plugin: Plugin, content: KeyDocument) -> Document:
    """Return the calendar of the last year in which the key has an event."""
    year = max(map(int, content.days))
    drawn = _calendar(plugin, content, year, content.days[str(year)])
    return Document(layout.calendar(plugin.name, content.key), drawn.encode())


def _calendar(plugin: Plugin, content: KeyDocument, year: int, days: Sequence[Sequence[int]]) -> str:
    start, end = (int(datetime(at, 1, 1, tzinfo=UTC).timestamp()) for at in (year, year + 1))
    # 1970 began on a Thursday: the days from the Monday before to the first of January.
    before = (start // DAY + 3) % 7
    columns = (before + (end - start) // DAY + 6) // 7
    busy = sorted(value for _, value in days if value > 0)
    # Quarters of the busy days, so that one extreme day does not make the others pale.
    limits = [busy[max(0, len(busy) * quarter // 4 - 1)] for quarter in (1, 2, 3)] if busy else []
    cells: dict[int, list[str]] = {}
    for timestamp, value in days:
        if value > 0:
            column, row = divmod(before + (timestamp - start) // DAY, 7)
            level = bisect_left(limits, value)
            cells.setdefault(level, []).append(f"M{column * _CELL + 1} {row * _CELL + 1}h10v10h-10z")
    paths = "".join(
        f'<path class="l" fill-opacity="{(0.3, 0.5, 0.75, 1)[level]}" d="{"".join(cells[level])}"/>'
        for level in sorted(cells)
    )
    months = "".join(
        f'<text class="q" x="{_LEFT + _column(start, before, year, month) * _CELL}" y="{_TOP - 6}">{name}</text>'
        for month, name in enumerate(MONTHS, start=1)
    )
    width, height = 2 * _LEFT + columns * _CELL, _TOP + 7 * _CELL + 12
    last = (before + (end - start) // DAY - 1) % 7 + 1
    # The first and the last week may be short.
    shape = (
        f"M{_CELL} 0H{columns * _CELL - _CELL}V{7 * _CELL}H{_CELL}z"
        f"M0 {before * _CELL}h{_CELL}V{7 * _CELL}H0z"
        f"M{columns * _CELL - _CELL} 0h{_CELL}v{last * _CELL}h-{_CELL}z"
    )
    name = escape(key_label(content.key, 40))
    total = f"{number(sum(value for _, value in days))} {escape(clean(plugin.unit, 24))} in {year}"
    title = escape(clean(plugin.title, 48))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-labelledby="t"><title id="t">{name}: {total} ({title})</title><style>{_STYLE}</style>'
        f'<rect class="g" width="{width}" height="{height}" rx="6"/><pattern id="e" width="{_CELL}" height="{_CELL}"'
        ' patternUnits="userSpaceOnUse"><rect class="e" x="1" y="1" width="10" height="10"/></pattern>'
        f'<text class="t" x="{_LEFT}" y="26" font-size="15" font-weight="600">{name}'
        f'<tspan class="q" dx="9" font-size="12" font-weight="400">{total}</tspan></text>{months}'
        f'<g transform="translate({_LEFT} {_TOP})"><path fill="url(#e)" d="{shape}"/>{paths}</g></svg>\n'
    )


def _column(start: int, before: int, year: int, month: int) -> int:
    first = int(datetime(year, month, 1, tzinfo=UTC).timestamp())
    return (before + (first - start) // DAY) // 7

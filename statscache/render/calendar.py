"""A year of one person's days as SVG, for pages without scripts: small, since there is one for each person.

Days are cells in columns of weeks, Monday on top. The year's shape is filled with one pattern of cells, and days are
one path for each form: empty, four levels, unknown. So a file has at most a few kilobytes. A calendar ends with the day
of the newest event: whether the days after it were quiet is not shown, or every calendar would change every day.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from statscache import layout
from statscache.kinds.known import Known
from statscache.kinds.state import KeyDocument
from statscache.plugins import Plugin
from statscache.render.documents import Document
from statscache.render.text import MONTHS, clean, key_label, number, when
from statscache.store.intervals import Interval
from statscache.timeline import DAY, year_start

_CELL = 12
_LEFT, _TOP = 16, 58
_OPACITY = (0.3, 0.5, 0.75, 1)
_STYLE = (
    "svg{font:12px/1.3 system-ui,-apple-system,sans-serif}"
    ".g{fill:#fff}.t{fill:#1c2024}.q{fill:#5b636e}.e{fill:#e2e5e9}.l{fill:#1f5fb4}.u,.s{fill:none;stroke:#5b636e}"
    "@media(prefers-color-scheme:dark){.g{fill:#1a1d21}.t{fill:#e8eaed}.q{fill:#a3abb6}.e{fill:#2a2f36}.l{fill:#78acff}"
    ".u,.s{stroke:#a3abb6}}"
)


def calendar(plugin: Plugin, content: KeyDocument, known: Known) -> Document:
    """Return the calendar of the last year in which the key has an event."""
    year = max(map(int, content.days))
    unknown = known.unknown_days(year_start(year), content.shown[1])
    drawn = _calendar(plugin, content, year, content.days[str(year)], unknown)
    return Document(layout.calendar(plugin.name, content.key), drawn.encode())


def _calendar(
    plugin: Plugin, content: KeyDocument, year: int, days: Sequence[Sequence[int]], unknown: Sequence[Interval]
) -> str:
    start, end = year_start(year), year_start(year + 1)
    # The day of the newest event, which may not be over.
    newest = content.shown[1] - DAY
    missing = {day for low, high in unknown for day in range(low, high, DAY)}
    # 1970 began on a Thursday: the days from the Monday before to the first of January.
    before = (start // DAY + 3) % 7
    columns = (before + (end - start) // DAY + 6) // 7
    known_days = [(day, value) for day, value in days if day not in missing]
    busy = sorted(value for _, value in known_days if value > 0)
    # Quarters of the busy days, so that one extreme day does not make the others pale.
    limits = [busy[max(0, len(busy) * quarter // 4 - 1)] for quarter in (1, 2, 3)] if busy else []
    place = {day: divmod(before + (day - start) // DAY, 7) for day in (*missing, newest, *(day for day, _ in days))}
    cells: dict[int, list[str]] = {}
    for day, value in known_days:
        if value > 0:
            cells.setdefault(bisect_left(limits, value), []).append(_cell(*place[day]))
    paths = "".join(
        f'<path class="l" fill-opacity="{_OPACITY[level]}" d="{"".join(cells[level])}"/>' for level in sorted(cells)
    )
    if missing:
        crosses = "".join(_cross(*place[day]) for day in sorted(missing))
        paths += f'<path class="g" d="{"".join(_cell(*place[day], 0, 12) for day in sorted(missing))}"/>'
        paths += f'<path class="u" d="{crosses}"/>'
    if newest not in missing:
        paths += f'<path class="s" d="{_cell(*place[newest], 0.5, 11)}"/>'
    months = "".join(
        f'<text class="q" x="{_LEFT + _column(start, before, year, month) * _CELL}" y="{_TOP - 6}">{name}</text>'
        for month, name in enumerate(MONTHS, start=1)
    )
    width, height = 2 * _LEFT + columns * _CELL, _TOP + 7 * _CELL + 36
    # The first and the last week may be short.
    last_column, last_row = place[newest]
    shape = f"M0 {before * _CELL}h{_CELL}V{(7 if last_column else last_row + 1) * _CELL}H0z"
    if last_column:
        shape += f"M{_CELL} 0H{last_column * _CELL}V{7 * _CELL}H{_CELL}z"
        shape += f"M{last_column * _CELL} 0h{_CELL}v{(last_row + 1) * _CELL}h-{_CELL}z"
    name = escape(key_label(content.key, 40))
    least = "at least " if missing else ""
    total = f"{least}{number(sum(value for _, value in days))} {escape(clean(plugin.unit, 24))} in {year}"
    title = escape(clean(plugin.title, 48))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-labelledby="t"><title id="t">{name}: {total} ({title})</title><style>{_STYLE}</style>'
        f'<rect class="g" width="{width}" height="{height}" rx="6"/><pattern id="e" width="{_CELL}" height="{_CELL}"'
        ' patternUnits="userSpaceOnUse"><rect class="e" x="1" y="1" width="10" height="10"/></pattern>'
        f'<text class="t" x="{_LEFT}" y="26" font-size="15" font-weight="600">{name}'
        f'<tspan class="q" dx="9" font-size="12" font-weight="400">{total}</tspan></text>{months}'
        f'<g transform="translate({_LEFT} {_TOP})"><path fill="url(#e)" d="{shape}"/>{paths}</g>'
        f'<g transform="translate({_LEFT} {_TOP + 7 * _CELL + 12})">{_legend(bool(missing), newest)}</g></svg>\n'
    )


def _cell(column: int, row: int, inset: float = 1, size: float = 10) -> str:
    """Return the path of a square within the place of a day."""
    return f"M{column * _CELL + inset:g} {row * _CELL + inset:g}h{size:g}v{size:g}h-{size:g}z"


def _cross(column: int, row: int) -> str:
    """Return the path of the form of an unknown day."""
    return f"M{column * _CELL + 3} {row * _CELL + 9}l6 -6"


def _legend(has_unknown: bool, newest: int) -> str:
    """Return what the forms of days stand for, in one line."""
    items = [
        (f'<path class="e" d="{_cell(0, 0)}"/>', "none", 44),
        (f'<path class="l" fill-opacity="{_OPACITY[0]}" d="{_cell(0, 0)}"/>', "fewer", 50),
        (f'<path class="l" d="{_cell(0, 0)}"/>', "more", 48),
    ]
    if has_unknown:
        items.append((f'<path class="u" d="{_cross(0, 0)}"/>', "not known", 76))
    items.append((f'<path class="s" d="{_cell(0, 0, 0.5, 11)}"/>', f"known so far: {when(newest)[:10]}", 0))
    drawn, at = "", 0
    for form, words, wide in items:
        drawn += f'<g transform="translate({at} 0)">{form}<text class="q" x="16" y="10">{words}</text></g>'
        at += wide + 16
    return drawn


def _column(start: int, before: int, year: int, month: int) -> int:
    first = int(datetime(year, month, 1, tzinfo=UTC).timestamp())
    return (before + (first - start) // DAY) // 7

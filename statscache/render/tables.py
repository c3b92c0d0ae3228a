"""Tables of pages: which rows and columns they show, in which order, and how.

A reader looks for a key, then for its state, then for its time; so these come first. Rows of a plugin that keeps the
newest are newest first, those of a counter have the greatest number first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from statscache.render import figures, text
from statscache.render.page_model import Leaderboard, PluginView
from statscache.windows import Window

MOST_ROWS = 500

_TEXTS = ("text", "entity", "data")
_SHORT = 24
"""Characters of a text for which a column always has room."""

_NUMBER_OF_LEADERS = "value"


@dataclass(frozen=True)
class Heading:
    """The top of a column: the field that it shows, its words, whether it has numbers, and whether it is of the key."""

    name: str
    words: str
    is_number: bool
    is_key: bool


@dataclass(frozen=True)
class Table:
    """One table of a page.

    Attributes:
        title: On its tab, where a plugin has several.
        headings: Its columns.
        cells: Its rows.
        rows: How many the document has; the page may show fewer.
        partial: The windows that are not wholly known, each with the time from which it is known.
        window: The window that all of it is of; None if it is of none.
    """

    title: str
    headings: tuple[Heading, ...]
    cells: list[list[text.Cell]]
    rows: int
    partial: dict[str, int | None]
    window: Window | None = None

    @property
    def is_of_one(self) -> bool:
        """True if it is a few numbers of one thing, which need no table."""
        is_number = (cell.form in ("number", "unknown") for row in self.cells for cell in row)
        return self.rows == 1 and not any(heading.is_key for heading in self.headings) and all(is_number)

    @cached_property
    def long(self) -> list[int]:
        """The columns with long texts, at most four, which share the room that the others leave."""
        columns = enumerate(zip(*self.cells, strict=True))
        return [at for at, cells in columns if any(cell.form in _TEXTS and len(cell.text) > _SHORT for cell in cells)][
            :4
        ]

    @cached_property
    def sentences(self) -> list[int]:
        """Those of them with texts of several words, which need more room."""
        return [at for at in self.long if any(row[at].text.count(" ") > 2 for row in self.cells)]


def tables(view: PluginView) -> list[Table]:
    """Return the tables of a plugin: its newest numbers, then its leaderboards; none where it has no rows."""
    if not view.rows:
        return []
    return [_latest(view), *(_leaders(view, board) for board in view.leaderboards if board.rows)]


def _latest(view: PluginView) -> Table:
    rows = view.rows
    took = dict(figures.durations(view)[1:])
    if took:
        rows = [row for row in rows if view.kind.is_in_headline(row)]
    column = view.kind.main_column(rows, view.partial)
    order = view.kind.ordered_by or (column.name if column else None)
    if order is not None:
        # The rows of the headline come first, such as builds that are complete.
        rows.sort(key=lambda row: (not view.kind.is_in_headline(row), -row[order]))
    elif view.kind.has_times:
        # A row without a time is older than all that have one.
        rows.sort(key=lambda row: -(figures.newest_time(row) or 0))
    names = text.columns(rows, view.info.dimensions)
    if took:
        # What is the same in all rows that are shown says nothing.
        names = [name for name in names if name not in view.info.headline]
    keys = view.info.dimensions
    headings = tuple(Heading(name, text.heading(name), text.is_number(name), name in keys) for name in names)
    cells = [
        [
            text.since(view.partial[name]) if name in view.partial else cell
            for name, cell in zip(names, row, strict=True)
        ]
        for row in text.table(rows[:MOST_ROWS], names, view.info.unit)
    ]
    if took:
        headings, cells = _with_durations(view, took, rows, headings, cells)
    if view.leaderboards:
        cells = _ranked(cells)
    partial = {name: since for name, since in view.partial.items() if name in names}
    return Table("All time", headings, cells, len(rows), partial)


def _with_durations(
    view: PluginView,
    took: Mapping[str, Mapping[str, Any]],
    rows: Sequence[dict[str, Any]],
    headings: tuple[Heading, ...],
    cells: list[list[text.Cell]],
) -> tuple[tuple[Heading, ...], list[list[text.Cell]]]:
    """Return a table with how long things took, by label of the key, after the key of each row."""
    keys = [name for name in view.info.dimensions if name not in view.info.headline]
    at = len(keys)
    more = (
        Heading("median", "Median, 30 days", is_number=True, is_key=False),
        Heading("mean", "Mean, 30 days", is_number=True, is_key=False),
    )
    made = []
    for row, line in zip(rows, cells, strict=False):
        of = took.get(text.key_label((row[name] for name in keys), 60), {})
        made.append([*line[:at], *(text.took(of.get(heading.name)) for heading in more), *line[at:]])
    return (*headings[:at], *more, *headings[at:]), made


def _leaders(view: PluginView, board: Leaderboard) -> Table:
    names = [*view.info.dimensions, _NUMBER_OF_LEADERS]
    headings = (
        *(Heading(name, text.heading(name), False, True) for name in view.info.dimensions),
        Heading(_NUMBER_OF_LEADERS, text.clean(view.info.unit, 40), True, False),
    )
    cells = _ranked(text.table(board.rows, names, view.info.unit))
    return Table(board.window.label, headings, cells, len(board.rows), board.partial, board.window)


def _ranked(cells: Sequence[list[text.Cell]]) -> list[list[text.Cell]]:
    """Return rows whose first cell has their rank."""
    return [[replace(row[0], rank=rank), *row[1:]] for rank, row in enumerate(cells, start=1)]

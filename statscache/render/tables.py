"""Tables of pages: which rows and columns they show, in which order, and how.

A reader looks for a key, then for its state, then for its time; so these come first. Rows of a plugin that keeps the
newest are newest first, those of a counter have the greatest number first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from statscache.render import text
from statscache.render.figures import newest_time
from statscache.render.view import Leaderboard, PluginView
from statscache.windows import Window

MOST_ROWS = 500

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


def tables(view: PluginView) -> list[Table]:
    """Return the tables of a plugin: its newest numbers, then its leaderboards; none where it has no rows."""
    if not view.rows:
        return []
    return [_latest(view), *(_leaders(view, board) for board in view.leaderboards if board.rows)]


def _latest(view: PluginView) -> Table:
    rows = view.rows
    column = view.kind.main_column(rows, view.partial)
    order = view.kind.ordered_by or (column.name if column else None)
    if order is not None:
        rows.sort(key=lambda row: -row[order])
    elif view.kind.has_times:
        # A row without a time is older than all that have one.
        rows.sort(key=lambda row: -(newest_time(row) or 0))
    names = text.columns(rows, view.info.dimensions)
    known = [{name: None if name in view.partial else value for name, value in row.items()} for row in rows[:MOST_ROWS]]
    keys = view.info.dimensions
    headings = tuple(Heading(name, text.heading(name), text.is_number(name), name in keys) for name in names)
    cells = text.table(known, names, view.info.unit)
    if view.leaderboards:
        cells = _ranked(cells)
    partial = {name: since for name, since in view.partial.items() if name in names}
    return Table("All time", headings, cells, len(rows), partial)


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

"""Tables of pages: which rows and columns they show, in which order, and how.

A reader looks for a key, then for its state, then for its time; so these come first. Rows of a plugin that keeps the
newest are newest first, those of a counter have the greatest number first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

from statscache.render import figures, text, widths
from statscache.render.page_model import Leaderboard, PluginView
from statscache.windows import Window

MOST_ROWS = 500

_TEXTS = ("text", "entity", "data")
_SHORT = 24
"""Characters of a text for which a column always has room, unless it has long ones."""

_SHORTEST = 16
"""Characters for which one with long texts has room, too."""

_NUMBER_OF_LEADERS = "value"
_TIME = "timestamp"

# Of site/style.css, in rem: the fonts of cells and heads, the padding on both sides of a cell, and the widths of texts.
_FONTS = 0.9, 0.8
_DENSE_FONTS = 0.82, 0.76
_PADDING = 0.9
_EDGES = 0.45
_RANK = 2.7
_WIDEST = 14.5
_LONG = 9
_SENTENCE = 14

# The style has a class for each step of that many rem between the fewest and the most, which no page has room for.
_STEP = 2
FEWEST_STEPS = 9
MOST_STEPS = 39


@dataclass(frozen=True)
class Heading:
    """The top of a column: the field that it shows, its words, whether it has numbers, and whether it is of the key."""

    name: str
    words: str
    is_number: bool
    is_key: bool

    @property
    def is_time(self) -> bool:
        """True if the column has times."""
        return text.is_time(self.name)

    @property
    def label(self) -> str:
        """What the column is called where its name stands alone."""
        return self.words[:1].upper() + self.words[1:]


class Order(NamedTuple):
    """A way to sort rows: the column; what it is called; and whether they come so."""

    column: int | str
    words: str
    is_first: bool


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

    @property
    def is_dense(self) -> bool:
        """True if it has so many columns that they stand closer together."""
        return len(self.headings) > 8

    @cached_property
    def leading(self) -> set[int]:
        """The columns that say without a label what a row is about: its key, and sentences."""
        return {at for at, heading in enumerate(self.headings) if heading.is_key or at in self.sentences}

    def whole(self, at: int) -> int:
        """Return how many characters of a text are never cut in a column; ids are copied, so they are long."""
        return _SHORTEST if at in self.long and self.headings[at].name != "id" else _SHORT

    @cached_property
    def links(self) -> set[int]:
        """The columns in which there are links alone."""
        columns = enumerate(zip(*self.cells, strict=True))
        forms = {at: {cell.form for cell in cells} for at, cells in columns}
        return {at for at, found in forms.items() if "link" in found and found <= {"link", "unknown", "absent"}}

    @property
    def room(self) -> str:
        """The class of the style that makes cards of rows where the table does not fit; empty if it always does."""
        columns = enumerate(zip(*self.cells, strict=True))
        steps = ceil((_EDGES + sum(self._width(at, cells) for at, cells in columns)) / _STEP)
        return "" if steps < FEWEST_STEPS else f"room-{min(steps, MOST_STEPS)}"

    def _width(self, at: int, cells: Sequence[text.Cell]) -> float:
        """Return the least width of a column, in rem."""
        heading = self.headings[at]
        of_head = widths.of_longest_word if heading.is_number else widths.of_text
        font, head_font = _DENSE_FONTS if self.is_dense else _FONTS
        head = of_head(heading.words, is_bold=True) * head_font + _PADDING
        least = 0
        if at in self.long:
            # Long texts take what the others leave.
            least = _SENTENCE if at in self.sentences else _LONG
            cells = [cell for cell in cells if len(cell.text) <= self.whole(at)]
        rank = _RANK if self.cells[0][at].rank else 0
        said = {(cell.form, cell.text) for cell in cells}
        return max(head, least, *(rank + _cell_width(form, words, font) for form, words in said))

    @cached_property
    def order(self) -> int | None:
        """The column in whose order its rows are, greatest or newest first; None if they are in none."""
        for at, cells in enumerate(zip(*self.cells, strict=True)):
            values = [float(cell.sort) for cell in cells if cell.sort]
            if values and values[0] > values[-1] and len(values) == len(cells) and values == sorted(values)[::-1]:
                return at
        return None

    @property
    def orders(self) -> list[Order]:
        """The ways to sort it, first the one in which it comes if that is not the order of a column."""
        times = [heading for heading in self.headings if heading.is_time]
        found = [] if self.order is not None else [Order("", "Newest first" if times else "As published", True)]
        for at, heading in enumerate(self.headings):
            if at in self.links:
                continue
            if heading.is_time:
                words = "Newest first" if len(times) == 1 else f"{heading.label}, newest first"
            else:
                words = f"{heading.label}, {'highest first' if heading.is_number else 'A to Z'}"
            found.append(Order(at, words, at == self.order))
        return found


def _cell_width(form: str, said: str, font: float) -> float:
    if form in ("link", "unknown"):
        said = "W"
    width = widths.of_text(said) * font + _PADDING
    return width if form in ("number", "time") else min(width, _WIDEST)


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
    count = len(rows)
    rows = rows[:MOST_ROWS]
    keys = view.info.dimensions
    names = [name for name in names if not _says_nothing(rows, name, keys)]
    headings = tuple(_heading(name, name in keys) for name in names)
    cells = [
        [
            text.since(view.partial[name]) if name in view.partial else _in_column(cell)
            for name, cell in zip(names, row, strict=True)
        ]
        for row in text.table(rows, names, view.info.unit)
    ]
    cells, headings = _with_links(cells, headings)
    if took:
        headings, cells = _with_durations(view, took, rows, headings, cells)
    if view.leaderboards:
        cells = _ranked(cells)
    partial = {name: since for name, since in view.partial.items() if name in names}
    return Table("All time", headings, cells, count, partial)


def _says_nothing(rows: Sequence[Mapping[str, Any]], name: str, keys: Sequence[str]) -> bool:
    """Return whether a column is null in all rows of a key, or a time that is always that of the row."""
    if len(rows) < 2:
        return False
    if name in keys:
        return all(row.get(name) is None for row in rows)
    return (
        name != _TIME
        and text.is_time(name)
        and any(row.get(name) is not None for row in rows)
        and all(row.get(name) in (None, row.get(_TIME)) for row in rows)
    )


def _heading(name: str, is_key: bool) -> Heading:
    words = text.heading(name)
    return Heading(name, f"{words} (UTC)" if text.is_time(name) else words, text.is_number(name), is_key)


def _in_column(cell: text.Cell) -> text.Cell:
    """Return a cell below its heading, which says that times are UTC."""
    return replace(cell, text=cell.text.removesuffix(" UTC")) if cell.form == "time" else cell


def _with_links(
    cells: list[list[text.Cell]], headings: tuple[Heading, ...]
) -> tuple[list[list[text.Cell]], tuple[Heading, ...]]:
    """Return a table without its column of links, if each link fits on the id or the subtitle of its row."""
    names = [heading.name for heading in headings]
    at = next((names.index(name) for name in ("id", "subtitle") if name in names), None)
    links = [place for place in range(len(names)) if any(row[place].form == "link" for row in cells)]
    if at is None or len(links) != 1 or links == [at]:
        return cells, headings
    (link,) = links
    if any((row[link].form == "link" and row[at].form != "text") or row[link].form == "text" for row in cells):
        return cells, headings
    made = []
    for row in cells:
        row[at] = replace(row[at], href=row[link].href)
        made.append([*row[:link], *row[link + 1 :]])
    return made, (*headings[:link], *headings[link + 1 :])


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

"""What a kind says to people about its rows: their columns, and the one number that says most."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from statscache.windows import Window

Row = Mapping[str, Any]
"""A record of the document `latest`."""

Partial = Mapping[str, int | None]
"""Windows that are not wholly known, by name, each with the time from which it is known, if any."""


class Column(NamedTuple):
    """A field of the rows of `latest` that a kind provides.

    Attributes:
        name: In documents.
        heading: Above a column of a table.
        is_number: True if it is a number, False if it is a moment in seconds since 1970 UTC.
        words: Behind its number, such as `in all`; empty if it is not shown alone.
        window: The window that the number is of; None if it is of none.
        is_duration: True if the number is one of seconds.
    """

    name: str
    heading: str
    is_number: bool = True
    words: str = ""
    window: Window | None = None
    is_duration: bool = False

    @classmethod
    def of(cls, window: Window) -> "Column":
        """Return the column of a number in a window."""
        return cls(window.name, window.heading, words=window.words, window=window)


class Headline(NamedTuple):
    """The number that sums a plugin up, None where it is unknown; what it is; and from when on it is known.

    `top` is the label of the key that the caption names, between a colon and a comma; empty if it names none.
    """

    value: int | None
    caption: str
    since: int | None = None
    top: str = ""


def first_counted(columns: Sequence[Column], rows: Sequence[Row], partial: Partial) -> Column:
    """Return the first known column in which any row has a number that is not zero; the last one if none has."""
    columns = [column for column in columns if column.name not in partial] or columns
    return next((column for column in columns if any(row.get(column.name) for row in rows)), columns[-1])


def ranked(rows: Iterable[Row], column: str, label: Callable[[Row], str]) -> list[tuple[str, int]]:
    """Return the label of each row with its number in a column, greatest first; equal ones in order of the label."""
    pairs = [(label(row), row[column]) for row in rows]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def counted(unit: str, headline: Mapping[str, str]) -> str:
    """Return the subject of a headline, in words: the unit, and the parts of the key, such as `builds complete`."""
    return " ".join(dict.fromkeys((unit, *headline.values())))


def noun_of(dimension: str, entities: Mapping[str, str], number: int) -> str:
    """Return what a number of values of a dimension are called, such as `people` or `project`."""
    name = entities.get(dimension, dimension).replace("_", " ")
    if number == 1:
        return name
    if name == "person":
        return "people"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2:-1] not in {*"aeiou"} else f"{name}s"

"""The fields and types that the reader relies on, checked before they are used."""

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any

from statscache.client.fetcher import Damaged

Fields = Mapping[str, type | UnionType]

INDEX: Fields = {
    "generation": int,
    "snapshot": str,
    "generated_at": int,
    "expires_at": int,
    "through": int | None,
    "slow_through": int | None,
    "signatures": list,
    "plugins": list,
}
PLUGIN: Fields = {
    "name": str,
    "state": str,
    "unbounded": bool,
    "dimensions": list,
    "documents": list,
    "since": int | None,
    "gaps": list,
}
REFERENCE: Fields = {"path": str, "object": str, "size": int}
SERIES_INDEX: Fields = {"periods": list, "width": int | None, "keep": int | None, "complete_through": int | None}
PERIOD: Fields = {**REFERENCE, "start": int, "end": int}
SERIES: Fields = {"columns": list, "rows": list, "gaps": list}


def check(name: str, values: Iterable[Any], fields: Fields) -> None:
    """Check that every value is an object with these fields.

    Raises:
        Damaged: One is not; the text says what the file `name` lacks.
    """
    for value in values:
        if not isinstance(value, dict):
            raise Damaged(f"{name} holds {value!r:.100} where the format has an object")
        wrong = [field for field, kind in fields.items() if field not in value or not isinstance(value[field], kind)]
        if wrong:
            raise Damaged(f"{name} has missing or invalid fields: {', '.join(wrong)}")


def check_rows(name: str, rows: Iterable[Any], cells: int, times: int = 1) -> None:
    """Check that every row is an array of so many cells, the first of which are times.

    Raises:
        Damaged: One is not.
    """
    for row in rows:
        if not isinstance(row, list) or len(row) != cells or not all(isinstance(cell, int) for cell in row[:times]):
            raise Damaged(f"{name} holds {row!r:.100} where the format has {cells} cells, and a time first")

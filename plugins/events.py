"""Announcements of release engineering in one form: something began or ended.

Services say so in words of their own. `dashboard.json` says which status each word means, how groups of a dashboard
are made up and when something is stale: a new word, release or architecture needs no code.
"""

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any, NamedTuple

from statscache.plugins import DAY

LAYOUT: dict[str, Any] = json.loads(resources.files(__package__).joinpath("dashboard.json").read_bytes())
"""The published layout of the dashboard."""

BEGUN = "in-progress"
"""The status of work that has begun and not ended."""

UNKNOWN = "unknown"
"""The status of work whose end may have been missed."""

LONGEST = 2 * DAY
"""Seconds after which the end must have been missed."""

SUCCESSES = frozenset({"done", "incomplete"})
"""The statuses of work that ended well enough for its result to be used."""

_STATUSES = {verb: status for status, words in LAYOUT["statuses"].items() for verb in words["verbs"]}

_LATEST_BYTES = 90_000


class Event(NamedTuple):
    """Something began or ended.

    Attributes:
        component: What it happened to, such as `rawhide`, `updates-testing` or the name of an image.
        status: One of the statuses of the layout.
        release: A release such as `f45`, `epel9` or `rawhide`; None if none is named.
        architecture: None for the primary ones together, or if none is named.
        step: A part of the work, such as `mash`; None for the whole.
        run: Which of several runs it was, such as the id of a compose; None if unknown.
        link: Address of details.
    """

    component: str
    status: str
    release: str | None = None
    architecture: str | None = None
    step: str | None = None
    run: str | None = None
    link: str | None = None


def status_of(verb: str | None) -> str | None:
    """Return the status for a service's word; None if it is not a status."""
    return None if verb is None else _STATUSES.get(verb)


def newest_rows(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest of the rows, in their order: as many as fit into 90 kB."""
    numbered = [*enumerate(rows)]
    kept, left = [], _LATEST_BYTES
    for place, row in sorted(numbered, key=lambda item: (-item[1]["timestamp"], item[0])):
        left -= size(row)
        if left < 0:
            break
        kept.append(place)
    return [numbered[place][1] for place in sorted(kept)]


def size(value: Any) -> int:
    """Return how many bytes a value takes in a document, with the comma after it."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) + 1

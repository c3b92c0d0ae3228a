"""Builds of packages by koji: how many, how they end, of which packages, and how long they take."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from statscache.plugins import Counter, Message, State, fields
from statscache_plugins.durations import SECONDS, summary
from statscache_plugins.releases import release

_TOPICS = ("buildsys.build.state.change",)

_STATES = {0: "building", 1: "complete", 2: "deleted", 3: "failed", 4: "canceled"}

_ENDS = (300, 900, 3_600, 14_400, 43_200)
_NAMES = ("00:00-00:05", "00:05-00:15", "00:15-01:00", "01:00-04:00", "04:00-12:00", "12:00-")
_SPANS = dict(zip(_NAMES, zip((0, *_ENDS), (*_ENDS, None), strict=True), strict=True))
"""Hours and minutes that a build can take, with the ends in seconds."""


def _state(message: Message) -> str | None:
    new = fields.number(message.body, "new")
    return None if new is None else _STATES.get(new)


class Builds(Counter):
    """Builds of koji, by release and by the state that they entered."""

    name = "builds"
    title = "Builds"
    subject = "packages"
    featured = True
    definition = (
        "One is counted for each build each time that it enters a state: building, complete, failed, canceled or"
        " deleted. Its release is the one that the build is for."
    )
    unit = "builds"
    dimensions = ("release", "state")
    entities: ClassVar[dict[str, str]] = {"release": "release"}
    headline: ClassVar[dict[str, str]] = {"state": "complete"}
    topics = _TOPICS
    by_minute = False

    def observe(self, message: Message) -> list[tuple[str | None, str]]:
        state = _state(message)
        return [] if state is None else [(release(message), state)]

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        rows = self.latest(state)
        yield "latest", {"rows": rows}
        yield "success", {"rows": _success(rows)}


def _success(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many builds of each release were completed and how many failed, in all and in each window.

    Whole numbers, from which a reader makes the rate `complete / (complete + failed)`.
    """
    windows = ("total", "last_24h", "last_7d", "last_30d")
    ended = [row for row in rows if row["state"] in ("complete", "failed")]
    sums: dict[str | None, dict[str, int]] = {}
    for row in ended:
        of = sums.setdefault(row["release"], {f"{end}_{name}": 0 for name in windows for end in ("complete", "failed")})
        for name in windows:
            of[f"{row['state']}_{name}"] += row[name]
    return [{"release": name, **of} for name, of in sums.items()]


class BuildsByPackage(Counter):
    """Builds of koji that began, by package, and of each package by release."""

    name = "builds-by-package"
    title = "Builds by package"
    subject = "packages"
    definition = "One is counted for each build that begins."
    unit = "builds"
    dimensions = ("package",)
    breakdown = "release"
    entities: ClassVar[dict[str, str]] = {"package": "package"}
    topics = _TOPICS
    trailing: ClassVar[dict[str, int]] = {"busiest-30d": 30, "busiest-7d": 7}
    unbounded = True
    version = 2

    def observe(self, message: Message) -> list[tuple[str, str | None]]:
        package = fields.text(message.body, "name")
        return [(package, release(message))] if package and _state(message) == "building" else []


class BuildTime(Counter):
    """How long builds of koji took, by release."""

    name = "build-time"
    title = "Time in build"
    subject = "packages"
    definition = (
        "One is counted for each build that is complete, under the time from its creation to its completion. Both are"
        " what koji states in the message that ends the build (it does since 2023): so no build has to be remembered,"
        " and a lost message distorts nothing. Builds without these times are not counted. Under the measure `seconds`,"
        " these times are added up."
    )
    unit = "builds"
    dimensions = ("release", "took", "measure")
    headline: ClassVar[dict[str, str]] = {"measure": "builds"}
    not_added_up = ("measure",)
    topics = _TOPICS
    by_minute = False
    trailing: ClassVar[dict[str, int]] = {"durations": 30}
    version = 2

    def observe(self, message: Message) -> list[tuple[tuple[str | None, str, str], int]]:
        seconds = _seconds(message)
        if seconds is None:
            return []
        of = release(message), _NAMES[bisect_right(_ENDS, seconds)]
        return [((*of, "builds"), 1), ((*of, SECONDS), seconds)]

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        rows = self.latest(state)
        yield "latest", {"rows": rows}
        yield "durations", summary(rows, "release", "took", _SPANS, "builds")


def _seconds(message: Message) -> int | None:
    """Return how long a build took that is complete; None of any other, or if koji does not say it."""
    if _state(message) != "complete":
        return None
    began, ended = _time(message, "creation_time"), _time(message, "completion_time")
    return None if began is None or ended is None or ended < began else ended - began


def _time(message: Message, name: str) -> int | None:
    """Return a time that koji states, in seconds since 1970 UTC; None if it states none that is unambiguous."""
    value = fields.text(message.body, name)
    try:
        moment = datetime.fromisoformat(value or "")
        return None if moment.tzinfo is None else int(moment.timestamp())
    except (ValueError, OverflowError):
        return None


PLUGINS = (Builds, BuildsByPackage, BuildTime)

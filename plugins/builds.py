"""Builds of packages by koji: how many, how they end, of which packages, and how long they take."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from statscache.plugins import Counter, Message, State, fields
from statscache_plugins import durations
from statscache_plugins.durations import SECONDS
from statscache_plugins.releases import release

_TOPICS = ("buildsys.build.state.change",)

_WINDOWS = ("total", "last_24h", "last_7d", "last_30d")
_SUCCESS = tuple(f"{end}_{name}" for end in ("complete", "failed") for name in _WINDOWS)
_STATES = {0: "building", 1: "complete", 2: "deleted", 3: "failed", 4: "canceled"}


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
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"success": ("release", *_SUCCESS)}

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
    ended = [row for row in rows if row["state"] in ("complete", "failed")]
    sums: dict[str | None, dict[str, int]] = {}
    for row in ended:
        of = sums.setdefault(row["release"], dict.fromkeys(_SUCCESS, 0))
        for name in _WINDOWS:
            of[f"{row['state']}_{name}"] += row[name]
    return [{"release": name, **of} for name, of in sums.items()]


class BuildsByPackage(Counter):
    """Builds that ended in koji, by package; for each package, its builds by release and the newest ones."""

    name = "builds-by-package"
    title = "Builds by package"
    subject = "packages"
    definition = "One is counted for each build that is complete or failed."
    unit = "builds"
    dimensions = ("package",)
    breakdown = "release"
    entities: ClassVar[dict[str, str]] = {"package": "package"}
    topics = _TOPICS
    trailing: ClassVar[dict[str, int]] = {"busiest-30d": 30, "busiest-7d": 7}
    unbounded = True
    entries = 10
    version = 3

    def observe(self, message: Message) -> list[tuple[tuple[str, str | None], dict[str, Any]]]:
        package, state = fields.text(message.body, "name"), _state(message)
        if package is None or state not in ("complete", "failed"):
            return []
        of = release(message)
        version = "-".join(filter(None, (fields.text(message.body, name) for name in ("version", "release"))))
        return [((package, of), {"state": state, "release": of, "version": version or None, "link": message.link})]


class BuildTime(Counter):
    """How long builds of koji took, by release."""

    name = "build-time"
    title = "Time in build"
    subject = "packages"
    definition = (
        "One is counted for each build that is complete. Under the measure `seconds`, the time from its creation to its"
        " completion is added up. Both times are what koji states in the message that ends the build (it does since"
        " 2023): so no build has to be remembered, and a lost message distorts nothing. Builds without these times are"
        " not counted."
    )
    unit = "builds"
    dimensions = ("release", "measure")
    headline: ClassVar[dict[str, str]] = {"measure": "builds"}
    not_added_up = ("measure",)
    listed: ClassVar[dict[str, tuple[str, ...]]] = {"measure": ("builds", SECONDS)}
    topics = _TOPICS
    by_minute = False
    trailing: ClassVar[dict[str, int]] = {"durations": durations.DAYS}
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"durations": ("release", *durations.COLUMNS)}
    version = 3

    def observe(self, message: Message) -> tuple[tuple[tuple[str | None, str], int], ...]:
        seconds = _seconds(message)
        return () if seconds is None else durations.yields(release(message), seconds, "builds")

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "latest", {"rows": [row for row in self.latest(state) if row["measure"] == "builds"]}
        rows = self.leaders(state, days=durations.DAYS, limit=durations.MOST_ROWS)
        yield "durations", durations.summary(rows, "release", "builds")


def _seconds(message: Message) -> int | None:
    """Return the duration of a complete build; None for other builds, or if koji does not state it."""
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

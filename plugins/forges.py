"""Forges (Pagure, Forgejo, GitHub, GitLab): what happens there, by project and person; pull requests.

A project that moves from one forge to another goes on in the same statistic.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar

from statscache.plugins import Counter, Message, State, fields
from statscache_plugins import durations
from statscache_plugins.agents import WITH_BOTS
from statscache_plugins.durations import SECONDS
from statscache_plugins.forge_kinds import KINDS, forge_and_kind, payload

_TOPICS = ("pagure.#", "forgejo.#", "github.#", "gitlab.#")
_PULL_REQUESTS = (
    "pagure.pull-request.new",
    "pagure.pull-request.closed",
    "forgejo.pull_request",
    "github.pull_request.#",
    "gitlab.merge_request",
)
_OUTCOMES = {f"pull request {outcome}": outcome for outcome in ("opened", "merged", "closed")}
_MEASURE = "pull requests"


class ForgeEvents(Counter):
    """Events on forges, by forge and kind."""

    name = "forge-events"
    title = "Forges"
    subject = "review"
    definition = (
        "One is counted for each message of a forge, under the forge and under what happened, in the same words for"
        f" every forge: {', '.join(f'`{kind}`' for kind in KINDS)}."
    )
    unit = "events"
    dimensions = ("forge", "event")
    topics = _TOPICS
    version = 2
    by_minute = False

    def observe(self, message: Message) -> tuple[tuple[str, str]]:
        return (forge_and_kind(message),)


class ForgeEventsByProject(Counter):
    """Events on forges, by project."""

    name = "forge-events-by-project"
    title = "Forges by project"
    subject = "review"
    definition = (
        "One is counted for each message of a forge under the forge and the project that it is about, with its"
        " namespace. What happens in a fork on Pagure, or in a pull request from one, counts for what was forked."
    )
    unit = "events"
    dimensions = ("forge", "project")
    topics = _TOPICS
    unbounded = True

    def observe(self, message: Message) -> tuple[tuple[str, str], ...]:
        project = _project_of(message)
        return ((_forge(message), project),) if project else ()


class ForgeEventsByUser(Counter):
    """Events on forges, by the person who acted."""

    name = "forge-events-by-user"
    title = "Forges by person"
    subject = "review"
    definition = (
        "One is counted for each message of a forge under the person who acted, and under the project that it is about;"
        " accounts on the list of bots are left out, and so is who has no account in Fedora."
    )
    unit = "events"
    dimensions = ("user",)
    entities: ClassVar[dict[str, str]] = {"user": "person"}
    breakdown = "project"
    topics = _TOPICS
    declared_settings = WITH_BOTS
    people = True
    unbounded = True
    version = 2

    def observe(self, message: Message) -> tuple[tuple[str, str | None], ...]:
        agent = message.agent
        return ((agent, _project_of(message)),) if agent and agent not in self.settings["bots"] else ()


class PullRequests(Counter):
    """Pull requests that were opened, merged and closed, by forge."""

    name = "pull-requests"
    title = "Pull requests"
    subject = "review"
    featured = True
    definition = (
        "One is counted under `opened` when a pull request (on GitLab: a merge request) is opened, under `merged` when"
        " one is merged, and under `closed` when one is closed without a merge."
    )
    unit = "pull requests"
    dimensions = ("forge", "outcome")
    headline: ClassVar[dict[str, str]] = {"outcome": "merged"}
    topics = _PULL_REQUESTS
    version = 2
    by_minute = False

    def observe(self, message: Message) -> tuple[tuple[str, str], ...]:
        forge, outcome = _outcome(message)
        return ((forge, outcome),) if outcome else ()


class PullRequestsByTimeToMerge(Counter):
    """Pull requests that were merged, by forge, and how long that took."""

    name = "pull-requests-by-time-to-merge"
    title = "Time to merge"
    subject = "review"
    definition = (
        "One is counted for each pull request that is merged. One that does not say when it was opened is not counted."
        " Under the measure `seconds`, the time from then to the merge is added up."
    )
    unit = "pull requests"
    dimensions = ("forge", "measure")
    headline: ClassVar[dict[str, str]] = {"measure": _MEASURE}
    not_added_up = ("measure",)
    listed: ClassVar[dict[str, tuple[str, ...]]] = {"measure": (_MEASURE, SECONDS)}
    topics = _PULL_REQUESTS
    version = 4
    by_minute = False
    trailing: ClassVar[dict[str, int]] = {"durations": durations.DAYS}
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"durations": ("forge", *durations.COLUMNS)}

    def observe(self, message: Message) -> tuple[tuple[tuple[str | None, str], int], ...]:
        seconds = _seconds_to_merge(message)
        return () if seconds is None else durations.yields(_forge(message), seconds, _MEASURE)

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "latest", {"rows": [row for row in self.latest(state) if row["measure"] == _MEASURE]}
        rows = self.leaders(state, days=durations.DAYS, limit=durations.MOST_ROWS)
        yield "durations", durations.summary(rows, "forge", _MEASURE)


def _forge(message: Message) -> str:
    return message.name.partition(".")[0]


def _outcome(message: Message) -> tuple[str, str | None]:
    """Return the forge, and the result for a pull request; None if something else happened."""
    forge, kind = forge_and_kind(message)
    return forge, _OUTCOMES.get(kind)


# Several statistics ask the same of one message, one after the other.
@lru_cache(maxsize=1)
def _project_of(message: Message) -> str | None:
    """Return the project that a message of a forge is about; None if it names none."""
    if _forge(message) == "pagure":
        return _project(message.body)
    return _webhook_project(payload(message))


def _webhook_project(body: dict[str, Any]) -> str | None:
    """Return the project with its namespace, which GitLab names in another place than the others."""
    return (
        fields.text(body, "repository", "full_name")
        or fields.text(body, "run", "repository", "full_name")
        or fields.text(body, "project", "path_with_namespace")
    )


def _project(body: dict[str, Any]) -> str | None:
    """Return the project in the body itself, or in the pull request or commit in it."""
    for holder in (body, *map(body.get, ("pullrequest", "pull_request", "request", "commit"))):
        project = fields.value(holder, "project") or fields.value(holder, "repo")
        project = fields.value(project, "parent") or project
        name = fields.text(project, "fullname") or fields.text(project, "name")
        if name:
            # A fork without its parent: the rest after the forker's name is the parent's name.
            return name.split("/", 2)[-1] if name.startswith("forks/") else name
    return None


def _seconds_to_merge(message: Message) -> int | None:
    """Return the seconds from opening to merging; None without a merge or a time of opening."""
    if _outcome(message)[1] != "merged":
        return None
    opened = _opened(payload(message))
    return None if opened is None or opened > message.timestamp else message.timestamp - opened


def _opened(body: dict[str, Any]) -> int | None:
    """Return when a pull request was opened, in seconds since 1970 UTC; None if missing."""
    opened = fields.text(body, "pullrequest", "date_created")
    if opened is not None:
        return int(opened) if opened.isascii() and opened.isdecimal() and len(opened) <= 10 else None
    opened = fields.text(body, "pull_request", "created_at")
    opened = opened or fields.text(body, "object_attributes", "created_at")
    try:
        # GitLab wrote `2024-05-04 11:26:26 UTC` until it changed to ISO 8601.
        moment = datetime.fromisoformat((opened or "").replace(" UTC", "+00:00"))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


PLUGINS = (
    ForgeEvents,
    ForgeEventsByProject,
    ForgeEventsByUser,
    PullRequests,
    PullRequestsByTimeToMerge,
)

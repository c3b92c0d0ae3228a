"""Forges (Pagure, Forgejo, GitHub, GitLab): what happens there, by project and person; pull requests.

A project that moves from one forge to another goes on in the same statistic. Webhooks of Forgejo, GitHub and GitLab are
forwarded as they come, in `body`; GitHub's came without that envelope until 2024.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from statscache.plugins import Counter, Message, State, fields
from statscache_plugins import durations
from statscache_plugins.agents import WITH_BOTS
from statscache_plugins.durations import SECONDS

_TOPICS = ("pagure.#", "forgejo.#", "github.#", "gitlab.#")
_PULL_REQUESTS = (
    "pagure.pull-request.new",
    "pagure.pull-request.closed",
    "forgejo.pull_request",
    "github.pull_request.#",
    "gitlab.merge_request",
)
_OUTCOMES = {"new": "opened", "opened": "opened", "open": "opened", "closed": "closed", "close": "closed"}
_ACTION = re.compile(r"[a-z_]{1,40}")
_MEASURE = "pull requests"


class ForgeEvents(Counter):
    """Events on forges, by forge and kind."""

    name = "forge-events"
    title = "Forges"
    subject = "review"
    definition = (
        "One is counted for each message of a forge, under the forge and under what its topic says, such as"
        " `pull-request.new`; for a webhook, followed by the action that its body names, such as `pull_request.opened`."
    )
    unit = "events"
    dimensions = ("forge", "event")
    topics = _TOPICS
    by_minute = False

    def observe(self, message: Message) -> tuple[tuple[str, str]]:
        return (_forge_and_event(message),)


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
        return ((_forge_and_event(message)[0], project),) if project else ()


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
        " one is merged, and under `closed` when one is closed without."
    )
    unit = "pull requests"
    dimensions = ("forge", "outcome")
    headline: ClassVar[dict[str, str]] = {"outcome": "merged"}
    topics = _PULL_REQUESTS
    version = 2
    by_minute = False

    def observe(self, message: Message) -> tuple[tuple[str, str], ...]:
        outcome = _outcome(message)
        return ((_forge_and_event(message)[0], outcome),) if outcome else ()


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

    def observe(self, message: Message) -> tuple[tuple[tuple[str | None, str], int], ...]:
        seconds = _seconds_to_merge(message)
        return () if seconds is None else durations.yields(_forge_and_event(message)[0], seconds, _MEASURE)

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "latest", {"rows": [row for row in self.latest(state) if row["measure"] == _MEASURE]}
        rows = self.leaders(state, days=durations.DAYS, limit=durations.MOST_ROWS)
        yield "durations", durations.summary(rows, "forge", _MEASURE)


def _payload(message: Message) -> dict[str, Any]:
    """Return the forge's webhook payload, out of its envelope."""
    inner = message.body.get("body")
    return inner if type(inner) is dict else message.body


def _forge_and_event(message: Message) -> tuple[str, str]:
    """Return the forge, and the kind of event: the topic, and the action where the body alone has it."""
    forge, _, event = message.name.partition(".")
    if forge == "pagure" or "." in event:
        return forge, event
    action = _action(_payload(message))
    return forge, f"{event}.{action}" if action else event


def _action(payload: dict[str, Any]) -> str | None:
    action = fields.text(payload, "action") or fields.text(payload, "object_attributes", "action")
    return action if action and _ACTION.fullmatch(action) else None


def _outcome(message: Message) -> str | None:
    """Return the result for a pull request: `opened`, `merged` or `closed`; None if something else happened."""
    _, event = _forge_and_event(message)
    what = event.rpartition(".")[2]
    if what == "merge":
        return "merged"
    outcome = _OUTCOMES.get(what)
    return "merged" if outcome == "closed" and _is_merged(message) else outcome


def _project_of(message: Message) -> str | None:
    """Return the project that a message of a forge is about; None if it names none."""
    if message.name.startswith("pagure."):
        return _project(message.body)
    return _webhook_project(_payload(message))


def _webhook_project(payload: dict[str, Any]) -> str | None:
    """Return the project with its namespace, which GitLab names in another place than the others."""
    return (
        fields.text(payload, "repository", "full_name")
        or fields.text(payload, "run", "repository", "full_name")
        or fields.text(payload, "project", "path_with_namespace")
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


def _is_merged(message: Message) -> bool:
    payload = _payload(message)
    for merged in (payload.get("merged"), fields.value(payload.get("pull_request"), "merged")):
        if type(merged) is bool:
            return merged
    return fields.text(payload, "pullrequest", "status") == "Merged"


def _seconds_to_merge(message: Message) -> int | None:
    """Return the seconds from opening to merging; None without a merge or a time of opening."""
    if _outcome(message) != "merged":
        return None
    opened = _opened(_payload(message))
    return None if opened is None or opened > message.timestamp else message.timestamp - opened


def _opened(payload: dict[str, Any]) -> int | None:
    """Return when a pull request was opened, in seconds since 1970 UTC; None if missing."""
    opened = fields.text(payload, "pullrequest", "date_created")
    if opened is not None:
        return int(opened) if opened.isascii() and opened.isdecimal() and len(opened) <= 10 else None
    opened = fields.text(payload, "pull_request", "created_at")
    opened = opened or fields.text(payload, "object_attributes", "created_at")
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

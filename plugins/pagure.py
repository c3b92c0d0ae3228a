"""Pagure, the forge of projects and packages: what happens there, by kind, project and person; its pull requests."""

from typing import Any, ClassVar

from statscache.plugins import DAY, HOUR, Counter, Message, fields
from statscache_plugins.agents import WITH_BOTS

_TOPICS = ("pagure.#",)
_CLOSED = "pagure.pull-request.closed"
_SPANS = ((HOUR, "1 hour"), (DAY, "1 day"), (7 * DAY, "7 days"), (30 * DAY, "30 days"))
_LONGER = "longer"


class Pagure(Counter):
    """Events on Pagure."""

    name = "pagure"
    title = "Pagure"
    definition = "One is counted for each message of Pagure, be it of pagure.io or of the packages' sources."
    unit = "events"
    topics = _TOPICS
    depends_on = ()

    def observe(self, message: Message) -> tuple[tuple[()]]:
        return ((),)


class PagureByEvent(Counter):
    """Events on Pagure, by kind."""

    name = "pagure-by-event"
    title = "Pagure by kind of event"
    definition = "One is counted for each message of Pagure, under what its topic says, such as `pull-request.new`."
    unit = "events"
    dimensions = ("event",)
    topics = _TOPICS
    depends_on = ("name",)

    def observe(self, message: Message) -> tuple[tuple[str]]:
        return ((_event(message),),)


class PagureByProject(Counter):
    """Events on Pagure, by project."""

    name = "pagure-by-project"
    title = "Pagure by project"
    definition = (
        "One is counted for each message of Pagure under the project that it is about, with its namespace. What happens"
        " in a fork, or in a pull request from one, counts for the project that was forked."
    )
    unit = "events"
    dimensions = ("project",)
    topics = _TOPICS
    unbounded = True

    def observe(self, message: Message) -> tuple[tuple[str], ...]:
        project = _project(message.body)
        return ((project,),) if project else ()


class PagureByUser(Counter):
    """Events on Pagure, by the person who acted and by kind."""

    name = "pagure-by-user"
    title = "Pagure by person"
    definition = (
        "One is counted for each message of Pagure under the person who acted and the kind of event; accounts on the"
        " list of bots are left out."
    )
    unit = "events"
    dimensions = ("user",)
    breakdown = "event"
    topics = _TOPICS
    declared_settings = WITH_BOTS
    people = True
    unbounded = True
    version = 2

    def observe(self, message: Message) -> tuple[tuple[str, str], ...]:
        agent = message.agent
        return ((agent, _event(message)),) if agent and agent not in self.settings["bots"] else ()


class PullRequests(Counter):
    """Pull requests that were opened, merged and closed."""

    name = "pull-requests"
    title = "Pull requests"
    definition = (
        "One is counted under `opened` when a pull request is opened, under `merged` when one is merged, and under"
        " `closed` when one is closed without."
    )
    unit = "pull requests"
    dimensions = ("outcome",)
    headline: ClassVar[dict[str, str]] = {"outcome": "merged"}
    topics = ("pagure.pull-request.new", _CLOSED)

    def observe(self, message: Message) -> tuple[tuple[str]]:
        if message.name != _CLOSED:
            return (("opened",),)
        return (("merged",),) if _is_merged(message) else (("closed",),)


class PullRequestsByTimeToMerge(Counter):
    """Pull requests that were merged, by how long that took."""

    name = "pull-requests-by-time-to-merge"
    title = "Time to merge"
    definition = (
        "One is counted for each pull request that is merged, under the shortest of the spans within which it was since"
        " it was opened. One that does not say when it was opened is not counted."
    )
    unit = "pull requests"
    dimensions = ("within",)
    topics = (_CLOSED,)

    def observe(self, message: Message) -> tuple[tuple[str], ...]:
        seconds = _seconds_to_merge(message)
        if seconds is None:
            return ()
        return ((next((name for width, name in _SPANS if seconds <= width), _LONGER),),)


class SecondsToMerge(Counter):
    """Seconds that passed until pull requests were merged, added up."""

    name = "seconds-to-merge"
    title = "Seconds to merge"
    definition = (
        "For each pull request that is merged, the seconds since it was opened are added. Divided by the number of"
        " requests in pull-requests-by-time-to-merge, that is the mean."
    )
    unit = "seconds"
    topics = (_CLOSED,)

    def observe(self, message: Message) -> tuple[tuple[tuple[()], int], ...]:
        seconds = _seconds_to_merge(message)
        return () if seconds is None else (((), seconds),)


def _event(message: Message) -> str:
    return message.name.removeprefix("pagure.")


def _project(body: dict[str, Any]) -> str | None:
    """Return the project that stands in the body itself, or in the pull request or commit in it."""
    for holder in (body, *map(body.get, ("pullrequest", "pull_request", "request", "commit"))):
        project = fields.value(holder, "project") or fields.value(holder, "repo")
        project = fields.value(project, "parent") or project
        name = fields.text(project, "fullname") or fields.text(project, "name")
        if name:
            # A fork whose parent is not told: what remains without the forker is the parent's name.
            return name.split("/", 2)[-1] if name.startswith("forks/") else name
    return None


def _is_merged(message: Message) -> bool:
    said = message.body.get("merged")
    return said if type(said) is bool else fields.text(message.body, "pullrequest", "status") == "Merged"


def _seconds_to_merge(message: Message) -> int | None:
    """Return the seconds from opening to merging; None if the message tells of no merge, or not when it was opened."""
    opened = fields.text(message.body, "pullrequest", "date_created") or ""
    if not _is_merged(message) or not (opened.isascii() and opened.isdecimal() and len(opened) <= 10):
        return None
    seconds = message.timestamp - int(opened)
    return seconds if seconds >= 0 else None


PLUGINS = (
    Pagure,
    PagureByEvent,
    PagureByProject,
    PagureByUser,
    PullRequests,
    PullRequestsByTimeToMerge,
    SecondsToMerge,
)

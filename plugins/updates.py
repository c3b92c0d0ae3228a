"""Pushes of updates: when the repositories of each release were composed and synced to the mirrors."""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from statscache.plugins import Feed, Latest, Message, State, fields
from statscache_plugins.events import BEGUN, Event, newest_rows, status_of

TOPICS = ("bodhi.updates.*.sync", "bodhi.compose.#", "bodhi.mashtask.#")

_FEDORA = re.compile(r"(f[1-9][0-9]{0,2})-(.+)")
_EPEL = re.compile(r"(epel[1-9][0-9]{0,2}(?:\.[0-9]{1,3})?)((?:-.+)?)")
_OLD_EPEL = re.compile(r"dist-([1-9][0-9]{0,2})E-epel((?:-.+)?)")
_VERSION = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{1,3})?")


def events(message: Message) -> list[Event]:
    """Return the start or end of a repository's compose or sync that a message of `TOPICS` announces."""
    repository = fields.text(message.body, "repo")
    if repository is None:
        return []
    if message.name.startswith("bodhi.updates."):
        product, version = message.name.split(".")[2], fields.text(message.body, "release")
        if version is None or not _VERSION.fullmatch(version):
            return []
        release = f"f{version}" if product == "fedora" else f"{product}{version}"
        return [Event(repository, "done", release=release, step="mirror")]
    verb = ".".join(message.name.split(".")[2:])
    status = status_of(verb)
    if status is None:
        return []
    if fields.value(message.body, "success") is False:
        status = "failed"
    tagged, name = _repository(repository)
    return [Event(name, status, release=tagged, step="sync" if verb.startswith("sync.") else None)]


def _repository(tag: str) -> tuple[str | None, str]:
    """Return release and repository of a tag of koji, such as f29 and updates-testing of `f29-updates-testing`."""
    if match := _FEDORA.fullmatch(tag):
        return match[1], match[2]
    if match := _EPEL.fullmatch(tag):
        return match[1], f"epel{match[2]}"
    if match := _OLD_EPEL.fullmatch(tag):
        return f"epel{match[1]}", f"epel{match[2]}"
    return None, tag


class UpdatePushes(Latest):
    """The last push of updates to each repository of each release, Fedora and EPEL."""

    name = "update-pushes"
    title = "Pushes of updates"
    subject = "releng"
    failures: ClassVar[dict[str, tuple[str, ...]]] = {"state": ("failed",)}
    definition = (
        "A push is shown when the files of a repository were copied to the master mirror (`mirror`), when Bodhi has"
        " seen them there (`sync`), and when Bodhi has finished the whole push (`compose`), done or failed. Of each"
        " repository the last push that was done and the last that failed are shown."
    )
    unit = "pushes"
    dimensions = ("release", "repository", "step", "state")
    entities: ClassVar[dict[str, str]] = {"release": "release"}
    topics = TOPICS
    feed = Feed("Pushes of updates", ("release", "repository", "step"), "state")
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"latest": ("size",)}

    def observe(self, message: Message) -> list[tuple[tuple[str | None, ...], dict[str, Any]]]:
        return [
            (
                (event.release, event.component, event.step or "compose", event.status),
                {"size": fields.text(message.body, "bytes")},
            )
            for event in events(message)
            if event.status != BEGUN
        ]

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "latest", {"rows": newest_rows(self.latest(state))}


PLUGINS = (UpdatePushes,)

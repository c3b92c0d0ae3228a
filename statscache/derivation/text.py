"""Describe a message to people: one line of plain text, and a link to details.

Both may hold hostile text from the bus: escape them wherever they are shown.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from statscache.derivation.forges import FORGES, event_line
from statscache.derivation.values import at, paths, text_at, without_addresses

MAX_SUBTITLE = 200
"""Characters of the longest subtitle."""

MAX_URL = 2000
"""Characters of the longest URL that is taken for a link."""

# In braces: `agent`, `packages`, `state`, or the path of a field of the body; `|` separates fields of several eras of
# the topic. Brackets hold choices separated by `||`: the first whose fields all exist is taken, or nothing; if a
# field outside brackets is missing, the phrase is not used at all.
_PHRASES = {
    "ansible.playbook": "{userid|agent} ran the playbook {playbook}",
    "ansible.playbook.complete": "The playbook {playbook}[ of {userid}] completed",
    "badges.badge.award": "{user.username|user} earned the badge {badge.name}",
    "bodhi.buildroot_override.tag": "{agent} submitted a buildroot override[ for {packages}]",
    "bodhi.buildroot_override.untag": "{agent} expired a buildroot override[ for {packages}]",
    "bodhi.errata.publish": "{subject}",
    "bodhi.update.comment": "{agent} commented on [the update of {packages}||an update]",
    "bodhi.update.complete.stable": "[The update of {packages}||An update] reached stable",
    "bodhi.update.complete.testing": "[The update of {packages}||An update] reached testing",
    "bodhi.update.edit": "{agent} edited [the update of {packages}||an update]",
    "bodhi.update.eject": "[The update of {packages}||An update] was ejected[: {reason}]",
    "bodhi.update.request.stable": "{agent} submitted [the update of {packages}||an update] to stable",
    "bodhi.update.request.testing": "{agent} submitted [the update of {packages}||an update] to testing",
    "bodhi.updates": "Updates[ of release {release}] were synced[ ({bytes} changed)]",
    "bugzilla.bug": "Bug {bug.id}[ of {packages}][: {bug.summary}]",
    "buildsys.build.state.change": "{owner|agent}'s build[ {name}-{version}-{release}] {state}",
    "buildsys.tag": "{agent} tagged {name}[-{version}-{release}][ into {tag}]",
    "buildsys.untag": "{agent} untagged {name}[-{version}-{release}][ from {tag}]",
    "copr.build.end": "{user|submitter|agent}'s build[ {build}][ in copr {copr}] ended",
    "copr.build.start": "{agent}'s build[ {build}][ in copr {copr}] started",
    "fedbadges.badge.award": "{user.username|user} earned the badge {badge.name}",
    "fedimg.image": "Image {image_name}[ in {destination}][: {status}]",
    "git.receive": "{agent} pushed to {packages|commit.repo}[: {commit.summary}]",
    "irc.karma": "{agent} gave karma to {recipient}",
    "maubot.cookie.give": "{agent} gave a cookie to {recipient}",
    "meetbot.meeting.complete": "[The meeting {meeting_topic|meeting_name}||A meeting][ in {channel|location}] ended",
    "meetbot.meeting.start": "[The meeting {meeting_topic|meeting_name}||A meeting][ in {channel|location}] started",
    "planet.post.new": "{name|agent} wrote {post.title}",
    "pungi.compose.status.change": "Compose {compose_id}[: {status}]",
    "waiverdb.waiver.new": "{agent} waived a result[: {comment}]",
    "wiki.article.edit": "{agent} edited {title}",
}
_STATES = {0: "started", 1: "completed", 2: "was deleted", 3: "failed", 4: "was cancelled"}
_PART = re.compile(r"([^\[\]]+)|\[([^\[\]]*)\]")
_FIELD = re.compile(r"\{([^{}]+)\}")

_URLS = paths(
    "url link html_url job_url build_url compose_url location image_url archived-at compare "
    "issue.full_url pullrequest.full_url pull_request.full_url project.full_url update.url "
    "comment.html_url pull_request.html_url issue.html_url release.html_url commit.url commit.html_url "
    "body.compare_url body.issue.html_url body.pull_request.html_url "
    "bug.weburl result.job_url result.log_url article.url post.link msg.archived-at"
)
# Pages of Fedora's services, for messages that name a thing but not its address.
_PAGES = {
    "bodhi.update": (
        "https://bodhi.fedoraproject.org/updates/",
        paths("update.alias comment.update.alias comment.update_alias update.title comment.update_title"),
    ),
    "bodhi.errata": ("https://bodhi.fedoraproject.org/updates/", paths("update.alias update.title")),
    "buildsys.build": ("https://koji.fedoraproject.org/koji/buildinfo?buildID=", paths("build_id")),
    "buildsys.tag": ("https://koji.fedoraproject.org/koji/buildinfo?buildID=", paths("build_id")),
    "buildsys.task": ("https://koji.fedoraproject.org/koji/taskinfo?taskID=", paths("id")),
    "copr.build": ("https://copr.fedorainfracloud.org/coprs/build/", paths("build")),
}

# A topic may have hundreds of parts; what the tables above know has few.
_DEEPEST = 1 + max(name.count(".") for name in (*_PHRASES, *_PAGES))


@lru_cache(maxsize=8192)
def _phrase(name: str) -> str | None:
    return next((_PHRASES[start] for start in _starts(name) if start in _PHRASES), None)


def _starts(name: str) -> list[str]:
    parts = name.split(".", _DEEPEST)[:_DEEPEST]
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def subtitle(name: str, body: dict[str, Any], agent: str | None, packages: tuple[str, ...]) -> str:
    """Return one line of plain text that describes a message of topic `name`; it is never empty."""

    def value(fields: str) -> str | None:
        for field in fields.split("|"):
            if field == "agent":
                return agent or "somebody"
            if field == "packages":
                found: Any = _several(packages)
            elif field == "state":
                state = body.get("new")
                return _STATES.get(state, "changed") if type(state) is int else "changed"
            else:
                found = at(body, tuple(field.split(".")))
            if type(found) in (str, int, float) and found != "":
                return str(found)
        return None

    if name.partition(".")[0] in FORGES:
        text = event_line(name, body, agent)
    else:
        phrase = _phrase(name)
        text = _filled(phrase, value) if phrase else None
    if text is None:
        who = f"{agent}: " if agent else ""
        what = f" ({_several(packages)})" if packages else ""
        text = who + name.replace(".", " ") + what
    return _one_line(text) or name


def _filled(phrase: str, value: Callable[[str], str | None]) -> str | None:
    """Return `phrase` with the values of its fields; None if it cannot be used without one that is missing."""
    parts: list[str] = []
    for needed, optional in _PART.findall(phrase):
        choices = (_put(each, value) for each in ([needed] if needed else optional.split("||")))
        text = next((each for each in choices if each is not None), None if needed else "")
        if text is None:
            return None
        parts.append(text)
    return "".join(parts)


def _put(part: str, value: Callable[[str], str | None]) -> str | None:
    # The text of a field is not expanded again: its author may have written braces.
    values = [value(field) for field in _FIELD.findall(part)]
    if None in values:
        return None
    put = iter(values)
    return _FIELD.sub(lambda _: next(put) or "", part)


def _several(names: tuple[str, ...]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def _one_line(text: str) -> str:
    words = without_addresses(" ".join(text[: 4 * MAX_SUBTITLE].split()))
    line = "".join(character for character in words if character.isprintable())
    return line if len(line) <= MAX_SUBTITLE else line[: MAX_SUBTITLE - 1] + "…"


def link(name: str, body: dict[str, Any]) -> str | None:
    """Return an http or https URL that shows more of a message of topic `name`, None if there is none.

    It is the one that the sender wrote, else the page of Fedora's service that shows the update, build or
    task.
    """
    for path in _URLS:
        if path[0] not in body:
            continue
        url = text_at(body, *path)
        if is_url(url):
            return url
    for start in _starts(name):
        if start in _PAGES:
            base, places = _PAGES[start]
            for path in places:
                found = at(body, path)
                named = str(found) if type(found) in (int, str) else ""
                if 0 < len(named) <= MAX_URL // 10 and without_addresses(named) == named:
                    return base + quote(named, safe="")
    return None


def is_url(text: str) -> bool:
    """Return whether `text` is an http or https URL that is safe as a link, whoever wrote it.

    One that contains a mail or IP address is not safe, because it is published.
    """
    return (
        text.startswith(("https://", "http://"))
        and len(text) <= MAX_URL
        and text.isprintable()
        and not any(mark in text for mark in " \"'<>`\\{}|^")
        and without_addresses(text) == text
    )

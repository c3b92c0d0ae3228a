"""Rules: how each family of topics says who acted, who is involved, and which packages are concerned.

A rule takes the topic's name and the body, and returns `Facts`. Most are made by `fields`; the functions are for
bodies whose meaning is in more than the place of a field.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from statscache.derivation.values import (
    ACCOUNTS,
    PACKAGES,
    Answers,
    Path,
    at,
    built,
    dict_at,
    first,
    list_at,
    packages,
    paths,
    people,
    text_at,
)

Facts = tuple[str | None, Sequence[str], Sequence[str]]
"""What a rule found: who acted; names of those involved; names of packages, both in any order, some more than once."""

Rule = Callable[[str, dict[str, Any]], Facts]

_MENTION = re.compile(r"(?<!\w)@(\w+)")
# Components of Bugzilla that stand for work, not for a package.
_NO_COMPONENT = frozenset({"Package Review", "distribution"})
_BOTS = frozenset({"zodbot", "fm-admin", "meetbot"})


def fields(*, actor: str = "", people_at: str = "", packages_at: str = "", builds_at: str = "") -> Rule:
    """Return a rule that reads fields at fixed places, each given as paths set apart by spaces.

    Packages stand either by name or as builds.

    Args:
        actor: Where the one who acted may stand; the first place that names a person wins.
        people_at: Where others stand who are involved.
        packages_at: Where packages stand by name.
        builds_at: Where packages stand by name, version and release.
    """
    actors, others, named, nvrs = _places(actor), _places(people_at), _places(packages_at), _places(builds_at)

    def rule(name: str, body: dict[str, Any]) -> Facts:
        agent: str | None = None
        for key, rest in actors:
            found = at(body.get(key), rest) if rest else body.get(key)
            # Nearly always a name stands there, or nothing.
            agent = ACCOUNTS[found] if type(found) is str else first(found) if found is not None else None
            if agent is not None:
                break
        involved = _read(others, body, ACCOUNTS, people) if others else ()
        concerned = _read(named, body, PACKAGES, packages) if named else ()
        if nvrs:
            concerned = [name for key, rest in nvrs for name in built(at(body.get(key), rest))]
        return agent, involved, concerned

    return rule


def _read(
    places: tuple[tuple[str, Path], ...],
    body: dict[str, Any],
    known: Answers[str | None],
    read: Callable[[Any], list[str]],
) -> list[str]:
    names: list[str] = []
    for key, rest in places:
        found = at(body.get(key), rest) if rest else body.get(key)
        if type(found) is str:
            if (name := known[found]) is not None:
                names.append(name)
        elif found is not None:
            names += read(found)
    return names


def _places(text: str) -> tuple[tuple[str, Path], ...]:
    # Most places are keys of the body itself, for which `at` would be a detour.
    return tuple((path[0], path[1:]) for path in paths(text))


def _bodhi_update(body: dict[str, Any]) -> dict[str, Any]:
    update = body.get("update")
    return update if update and type(update) is dict else dict_at(body, "comment", "update")


def bodhi_update(name: str, body: dict[str, Any]) -> Facts:
    """An update: its owner is involved, and acts only where the message says so."""
    update = _bodhi_update(body)
    # A title may be prose since builds are listed, so it is read only where they are not.
    builds = update.get("builds")
    if not builds or type(builds) is not list:
        builds = text_at(update, "title") or text_at(body, "comment", "update_title")
    owner = people(update.get("user") or update.get("submitter"))
    return first(body.get("agent")), owner, built(builds)


def bodhi_comment(name: str, body: dict[str, Any]) -> Facts:
    """A comment on an update: the commenter acts; the owner and whoever is mentioned are involved."""
    comment = dict_at(body, "comment")
    text = text_at(comment, "text")
    mentioned = _MENTION.findall(text) if "@" in text else []
    _, owner, concerned = bodhi_update(name, body)
    return first(comment.get("user"), comment.get("author")), [*people(mentioned), *owner], concerned


def git(name: str, body: dict[str, Any]) -> Facts:
    """The packages' own git: the repository is the package; old topics carry it between verb and branch.

    Repositories of tests and of modules lie beside those of packages, and are none.
    """
    commit = dict_at(body, "commit")
    agent = first(body.get("agent"), commit.get("username"))
    if commit.get("namespace", "rpms") not in ("rpms", "rpms-checks"):
        return agent, (), ()
    repository = commit.get("repo") if name.startswith("git.receive") else body.get("name")
    return agent, (), packages(repository or ".".join(name.split(".")[2:-1]))


def git_branched(name: str, body: dict[str, Any]) -> Facts:
    """Many packages branched at once."""
    concerned = packages([*list_at(body, "unbranchedPackages"), *list_at(body, "branchedPackages")])
    return first(body.get("agent")), (), concerned


def _each(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _in_fedora(body: dict[str, Any]) -> list[str]:
    """Return the Fedora packages that a project of the release monitor is mapped to."""
    mapped = [*list_at(body, "message", "packages"), *list_at(body, "packages")]
    return packages([entry.get("package_name") for entry in mapped if text_at(entry, "distro").lower() == "fedora"])


def anitya(name: str, body: dict[str, Any]) -> Facts:
    """The release monitor: it acts by itself unless a person is named."""
    message = dict_at(body, "message")
    concerned: Sequence[str] = ()
    if name.startswith(("anitya.project.map.new", "anitya.project.map.update")):
        if text_at(body, "distro", "name").lower() == "fedora":
            concerned = packages([message.get("new"), message.get("prev")])
    elif not name.startswith("anitya.project.flag.set"):
        concerned = _in_fedora(body)
    return first(message.get("agent", "anitya")), (), concerned


def hotness(name: str, body: dict[str, Any]) -> Facts:
    """What a message of another application set off: whom and what that one concerned."""
    trigger, cause = text_at(body, "trigger", "topic"), dict_at(body, "trigger", "msg")
    found = [cause.get("package"), at(cause, ("package_listing", "package"))]
    if "buildsys.build" in trigger:
        return None, people(cause.get("owner")), packages([*found, cause.get("name")])
    return None, (), [*packages(found), *(_in_fedora(cause) if "anitya" in trigger else ())]


def meeting(name: str, body: dict[str, Any]) -> Facts:
    """A meeting: who said something acts, else who runs it; all who spoke are involved."""
    attendees = body.get("attendees")
    present = people(list(attendees) if type(attendees) is dict else attendees)
    return first(at(body, ("details", "nick")), body.get("owner")), [who for who in present if who not in _BOTS], ()


def github(name: str, body: dict[str, Any]) -> Facts:
    """GitHub: its accounts count only where the sender knows whose they are; organizations are nobody."""
    known = {
        login: account
        for login, account in dict_at(body, "fas_usernames").items()
        if type(account) is str and not account.startswith("github_org_")
    }
    actors = [body.get("agent")]
    for path in (
        ("sender", "login"),
        ("pusher", "name"),
        ("commit", "author", "login"),
        ("forkee", "owner", "login"),
    ):
        actors.append(known.get(text_at(body, *path)))
    return first(*actors), people(list(known.values())), ()


def wiki(name: str, body: dict[str, Any]) -> Facts:
    """The wiki, whose software writes account names with a capital letter."""
    users = [text.lower() for text in (text_at(body, "user"), text_at(body, "user_text")) if text]
    return first(*users[:1]), (), ()


def trac(name: str, body: dict[str, Any]) -> Facts:
    """A tracker's ticket, page or commit; those in copy are involved."""
    ticket, author = dict_at(body, "ticket"), at(body, ("page", "author"))
    involved = [author, ticket.get("owner"), ticket.get("reporter"), *text_at(ticket, "cc").split(",")]
    committer = at(body, ("commit", "username"))
    return first(body.get("agent"), committer), people([*involved, committer]), ()


def bugzilla(name: str, body: dict[str, Any]) -> Facts:
    """A bug: its people are known by mail address, of which only Fedora's own are names."""
    bug, component = dict_at(body, "bug"), at(body, ("bug", "component"))
    actors = [at(body, path) for path in paths("comment.author event.who event.user.login")]
    if not any(actors):
        actors.append(bug.get("creator"))
    involved = [*actors, bug.get("creator"), bug.get("assigned_to"), *list_at(bug, "cc")]
    addresses = [text for text in involved if type(text) is str and "@" in text]
    concerned = [package for package in packages(component) if package not in _NO_COMPONENT]
    return first(*(text for text in actors if text in addresses)), people(addresses), concerned


def mailman(name: str, body: dict[str, Any]) -> Facts:
    """A mail to a list, from whoever its `From` names, which is an address or `Name <address>`."""
    return first(text_at(body, "msg", "from").rpartition("<")[2].partition(">")[0]), (), ()


def tagger(name: str, body: dict[str, Any]) -> Facts:
    """A package was tagged or rated; an old body has the package's name as the only key of an object."""
    package = at(body, ("vote", "tag", "package"))
    if type(package) is dict and "name" not in package:
        package = list(package)[:1]
    found = [*packages(package), *packages(at(body, ("rating", "package"))), *packages(body.get("package"))]
    return first(*(at(body, path) for path in paths("vote.user rating.user user"))), (), found


def mdapi(name: str, body: dict[str, Any]) -> Facts:
    """A repository's metadata changed; old bodies list the changed rows, with the name first or last."""
    found: list[str] = []
    for actions in dict_at(body, "differences").values():
        for rows in actions.values() if type(actions) is dict else ():
            for row in rows if type(rows) is list else ():
                cells = [cell for cell in row if type(cell) is str] if type(row) is list else []
                if cells:
                    found.append((cells[-1] if "/" in cells[0] else cells[0]).partition("(")[0])
    return None, (), packages([*found, *list_at(body, "packages")])


def subject(name: str, body: dict[str, Any]) -> Facts:
    """A decision or waiver about builds."""
    found = [at(item, ("item",)) for item in list_at(body, "subject") if text_at(item, "type") == "koji_build"]
    if body.get("subject_type") == "koji_build":
        found.append(body.get("subject_identifier"))
    return first(body.get("username")), (), built(found)


def result(name: str, body: dict[str, Any]) -> Facts:
    """A test result, of a build or of something else."""
    if text_at(body, "task", "type") == "koji_build":
        return None, (), built(at(body, ("task", "item")))
    if "koji_build" in _each(at(body, ("data", "type"))):
        return None, (), built(at(body, ("data", "item")))
    return None, (), ()


def masher(name: str, body: dict[str, Any]) -> Facts:
    """A push of many updates, each by its title."""
    return first(body.get("agent")), (), built(body.get("updates"))


def kernel(name: str, body: dict[str, Any]) -> Facts:
    """A test of the kernel, which is the package."""
    return first(body.get("agent")), (), ("kernel",)

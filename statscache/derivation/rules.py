"""Rules for topics where the agent, people involved or packages are not simply the value of a field."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import orjson

from statscache.derivation.values import (
    MOST_READ,
    Facts,
    at,
    built,
    dict_at,
    first,
    keys_read,
    list_at,
    packages,
    paths,
    people,
    person,
    text_at,
)

_MENTION = re.compile(r"(?<!\w)@(\w+)")
# Components of Bugzilla that are kinds of work or images, not packages.
_NO_COMPONENT = ("Package Review", "distribution", "LiveCD")
# States of a build of koji by number that no person sets: complete, deleted, failed.
_ENDS = (1, 2, 3)
# Namespaces of packages in Fedora's git; the others, such as tests, do not hold packages.
_PACKAGED = frozenset({"rpms", "rpms-checks", "container", "containers", "modules", "flatpaks"})
_LONGEST_JSON = 10_000
_MOST = 20
# Events of GitHub that no person sends.
_AUTOMATIC = frozenset(
    {
        "check_run",
        "check_suite",
        "deployment",
        "deployment_status",
        "page_build",
        "status",
        "workflow_job",
        "workflow_run",
    }
)
_MEETING_BOTS = frozenset({"zodbot", "fm-admin", "meetbot"})


def _bodhi_update(body: dict[str, Any]) -> dict[str, Any]:
    update = body.get("update")
    return update if update and type(update) is dict else dict_at(body, "comment", "update")


def bodhi_update(name: str, body: dict[str, Any]) -> Facts:
    """An update: its owner is involved, and acts only where the message says so."""
    update = _bodhi_update(body)
    # Since bodies list the builds, a title may be prose, so it is read only where they are not listed.
    builds = update.get("builds")
    if not builds or type(builds) is not list:
        builds = text_at(update, "title") or text_at(body, "comment", "update_title")
    owner = people(update.get("user") or update.get("submitter"))
    return first(body.get("agent")), owner, built(builds)


def bodhi_errata(name: str, body: dict[str, Any]) -> Facts:
    """An advisory: Bodhi publishes it in the name of the update's owner."""
    _, owner, concerned = bodhi_update(name, body)
    return first(owner), owner, concerned


def bodhi_testing(name: str, body: dict[str, Any]) -> Facts:
    """An update to be tested: bodies until 2023 list its builds, each with its owner; later ones have the update."""
    builds = list_at(body, "artifact", "builds")
    if concerned := packages([at(each, ("component",)) for each in builds]):
        return first(body.get("agent")), people([at(each, ("issuer",)) for each in builds]), concerned
    return bodhi_update(name, body)


def bodhi_comment(name: str, body: dict[str, Any]) -> Facts:
    """A comment on an update: the commenter acts; the owner and the people mentioned are involved."""
    comment = dict_at(body, "comment")
    text = text_at(comment, "text")
    mentioned = [found[1] for found in islice(_MENTION.finditer(text), MOST_READ)] if "@" in text else []
    _, owner, concerned = bodhi_update(name, body)
    return first(comment.get("user"), comment.get("author")), [*people(mentioned), *owner], concerned


def build(name: str, body: dict[str, Any]) -> Facts:
    """A build of koji: its owner begins or cancels it; completion, deletion and failure have no agent."""
    owner = people(body.get("owner"))
    begins = "old" in body and body["old"] is None
    acts = begins or body.get("new") not in _ENDS
    return first(owner) if acts else None, owner, packages(body.get("name"))


def git(name: str, body: dict[str, Any]) -> Facts:
    """The packages' own git: the repository is the package; old topics carry it between verb and branch."""
    commit = dict_at(body, "commit")
    agent = first(body.get("agent"), commit.get("username"))
    if commit.get("namespace", "rpms") not in _PACKAGED:
        return agent, (), ()
    repository = commit.get("repo") if name.startswith("git.receive") else body.get("name")
    return agent, (), packages(repository or ".".join(name.split(".")[2:-1]))


def git_branched(name: str, body: dict[str, Any]) -> Facts:
    """Many packages branched at once: the beginning has an agent, the end has none."""
    concerned = packages([*list_at(body, "unbranchedPackages"), *list_at(body, "branchedPackages")])
    agent = people(body.get("agent"))
    return None if name.endswith(".complete") else first(agent), agent, concerned


def pagure_git(name: str, body: dict[str, Any]) -> Facts:
    """A push to pagure: the repository is a package if its namespace is one of packages."""
    repository = dict_at(body, "repo")
    concerned = packages(repository.get("name")) if repository.get("namespace") in _PACKAGED else ()
    return first(body.get("agent"), at(body, ("commit", "email"))), (), concerned


def _each(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _in_fedora(body: dict[str, Any]) -> list[str]:
    """Return the Fedora packages that a project of the release monitor is mapped to."""
    mapped = [*list_at(body, "message", "packages")[:MOST_READ], *list_at(body, "packages")[:MOST_READ]]
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
    """A message triggered by another one: the people and packages of that one."""
    trigger, cause = text_at(body, "trigger", "topic"), dict_at(body, "trigger", "msg")
    found = [cause.get("package"), at(cause, ("package_listing", "package"))]
    if "buildsys.build" in trigger:
        return None, people(cause.get("owner")), packages([*found, cause.get("name")])
    return None, (), [*packages(found), *(_in_fedora(cause) if "anitya" in trigger else ())]


def meeting(name: str, body: dict[str, Any]) -> Facts:
    """A meeting: the speaker acts, else whoever started or ended it; attendees and chairs are involved."""
    attendees = body.get("attendees")
    present = people(keys_read(attendees) if type(attendees) is dict else attendees) + people(body.get("chairs"))
    moment = "start_user" if name.startswith("meetbot.meeting.start") else "end_user"
    agent = first(at(body, ("details", "nick")), body.get(moment), body.get("owner"))
    return agent, [who for who in present if who not in _MEETING_BOTS], ()


def github(name: str, body: dict[str, Any]) -> Facts:
    """GitHub: accounts count only if the sender maps them to people; organizations are not people.

    Automatic events of GitHub and of checks name the account that caused them, which did not act.
    """
    accounts = dict_at(body, "fas_usernames")
    known = {
        login: account
        for login in keys_read(accounts)
        if type(account := accounts[login]) is str and not account.startswith("github_org_")
    }
    actors = [body.get("agent")]
    is_automatic = name.removeprefix("github.").partition(".")[0] in _AUTOMATIC
    for path in (
        ()
        if is_automatic
        else (
            ("sender", "login"),
            ("pusher", "name"),
            ("commit", "author", "login"),
            ("forkee", "owner", "login"),
        )
    ):
        actors.append(known.get(text_at(body, *path)))
    return first(*actors), people(list(known.values())), ()


def wiki(name: str, body: dict[str, Any]) -> Facts:
    """The wiki, whose software writes account names with a capital letter."""
    users = [text.lower() for text in (text_at(body, "user"), text_at(body, "user_text")) if text]
    return first(*users[:1]), (), ()


def trac(name: str, body: dict[str, Any]) -> Facts:
    """A tracker's ticket, page or commit; people in copy are involved."""
    ticket, author = dict_at(body, "ticket"), at(body, ("page", "author"))
    involved = [author, ticket.get("owner"), ticket.get("reporter"), *text_at(ticket, "cc").split(",", MOST_READ)]
    committer = at(body, ("commit", "username"))
    return first(body.get("agent"), committer), people([*involved, committer]), ()


def bugzilla(name: str, body: dict[str, Any]) -> Facts:
    """A bug: current bodies name accounts; in older ones, only addresses that Fedora gives to accounts are names."""
    bug = dict_at(body, "bug")
    concerned = [package for package in packages(bug.get("component")) if not package.startswith(_NO_COMPONENT)]
    if "agent_name" in body:
        return first(body["agent_name"]), people(body.get("usernames")), concerned
    actors = [at(body, path) for path in paths("comment.author event.who event.user.login")]
    if not any(actors):
        actors.append(bug.get("creator"))
    involved = [*actors, bug.get("creator"), bug.get("assigned_to"), *list_at(bug, "cc")]
    addresses = [text for text in involved if type(text) is str and "@" in text]
    return first(*(text for text in actors if text in addresses)), people(addresses), concerned


def mailman(name: str, body: dict[str, Any]) -> Facts:
    """A mail to a list; its `From` names the agent, as an address or `Name <address>`."""
    sender = text_at(body, "msg", "from").rpartition("<")[2].partition(">")[0]
    return person(sender) if "@" in sender else None, people(body.get("usernames")), ()


def ipa(name: str, body: dict[str, Any]) -> Facts:
    """A change of accounts or groups, from FreeIPA's journal: the person who requested it acts."""
    actor, asked = text_at(body, "IPA_API_ACTOR").partition("@")[0], text_at(body, "IPA_API_PARAMS")
    try:
        parameters = orjson.loads(asked) if len(asked) <= _LONGEST_JSON else {}
    except orjson.JSONDecodeError:
        parameters = {}
    return person(actor), [*people(at(parameters, ("uid",))), *people(at(parameters, ("user",)))], ()


def container(name: str, body: dict[str, Any]) -> Facts:
    """Container images that were pushed, each named by registry, repository and tag."""
    repository = text_at(body, "repository")
    registries, tags = _texts(list_at(body, "registries")), _texts(list_at(body, "tags"))
    return None, (), packages([f"{registry}/{repository}:{tag}" for registry in registries for tag in tags])


def _texts(values: list[Any]) -> list[str]:
    """Return the texts among the first few values."""
    return [value for value in values[:_MOST] if type(value) is str]


def tagger(name: str, body: dict[str, Any]) -> Facts:
    """A package was tagged or rated; an old body has the package's name as the only key of an object."""
    package = at(body, ("vote", "tag", "package"))
    if type(package) is dict and "name" not in package:
        package = keys_read(package)[:1]
    found = [*packages(package), *packages(at(body, ("rating", "package"))), *packages(body.get("package"))]
    return first(*(at(body, path) for path in paths("vote.user rating.user user"))), (), found


def mdapi(name: str, body: dict[str, Any]) -> Facts:
    """A repository's metadata changed; old bodies list the changed rows, with the name first or last."""
    found: list[str] = []
    for cells in islice(_changed_rows(dict_at(body, "differences")), MOST_READ):
        found.append((cells[-1] if "/" in cells[0] else cells[0]).partition("(")[0])
    return None, (), [*packages(found), *packages(list_at(body, "packages"))]


def _changed_rows(differences: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the texts in each row that has any, in the order of the keys above them."""
    for _, actions in sorted(differences.items()):
        for _, rows in sorted(actions.items()) if type(actions) is dict else ():
            for row in rows if type(rows) is list else ():
                if cells := [cell for cell in row if type(cell) is str] if type(row) is list else []:
                    yield cells


def module(name: str, body: dict[str, Any]) -> Facts:
    """A build of a module: its owner submits it, and the service does the rest."""
    owner = people(body.get("owner"))
    begins = body.get("state_name", body.get("state")) in ("init", 0)
    return first(owner) if begins else None, owner, ()


def compose(name: str, body: dict[str, Any]) -> Facts:
    """A compose on demand: its owner requests it (state `wait`), and the service does the rest."""
    requested = dict_at(body, "compose")
    owner = people(requested.get("owner"))
    begins = requested.get("state_name", requested.get("state")) in ("wait", 0)
    return first(owner) if begins else None, owner, ()


def decision(name: str, body: dict[str, Any]) -> Facts:
    """A decision about builds, which a service makes."""
    _, _, concerned = subject(name, body)
    return None, (), concerned


def subject(name: str, body: dict[str, Any]) -> Facts:
    """A waiver of tests of builds: its author acts."""
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
    """A push of many updates, each named by its title."""
    return first(body.get("agent")), (), built(body.get("updates"))


def kernel(name: str, body: dict[str, Any]) -> Facts:
    """A test of the kernel, which is the package."""
    return first(body.get("agent")), (), ("kernel",)

"""Who acted, who is involved, and which packages are concerned; and the table of the rules that say so by topic.

The result depends only on what the sender published. Who acted is read from the body, by the rule of its topic.
For who is involved and for packages, headers of fedora-messaging come first, since the sender's own classes wrote them;
if they name no person, or no package, the rule reads the body. Most rules read fields at fixed places, and are
written in the table itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

from statscache.derivation import rules
from statscache.derivation.values import (
    ACCOUNTS,
    MOST_READ,
    PACKAGES,
    Answers,
    Facts,
    Path,
    at,
    built,
    first,
    keys_read,
    packages,
    paths,
    people,
    person,
)

Derived = tuple[str | None, tuple[str, ...], tuple[str, ...]]
"""Who acted, who is involved, and which packages are concerned; names are sorted, each once."""

_USER = "fedora_messaging_user_"

Rule = Callable[[str, dict[str, Any]], Facts]
"""Takes the topic's name and the body."""


def fields(*, actor: str = "", people_at: str = "", packages_at: str = "", builds_at: str = "") -> Rule:
    """Return a rule that reads fields at fixed places, each given as paths separated by spaces.

    Packages are given either by name or as builds.

    Args:
        actor: Paths that may hold the person who acted; the first place that names a person wins.
        people_at: Paths of other people involved.
        packages_at: Paths of packages by name.
        builds_at: Paths of packages by name, version and release.
    """
    actors, others, named, nvrs = _places(actor), _places(people_at), _places(packages_at), _places(builds_at)

    def rule(name: str, body: dict[str, Any]) -> Facts:
        agent: str | None = None
        for key, rest in actors:
            found = at(body.get(key), rest) if rest else body.get(key)
            # It is nearly always a name, or nothing.
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


_AGENT = fields(actor="agent")
_COPR = fields(actor="user submitter", people_at="owner")
_ISSUE = fields(actor="agent", people_at="issue.user issue.assignee")
_PULL_REQUEST = fields(actor="agent", people_at="pullrequest.user pullrequest.assignee")
_ELECTION = fields(actor="agent fas_user", people_at="candidate.fas_name")

TABLE: dict[str, Rule] = {
    "allpackages": fields(people_at="username"),
    "anitya": rules.anitya,
    "ansible": fields(actor="userid"),
    "ansible.playbook.complete": fields(people_at="userid"),
    "askbot": fields(actor="agent", people_at="newly_mentioned_users"),
    "badges.badge": fields(people_at="user"),
    "badges.person": fields(people_at="person"),
    "badges.person.login": fields(actor="user"),
    "bodhi": _AGENT,
    "bodhi.buildroot_override": fields(
        actor="agent override.submitter",
        people_at="override.submitter",
        builds_at="override.build override.nvr",
    ),
    "bodhi.errata": rules.bodhi_errata,
    "bodhi.masher": rules.masher,
    "bodhi.stack": fields(actor="agent", packages_at="stack.packages"),
    "bodhi.update": rules.bodhi_update,
    "bodhi.update.comment": rules.bodhi_comment,
    "bodhi.update.status": rules.bodhi_testing,
    "bugzilla": rules.bugzilla,
    "buildsys.build": rules.build,
    "buildsys.package": fields(actor="owner", packages_at="package"),
    "buildsys.rpm": fields(actor="build.owner_name", packages_at="build.package_name build.name info.name"),
    "buildsys.tag": fields(actor="user", people_at="owner", packages_at="name"),
    "buildsys.task": fields(actor="owner"),
    "buildsys.untag": fields(actor="user", people_at="owner", packages_at="name"),
    "ci": fields(people_at="username artifact.issuer", packages_at="artifact.component"),
    "copr": fields(people_at="user submitter owner"),
    "copr.build.start": _COPR,
    "copr.chroot.start": _COPR,
    "discourse": fields(
        actor="webhook_body.post.username webhook_body.like.user webhook_body.topic.created_by",
        people_at="webhook_body.like.post.username webhook_body.solved.username",
    ),
    "elections": _ELECTION,
    "faf": fields(people_at="maintainers", packages_at="components"),
    "fas": fields(actor="agent msg.agent", people_at="user msg.user"),
    "fedbadges.badge": fields(people_at="user person"),
    "fedbadges.person": fields(people_at="user person"),
    "fedbadges.person.login": fields(actor="user person"),
    "fedocal": _AGENT,
    "fedocal.meeting.reminder": fields(people_at="agent"),
    "fedora_elections": _ELECTION,
    "fedora_image_uploader.published.v1.container": rules.container,
    "fedoratagger": rules.tagger,
    "fedoratagger.user.rank": fields(people_at="user"),
    "fmn": fields(actor="openid"),
    "forgejo": _AGENT,
    "git": rules.git,
    "git.mass_branch": _AGENT,
    "git.mass_branch.complete": fields(people_at="agent"),
    "git.pkgdb2branch": rules.git_branched,
    "github": rules.github,
    "gitlab": _AGENT,
    "greenwave": rules.decision,
    "hotness": rules.hotness,
    "infragit": fields(actor="commit.username agent"),
    "ipa": rules.ipa,
    "irc.karma": fields(actor="agent", people_at="recipient"),
    "kerneltest": rules.kernel,
    "koschei.package": fields(packages_at="name"),
    "mailman": rules.mailman,
    "maubot.cookie.give": fields(actor="sender", people_at="recipient"),
    "maubot.meetbot": rules.meeting,
    "mbs": rules.module,
    "mdapi": rules.mdapi,
    "meetbot": rules.meeting,
    "mirrormanager": fields(actor="agent", people_at="site.admins"),
    "mirrormanager.site": _AGENT,
    "nagios": fields(people_at="service_ack_author host_ack_author"),
    "nuancier": fields(actor="agent", people_at="candidate.submitter"),
    "odcs": rules.compose,
    "openqa.comment": fields(actor="user"),
    "openqa": fields(people_at="user"),
    "pagure": _AGENT,
    "pagure.git": rules.pagure_git,
    "pagure.issue": _ISSUE,
    "pagure.pull-request": _PULL_REQUEST,
    "pkgdb": fields(
        actor="agent",
        people_at="acl.fas_name username",
        packages_at="package package_listing.package package_listings.package acl.packagelist.package "
        "action.package info.pkg_name action.info.pkg_name",
    ),
    "pkgdb.branch.complete": fields(people_at="agent"),
    "planet": fields(actor="username"),
    "pretix": _AGENT,
    "rats": _AGENT,
    "resultsdb": rules.result,
    "summershum": fields(people_at="original.agent", packages_at="original.name"),
    "taskotron": rules.result,
    "trac": rules.trac,
    "waiverdb": rules.subject,
    "wiki": rules.wiki,
}

# A topic may have hundreds of parts; what the table knows has few.
_DEEPEST = 1 + max(name.count(".") for name in TABLE)


def _rule(name: str) -> Rule | None:
    parts = name.split(".", _DEEPEST)[:_DEEPEST]
    for length in range(len(parts), 0, -1):
        if found := TABLE.get(".".join(parts[:length])):
            return found
    return None


RULES = Answers(_rule)
"""The rule of the longest entry that a topic's name starts with, part by part, by that name; None if there is none."""


def derive(name: str, body: dict[str, Any], headers: dict[str, Any]) -> Derived:
    """Return the facts derived from a message of topic `name` (without prefix and environment); never raises.

    The agent is the one that the topic's rule finds in the body, and None on a topic without a rule: headers say
    who is involved, never who acted, so the answer is the same with them and without. The agent is always among
    the usernames.
    """
    rule = RULES[name]
    if rule is None and not headers:
        return _NOBODY
    agent, involved, concerned = rule(name, body) if rule else (None, (), ())
    if headers:
        headers = headers if len(headers) <= MOST_READ else dict.fromkeys(keys_read(headers))
        named = {who for key in headers if key.startswith(_USER) and (who := person(key[len(_USER) :]))}
        if named and agent is not None and agent not in named:
            # Some applications write a name with a capital letter in one of the two places.
            named = {who for who in named if who.lower() != agent.lower()}
        involved = [*named] or involved
        concerned = [*_named_packages(headers)] or concerned
    if agent is not None:
        if not involved and not concerned:
            return _ACTS[agent]
        involved = (agent, *involved) if involved else (agent,)
    return agent, _sorted(involved), _sorted(concerned)


# Most messages involve one person and concern at most one package. Equal names are then the same tuple, so that
# statistics that count how often each occurs stay in the processor's cache.
_ALONE = Answers[tuple[str, ...]](lambda name: (name,))
_NOBODY: Derived = (None, (), ())
_ACTS = Answers[Derived](lambda agent: (agent, _ALONE[agent], ()))


def _sorted(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    if len(names) > 2:
        names = sorted({*names})
        return tuple(names) if len(names) > 1 else _ALONE[names[0]]
    if len(names) == 2:
        one, other = names
        return (one, other) if one < other else (other, one) if other < one else _ALONE[one]
    return _ALONE[names[0]]


def _named_packages(headers: dict[str, Any]) -> set[str]:
    # fedora_messaging_KIND_NAME: a name may hold underscores, a kind does not.
    return {package for key in headers if not key.startswith(_USER) for package in packages(key.split("_", 3)[-1])}

"""The table: which rule reads which topics."""

from statscache.derivation import rules
from statscache.derivation.fields import Rule, fields
from statscache.derivation.values import Answers

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

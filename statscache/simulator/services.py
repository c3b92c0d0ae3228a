"""Simulated messages of the many topics that are rare: of services past and present.

The topics have the rank in which `SERVICES` lists them, and the topic of rank *r* has the weight 1 / (r + 1).
"""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from statscache.simulator import bodies
from statscache.simulator.event import Event
from statscache.simulator.population import Population

_PROD = "org.fedoraproject.prod."
_SCALE = 1 << 30


class Service(NamedTuple):
    """Topics of one service whose bodies have the same form.

    Attributes:
        username: The Unix account of the service.
        prefix: What its topics begin with, the environment included.
        body: Makes the body of any of them.
        topics: The rest of each topic, separated by spaces.
    """

    username: str
    prefix: str
    body: Callable[[Population, Random, float], dict[str, Any]]
    topics: str


SERVICES: tuple[Service, ...] = (
    Service(
        "fedora-ci",
        "org.centos.prod.ci.",
        bodies.ci_test,
        "koji-build.test.complete koji-build.test.running koji-build.test.queued koji-build.test.error "
        "dist-git-pr.test.complete dist-git-pr.test.running dist-git-pr.test.queued dist-git-pr.test.error "
        "fedora-update.test.complete fedora-update.test.running fedora-update.test.queued fedora-update.test.error "
        "productmd-compose.test.complete productmd-compose.test.running productmd-compose.test.queued "
        "redhat-module.test.complete fedora-module.test.complete fedora-module.test.running "
        "container-image.test.complete",
    ),
    Service("resultsdb", _PROD, bodies.test_result, "resultsdb.result.new taskotron.result.new"),
    Service("bugzilla2fedmsg", _PROD, bodies.bug, "bugzilla.bug.update bugzilla.bug.new"),
    Service("greenwave", _PROD, bodies.gating_decision, "greenwave.decision.update waiverdb.waiver.new"),
    Service(
        "discourse",
        _PROD + "discourse.",
        bodies.discourse_post,
        "post.post_created post.post_edited like.post_liked topic.topic_created topic.topic_edited "
        "topic.topic_status_updated post.post_destroyed user.user_created topic.topic_destroyed "
        "solved.accepted_solution user.user_confirmed_email group.group_updated",
    ),
    Service(
        "bodhi",
        _PROD + "bodhi.",
        bodies.update,
        "update.status.testing.v1 update.complete.testing update.complete.stable update.request.stable update.edit "
        "update.karma.threshold.reach update.requirements_met.stable update.eject update.request.obsolete "
        "update.request.revoke update.request.unpush update.obsolete errata.publish",
    ),
    Service("bodhi", _PROD + "bodhi.buildroot_override.", bodies.buildroot_override, "tag untag"),
    Service("mdapi", _PROD, bodies.repository_change, "mdapi.repo.update"),
    Service(
        "pagure",
        "io.pagure.prod.pagure.",
        bodies.pagure_request,
        "pull-request.comment.added pull-request.new pull-request.closed pull-request.updated "
        "pull-request.flag.added pull-request.flag.updated pull-request.comment.edited pull-request.tag.added "
        "pull-request.tag.removed pull-request.reopened pull-request.rebased pull-request.assigned.added",
    ),
    Service(
        "pagure",
        "io.pagure.prod.pagure.",
        bodies.pagure_issue,
        "issue.edit issue.tag.added issue.assigned.added issue.comment.edited issue.drop issue.dependency.added "
        "issue.dependency.removed issue.tag.removed issue.assigned.reset",
    ),
    Service(
        "pagure",
        "io.pagure.prod.pagure.",
        bodies.pagure_project,
        "git.receive commit.flag.added commit.flag.updated project.forked project.new project.edit "
        "git.branch.creation git.branch.deletion git.tag.creation git.tag.deletion project.user.added "
        "project.user.removed project.user.access.updated project.group.added project.group.removed "
        "project.tag.edited project.tag.removed project.deleted group.edit",
    ),
    Service(
        "github2fedmsg",
        _PROD + "github.",
        bodies.github_activity,
        "pull_request.opened pull_request.closed pull_request.synchronize pull_request_review_comment "
        "pull_request_review status issue.closed create delete fork issue.labeled issue.assigned "
        "pull_request.labeled check_run check_suite workflow_run release commit_comment deployment "
        "deployment_status issue.reopened issue.edited issue.unlabeled issue.unassigned pull_request.reopened "
        "pull_request.edited pull_request.assigned page_build member team_add gollum watch webhook",
    ),
    Service(
        "forgejo",
        _PROD + "forgejo.",
        bodies.by_agent,
        "push issues issue_comment pull_request create delete fork release repository",
    ),
    Service(
        "noggin",
        _PROD + "fas.",
        bodies.account_change,
        "group.member.sponsor user.create user.update group.member.apply group.member.remove group.create "
        "group.update role.update",
    ),
    Service("apache", _PROD + "buildsys.", bodies.koji_package, "package.list.change host.state.change"),
    Service("mbs", _PROD + "mbs.", bodies.module_build, "module.state.change component.state.change"),
    Service("odcs", _PROD + "odcs.", bodies.compose_request, "compose.state-changed"),
    Service(
        "coreos",
        _PROD + "coreos.",
        bodies.coreos_build,
        "build.state.change build.request.ostree-sign build.request.artifacts-sign build.request.ostree-import "
        "stream.release stream.metadata.update",
    ),
    Service(
        "root",
        _PROD + "pungi.compose.",
        bodies.pungi_compose,
        "createiso.targets createiso.imagedone createiso.imagefail ostree rpmdiff fail.to.start",
    ),
    Service(
        "masher",
        _PROD + "compose.",
        bodies.old_compose,
        "epelbeta.start epelbeta.complete bikeshed.start bikeshed.complete rawhide.image.start "
        "rawhide.image.complete branched.image.start branched.image.complete 28.start 28.complete 28.rsync.start "
        "28.rsync.complete 27.start 27.complete 27.rsync.start 27.rsync.complete",
    ),
    Service("releng", _PROD + "releng.", bodies.old_compose, "atomic.twoweek.begin atomic.twoweek.complete"),
    Service(
        "bodhi",
        _PROD + "bodhi.",
        bodies.by_agent,
        "masher.start mashtask.start mashtask.mashing mashtask.complete mashtask.sync.wait mashtask.sync.done "
        "repo.done stack.save stack.delete",
    ),
    Service(
        "gitolite3",
        _PROD + "git.",
        bodies.branch,
        "branch mass_branch.start mass_branch.complete pkgdb2branch.start pkgdb2branch.complete lookaside.new",
    ),
    Service(
        "anitya",
        "org.release-monitoring.prod.anitya.",
        bodies.upstream_project,
        "project.version.update.v2 project.add project.map.new project.edit project.flag project.map.update "
        "project.version.remove project.version.remove.v2 distro.add project.remove project.map.remove "
        "project.flag.set distro.edit distro.remove project.add.tried",
    ),
    Service("kerneltest", _PROD + "kerneltest.", bodies.kernel_test, "upload.new release.new release.edit"),
    Service(
        "faf",
        _PROD + "faf.",
        bodies.crash_report,
        "problem.threshold1 problem.threshold10 problem.threshold100 report.threshold1 report.threshold10 "
        "report.threshold100 report.threshold1000",
    ),
    Service(
        "fedocal",
        _PROD + "fedocal.",
        bodies.by_agent,
        "meeting.reminder meeting.new meeting.update meeting.delete calendar.new calendar.update calendar.upload "
        "calendar.delete calendar.clear",
    ),
    Service("meetbot", _PROD + "meetbot.meeting.", bodies.by_agent, "item.help item.link item.action item.agreed"),
    Service("apache", _PROD + "wiki.", bodies.wiki_upload, "upload.complete"),
    Service("tahrir", _PROD + "fedbadges.", bodies.account_change, "badge.create person.login.first"),
    Service(
        "fmn",
        _PROD + "fmn.",
        bodies.by_agent,
        "rule.update rule.create rule.delete filter.update preference.update confirmation.update",
    ),
    Service(
        "apache",
        _PROD + "askbot.",
        bodies.by_agent,
        "post.edit tag.update post.delete post.flag_offensive.add post.flag_offensive.delete",
    ),
    Service(
        "fedora-elections",
        _PROD + "fedora_elections.",
        bodies.election,
        "election.new election.edit candidate.new candidate.edit candidate.delete",
    ),
    Service(
        "nuancier",
        _PROD + "nuancier.",
        bodies.election,
        "candidate.new candidate.approved candidate.denied election.new election.update",
    ),
    Service("jenkins", _PROD + "jenkins.build.", bodies.ci_job, "passed failed unstable aborted start notbuilt"),
    Service("nagios", _PROD + "nagios.", bodies.alert, "service.state.change host.state.change"),
    Service("root", _PROD, bodies.check_of_playbook, "ansible.playbook.check logger.log"),
    Service("summershum", _PROD + "summershum.", bodies.by_agent, "ingest.start ingest.complete ingest.fail"),
    Service(
        "pkgdb2",
        _PROD + "pkgdb.",
        bodies.package_listing,
        "acl.update package.new package.new.request package.update package.branch.new package.branch.request "
        "package.branch.start package.branch.complete package.monitor.update package.koschei.update "
        "package.unretire.request package.critpath.update package.update.status package.retire "
        "package.branch.delete package.delete owner.update acl.request.toggle acl.user.remove "
        "admin.action.status.update collection.new collection.update branch.start branch.complete branch.clone",
    ),
    Service(
        "fedoratagger",
        _PROD + "fedoratagger.",
        bodies.tag_of_package,
        "tag.update tag.create rating.update usage.toggle user.rank.update",
    ),
    Service(
        "trac",
        _PROD + "trac.",
        bodies.trac_ticket,
        "ticket.new ticket.update ticket.delete git.receive wiki.page.new wiki.page.update wiki.page.delete "
        "wiki.page.version.delete",
    ),
    Service("hotness", _PROD + "hotness.", bodies.by_agent, "project.map update.bug.followup update.drop"),
    Service(
        "toddlers",
        _PROD + "toddlers.trigger.",
        bodies.by_agent,
        "packager_bugzilla_sync clean_stalled_prs distgit_bugzilla_sync",
    ),
    Service(
        "openqa", _PROD + "openqa.", bodies.ci_job, "job.restart job.cancel job.delete comment.create job.update.result"
    ),
)
"""The services, the busiest topics first."""

_TOPICS = [(service, topic) for service in SERVICES for topic in service.topics.split()]
_WEIGHTS = list(accumulate(_SCALE // (rank + 1) for rank in range(len(_TOPICS))))


def rare_event(population: Population, rng: Random, at: float) -> list[Event]:
    """Return one message of a rare topic, or of a service that was switched off long ago."""
    service, topic = _TOPICS[bisect_right(_WEIGHTS, int(rng.random() * _WEIGHTS[-1]))]
    return [Event(at, service.prefix + topic, service.body(population, rng, at), service.username)]

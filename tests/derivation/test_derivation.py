# ruff: noqa: E501 - a table of cases is read best with one case a line.

import copy
import importlib.util
import ipaddress
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statscache.derivation import derive, link, subtitle, values
from statscache.derivation.table import RULES, TABLE
from statscache.derivation.text import MAX_SUBTITLE
from statscache.derivation.values import MAX_NAME, packages, person
from statscache.message import Message
from statscache.parsing import parse

UPDATE = {
    "user": {"name": "owner"},
    "alias": "FEDORA-1",
    "builds": [{"nvr": "foo-bar-1.0-1.fc40"}, {"nvr": "baz-2-3"}],
}
MAPPED = [{"distro": "Fedora", "package_name": "foo"}, {"distro": "Debian", "package_name": "libfoo"}]

# Topic, body, then who acted, who else is involved, and which packages are concerned.
CASES: list[tuple[str, dict[str, Any], str | None, set[str], set[str]]] = [
    ("bodhi.update.comment", {"comment": {"user": {"name": "ann"}, "text": "+1"}, "update": UPDATE}, "ann", {"owner"}, {"foo-bar", "baz"}),
    ("bodhi.update.comment", {"comment": {"author": "ann", "update": UPDATE, "text": "@bob see bob2@example.org"}}, "ann", {"owner", "bob"}, {"foo-bar", "baz"}),
    ("bodhi.update.comment", {"comment": {"author": "anonymous", "update_title": "a-1-1,b-2-2"}}, None, set(), {"a", "b"}),
    ("bodhi.update.comment", {"comment": {"user": {"name": "ann"}}, "agent": "someone"}, "ann", set(), set()),
    ("bodhi.update.request.stable", {"agent": "ann", "update": UPDATE}, "ann", {"owner"}, {"foo-bar", "baz"}),
    ("bodhi.update.complete.testing", {"update": UPDATE}, None, {"owner"}, {"foo-bar", "baz"}),
    ("bodhi.update.eject", {"update": {"submitter": "owner", "title": "a-1-1"}}, None, {"owner"}, {"a"}),
    ("bodhi.update.edit", {"agent": "ann", "update": UPDATE | {"title": "A great update"}}, "ann", {"owner"}, {"foo-bar", "baz"}),
    ("bodhi.update.edit", {"agent": "ann", "update": {"title": "A well-known update: a-1-1"}}, "ann", set(), {"a"}),
    ("bodhi.errata.publish", {"update": UPDATE}, "owner", set(), {"foo-bar", "baz"}),
    ("bodhi.update.requirements_met.stable", {"update": UPDATE}, None, {"owner"}, {"foo-bar", "baz"}),
    ("bodhi.update.status.testing.koji-build-group.build.complete", {"agent": "ann", "artifact": {"builds": [{"issuer": "bob", "component": "a", "nvr": "a-1-1"}]}}, "ann", {"bob"}, {"a"}),
    ("bodhi.update.status.testing.koji-build-group.build.complete", {"agent": "ann", "artifact": {"builds": [{"nvr": "a-1-1"}]}, "update": UPDATE}, "ann", {"owner"}, {"foo-bar", "baz"}),
    ("bodhi.buildroot_override.tag", {"override": {"submitter": {"name": "ann"}, "nvr": "a-1-1"}}, "ann", set(), {"a"}),
    ("bodhi.buildroot_override.untag", {"override": {"submitter": "ann", "build": "a-1-1"}}, "ann", set(), {"a"}),
    ("bodhi.masher.start", {"agent": "ann", "updates": ["a-1-1", "b-1-1,c-1-1"]}, "ann", set(), {"a", "b", "c"}),
    ("bodhi.stack.save", {"agent": "ann", "stack": {"packages": [{"name": "a"}, {"name": "b"}]}}, "ann", set(), {"a", "b"}),
    ("buildsys.build.state.change", {"owner": "ann", "name": "a", "old": None, "new": 0}, "ann", set(), {"a"}),
    ("buildsys.build.state.change", {"owner": "ann", "name": "a", "old": None, "new": 1}, "ann", set(), {"a"}),
    ("buildsys.build.state.change", {"owner": "ann", "name": "a", "old": 0, "new": 1}, None, {"ann"}, {"a"}),
    ("buildsys.build.state.change", {"owner": "ann", "name": "a", "old": 1, "new": 2}, None, {"ann"}, {"a"}),
    ("buildsys.build.state.change", {"owner": "ann", "name": "a", "old": 0, "new": 3}, None, {"ann"}, {"a"}),
    ("buildsys.build.state.change", {"owner": "ann", "name": "a", "old": 0, "new": 4}, "ann", set(), {"a"}),
    ("buildsys.build.state.change", {"owner": "ann", "name": "a", "new": 1}, None, {"ann"}, {"a"}),
    ("buildsys.task.state.change", {"owner": "ann", "method": "build"}, "ann", set(), set()),
    ("buildsys.task.state.change", {"owner": None}, None, set(), set()),
    ("buildsys.tag", {"user": "bodhi", "owner": "ann", "name": "a"}, "bodhi", {"ann"}, {"a"}),
    ("buildsys.untag", {"user": "bob", "owner": "ann", "name": "a"}, "bob", {"ann"}, {"a"}),
    ("buildsys.package.list.change", {"package": "a", "tag": "f40"}, None, set(), {"a"}),
    ("buildsys.package.list.change", {"package": "a", "owner": "ann"}, "ann", set(), {"a"}),
    ("buildsys.rpm.sign", {"info": {"name": "a"}}, None, set(), {"a"}),
    ("buildsys.rpm.sign", {"rpm": {"name": "a-doc"}, "build": {"owner_name": "ann", "package_name": "a"}}, "ann", set(), {"a"}),
    ("buildsys.rpm.sign", {"rpm": {"name": "a-doc"}}, None, set(), set()),
    ("buildsys.repo.done", {"owner": "kojira", "name": "a"}, None, set(), set()),
    ("copr.build.start", {"user": "ann", "owner": "@group", "pkg": "a"}, "ann", set(), set()),
    ("copr.build.start", {"submitter": "ann", "owner": "bob"}, "ann", {"bob"}, set()),
    ("copr.build.start", {"user": "github.com:hub", "owner": "bob"}, None, {"bob"}, set()),
    ("copr.build.end", {"user": "ann", "owner": "@group", "pkg": "a"}, None, {"ann"}, set()),
    ("copr.chroot.start", {"user": "ann", "owner": "bob"}, "ann", {"bob"}, set()),
    ("copr.chroot.end", {"user": "ann", "owner": "bob"}, None, {"ann", "bob"}, set()),
    ("pagure.issue.comment.added", {"agent": "ann", "issue": {"user": {"name": "bob"}, "assignee": None}}, "ann", {"bob"}, set()),
    ("pagure.pull-request.closed", {"agent": "ann", "pullrequest": {"user": {"name": "bob"}, "assignee": {"name": "eve"}}}, "ann", {"bob", "eve"}, set()),
    ("pagure.git.receive", {"agent": "ann", "repo": {"namespace": "rpms", "name": "a"}}, "ann", set(), {"a"}),
    ("pagure.git.receive", {"agent": "ann", "repo": {"namespace": "tests", "name": "a"}}, "ann", set(), set()),
    ("pagure.git.receive", {"commit": {"agent": "git", "email": "ann@fedoraproject.org"}}, "ann", set(), set()),
    ("git.receive", {"commit": {"username": "ann", "repo": "a"}}, "ann", set(), {"a"}),
    ("git.receive", {"agent": "ann", "commit": {"username": "bob", "repo": "t", "namespace": "tests"}}, "ann", set(), set()),
    ("git.receive.python-a.b.f17", {"commit": {"username": "ann"}}, "ann", set(), {"python-a.b"}),
    ("git.branch", {"agent": "ann", "name": "a", "branch": "f40"}, "ann", set(), {"a"}),
    ("git.lookaside.new", {"agent": "ann", "name": "a"}, "ann", set(), {"a"}),
    ("git.pkgdb2branch.start", {"agent": "ann"}, "ann", set(), set()),
    ("git.pkgdb2branch.complete", {"agent": "ann", "branchedPackages": ["a"], "unbranchedPackages": ["b"]}, None, {"ann"}, {"a", "b"}),
    ("git.mass_branch.start", {"agent": "ann"}, "ann", set(), set()),
    ("git.mass_branch.complete", {"agent": "ann"}, None, {"ann"}, set()),
    ("pkgdb.branch.start", {"agent": "ann"}, "ann", set(), set()),
    ("pkgdb.branch.complete", {"agent": "ann"}, None, {"ann"}, set()),
    ("fedocal.meeting.new", {"agent": "ann"}, "ann", set(), set()),
    ("fedocal.meeting.reminder", {"agent": "ann"}, None, {"ann"}, set()),
    ("fedoratagger.user.rank.update", {"user": {"username": "ann", "rank": 5}}, None, {"ann"}, set()),
    ("github.status", {"sender": {"login": "hub"}, "commit": {"author": {"login": "hub"}}, "fas_usernames": {"hub": "ann"}}, None, {"ann"}, set()),
    ("github.check_run.completed", {"sender": {"login": "hub"}, "fas_usernames": {"hub": "ann"}}, None, {"ann"}, set()),
    ("github.page_build", {"sender": {"login": "hub"}, "fas_usernames": {"hub": "ann"}}, None, {"ann"}, set()),
    ("allpackages.pipeline.complete", {"username": "ann"}, None, {"ann"}, set()),
    ("github.push", {"pusher": {"name": "hub"}, "fas_usernames": {"hub": "ann", "o": "github_org_o"}}, "ann", set(), set()),
    ("github.issue.comment", {"sender": {"login": "hub"}, "fas_usernames": {"x": "bob", "hub": "ann"}}, "ann", {"bob"}, set()),
    ("github.star", {"sender": {"login": "stranger"}, "fas_usernames": {}}, None, set(), set()),
    ("github.push", {"agent": "ann", "body": {"sender": {"login": "hub"}}}, "ann", set(), set()),
    ("forgejo.push", {"agent": "ann", "body": {"sender": {"login": "hub"}}}, "ann", set(), set()),
    ("forgejo.push", {"agent": None, "body": {"sender": {"login": "hub"}}}, None, set(), set()),
    ("gitlab.push", {"agent": "ann", "body": {"user_username": "lab"}}, "ann", set(), set()),
    ("pretix.order.placed", {"agent": "ann", "body": {}}, "ann", set(), set()),
    ("discourse.post.post_created", {"webhook_body": {"post": {"username": "ann"}}}, "ann", set(), set()),
    ("discourse.like.post_liked", {"webhook_body": {"like": {"user": {"username": "ann"}, "post": {"username": "bob"}}}}, "ann", {"bob"}, set()),
    ("discourse.like.accepted_solution", {"webhook_body": {"solved": {"username": "ann"}}}, None, {"ann"}, set()),
    ("discourse.topic.topic_created", {"webhook_body": {"topic": {"created_by": {"username": "ann"}}}}, "ann", set(), set()),
    ("wiki.article.edit", {"user": "Ann", "title": "Bob"}, "ann", set(), set()),
    ("wiki.article.edit", {"user": "192.0.2.7"}, None, set(), set()),
    ("wiki.upload.complete", {"user_id": 3, "user_text": "Ann"}, "ann", set(), set()),
    ("trac.ticket.new", {"agent": "ann", "ticket": {"owner": "bob", "reporter": "ann", "cc": "eve, x@example.org,"}}, "ann", {"bob", "eve"}, set()),
    ("trac.git.receive", {"commit": {"username": "ann"}}, "ann", set(), set()),
    ("pkgdb.acl.update", {"agent": "ann", "acl": {"fas_name": "bob", "packagelist": {"package": {"name": "a"}}}}, "ann", {"bob"}, {"a"}),
    ("pkgdb.owner.update", {"agent": ["ann"], "username": "orphan", "package_listings": [{"package": {"name": "a"}}, {"package": {"name": "b"}}]}, "ann", set(), {"a", "b"}),
    ("pkgdb.package.update", {"agent": "ann", "package": "a"}, "ann", set(), {"a"}),
    ("pkgdb.package.new.request", {"agent": "ann", "info": {"pkg_name": "a"}, "package": None}, "ann", set(), {"a"}),
    ("fas.group.member.sponsor", {"agent": {"username": "ann"}, "user": "bob"}, "ann", {"bob"}, set()),
    ("fas.user.update", {"msg": {"agent": "ann", "user": "bob"}}, "ann", {"bob"}, set()),
    ("badges.badge.award", {"user": {"username": "ann"}, "badge": {"name": "x"}}, None, {"ann"}, set()),
    ("badges.person.rank.advance", {"person": {"nickname": "ann", "email": "a@example.org"}}, None, {"ann"}, set()),
    ("badges.person.login.first", {"user": {"username": "ann"}}, "ann", set(), set()),
    ("fedbadges.badge.award", {"user": {"username": "ann"}, "badge": {"name": "x"}}, None, {"ann"}, set()),
    ("fedbadges.person.rank.advance", {"person": {"nickname": "ann", "email": "a@example.org"}}, None, {"ann"}, set()),
    ("fedbadges.person.login.first", {"user": {"username": "ann"}}, "ann", set(), set()),
    ("irc.karma", {"agent": "ann", "recipient": "bob"}, "ann", {"bob"}, set()),
    ("maubot.cookie.give.v1", {"sender": "ann", "recipient": "bob"}, "ann", {"bob"}, set()),
    ("meetbot.meeting.start", {"owner": "ann", "attendees": {"zodbot": 2, "bob": 1}}, "ann", {"bob"}, set()),
    ("meetbot.meeting.item.help", {"owner": "ann", "details": {"nick": "bob"}, "attendees": {"ann": 1}}, "bob", {"ann"}, set()),
    ("meetbot.meeting.start", {"start_user": "ann", "meeting_name": "x"}, "ann", set(), set()),
    ("meetbot.meeting.complete", {"start_user": "bob", "end_user": "ann", "chairs": ["bob"], "attendees": [{"name": "eve"}]}, "ann", {"bob", "eve"}, set()),
    ("meetbot.meeting.complete", {"attendees": [{"name": "@ann:fedora.im"}, {"name": "@eve:example.org"}]}, None, {"ann"}, set()),
    ("mailman.receive", {"msg": {"from": "Ann <ann@fedoraproject.org>"}}, "ann", set(), set()),
    ("mailman.receive", {"msg": {"from": "ann@fedoraproject.org"}}, "ann", set(), set()),
    ("mailman.receive", {"msg": {"from": "Ann <ann@example.org>"}}, None, set(), set()),
    ("mailman.receive", {"msg": {"from": "Ann <ann@example.org>"}, "usernames": ["ann"]}, None, {"ann"}, set()),
    ("mailman.receive", {"msg": {"from": "ann"}}, None, set(), set()),
    ("planet.post.new", {"username": "ann", "name": "Ann"}, "ann", set(), set()),
    ("askbot.post.edit", {"agent": "ann", "newly_mentioned_users": ["bob"]}, "ann", {"bob"}, set()),
    ("anitya.project.add", {"message": {"agent": "http://ann.id.fedoraproject.org/"}}, "ann", set(), set()),
    ("anitya.project.add", {"message": {"agent": "ann@fedoraproject.org"}}, "ann", set(), set()),
    ("anitya.project.add", {"message": {"agent": "ann@example.org"}}, None, set(), set()),
    ("anitya.project.version.update", {"message": {"agent": "anitya", "packages": MAPPED}}, "anitya", set(), {"foo"}),
    ("anitya.project.version.update.v2", {"packages": MAPPED}, "anitya", set(), {"foo"}),
    ("anitya.project.map.new", {"distro": {"name": "Fedora"}, "message": {"agent": "ann", "new": "a"}}, "ann", set(), {"a"}),
    ("anitya.project.map.new", {"distro": {"name": "Debian"}, "message": {"agent": "ann", "new": "a"}}, "ann", set(), set()),
    ("hotness.update.bug.file", {"trigger": {"topic": "a.b.prod.anitya.x", "msg": {"message": {"packages": MAPPED}}}}, None, set(), {"foo"}),
    ("hotness.update.bug.followup", {"trigger": {"topic": "a.b.prod.buildsys.build.state.change", "msg": {"owner": "ann", "name": "a"}}}, None, {"ann"}, {"a"}),
    ("bugzilla.bug.update", {"event": {"who": "ann@fedoraproject.org"}, "bug": {"component": "a", "creator": "x@example.org", "cc": ["bob@fedoraproject.org"]}}, "ann", {"bob"}, {"a"}),
    ("bugzilla.bug.new", {"bug": {"component": "Package Review", "creator": "ann@fedoraproject.org"}}, "ann", set(), set()),
    ("bugzilla.bug.update", {"event": {"user": {"login": "x@example.org"}}, "bug": {"creator": "ann@fedoraproject.org"}}, None, {"ann"}, set()),
    ("bugzilla.bug.update", {"agent_name": "ann", "usernames": ["bob"], "event": {"who": "eve@fedoraproject.org"}, "bug": {"component": {"name": "a"}}}, "ann", {"bob"}, {"a"}),
    ("bugzilla.bug.update", {"agent_name": None, "event": {"who": "eve@fedoraproject.org"}, "bug": {"component": "LiveCD - KDE"}}, None, set(), set()),
    ("ansible.playbook.start", {"userid": "ann"}, "ann", set(), set()),
    ("ansible.playbook.complete", {"userid": "ann"}, None, {"ann"}, set()),
    ("nuancier.candidate.denied", {"agent": "ann", "candidate": {"submitter": "bob"}}, "ann", {"bob"}, set()),
    ("fedora_elections.candidate.new", {"fas_user": "ann"}, "ann", set(), set()),
    ("fedora_elections.candidate.new", {"agent": "ann", "candidate": {"fas_name": "bob"}}, "ann", {"bob"}, set()),
    ("fedora_image_uploader.published.v1.container.iot", {"registries": ["r.example.org"], "repository": "f/iot", "tags": ["42", "latest"]}, None, set(), {"r.example.org/f/iot:42", "r.example.org/f/iot:latest"}),
    ("ipa.user_add.v1", {"IPA_API_ACTOR": "noggin@EXAMPLE.ORG", "IPA_API_PARAMS": '{"uid": "ann"}'}, "noggin", {"ann"}, set()),
    ("ipa.group_add_member.v1", {"IPA_API_ACTOR": "ann@EXAMPLE.ORG", "IPA_API_PARAMS": '{"user": ["bob", "eve"]}'}, "ann", {"bob", "eve"}, set()),
    ("ipa.group_add_member.v1", {"IPA_API_ACTOR": "ann@EXAMPLE.ORG", "IPA_API_PARAMS": "{"}, "ann", set(), set()),
    ("mirrormanager.host.added.v2", {"agent": "ann", "site": {"admins": ["bob"]}}, "ann", {"bob"}, set()),
    ("mirrormanager.site.deleted.v2", {"agent": "ann", "admins": ["bob"]}, "ann", set(), set()),
    ("kerneltest.upload.new", {"agent": "ann"}, "ann", set(), {"kernel"}),
    ("fedoratagger.tag.create", {"vote": {"user": {"username": "ann"}, "tag": {"package": {"a": []}}}}, "ann", set(), {"a"}),
    ("fedoratagger.rating.update", {"rating": {"user": {"username": "anonymous"}, "package": {"name": "a"}}}, None, set(), {"a"}),
    ("fmn.rule.update", {"openid": "ann.id.fedoraproject.org"}, "ann", set(), set()),
    ("nagios.host.state.change", {"host_ack_author": "ann", "service_ack_author": None}, None, {"ann"}, set()),
    ("mbs.module.state.change", {"owner": "ann", "state": 0, "state_name": "init"}, "ann", set(), set()),
    ("mbs.module.state.change", {"owner": "ann", "state": "init"}, "ann", set(), set()),
    ("mbs.module.state.change", {"owner": "ann", "state": 5, "state_name": "ready"}, None, {"ann"}, set()),
    ("mbs.module.state.change", {"owner": "ann", "state": 4, "state_name": "failed"}, None, {"ann"}, set()),
    ("mbs.module.state.change", {"owner": "ann"}, None, {"ann"}, set()),
    ("odcs.compose.state-changed", {"compose": {"owner": "ann", "state": 0, "state_name": "wait"}}, "ann", set(), set()),
    ("odcs.compose.state-changed", {"compose": {"owner": "ann", "state": 0}}, "ann", set(), set()),
    ("odcs.compose.state-changed", {"compose": {"owner": "ann", "state": 2, "state_name": "done"}}, None, {"ann"}, set()),
    ("odcs.compose.state-changed", {"compose": {"owner": "ann", "state": 3, "state_name": "removed"}}, None, {"ann"}, set()),
    ("openqa.comment.create", {"user": "ann"}, "ann", set(), set()),
    ("openqa.job.done", {"id": "1", "result": "passed"}, None, set(), set()),
    ("summershum.ingest.start", {"original": {"agent": "ann", "name": "a"}}, None, {"ann"}, {"a"}),
    ("taskotron.result.new", {"task": {"type": "koji_build", "item": "a-1-1"}}, None, set(), {"a"}),
    ("taskotron.result.new", {"task": {"type": "bodhi_update", "item": "a-1-1"}}, None, set(), set()),
    ("resultsdb.result.new", {"data": {"type": ["koji_build"], "item": ["a-1-1"]}}, None, set(), {"a"}),
    ("greenwave.decision.update", {"subject": [{"type": "koji_build", "item": "a-1-1"}, {"item": "b-1-1"}]}, None, set(), {"a"}),
    ("waiverdb.waiver.new", {"username": "ann", "subject_type": "koji_build", "subject_identifier": "a-1-1"}, "ann", set(), {"a"}),
    ("mdapi.repo.update", {"differences": {"files": {"added": [["/usr/bin/a", "file", "a"]]}, "pkg": {"removed": [["b(x)", 1]]}}}, None, set(), {"a", "b"}),
    ("mdapi.repo.update", {"packages": ["a", "b"]}, None, set(), {"a", "b"}),
    ("koschei.package.state.change", {"name": "a"}, None, set(), {"a"}),
    ("faf.report.threshold1", {"components": ["a"], "maintainers": ["ann"]}, None, {"ann"}, {"a"}),
    ("ci.koji-build.test.complete", {"artifact": {"issuer": "ann", "component": "a"}}, None, {"ann"}, {"a"}),
    ("ci.pipeline.package.running", {"username": "ann"}, None, {"ann"}, set()),
    ("pungi.compose.status.change", {"agent": "ann", "compose_id": "Fedora-40"}, None, set(), set()),
    ("nobody.knows.this", {"agent": "ann", "package": "a"}, None, set(), set()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "agent", "others", "concerned"), CASES)
def test_table(name: str, body: dict[str, Any], agent: str | None, others: set[str], concerned: set[str]) -> None:
    """Each topic says who acted, who else is involved, and which packages are concerned."""
    usernames = sorted(others | ({agent} if agent else set()))
    assert derive(name, body, {}) == (agent, tuple(usernames), tuple(sorted(concerned)))


def test_longest_entry_wins() -> None:
    """A topic is read by the rule of the longest entry of the table that it starts with, part by part."""
    assert RULES["bodhi.update.comment"] is TABLE["bodhi.update.comment"]
    assert RULES["bodhi.update.comment.v9.more"] is TABLE["bodhi.update.comment"]
    assert RULES["bodhi.update.commentary"] is TABLE["bodhi.update"]
    assert RULES["bodhi.something"] is TABLE["bodhi"]
    assert RULES["bodhisattva"] is None


def test_every_rule_has_a_case() -> None:
    """No entry of the table goes untested, but those that share a rule that is tested."""
    tested = {RULES[name] for name, *_ in CASES}
    untested = {name for name in TABLE if RULES[name] not in tested}
    assert untested <= {"allpackages", "elections", "infragit", "maubot.meetbot"}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "_", "anonymous", "Anonymous", "orphan", "ann@example.org", "@group", "@ann:example.org"),
        *("https://example.org/ann", "http://id.fedoraproject.org/", "192.0.2.1", "2001:db8::1", "::1", "a\nb"),
        *("\u202eann", "x" * (MAX_NAME + 1), "_@fedoraproject.org", "http://_.id.fedoraproject.org/"),
    ],
)  # fmt: skip
def test_names_that_are_not_people(text: str) -> None:
    """Addresses, placeholders, what was forgotten and what cannot be a name are no one."""
    assert person(text) is None
    assert derive("ansible.playbook.start", {"userid": text}, {})[1] == ()
    assert derive("x.y", {}, {f"fedora_messaging_user_{text}": True})[1] == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ralph", "ralph"),
        (" Ralph ", "Ralph"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
        ("a.b", "a.b"),
        ("1.2.3", "1.2.3"),
        ("ann@fedoraproject.org", "ann"),
        ("http://ann.id.fedoraproject.org/", "ann"),
        ("https://ann.id.stg.fedoraproject.org", "ann"),
        ("@ann:fedora.im", "ann"),
    ],
)
def test_somebody(text: str, name: str) -> None:
    """A name is kept as it was sent; addresses that Fedora gives to its people are their names."""
    assert person(text) == name


@given(st.ip_addresses())
def test_hosts_are_not_people(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """No address of a host is a person, as a wiki writes it or not."""
    assert person(str(address)) is None
    assert derive("wiki.article.edit", {"user": address.compressed.upper()}, {})[1] == ()


@pytest.mark.parametrize("value", ["", " ", "_", "a\tb", "x" * 201, 3, None, {"name": ["a"]}, {"nvr": "a"}, [["a"]]])
def test_no_package(value: Any) -> None:
    """What cannot be a package's name is none."""
    assert packages(value) == []


def test_headers_come_first() -> None:
    """The sender's headers say who is involved and what is concerned; the body says who acted."""
    headers = {f"fedora_messaging_{name}": True for name in ("user_ann", "user_bob", "rpm_a_b", "container_c")}
    body = {"user": "ann", "owner": "eve", "name": "ignored"}
    assert derive("buildsys.tag", body, headers) == ("ann", ("ann", "bob"), ("a_b", "c"))


def test_headers_of_one_sort() -> None:
    """Where headers name no package, or no one, the body does."""
    body = {"owner": "ann", "name": "a"}
    name = "buildsys.build.state.change"
    assert derive(name, body, {"fedora_messaging_user_bob": True}) == ("ann", ("ann", "bob"), ("a",))
    assert derive(name, body, {"fedora_messaging_module_m": True}) == ("ann", ("ann",), ("m",))


@pytest.mark.parametrize("name", ["new.service", "bodhi.update.karma.threshold.reach", "bugzilla.bug.update"])
@pytest.mark.parametrize("users", [["ann"], ["ann", "bob"]])
def test_headers_name_no_actor(name: str, users: list[str]) -> None:
    """Whom headers name is involved; alone or not, and whatever a body without a rule says, no one acted."""
    body = {"agent": "ann"} if name == "new.service" else {"agent_name": None}
    headers = {f"fedora_messaging_user_{user}": True for user in users}
    assert derive(name, body, headers) == (None, tuple(users), ())
    assert derive(name, body, {})[0] is None


@pytest.mark.parametrize("said", ["Ann", "ann"])
def test_the_spelling_of_who_acted_stands(said: str) -> None:
    """A person whom the headers write with a capital letter is not counted twice, nor as two in two eras."""
    headers = {"fedora_messaging_user_ANN": True, "fedora_messaging_user_bob": True}
    assert derive("ansible.playbook.start", {"userid": said}, headers) == (said, (said, "bob"), ())
    assert derive("ansible.playbook.start", {"userid": said}, {})[0] == said


def _moved_on(message: Message) -> bool:
    # fedmsg_meta names only who acted; the classes of today, which we follow, also who reported and to whom it falls.
    return message.name.startswith(("pagure.issue", "pagure.pull-request"))


def agreement(found: list[tuple[Message, dict[str, Any]]], field: str) -> tuple[int, int]:
    """In how many messages `field` is as expected, and of how many."""
    told = [(getattr(message, field), expected[field]) for message, expected in found if not _moved_on(message)]
    told = [(ours, theirs) for ours, theirs in told if theirs is not None]
    return sum(set(ours) == set(theirs) for ours, theirs in told), len(told)


def test_agrees_with_expected(any_messages_path: Path) -> None:
    """More than 98 of 100 real messages give the people and packages that Fedora's own processors gave."""
    path = any_messages_path.with_name(any_messages_path.name.replace("messages", "expected"))
    lines = any_messages_path.read_bytes().splitlines()
    expected = [json.loads(line) for line in path.read_bytes().splitlines()]
    found = [(parse(lines[entry["line"] - 1]), entry) for entry in expected]
    users, packages_ = agreement(found, "usernames"), agreement(found, "packages")
    print(f"agree with {path.name}: usernames {users}, packages {packages_}")
    assert users[0] >= 0.98 * users[1] > 0
    assert packages_[0] >= 0.98 * packages_[1] > 0


# In a process of its own, for its imports warn, set global state, and must not reach the network.
PROCESSORS = """
import json, logging, socket, sys
logging.disable(logging.CRITICAL)
def refuse(*args): raise OSError("no network in tests")
socket.socket.connect = refuse
import fedmsg.meta
config = {
    "topic_prefix": "org.fedoraproject", "environment": "prod",
    "topic_prefix_re": r"^(org\\.fedoraproject|io\\.pagure|org\\.centos|org\\.release-monitoring)\\.(dev|stg|prod)",
}
fedmsg.meta.make_processors(**config)
def ask(function, message):
    try:
        return sorted(function(message, **config))
    except Exception:
        return None
print(len(fedmsg.meta.processors))
for line in open(sys.argv[1], encoding="utf-8"):
    message = {"msg_id": "none"} | json.loads(line)
    print(json.dumps({
        "usernames": ask(fedmsg.meta.msg2usernames, message),
        "packages": ask(fedmsg.meta.msg2packages, message),
    }))
"""


def test_agrees_with_fedmsg_meta(any_messages_path: Path) -> None:
    """More than 97 of 100 real messages give the people and packages that the installed processors derive."""
    if importlib.util.find_spec("fedmsg_meta_fedora_infrastructure") is None:
        pytest.skip("fedmsg_meta_fedora_infrastructure is not installed (pip; Debian's libkrb5-dev builds a part)")
    run = [sys.executable, "-W", "ignore", "-c", PROCESSORS, str(any_messages_path)]
    count, *answers = subprocess.run(run, capture_output=True, check=True, timeout=300, text=True).stdout.splitlines()
    assert int(count) > 50, "processors failed to load: their own dependencies are missing"
    lines = any_messages_path.read_bytes().splitlines()
    found = [(parse(line), json.loads(answer)) for line, answer in zip(lines, answers, strict=True)]
    users, packages_ = agreement(found, "usernames"), agreement(found, "packages")
    print(f"agree with fedmsg.meta: usernames {users}, packages {packages_}")
    assert users[0] >= 0.97 * users[1] > 0
    assert packages_[0] >= 0.97 * packages_[1] > 0


def check(name: str, body: dict[str, Any], headers: dict[str, Any]) -> None:
    """Whatever a message holds, what is derived keeps its promises."""
    agent, usernames, concerned = derive(name, body, headers)
    assert agent is None or agent in usernames
    assert list(usernames) == sorted(set(usernames))
    assert list(concerned) == sorted(set(concerned))
    for text in usernames + concerned:
        assert text == text.strip()
        assert text.isprintable()
        assert 0 < len(text) <= MAX_NAME
    line = subtitle(name, body, agent, concerned)
    assert line.isprintable()
    assert 0 < len(line) <= MAX_SUBTITLE
    url = link(name, body)
    assert url is None or (url.startswith(("https://", "http://")) and url.isprintable() and '"' not in url)


def mutations(value: Any) -> Iterator[Any]:
    """`value` with each field, at each depth, deleted once and given each other type once."""
    if isinstance(value, dict | list):
        keys: list[Any] = list(value) if isinstance(value, dict) else list(range(min(len(value), 2)))
        for key in keys:
            retyped: list[Any] = [None, 7, "x", [], {}, [value[key]], {"name": value[key]}, {"a": [{}]}]
            for other in retyped:
                yield ((value | {key: other}) if isinstance(value, dict) else [*value[:key], other, *value[key + 1 :]])
            less = copy.copy(value)
            del less[key]
            yield less
            for inner in mutations(value[key]):
                yield ((value | {key: inner}) if isinstance(value, dict) else [*value[:key], inner, *value[key + 1 :]])


def small(value: Any) -> Any:
    """`value` with its longest objects, lists and texts cut: what is left has every shape that it had."""
    if isinstance(value, dict):
        return {key: small(item) for key, item in list(value.items())[:40]}
    if isinstance(value, list):
        return [small(item) for item in value[:2]]
    return value[:100] if isinstance(value, str) else value


def test_real_messages_mutated(any_messages_path: Path) -> None:
    """No field of a real message, deleted or of another type, at any depth, makes derivation raise."""
    bodies: dict[str, Any] = {}
    for line in any_messages_path.read_bytes().splitlines():
        message = parse(line)
        if RULES[message.name]:
            bodies.setdefault(message.name, small(message.body))
    assert bodies
    for name, body in bodies.items():
        for mutated in mutations(body):
            agent, _, concerned = derive(name, mutated, {})
            subtitle(name, mutated, agent, concerned)
            link(name, mutated)


KEYS = st.sampled_from([*sorted({key for _, body, *_ in CASES for key in body}), "name", "nvr", "url", "username"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | st.just("https://example.org/\n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXT, inner, max_size=4),
    max_leaves=15,
)
BODIES = st.dictionaries(KEYS, VALUES, max_size=6)
HEADERS = st.dictionaries(st.builds("fedora_messaging_{}_{}".format, st.sampled_from(["user", "rpm"]), TEXT), VALUES)


@given(st.sampled_from(sorted({name for name, *_ in CASES} | set(TABLE))), BODIES, HEADERS)
def test_any_body(name: str, body: dict[str, Any], headers: dict[str, Any]) -> None:
    """Any body and headers on any topic give sorted names that can be shown, a subtitle and a safe link."""
    check(name, body, headers)


def test_real_messages_keep_the_promises(any_messages_path: Path) -> None:
    """Every real message gives sorted names that can be shown, a subtitle and a safe link."""
    for line in any_messages_path.read_bytes().splitlines():
        message = parse(line)
        check(message.name, message.body, message.headers)


REPOSITORY = {"full_name": "rpms/bash"}


@pytest.mark.parametrize(
    ("name", "body", "line"),
    [
        ("bodhi.update.comment", {"comment": {"user": {"name": "ann"}}, "update": UPDATE}, "ann commented on the update of baz, foo-bar"),
        ("buildsys.build.state.change", {"owner": "ann", "name": "a", "version": "1", "release": "2", "new": 3}, "ann's build a-1-2 failed"),
        ("buildsys.build.state.change", {"new": True}, "somebody's build changed"),
        ("bodhi.update.complete.stable", {}, "An update reached stable"),
        ("bodhi.update.eject", {"update": UPDATE, "reason": "[x||{agent}]"}, "The update of baz, foo-bar was ejected: [x||{agent}]"),
        ("planet.post.new", {"username": "ann", "post": {"title": "Hello"}}, "ann wrote Hello"),
        ("planet.post.new", {"username": "ann", "post": {"title": ""}}, "ann: planet post new"),
        ("meetbot.meeting.start", {"start_user": "ann", "location": "#room:example.org", "meeting_name": "epel"}, "The meeting epel in #room:example.org started"),
        ("meetbot.meeting.complete", {"channel": "#fedora"}, "A meeting in #fedora ended"),
        ("badges.badge.award", {"user": {"username": "ann"}, "badge": {"name": "Egg"}}, "ann earned the badge Egg"),
        ("bodhi.masher.start", {"updates": ["a-1-1,b-1-1,c-1-1,d-1-1,e-1-1"]}, "bodhi masher start (a, b, c and 2 more)"),
        ("wiki.article.edit", {"user": "Ann", "title": "One\n\ttwo \u202ethree"}, "ann edited One two three"),
        ("planet.post.new", {"name": "{agent}", "post": {"title": "{name.__class__}"}}, "{agent} wrote {name.__class__}"),
        ("unknown.topic", {}, "unknown topic"),
        ("pagure.pull-request.closed", {"agent": "ann", "merged": True, "pullrequest": {"id": 6, "title": "Fix it", "project": {"fullname": "rpms/bash"}}}, "ann merged pull request rpms/bash#6: Fix it"),
        ("pagure.issue.tag.added", {"agent": "ann", "issue": {"id": 4}, "project": {"fullname": "infra"}}, "ann labeled issue infra#4"),
        ("pagure.issue.comment.edited", {"agent": "ann", "issue": {"id": 5, "title": "A bug"}}, "ann edited a comment on issue #5: A bug"),
        ("pagure.git.receive", {"agent": "ann", "branch": "refs/heads/f42", "repo": {"fullname": "rpms/bash"}, "total_commits": 2}, "ann pushed 2 commits to f42 of rpms/bash"),
        ("pagure.project.user.added", {"agent": "ann", "project": {"name": "infra"}}, "ann changed the members of infra"),
        ("forgejo.pull_request", {"agent": "ann", "body": {"action": "opened", "pull_request": {"number": 3, "title": "New"}, "repository": REPOSITORY}}, "ann opened pull request rpms/bash#3: New"),
        ("forgejo.pull_request", {"agent": None, "body": {"action": "closed", "pull_request": {"merged": True}, "repository": REPOSITORY}}, "Somebody merged a pull request of rpms/bash"),
        ("forgejo.issue_comment", {"agent": "ann", "body": {"action": "created", "issue": {"number": 3, "title": "New", "pull_request": {"html_url": "x"}}, "repository": REPOSITORY}}, "ann commented on pull request rpms/bash#3: New"),
        ("forgejo.push", {"agent": "ann", "body": {"ref": "refs/heads/main", "commits": [{"message": "One\n\nTwo"}], "repository": REPOSITORY}}, "ann pushed a commit to main of rpms/bash: One"),
        ("forgejo.wiki", {"agent": "ann", "body": {"action": "created", "repository": REPOSITORY}}, "ann: wiki created in rpms/bash"),
        ("github.pull_request_review", {"agent": "ann", "body": {"action": "submitted", "review": {"state": "approved"}, "pull_request": {"number": 9, "title": "T"}, "repository": REPOSITORY}}, "ann approved pull request rpms/bash#9: T"),
        ("github.workflow_run", {"agent": None, "body": {"action": "completed", "workflow_run": {"name": "CI", "conclusion": "failure"}, "repository": REPOSITORY}}, "The check CI of rpms/bash: failure"),
        ("gitlab.merge_request", {"agent": "ann", "body": {"object_attributes": {"action": "merge", "iid": 7, "title": "M"}, "project": {"path_with_namespace": "a/b"}}}, "ann merged merge request a/b!7: M"),
        ("gitlab.note", {"agent": "ann", "body": {"object_attributes": {"id": 1}, "issue": {"iid": 8, "title": "I"}, "project": {"path_with_namespace": "a/b"}}}, "ann commented on issue a/b#8: I"),
        ("github.pull_request", {"agent": "ann", "body": {"pull_request": [], "repository": "x", "action": {}}}, "ann: github pull_request"),
    ],
)  # fmt: skip
def test_subtitle(name: str, body: dict[str, Any], line: str) -> None:
    """A subtitle is one printable line that says who did what; text from the bus is not read as a template."""
    agent, _, concerned = derive(name, body, {})
    assert subtitle(name, body, agent, concerned) == line


def test_subtitles_have_no_gaps() -> None:
    """Whatever a body leaves out, the subtitle says less; no sign stands for what is missing."""
    for name, body, *_ in CASES:
        for mutated in (body, {}, *({key: value for key, value in body.items() if key != left} for left in body)):
            agent, _, concerned = derive(name, mutated, {})
            assert not {"?", "None"} & {*subtitle(name, mutated, agent, concerned).split()}
            assert "?" not in subtitle(name, mutated, agent, concerned)


@pytest.mark.parametrize(
    ("name", "body", "url"),
    [
        ("wiki.article.edit", {"url": "https://example.org/wiki"}, "https://example.org/wiki"),
        ("pagure.issue.new", {"issue": {"full_url": "https://example.org/1"}}, "https://example.org/1"),
        ("bodhi.update.edit", {"update": UPDATE}, "https://bodhi.fedoraproject.org/updates/FEDORA-1"),
        ("bodhi.update.edit", {"update": {"title": "a/../b"}}, "https://bodhi.fedoraproject.org/updates/a%2F..%2Fb"),
        ("buildsys.task.state.change", {"id": 7}, "https://koji.fedoraproject.org/koji/taskinfo?taskID=7"),
        ("x.y", {"url": "javascript:alert(1)"}, None),
        ("x.y", {"url": 'https://example.org/"onclick="x'}, None),
        ("x.y", {"url": "https://example.org/\u202e"}, None),
        ("x.y", {"url": "https://example.org/" + "x" * 2000}, None),
        ("x.y", {"url": "relative/path", "link": "http://example.org/"}, "http://example.org/"),
        ("x.y", {"url": 7}, None),
    ],
)  # fmt: skip
def test_link(name: str, body: dict[str, Any], url: str | None) -> None:
    """A link is an http or https URL that is safe to show, or there is none."""
    assert link(name, body) == url


def test_message_derives_once() -> None:
    """A message derives from topic, body and headers when first asked, and keeps the answer."""
    message = Message("i", "org.fedoraproject.prod.buildsys.tag", 1, {"user": "bob", "owner": "ann", "name": "a"})
    assert (message.agent, message.usernames, message.packages) == ("bob", ("ann", "bob"), ("a",))
    message.body["user"] = "eve"
    assert message.agent == "bob"
    assert message.subtitle == "bob tagged a"
    assert message.link is None


def test_text_that_is_too_long_for_a_name_is_not_cached() -> None:
    """What the bus sends cannot fill the memory by way of a cache."""
    before = len(values.ACCOUNTS)
    assert values.person("x" * 1_000_000) is None
    assert len(values.ACCOUNTS) == before

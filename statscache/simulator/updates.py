"""Simulated courses of events of updates: in bodhi, upstream, and their tests in openQA."""

from random import Random
from typing import Any

from statscache.simulator.event import ARCHES, RELEASES, Event, hexadecimal, version
from statscache.simulator.population import Population


def bodhi_update(population: Population, rng: Random, at: float) -> list[Event]:
    """A packager submits an update to testing; the bot `bodhi` and up to three people comment on it."""
    package = population.package(rng)
    submitter = population.owner(package)
    branch, number = RELEASES[1 + rng.randrange(4)]
    epel = branch.startswith("epel")
    nvr = f"{package}-{version(rng)}-1.{'el' if epel else 'fc'}{number}"
    alias = f"FEDORA-{'EPEL-' if epel else ''}2026-{hexadecimal(rng, 10)}"
    release = {
        "branch": branch,
        "dist_tag": branch,
        "id_prefix": "FEDORA-EPEL" if epel else "FEDORA",
        "locked": False,
        "composed_by_bodhi": True,
        "candidate_tag": f"{branch}-updates-candidate",
        "state": "current",
        "long_name": f"Fedora {'EPEL ' if epel else ''}{number}",
        "name": branch.upper(),
        "version": str(number),
        "stable_tag": f"{branch}-updates",
        "testing_tag": f"{branch}-updates-testing",
        "eol": "2027-05-19",
    }
    update: dict[str, Any] = {
        "alias": alias,
        "autokarma": True,
        "autotime": True,
        "bugs": [
            {
                "bug_id": 2_000_000 + rng.randrange(500_000),
                "feedback": [],
                "parent": False,
                "security": False,
                "title": f"{nvr} is available",
            }
        ],
        "builds": [{"epoch": 0, "nvr": nvr, "signed": True, "type": "rpm", "release_id": number}],
        "close_bugs": True,
        "comments": [],
        "critpath": False,
        "date_approved": None,
        "date_modified": None,
        "date_pushed": None,
        "date_submitted": int(at),
        "display_name": "",
        "karma": 0,
        "locked": False,
        "meets_testing_requirements": False,
        "notes": f"Automatic update for {nvr}.\n\n##### **Changelog**\n\n"
        f"```\n* {package}: new upstream release, see the project's notes for what changed and why.\n```",
        "pushed": False,
        "release": release,
        "request": "testing",
        "require_bugs": True,
        "require_testcases": False,
        "severity": "unspecified",
        "stable_days": 7,
        "stable_karma": 3,
        "status": "pending",
        "submitter": submitter,
        "suggest": "unspecified",
        "test_gating_status": "waiting",
        "title": nvr,
        "type": "bugfix",
        "unstable_karma": -3,
        "updateid": alias,
        "url": f"https://bodhi.fedoraproject.org/updates/{alias}",
        "user": {"email": None, "groups": [{"name": "packager"}], "id": rng.randrange(9000), "name": submitter},
        "version_hash": hexadecimal(rng, 40),
    }
    request = "org.fedoraproject.prod.bodhi.update.request.testing"
    events = [Event(at, request, {"agent": submitter, "update": update}, "bodhi")]
    return [*events, *_comments(population, rng, at, update)]


def _comments(population: Population, rng: Random, at: float, update: dict[str, Any]) -> list[Event]:
    """Return the comments on an update: first that of the bot `bodhi`, then those of people."""
    events = []
    commenters = ["bodhi"] + [population.person(rng) for _ in range(rng.randrange(4))]
    for place, who in enumerate(commenters):
        time = at + place * (60 + rng.random() * 800)
        comment = {
            "author": who,
            "bug_feedback": [],
            "id": rng.randrange(5_000_000),
            "karma": 0 if who == "bodhi" else 1,
            "karma_critpath": 0,
            "testcase_feedback": [],
            "timestamp": int(time),
            "update_alias": update["alias"],
            "update_id": rng.randrange(900_000),
            "update_title": update["title"],
            "user": {"id": 1, "name": who},
            "text": f"This update has been submitted for testing by {update['submitter']}."
            if who == "bodhi"
            else "Works for me, no regressions seen since yesterday.",
        }
        slim = {key: update[key] for key in ("alias", "builds", "status", "release", "request", "title", "user")}
        msg = {"agent": who, "comment": {**comment, "update": slim}}
        events.append(Event(time, "org.fedoraproject.prod.bodhi.update.comment", msg, "bodhi"))
    return events


def upstream_release(population: Population, rng: Random, at: float) -> list[Event]:
    """Anitya sees a new upstream release and the-new-hotness files a bug for it."""
    package = population.any_package(rng)
    new, old = version(rng), version(rng)
    project = {
        "backend": "GitHub",
        "created_on": at - 90_000_000,
        "ecosystem": "pypi",
        "id": rng.randrange(400_000),
        "homepage": f"https://{package.lower()}.example.org/",
        "name": package,
        "regex": None,
        "updated_on": int(at),
        "version": new,
        "version_url": f"example/{package}",
        "versions": [new, old],
    }
    message = {
        "agent": "anitya",
        "odd_change": False,
        "old_version": old,
        "project": project,
        "upstream_version": new,
        "packages": [{"distro": "Fedora", "package_name": package}],
        "versions": [new, old],
    }
    topic = "org.release-monitoring.prod.anitya.project.version.update"
    trigger = {"topic": topic, "msg": {"project": {"name": package, "version": new}}, "timestamp": int(at)}
    bug = {"bug_id": 2_000_000 + rng.randrange(500_000), "component": package}
    return [
        Event(at, topic, {"distro": None, "message": message, "project": project}, "anitya"),
        Event(
            at + 30,
            "org.fedoraproject.prod.hotness.update.bug.file",
            {"bug": bug, "package": package, "trigger": trigger},
            "hotness",
        ),
    ]


def openqa_job(population: Population, rng: Random, at: float) -> list[Event]:
    """OpenQA creates a job for an update and reports its result."""
    job = {
        "ARCH": ARCHES[rng.randrange(2)],
        "BUILD": f"Update-FEDORA-2026-{hexadecimal(rng, 10)}",
        "FLAVOR": "updates-server",
        "HDD_1": "disk_f45_server_3_x86_64.qcow2",
        "MACHINE": "64bit",
        "TEST": ("base_selinux", "server_cockpit_default", "desktop_browser", "realmd_join")[rng.randrange(4)],
        "id": 3_000_000 + rng.randrange(900_000),
        "remaining": rng.randrange(60),
        "group_id": 2,
    }
    result = {
        **job,
        "result": "passed" if rng.random() < 0.93 else "failed",
        "newbuild": None,
        "reason": None,
        "bugref": None,
        "group_id": 2,
    }
    return [
        Event(at, "org.fedoraproject.prod.openqa.job.create", job, "geekotest"),
        Event(at + 300 + rng.random() * 2700, "org.fedoraproject.prod.openqa.job.done", result, "geekotest"),
    ]

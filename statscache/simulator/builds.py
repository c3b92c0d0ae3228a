"""Simulated courses of events around packages: copr, koji, dist-git, bodhi, tests and upstream releases.

A course is a list of events that belong together. All its events lie within the hour after its first.
"""

from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from statscache.simulator.population import Population

RELEASES = (("rawhide", 46), ("f45", 45), ("f44", 44), ("epel10", 10), ("epel9", 9))
ARCHES = ("x86_64", "aarch64", "ppc64le", "s390x")


class Event(NamedTuple):
    """One message before it has its envelope.

    Attributes:
        time: Seconds since 1970 UTC.
        topic: The whole topic.
        msg: The body.
        username: The Unix account of the sending service; None leaves it out.
    """

    time: float
    topic: str
    msg: dict[str, Any]
    username: str | None


def hexadecimal(rng: Random, digits: int) -> str:
    """Return `digits` random hexadecimal digits."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def version(rng: Random) -> str:
    """Return a version such as `3.14.2`."""
    return f"{rng.randrange(12)}.{rng.randrange(30)}.{rng.randrange(20)}"


def copr_build(population: Population, rng: Random, at: float) -> list[Event]:
    """A person builds one package in copr for one to four chroots."""
    user, package = population.person(rng), population.package(rng)
    owner = user if rng.random() < 0.8 else f"@{population.person(rng)}-team"
    build, release = 7_000_000 + rng.randrange(3_000_000), f"{version(rng)}-{1 + rng.randrange(9)}"
    events = []
    for _ in range(1 + rng.randrange(4)):
        name, number = RELEASES[rng.randrange(5)]
        arch = ARCHES[rng.randrange(2)]
        chroot = f"epel-{number}-{arch}" if name.startswith("epel") else f"fedora-{number}-{arch}"
        pid, worker = rng.randrange(1 << 22), f"rpm_build_worker:{build}-{chroot}"
        ip = f"2620:52:3:1:dead:beef:cafe:{rng.randrange(1 << 16):x}"
        common: dict[str, Any] = {
            "build": build,
            "chroot": chroot,
            "copr": package,
            "ip": ip,
            "owner": owner,
            "pid": pid,
            "pkg": package,
            "user": user,
            "version": release,
            "who": worker,
            "results_url": f"https://download.copr.fedorainfracloud.org/results/{owner}/{package}/{chroot}/"
            f"{build:08d}-{package}/",
            "submitter_url": f"https://copr.fedorainfracloud.org/coprs/{owner}/{package}/build/{build}/",
            "buildroot": {"image": f"mock-{chroot}.qcow2", "instance": hexadecimal(rng, 32), "arch": arch},
        }
        detail = f"user:{user} copr:{package} build:{build} ip:{ip} pid:{pid}"
        began = at + rng.random() * 120
        ended = began + 30 + rng.random() * 2400
        status = 1 if rng.random() < 0.88 else 0
        for time, topic, what, extra in (
            (began, "build.start", f"build start: {detail}", {}),
            (began + 1, "chroot.start", f"chroot start: chroot:{chroot} {detail}", {}),
            (ended, "build.end", f"build end: {detail} status:{status}", {"status": status}),
        ):
            body = {**common, **extra, "what": what}
            events.append(Event(time, f"org.fedoraproject.prod.copr.{topic}", body, "copr"))
    return events


def _koji_task(
    rng: Random, at: float, task: int, owner: str, srpm: str, method: str, old: str, new: str, arch: str
) -> Event:
    done = new in ("CLOSED", "FAILED")
    logs = f"https://kojipkgs.fedoraproject.org/work/tasks/{task % 10000}/{task}"
    info = {
        "arch": arch,
        "awaited": None,
        "channel_id": 1,
        "children": [],
        "completion_time": at if done else None,
        "create_time": at - 40,
        "host_id": 1 + rng.randrange(300),
        "id": task,
        "label": None,
        "method": method,
        "owner": 1 + rng.randrange(5000),
        "parent": None if method == "build" else task - 1,
        "priority": 20,
        "request": [
            f"git+https://src.fedoraproject.org/rpms/{srpm}#{hexadecimal(rng, 40)}",
            "rawhide",
            {"skip_tag": method == "build" and owner == "koschei", "repo_id": rng.randrange(9_000_000)},
        ],
        "start_time": at - 30,
        "state": 2 if done else 1,
        "waiting": None,
        "weight": 0.2 + rng.randrange(20) / 10,
        "files": {"build.log": f"{logs}/build.log", "root.log": f"{logs}/root.log"},
    }
    msg = {
        "attribute": "state",
        "id": task,
        "info": info,
        "instance": "primary",
        "method": method,
        "new": new,
        "old": old,
        "owner": owner,
        "srpm": srpm,
    }
    return Event(at, "org.fedoraproject.prod.buildsys.task.state.change", msg, "apache")


def _iso(time: float) -> str:
    return datetime.fromtimestamp(int(time), UTC).isoformat()


def _commit(population: Population, rng: Random, at: float, who: str, package: str, branch: str, release: str) -> Event:
    msg = {
        "commit": {
            "agent": who,
            "branch": branch,
            "date": int(at) - 300,
            "email": f"{who}@fedoraproject.org",
            "message": f"Update to {release}\n\nResolves: rhbz#{2_000_000 + rng.randrange(500_000)}\n",
            "name": who.capitalize(),
            "namespace": "rpms",
            "path": f"/srv/git/repositories/rpms/{package}.git",
            "repo": package,
            "rev": hexadecimal(rng, 40),
            "seen": False,
            "summary": f"Update to {release}",
            "stats": {
                "files": {
                    f"{package}.spec": {"additions": 9, "deletions": 4, "lines": 13},
                    "sources": {"additions": 1, "deletions": 1, "lines": 2},
                },
                "total": {"additions": 10, "deletions": 5, "files": 2, "lines": 15},
            },
            "username": who,
        }
    }
    return Event(at, "org.fedoraproject.prod.git.receive", msg, "gitolite3")


def koji_build(population: Population, rng: Random, at: float) -> list[Event]:
    """A packager (or `releng` or `packagerbot`) commits and builds a package; koji tags and signs it."""
    package = population.package(rng)
    draw = rng.random()
    owner = "releng" if draw < 0.06 else "packagerbot" if draw < 0.12 else population.owner(package)
    branch, number = RELEASES[rng.randrange(5)]
    dist = f"el{number}" if branch.startswith("epel") else f"fc{number}"
    number_of, release = version(rng), f"{1 + rng.randrange(9)}.{dist}"
    srpm, task = f"{package}-{number_of}-{release}.src.rpm", 120_000_000 + rng.randrange(30_000_000)
    build, failed = 2_000_000 + rng.randrange(900_000), rng.random() < 0.08
    opened, closed = at + 30, at + 300 + rng.random() * 2400
    state: dict[str, Any] = {
        "attribute": "state",
        "build_id": build,
        "epoch": None,
        "instance": "primary",
        "name": package,
        "owner": owner,
        "release": release,
        "task_id": task,
        "version": number_of,
        "creation_time": _iso(opened + 5),
        "request": [f"git+https://src.fedoraproject.org/rpms/{package}#{hexadecimal(rng, 40)}", branch, {}],
    }
    changed = "org.fedoraproject.prod.buildsys.build.state.change"
    events = [
        _commit(population, rng, at, owner, package, branch, f"{number_of}-{release}"),
        _koji_task(rng, opened, task, owner, srpm, "build", "FREE", "OPEN", "noarch"),
        Event(opened + 5, changed, {**state, "completion_time": None, "old": None, "new": 0}, "apache"),
    ]
    for arch in ARCHES[: 1 + rng.randrange(4)]:
        events.append(_koji_task(rng, opened + 60, task + 1, owner, srpm, "buildArch", "FREE", "OPEN", arch))
        events.append(_koji_task(rng, closed - 60, task + 1, owner, srpm, "buildArch", "OPEN", "CLOSED", arch))
    ending = "FAILED" if failed else "CLOSED"
    events.append(_koji_task(rng, closed, task, owner, srpm, "build", "OPEN", ending, "noarch"))
    ended = {**state, "completion_time": _iso(closed + 1), "old": 0, "new": 3 if failed else 1}
    events.append(Event(closed + 1, changed, ended, "apache"))
    if failed:
        return events
    for delay, topic, tag in (
        (2, "tag", "signing-pending"),
        (60, "untag", "signing-pending"),
        (61, "tag", "updates-candidate"),
    ):
        msg = {
            "build_id": build,
            "instance": "primary",
            "name": package,
            "owner": owner,
            "release": release,
            "tag": f"{branch}-{tag}",
            "tag_id": rng.randrange(90_000),
            "user": "bodhi" if delay > 60 else owner,
            "version": number_of,
        }
        events.append(Event(closed + delay, f"org.fedoraproject.prod.buildsys.{topic}", msg, "apache"))
    sighash = hexadecimal(rng, 32)
    rpm = {
        "attribute": "sighash",
        "instance": "primary",
        "new": sighash,
        "old": None,
        "user": "autopen",
        "info": {
            "arch": "x86_64",
            "build_id": build,
            "buildroot_id": rng.randrange(60_000_000),
            "buildtime": int(closed),
            "epoch": None,
            "external_repo_id": 0,
            "external_repo_name": "INTERNAL",
            "id": rng.randrange(50_000_000),
            "name": package,
            "payloadhash": hexadecimal(rng, 32),
            "release": release,
            "sighash": sighash,
            "sigkey": hexadecimal(rng, 8),
            "size": rng.randrange(1 << 26),
            "version": number_of,
        },
    }
    events.append(Event(closed + 50, "org.fedoraproject.prod.buildsys.rpm.sign", rpm, "apache"))
    return events


def koschei_build(population: Population, rng: Random, at: float) -> list[Event]:
    """The bot `koschei` rebuilds a package as a scratch build and tells whether it still builds."""
    package, task = population.any_package(rng), 120_000_000 + rng.randrange(30_000_000)
    srpm, ended = f"{package}-{version(rng)}-1.fc46.src.rpm", at + 200 + rng.random() * 2400
    failed = rng.random() < 0.1
    events = [
        _koji_task(rng, at, task, "koschei", srpm, "build", "FREE", "OPEN", "noarch"),
        _koji_task(rng, ended, task, "koschei", srpm, "build", "OPEN", "FAILED" if failed else "CLOSED", "noarch"),
    ]
    if rng.random() < 0.3:
        msg = {
            "collection": "f46",
            "collection_name": "Fedora Rawhide",
            "groups": [],
            "koji_instance": "primary",
            "name": package,
            "new": "failing" if failed else "ok",
            "old": "ok" if failed else "failing",
            "repo": "f46",
        }
        topic = "org.fedoraproject.prod.koschei.package.state.change"
        events.append(Event(ended + 90, topic, msg, "koschei"))
    return events


def koji_repo(population: Population, rng: Random, at: float) -> list[Event]:
    """Koji regenerates the repository of a build tag."""
    msg = {
        "instance": "primary",
        "repo_id": rng.randrange(9_000_000),
        "tag_id": rng.randrange(90_000),
        "tag": f"{RELEASES[rng.randrange(5)][0]}-build",
    }
    return [
        Event(at, "org.fedoraproject.prod.buildsys.repo.init", msg, "apache"),
        Event(at + 120 + rng.random() * 600, "org.fedoraproject.prod.buildsys.repo.done", msg, "apache"),
    ]


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
    prefix = "org.fedoraproject.prod.bodhi."
    events = [Event(at, prefix + "update.request.testing", {"agent": submitter, "update": update}, "bodhi")]
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
            "update_alias": alias,
            "update_id": rng.randrange(900_000),
            "update_title": nvr,
            "user": {"id": 1, "name": who},
            "text": f"This update has been submitted for testing by {submitter}."
            if who == "bodhi"
            else "Works for me, no regressions seen since yesterday.",
        }
        slim = {key: update[key] for key in ("alias", "builds", "status", "release", "request", "title", "user")}
        msg = {"agent": who, "comment": {**comment, "update": slim}}
        events.append(Event(time, prefix + "update.comment", msg, "bodhi"))
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

"""Simulated courses of events of builds: on copr, and on koji with dist-git.

A course is a list of events that belong together. All its events lie within the hour after its first.
"""

from random import Random
from typing import Any

from statscache.simulator.event import ARCHES, RELEASES, Event, hexadecimal, iso, version
from statscache.simulator.population import Population


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
        "creation_time": iso(opened + 5),
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
    ended = {**state, "completion_time": iso(closed + 1), "old": 0, "new": 3 if failed else 1}
    events.append(Event(closed + 1, changed, ended, "apache"))
    if failed:
        return events
    return [*events, *_tags(rng, closed, state, branch), _signature(rng, closed, package, build, release, number_of)]


def _tags(rng: Random, closed: float, state: dict[str, Any], branch: str) -> list[Event]:
    """Return the tagging of a complete build: to be signed, then a candidate for an update."""
    events = []
    for delay, topic, tag in (
        (2, "tag", "signing-pending"),
        (60, "untag", "signing-pending"),
        (61, "tag", "updates-candidate"),
    ):
        msg = {
            "build_id": state["build_id"],
            "instance": "primary",
            "name": state["name"],
            "owner": state["owner"],
            "release": state["release"],
            "tag": f"{branch}-{tag}",
            "tag_id": rng.randrange(90_000),
            "user": "bodhi" if delay > 60 else state["owner"],
            "version": state["version"],
        }
        events.append(Event(closed + delay, f"org.fedoraproject.prod.buildsys.{topic}", msg, "apache"))
    return events


def _signature(rng: Random, closed: float, package: str, build: int, release: str, number: str) -> Event:
    """Return the signing of an rpm of a complete build."""
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
            "version": number,
        },
    }
    return Event(closed + 50, "org.fedoraproject.prod.buildsys.rpm.sign", rpm, "apache")


def koschei_build(population: Population, rng: Random, at: float) -> list[Event]:
    """The bot `koschei` rebuilds a package as a scratch build and reports whether it still builds."""
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

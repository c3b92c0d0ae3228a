"""Bodies of the messages of many services, small but with everything that says who acted and on which package.

Each function returns the body of a message, given who and what there is, the source of randomness, and the time of the
message in seconds since 1970 UTC.
"""

from random import Random
from typing import Any

from statscache.simulator.event import ARCHES, PROJECTS, RELEASES, account, hexadecimal, text, version
from statscache.simulator.population import Population


def _nvr(population: Population, rng: Random) -> str:
    return f"{population.package(rng)}-{version(rng)}-1.fc{RELEASES[rng.randrange(3)][1]}"


def by_agent(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A body with little more than its actor."""
    return {"agent": population.person(rng), "id": rng.randrange(90_000), "summary": text(rng, 1), "updated": int(at)}


def ci_job(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A job of a CI server, named after its project."""
    project, build = PROJECTS[rng.randrange(8)], rng.randrange(9000)
    return {
        "build": build,
        "project": project,
        "took": f"{rng.randrange(90)} min",
        "url": f"https://ci.example.org/{build}",
    }


def check_of_playbook(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """An administrator checks what a playbook would do."""
    return {"userid": population.person(rng), "playbook": f"playbooks/{PROJECTS[rng.randrange(8)]}.yml", "check": True}


def upstream_project(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A person edits a project of the release monitor."""
    package = population.any_package(rng)
    project = {
        "backend": "GitHub",
        "homepage": f"https://{package.lower()}.example.org/",
        "id": rng.randrange(400_000),
        "name": package,
        "updated_on": int(at),
        "version": version(rng),
    }
    message = {"agent": population.person(rng), "new": package, "prev": package, "project": package}
    return {"distro": {"name": "Fedora"}, "message": message, "project": project}


def bug(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A bug about a package was filed or changed."""
    who, reporter = population.person(rng), population.person(rng)
    bug = {
        "assigned_to": f"{who}@fedoraproject.org",
        "component": population.package(rng),
        "creator": f"{reporter}@fedoraproject.org",
        "id": 2_000_000 + rng.randrange(500_000),
        "product": "Fedora",
        "status": "NEW",
        "summary": text(rng, 1),
    }
    return {"bug": bug, "event": {"target": "bug", "time": int(at), "who": f"{who}@fedoraproject.org"}}


def koji_package(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A package in koji's list of a tag."""
    package = population.package(rng)
    return {"instance": "primary", "owner": population.owner(package), "package": package, "tag": "f45"}


def ci_test(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A test of a build, with the artifact that is tested."""
    package = population.package(rng)
    artifact = {
        "component": package,
        "id": 120_000_000 + rng.randrange(30_000_000),
        "issuer": population.owner(package),
        "nvr": f"{package}-{version(rng)}-1.fc45",
        "scratch": False,
        "type": "koji-build",
    }
    run = {"log": f"https://ci.example.org/{hexadecimal(rng, 16)}", "rebuild": None}
    test = {"category": "functional", "namespace": "baseos", "result": "passed", "type": "tier0"}
    return {"artifact": artifact, "generated_at": int(at), "run": run, "test": test, "version": "0.2.1"}


def old_compose(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A step of a compose as it was announced before pungi."""
    return {"arch": ARCHES[rng.randrange(4)], "branch": RELEASES[rng.randrange(5)][0], "log": "start"}


def pungi_compose(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A step of a compose by pungi."""
    name, number = RELEASES[rng.randrange(3)]
    return {"compose_id": f"Fedora-{number}-{int(at) // 86400}.n.0", "arch": ARCHES[rng.randrange(4)], "release": name}


def coreos_build(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A build of CoreOS."""
    stream = ("stable", "testing", "next")[rng.randrange(3)]
    return {"build_id": f"45.{int(at) // 86400}.3.0", "basearch": ARCHES[rng.randrange(4)], "stream": stream}


def discourse_post(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A post in the forum, in the form of the forum's webhook."""
    post = {"id": rng.randrange(900_000), "raw": text(rng, 3), "username": population.person(rng)}
    return {"webhook_body": {"post": post}, "webhook_headers": {"X-Discourse-Event": "post_created"}}


def election(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A candidate of an election, of people or of wallpapers."""
    who = population.person(rng)
    candidate = {"license": "CC-BY-SA", "name": text(rng, 1)[:30], "submitter": who}
    return {"agent": who, "candidate": candidate, "election": {"id": rng.randrange(90), "name": "Fedora 45"}}


def crash_report(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A crash that was reported often."""
    package = population.package(rng)
    return {
        "components": [package],
        "count": rng.randrange(100_000),
        "function": "main",
        "problem_id": rng.randrange(99_999),
    }


def account_change(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A change of an account or its groups."""
    who = population.person(rng)
    return {"msg": {"agent": who, "group": PROJECTS[rng.randrange(8)], "user": who}}


def branch(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A branch of a package was created."""
    package = population.package(rng)
    return {"agent": population.owner(package), "branch": RELEASES[rng.randrange(5)][0], "name": package}


def github_activity(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """An event in the project's organization on GitHub."""
    who, name = population.person(rng), PROJECTS[rng.randrange(8)]
    return {
        "fas_usernames": {who: who},
        "repository": {"full_name": f"fedora-infra/{name}", "id": rng.randrange(90_000_000), "name": name},
        "sender": {"html_url": f"https://github.com/{who}", "id": rng.randrange(90_000_000), "login": who},
    }


def kernel_test(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A person tested a kernel."""
    release = f"6.{rng.randrange(20)}.{rng.randrange(20)}-200.fc45"
    return {
        "agent": population.person(rng),
        "test": {"arch": ARCHES[rng.randrange(2)], "kver": release, "result": "PASS"},
    }


def module_build(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A module of packages is submitted, or was built."""
    package, state = population.package(rng), ("init", "ready")[rng.randrange(2)]
    return {"id": rng.randrange(20_000), "name": package, "owner": population.owner(package), "state_name": state}


def repository_change(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """Packages of a repository changed."""
    packages = [population.package(rng) for _ in range(1 + rng.randrange(12))]
    return {"name": "rawhide", "packages": packages, "url": "https://mdapi.example.org/rawhide"}


def alert(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A host or service of the infrastructure has trouble."""
    host = f"{PROJECTS[rng.randrange(8)]}{1 + rng.randrange(9):02d}.rdu3.fedoraproject.org"
    return {"host": host, "output": text(rng, 1), "service": "http", "service_ack_author": "", "type": "PROBLEM"}


def buildroot_override(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A build was put into the buildroot, or removed from it."""
    nvr, who = _nvr(population, rng), population.person(rng)
    return {"agent": who, "override": {"expired_date": None, "notes": text(rng, 1), "nvr": nvr, "submitter": who}}


def pagure_project(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A person changed a project on pagure."""
    project = {"id": rng.randrange(9000), "name": PROJECTS[rng.randrange(8)], "user": account(population.person(rng))}
    return {"agent": population.person(rng), "project": project}


def pagure_issue(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A person changed an issue on pagure."""
    body = pagure_project(population, rng, at)
    issue = {
        "content": text(rng, 2),
        "date_created": str(int(at) - 90_000),
        "id": rng.randrange(9000),
        "user": account(population.person(rng)),
    }
    return {**body, "issue": issue}


def pagure_request(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A person changed a pull request on pagure."""
    body = pagure_project(population, rng, at)
    request = {
        "branch": "main",
        "date_created": str(int(at) - 90_000),
        "id": rng.randrange(9000),
        "project": body["project"],
        "status": "Open",
        "title": text(rng, 1),
        "uid": hexadecimal(rng, 32),
        "user": account(population.person(rng)),
    }
    return {"agent": body["agent"], "pullrequest": request}


def package_listing(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A package in the collection of a release."""
    package, (branch, number) = population.package(rng), RELEASES[rng.randrange(5)]
    listing = {
        "collection": {"branchname": branch, "name": "Fedora", "status": "Active", "version": str(number)},
        "package": {"name": package, "status": "Approved", "summary": text(rng, 1)},
        "point_of_contact": population.owner(package),
        "status": "Approved",
    }
    return {"agent": population.person(rng), "package_listing": listing}


def compose_request(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A compose on demand."""
    compose = {
        "id": rng.randrange(9000),
        "owner": population.person(rng),
        "source": "f45",
        "state": 0,
        "time_submitted": int(at),
    }
    return {"compose": compose, "event": "state-changed"}


def test_result(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """The result of a test of a build."""
    outcome, nvr = "PASSED" if rng.random() < 0.9 else "FAILED", _nvr(population, rng)
    task = {"item": nvr, "name": "dist.rpmlint", "type": "koji_build"}
    return {"result": {"id": rng.randrange(90_000_000), "outcome": outcome}, "task": task, "submit_time": int(at)}


def gating_decision(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A decision whether a build passes, or a waiver of a test by its owner."""
    nvr = _nvr(population, rng)
    package = nvr.rsplit("-", 2)[0]
    return {
        "policies_satisfied": rng.random() < 0.8,
        "product_version": "fedora-45",
        "subject_identifier": nvr,
        "subject_type": "koji_build",
        "summary": "All required tests passed",
        "username": population.owner(package),
    }


def tag_of_package(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A person tagged a package."""
    user = {"rank": rng.randrange(900), "username": population.person(rng), "votes": rng.randrange(900)}
    tag = {"like": 2, "package": {"name": population.package(rng)}, "tag": "game", "total": 2}
    return {"vote": {"like": True, "tag": tag, "user": user}}


def trac_ticket(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A ticket in trac."""
    who, owner, name = population.person(rng), population.person(rng), PROJECTS[rng.randrange(8)]
    instance = {"base_url": f"https://fedorahosted.org/{name}/", "project_name": name}
    ticket = {"id": rng.randrange(9000), "owner": owner, "reporter": who, "status": "new", "summary": text(rng, 1)}
    return {"agent": who, "instance": instance, "ticket": ticket}


def update(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """An update changed its state."""
    nvr, who = _nvr(population, rng), population.person(rng)
    update = {
        "alias": f"FEDORA-2026-{hexadecimal(rng, 10)}",
        "builds": [{"epoch": 0, "nvr": nvr}],
        "date_submitted": int(at) - 600_000,
        "notes": text(rng, 2),
        "release": {"name": "F45", "version": "45"},
        "status": "testing",
        "title": nvr,
        "user": {"name": who},
    }
    return {"agent": who, "update": update}


def wiki_upload(population: Population, rng: Random, at: float) -> dict[str, Any]:
    """A person uploaded a file to the wiki."""
    title = f"File:{population.package(rng)}.png"
    return {"description": text(rng, 1), "title": title, "user_text": population.person(rng).capitalize()}

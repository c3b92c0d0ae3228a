"""Simulated courses of events on pagure, and on GitHub as its events came until 2024, without an envelope."""

from random import Random
from typing import Any

from statscache.simulator.event import PROJECTS, Event, account, hexadecimal, text, version
from statscache.simulator.population import Population

# Events on GitHub, and the fields of their bodies.
_ACTIONS: dict[str, dict[str, str]] = {
    "issue.opened": {"action": "opened"},
    "issue.comment": {"action": "created"},
    "star": {"action": "started"},
    "push": {},
}


def _project(population: Population, rng: Random, at: float) -> dict[str, Any]:
    owner = population.person(rng)
    return {
        "access_users": {"admin": [], "commit": [], "owner": [owner], "ticket": []},
        "close_status": [],
        "custom_keys": [],
        "date_created": str(int(at) - 90_000_000),
        "description": "A project of the community",
        "id": rng.randrange(9000),
        "milestones": {},
        "name": PROJECTS[rng.randrange(8)],
        "namespace": None,
        "parent": None,
        "priorities": {},
        "tags": [],
        "user": account(owner),
    }


def pagure_issue(population: Population, rng: Random, at: float) -> list[Event]:
    """A person opens an issue on pagure; up to three others comment on it."""
    reporter, project = population.person(rng), _project(population, rng, at)
    issue: dict[str, Any] = {
        "assignee": None,
        "blocks": [],
        "close_status": None,
        "closed_at": None,
        "comments": [],
        "content": text(rng, 3),
        "custom_fields": [],
        "date_created": str(int(at)),
        "depends": [],
        "id": 1 + rng.randrange(13000),
        "last_updated": str(int(at)),
        "milestone": None,
        "priority": None,
        "private": False,
        "status": "Open",
        "tags": [],
        "title": text(rng, 1),
        "user": account(reporter),
    }
    events = [
        Event(at, "io.pagure.prod.pagure.issue.new", {"agent": reporter, "issue": issue, "project": project}, "pagure")
    ]
    for place in range(rng.randrange(4)):
        who, time = population.person(rng), at + (place + rng.random()) * 1000
        comment = {
            "comment": text(rng, 2),
            "date_created": str(int(time)),
            "edited_on": None,
            "editor": None,
            "id": rng.randrange(900_000),
            "notification": False,
            "parent": None,
            "reactions": {},
            "user": account(who),
        }
        msg = {"agent": who, "issue": {**issue, "comments": [comment]}, "project": project}
        events.append(Event(time, "io.pagure.prod.pagure.issue.comment.added", msg, "pagure"))
    return events


def pagure_pull_request(population: Population, rng: Random, at: float) -> list[Event]:
    """A person opens a pull request for a package; `packagerbot` flags it; the owner comments, and closes an older."""
    package = population.package(rng)
    author, owner = population.person(rng), population.owner(package)
    project = {
        "date_created": "1501867200",
        "description": f"The {package} rpms",
        "fullname": f"rpms/{package}",
        "id": rng.randrange(90_000),
        "name": package,
        "namespace": "rpms",
        "parent": None,
        "tags": [],
        "url_path": f"rpms/{package}",
        "user": account("releng"),
    }
    request: dict[str, Any] = {
        "assignee": None,
        "branch": "rawhide",
        "branch_from": f"fix-{hexadecimal(rng, 4)}",
        "comments": [],
        "closed_by": None,
        "commit_start": hexadecimal(rng, 40),
        "commit_stop": hexadecimal(rng, 40),
        "date_created": str(int(at)),
        "id": 1 + rng.randrange(200),
        "initial_comment": text(rng, 1),
        "project": project,
        "remote_git": None,
        "status": "Open",
        "tags": [],
        "threshold_reached": None,
        "title": f"Update to {version(rng)}",
        "uid": hexadecimal(rng, 32),
        "updated_on": str(int(at)),
        "repo_from": {**project, "fullname": f"forks/{author}/rpms/{package}", "user": account(author)},
        "user": account(author),
    }
    flag = {
        "comment": "Build succeeded.",
        "date_created": str(int(at) + 300),
        "percent": None,
        "status": "success",
        "pull_request_uid": request["uid"],
        "url": f"https://ci.example.org/{request['uid']}",
        "user": account("packagerbot"),
        "username": "Simple Koji CI",
    }
    prefix = "org.fedoraproject.prod.pagure.pull-request."
    flagged = {"agent": "packagerbot", "flag": flag, "pullrequest": request}
    events = [
        Event(at, prefix + "new", {"agent": author, "pullrequest": request}, "pagure"),
        Event(at + 300, prefix + "flag.added", flagged, "pagure"),
    ]
    if rng.random() < 0.6:
        comment = {
            "comment": text(rng, 1),
            "commit": None,
            "date_created": str(int(at) + 900),
            "filename": None,
            "id": rng.randrange(900_000),
            "line": None,
            "parent": None,
            "user": account(owner),
        }
        msg: dict[str, Any] = {"agent": owner, "pullrequest": {**request, "comments": [comment]}}
        events.append(Event(at + 900, prefix + "comment.added", msg, "pagure"))
    if rng.random() < 0.6:
        events.append(_closed(rng, at + 1800, owner, request))
    return events


def _closed(rng: Random, at: float, owner: str, request: dict[str, Any]) -> Event:
    """Return the merge, or rejection, of an older request of the same package."""
    # Opened from an hour to 42 days before the newer one, which is 1,800 s old.
    opened = int(at) - 1800 - 3600 * (1 << rng.randrange(11))
    merged = rng.random() < 0.9
    older = {
        **request,
        "date_created": str(opened),
        "id": request["id"] + 200,
        "closed_at": str(int(at)),
        "status": "Merged" if merged else "Closed",
        "uid": hexadecimal(rng, 32),
    }
    msg = {"agent": owner, "merged": merged, "pullrequest": older}
    return Event(at, "org.fedoraproject.prod.pagure.pull-request.closed", msg, "pagure")


def github_event(population: Population, rng: Random, at: float) -> list[Event]:
    """A person opens an issue, comments, stars or pushes in the project's organization on GitHub."""
    who, name = population.person(rng), PROJECTS[rng.randrange(8)]
    what = [*_ACTIONS][rng.randrange(4)]
    sender = {
        "html_url": f"https://github.com/{who}",
        "id": rng.randrange(90_000_000),
        "login": who,
        "site_admin": False,
        "type": "User",
        "url": f"https://api.github.com/users/{who}",
    }
    url = f"https://github.com/fedora-infra/{name}"
    msg: dict[str, Any] = {
        **_ACTIONS[what],
        "fas_usernames": {who: who},
        "sender": sender,
        "organization": {"description": None, "id": 3316637, "login": "fedora-infra"},
        "repository": {
            "created_at": "2014-05-04T11:26:26Z",
            "default_branch": "main",
            "description": "A project of the community",
            "fork": False,
            "forks": 7,
            "full_name": f"fedora-infra/{name}",
            "has_issues": True,
            "html_url": url,
            "id": rng.randrange(90_000_000),
            "language": "Python",
            "name": name,
            "open_issues": 11,
            "owner": {"id": 3316637, "login": "fedora-infra", "type": "Organization"},
            "size": 907,
            "private": False,
            "stargazers_count": 40,
            "url": f"https://api.github.com/repos/fedora-infra/{name}",
        },
    }
    if what == "push":
        msg["ref"] = "refs/heads/main"
        msg["commits"] = [
            {"author": {"name": who, "username": who}, "id": hexadecimal(rng, 40), "message": text(rng, 2)}
        ]
    elif what != "star":
        number = 1 + rng.randrange(5000)
        msg["issue"] = {
            "assignee": None,
            "body": text(rng, 3),
            "html_url": f"{url}/issues/{number}",
            "labels": [],
            "number": number,
            "state": "open",
            "title": text(rng, 1),
            "user": sender,
        }
        if what == "issue.comment":
            msg["comment"] = {"body": text(rng, 2), "id": rng.randrange(1 << 31), "user": sender}
    return [Event(at, f"org.fedoraproject.prod.github.{what}", msg, "github2fedmsg")]

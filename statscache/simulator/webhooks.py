"""Simulated webhooks of Forgejo, GitHub and GitLab, as they are forwarded to the bus: the forge's payload in `body`."""

from datetime import UTC, datetime
from random import Random
from typing import Any

from statscache.simulator.event import PROJECTS, Event, hexadecimal, text, version
from statscache.simulator.population import Population
from statscache.timeline import HOUR

_PREFIX = "org.fedoraproject.prod."
_SITES = {"forgejo": "https://forge.example.org", "github": "https://github.com", "gitlab": "https://gitlab.com"}


def forgejo_webhook(population: Population, rng: Random, at: float) -> list[Event]:
    """A person pushes to a project, opens an issue or a pull request on Forgejo; an older request is merged.

    Packages are still on Pagure.
    """
    return _like_github("forgejo", f"infra/{PROJECTS[rng.randrange(8)]}", population, rng, at)


def github_webhook(population: Population, rng: Random, at: float) -> list[Event]:
    """The same in the project's organization on GitHub."""
    return _like_github("github", f"fedora-infra/{PROJECTS[rng.randrange(8)]}", population, rng, at)


def gitlab_webhook(population: Population, rng: Random, at: float) -> list[Event]:
    """A person pushes, or opens an issue or a merge request on GitLab; an older request is merged, or closed."""
    name, who, number = PROJECTS[rng.randrange(8)], population.person(rng), 1 + rng.randrange(900)
    url = f"{_SITES['gitlab']}/fedora/{name}"
    common = {
        "user": {"id": rng.randrange(90_000), "name": who.capitalize(), "username": who, "avatar_url": None},
        "project": {
            "id": rng.randrange(90_000),
            "name": name,
            "description": "A project of the community",
            "web_url": url,
            "namespace": "Fedora",
            "visibility_level": 20,
            "path_with_namespace": f"fedora/{name}",
            "default_branch": "main",
        },
        "labels": [],
        "changes": {},
    }
    what = ("push", "issue", "merge_request", "merge_request")[rng.randrange(4)]
    if what == "push":
        pushed = {"ref": "refs/heads/main", "user_username": who, **_commits(rng, who, url)}
        return [_hook(at, "gitlab.push", who, {"object_kind": "push", **common, **pushed})]

    def about(action: str, opened: float) -> dict[str, Any]:
        made = {"id": number, "iid": number, "action": action, "title": text(rng, 1), "description": text(rng, 2)}
        times = {"created_at": f"{_time(opened)} UTC", "url": f"{url}/-/{what}s/{number}", "target_branch": "main"}
        return {"object_kind": what, **common, "object_attributes": {**made, **times}}

    events = [_hook(at, f"gitlab.{what}", who, about("open", at))]
    if what == "merge_request" and rng.random() < 0.7:
        action = "merge" if rng.random() < 0.9 else "close"
        events.append(_hook(at + 1_200, f"gitlab.{what}", population.person(rng), about(action, _opened(rng, at))))
    return events


def _like_github(forge: str, name: str, population: Population, rng: Random, at: float) -> list[Event]:
    """Return a course of events on a forge whose webhooks have GitHub's form."""
    who, number, url = population.person(rng), 1 + rng.randrange(900), f"{_SITES[forge]}/{name}"
    repository = {
        "id": rng.randrange(90_000),
        "name": name.partition("/")[2],
        "full_name": name,
        "owner": _account(name.partition("/")[0], forge),
        "description": "A project of the community",
        "private": False,
        "fork": False,
        "html_url": url,
        "default_branch": "main",
        "created_at": "2024-05-04T11:26:26Z",
    }

    def payload(sender: str, **more: Any) -> dict[str, Any]:
        return {**more, "repository": repository, "sender": _account(sender, forge)}

    what = ("push", "issues", "issue_comment", "pull_request", "pull_request")[rng.randrange(5)]
    if what == "push":
        pushed = {"ref": "refs/heads/main", "pusher": _account(who, forge), **_commits(rng, who, url)}
        return [_hook(at, f"{forge}.push", who, payload(who, **pushed))]
    thing = {
        "id": number,
        "number": number,
        "title": f"Update to {version(rng)}",
        "body": text(rng, 2),
        "state": "open",
        "html_url": f"{url}/{'pulls' if what == 'pull_request' else 'issues'}/{number}",
        "user": _account(who, forge),
        "created_at": _zoned(at),
        "merged": False,
    }
    if what != "pull_request":
        comment = {"comment": {"id": number, "body": text(rng, 2), "user": _account(who, forge)}}
        more = {"action": "opened"} if what == "issues" else {"action": "created", **comment}
        return [_hook(at, f"{forge}.{what}", who, payload(who, **more, issue=thing))]
    events = [_hook(at, f"{forge}.{what}", who, payload(who, action="opened", number=number, pull_request=thing))]
    if rng.random() < 0.7:
        merger, is_merged = population.person(rng), rng.random() < 0.9
        older = {**thing, "number": number + 900, "state": "closed", "merged": is_merged}
        older["created_at"] = _zoned(_opened(rng, at))
        closed = payload(merger, action="closed", number=number + 900, pull_request=older)
        events.append(_hook(at + 1_200, f"{forge}.{what}", merger, closed))
    return events


def _hook(at: float, topic: str, who: str, payload: dict[str, Any]) -> Event:
    headers = {"Content-Type": "application/json", "X-Event": topic.rpartition(".")[2]}
    return Event(at, _PREFIX + topic, {"agent": who, "body": payload, "headers": headers}, "webhook")


def _account(name: str, forge: str) -> dict[str, Any]:
    return {"id": len(name), "login": name, "username": name, "html_url": f"{_SITES[forge]}/{name}"}


def _commits(rng: Random, who: str, url: str) -> dict[str, Any]:
    """Return the commits of a push."""
    before, after = hexadecimal(rng, 40), hexadecimal(rng, 40)
    commit = {"id": after, "message": text(rng, 1), "url": f"{url}/commit/{after}", "author": {"username": who}}
    return {"before": before, "after": after, "commits": [commit]}


def _opened(rng: Random, at: float) -> float:
    """Return when a request that is closed now was opened: from an hour to 42 days ago."""
    return at - HOUR * (1 << rng.randrange(11))


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%d %H:%M:%S}"


def _zoned(at: float) -> str:
    return _time(at).replace(" ", "T") + "Z"

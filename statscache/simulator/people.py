"""Simulated courses of events among people: on pagure, GitHub, chat, wiki, lists, in meetings and blogs."""

from random import Random
from typing import Any

from statscache.simulator.builds import Event, hexadecimal, version
from statscache.simulator.population import Population

_SENTENCES = (
    "I can reproduce this on a fresh installation, but not on one that was upgraded.",
    "Thanks for the quick fix; the scratch build looks good on all four architectures.",
    "Could we hold this until the freeze is over? The change looks safe otherwise.",
    "The test fails when the machine's clock is not in UTC, so I would rather pin it.",
    "Let us drop the bundled copy and depend on the system library instead.",
    "This was discussed in the last meeting: see the log for who agreed to do what.",
    "Rebased on the main branch; the second commit has the part that matters.",
    "Please add a line to the changelog so that people find out about the new default.",
)
_BADGES = (
    "Is this thing on?",
    "Curious Penguin",
    "Junior Tagger",
    "White Rabbit",
    "Tester I",
    "Crypto Badger",
    "Let Me Introduce Myself",
    "Macaron",
)
_PROJECTS = ("fedora-infrastructure", "releng", "fedora-docs", "workstation", "bodhi", "fesco", "cloud-sig", "pungi")


def _text(rng: Random, sentences: int) -> str:
    return " ".join(_SENTENCES[rng.randrange(8)] for _ in range(sentences))


def _account(name: str) -> dict[str, Any]:
    return {"fullname": name.capitalize(), "name": name, "url_path": f"user/{name}"}


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
        "name": _PROJECTS[rng.randrange(8)],
        "namespace": None,
        "parent": None,
        "priorities": {},
        "tags": [],
        "user": _account(owner),
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
        "content": _text(rng, 3),
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
        "title": _text(rng, 1),
        "user": _account(reporter),
    }
    events = [
        Event(at, "io.pagure.prod.pagure.issue.new", {"agent": reporter, "issue": issue, "project": project}, "pagure")
    ]
    for place in range(rng.randrange(4)):
        who, time = population.person(rng), at + (place + rng.random()) * 1000
        comment = {
            "comment": _text(rng, 2),
            "date_created": str(int(time)),
            "edited_on": None,
            "editor": None,
            "id": rng.randrange(900_000),
            "notification": False,
            "parent": None,
            "reactions": {},
            "user": _account(who),
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
        "user": _account("releng"),
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
        "initial_comment": _text(rng, 1),
        "project": project,
        "remote_git": None,
        "status": "Open",
        "tags": [],
        "threshold_reached": None,
        "title": f"Update to {version(rng)}",
        "uid": hexadecimal(rng, 32),
        "updated_on": str(int(at)),
        "repo_from": {**project, "fullname": f"forks/{author}/rpms/{package}", "user": _account(author)},
        "user": _account(author),
    }
    flag = {
        "comment": "Build succeeded.",
        "date_created": str(int(at) + 300),
        "percent": None,
        "status": "success",
        "pull_request_uid": request["uid"],
        "url": f"https://ci.example.org/{request['uid']}",
        "user": _account("packagerbot"),
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
            "comment": _text(rng, 1),
            "commit": None,
            "date_created": str(int(at) + 900),
            "filename": None,
            "id": rng.randrange(900_000),
            "line": None,
            "parent": None,
            "user": _account(owner),
        }
        msg: dict[str, Any] = {"agent": owner, "pullrequest": {**request, "comments": [comment]}}
        events.append(Event(at + 900, prefix + "comment.added", msg, "pagure"))
    if rng.random() < 0.6:
        # Opened from an hour to 42 days ago.
        opened = int(at) - 3600 * (1 << rng.randrange(11))
        merged = rng.random() < 0.9
        older = {
            **request,
            "date_created": str(opened),
            "id": request["id"] + 200,
            "closed_at": str(int(at) + 1800),
            "status": "Merged" if merged else "Closed",
            "uid": hexadecimal(rng, 32),
        }
        msg = {"agent": owner, "merged": merged, "pullrequest": older}
        events.append(Event(at + 1800, prefix + "closed", msg, "pagure"))
    return events


def github_event(population: Population, rng: Random, at: float) -> list[Event]:
    """A person opens an issue, comments, stars or pushes in the project's organization on GitHub."""
    who, name = population.person(rng), _PROJECTS[rng.randrange(8)]
    what = ("issue.opened", "issue.comment", "star", "push")[rng.randrange(4)]
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
        "action": what.rpartition(".")[2],
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
            {"author": {"name": who, "username": who}, "id": hexadecimal(rng, 40), "message": _text(rng, 2)}
        ]
    elif what != "star":
        number = 1 + rng.randrange(5000)
        msg["issue"] = {
            "assignee": None,
            "body": _text(rng, 3),
            "html_url": f"{url}/issues/{number}",
            "labels": [],
            "number": number,
            "state": "open",
            "title": _text(rng, 1),
            "user": sender,
        }
        if what == "issue.comment":
            msg["comment"] = {"body": _text(rng, 2), "id": rng.randrange(1 << 31), "user": sender}
    return [Event(at, f"org.fedoraproject.prod.github.{what}", msg, "github2fedmsg")]


def karma(population: Population, rng: Random, at: float) -> list[Event]:
    """A person thanks another, by karma on IRC (which some take away) or by a cookie on Matrix."""
    giver, recipient, total = population.person(rng), population.person(rng), 1 + rng.randrange(90)
    if rng.random() < 0.4:
        vote, sign = (1, "++") if rng.random() < 0.9 else (-1, "--")
        msg: dict[str, Any] = {
            "agent": giver,
            "channel": "#fedora-apps",
            "line": f"that did it, {recipient}{sign}",
            "recipient": recipient,
            "total": total,
            "total_this_release": vote,
            "release": "f45",
            "vote": vote,
        }
        return [Event(at, "org.fedoraproject.prod.irc.karma", msg, "supybot")]
    msg = {
        "count_by_release": {"45": total},
        "fedora_release": "45",
        "recipient": recipient,
        "sender": giver,
        "total": total,
    }
    return [Event(at, "org.fedoraproject.prod.maubot.cookie.give.v1", msg, "maubot")]


def badge(population: Population, rng: Random, at: float) -> list[Event]:
    """A person is awarded a badge and rises in the ranking."""
    who = {"badges_user_id": rng.randrange(90_000), "username": population.person(rng)}
    topic = "org.fedoraproject.prod.bodhi.update.comment"
    name = _BADGES[rng.randrange(8)]
    identity = name.lower().replace(" ", "-").strip("?")
    award = {
        "badge": {
            "badge_id": identity,
            "creator": "fedbadges",
            "description": "Took part as this badge says",
            "tags": "qa",
            "image_url": f"https://badges.fedoraproject.org/pngs/{identity}.png",
            "issuer_id": "fedora-project",
            "name": name,
            "discussion": "",
            "trigger": {"topic": topic},
            "criteria": {
                "datanommer": {
                    "condition": {"greater than or equal to": 1},
                    "filter": {"topics": [topic]},
                    "operation": "count",
                }
            },
        },
        "user": who,
    }
    old = 2 + rng.randrange(9000)
    rank = {
        "old_rank": old,
        "person": {
            "id": who["badges_user_id"],
            "nickname": who["username"],
            "rank": old - 1,
            "opt_out": False,
            "website": None,
            "bio": None,
        },
    }
    prefix = "org.fedoraproject.prod.fedbadges."
    return [
        Event(at, prefix + "badge.award", award, "fedmsg"),
        Event(at + 1, prefix + "person.rank.advance", rank, "fedmsg"),
    ]


def wiki_edit(population: Population, rng: Random, at: float) -> list[Event]:
    """A person edits a page of the wiki."""
    who = population.person(rng)
    title = f"Changes/{population.package(rng)}"
    msg = {
        "diff": {"content-type": "text/x-wiki"},
        "minor_edit": rng.random() < 0.3,
        "new": {"size": 9000 + 1},
        "page_url": f"https://fedoraproject.org/wiki/{title}",
        "revision": None,
        "summary": _text(rng, 1),
        "title": title,
        "url": f"https://fedoraproject.org/w/index.php?title={title}&diff=prev",
        "user": who,
        "watch_this": False,
    }
    return [Event(at, "org.fedoraproject.prod.wiki.article.edit", msg, "apache")]


def mail(population: Population, rng: Random, at: float) -> list[Event]:
    """A person writes to a mailing list."""
    who, name = population.person(rng), ("devel", "test", "users", "infrastructure")[rng.randrange(4)]
    address = f"{name}@lists.fedoraproject.org"
    identity = hexadecimal(rng, 32).upper()
    letter = {
        "archived-at": f"/archives/list/{address}/message/{identity}/",
        "cc": None,
        "delivered-to": address,
        "from": f"{who.capitalize()} <{who}@fedoraproject.org>",
        "in-reply-to": None,
        "list-id": address,
        "message-id": f"<{identity.lower()}@fedoraproject.org>",
        "references": None,
        "subject": _text(rng, 1),
        "to": address,
        "x-mailman-rule-hits": "member-moderation",
        "x-message-id-hash": identity,
        "x-mailman-rule-misses": "approved; emergency; loop; administrivia; implicit-dest; max-size",
    }
    msg = {"mlist": {"list_name": name}, "msg": letter}
    return [Event(at, "org.fedoraproject.prod.mailman.receive", msg, "mailman")]


def meeting(population: Population, rng: Random, at: float) -> list[Event]:
    """A meeting of up to an hour starts, goes through its topics and ends."""
    people = dict.fromkeys(population.person(rng) for _ in range(5))
    owner = next(iter(people))
    channel = f"#meeting-{1 + rng.randrange(3)}:fedoraproject.org"
    common: dict[str, Any] = {
        "attendees": {name: 1 + rng.randrange(60) for name in people},
        "chairs": dict.fromkeys(people, True),
        "channel": channel,
        "meeting_topic": f"{_PROJECTS[rng.randrange(8)]} weekly",
        "owner": owner,
        "url": f"https://meetbot.fedoraproject.org/{channel[1:10]}/{hexadecimal(rng, 12)}",
    }
    prefix = "org.fedoraproject.prod.meetbot.meeting."
    events = [Event(at, prefix + "start", {**common, "topic": ""}, "meetbot")]
    for number in range(1, 5):
        time, who = at + number * 600, population.person(rng)
        details = {"line": _text(rng, 1), "linenum": number * 17, "nick": who, "time_": int(time)}
        events.append(Event(time, prefix + "topic.update", {**common, "topic": f"Item {number}"}, "meetbot"))
        msg = {**common, "topic": f"Item {number}", "details": details}
        events.append(Event(time + 60, prefix + "item.info", msg, "meetbot"))
    events.append(Event(at + 3300, prefix + "complete", {**common, "topic": "Open floor"}, "meetbot"))
    return events


def blog_post(population: Population, rng: Random, at: float) -> list[Event]:
    """A person's post appears on the planet."""
    who, title = population.person(rng), _text(rng, 1)
    link = f"https://{who}.example.org/{hexadecimal(rng, 8)}.html"
    post = {
        "content": [{"base": link, "language": None, "type": "text/html", "value": f"<p>{_text(rng, 7)}</p>"}],
        "id": link,
        "link": link,
        "summary": title,
        "title": title,
        "tags": [{"label": None, "scheme": None, "term": "fedora"}],
        "updated_parsed": int(at),
    }
    msg = {"face": None, "name": who.capitalize(), "post": post, "username": who}
    return [Event(at, "org.fedoraproject.prod.planet.post.new", msg, "planet-user")]


def playbook(population: Population, rng: Random, at: float) -> list[Event]:
    """An administrator (one of the eight busiest people) runs a playbook of ansible."""
    who, group = population.people[rng.randrange(min(8, len(population.people)))], _PROJECTS[rng.randrange(8)]
    path = f"/srv/web/infra/ansible/playbooks/groups/{group}.yml"
    counts = {"changed": 1, "failures": 0, "ok": 56, "skipped": 9, "unreachable": 0}
    results = {f"{group}{number:02d}.rdu3.fedoraproject.org": counts for number in range(1, 7)}
    start = {
        "check": False,
        "extra_vars": {},
        "inventory": "/srv/web/infra/ansible/inventory/",
        "playbook": path,
        "playbook_checksum": hexadecimal(rng, 40),
        "userid": who,
    }
    complete = {"playbook": path, "results": results, "userid": who}
    prefix = "org.fedoraproject.prod.ansible.playbook."
    return [
        Event(at, prefix + "start", start, "root"),
        Event(at + 60 + rng.random() * 1200, prefix + "complete", complete, "root"),
    ]

"""Simulated courses of events among people: on chat, wiki and lists, in meetings and blogs, and badges for them.

Badges and meetings have topics and bodies of their own since 2024; history has the older ones.
"""

from random import Random
from typing import Any

from statscache.simulator.event import PROJECTS, Event, hexadecimal, iso, text
from statscache.simulator.population import Population

_MOVED = 1_704_067_200  # 2024-01-01
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
    if at >= _MOVED:
        return _badge_of_today(at, who, name, identity, 2 + rng.randrange(9000))
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


def _badge_of_today(at: float, who: dict[str, Any], name: str, identity: str, old_rank: int) -> list[Event]:
    """Return the award of a badge and the rise in the ranking, as tahrir announces them since 2024."""
    badge = {
        "badge_id": identity,
        "description": "Took part as this badge says",
        "image_url": f"https://badges.fedoraproject.org/pngs/{identity}.png",
        "name": name,
    }
    person = {
        "bio": None,
        "email": f"{who['username']}@fedoraproject.org",
        "id": who["badges_user_id"],
        "nickname": who["username"],
        "rank": old_rank - 1,
        "website": None,
    }
    prefix = "org.fedoraproject.prod.badges."
    return [
        Event(at, prefix + "badge.award", {"badge": badge, "user": who}, "tahrir"),
        Event(at + 1, prefix + "person.rank.advance", {"old_rank": old_rank, "person": person}, "tahrir"),
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
        "summary": text(rng, 1),
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
        "subject": text(rng, 1),
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
    if at >= _MOVED:
        return _meeting_on_matrix(rng, at, [*people], channel)
    common: dict[str, Any] = {
        "attendees": {name: 1 + rng.randrange(60) for name in people},
        "chairs": dict.fromkeys(people, True),
        "channel": channel,
        "meeting_topic": f"{PROJECTS[rng.randrange(8)]} weekly",
        "owner": owner,
        "url": f"https://meetbot.fedoraproject.org/{channel[1:10]}/{hexadecimal(rng, 12)}",
    }
    prefix = "org.fedoraproject.prod.meetbot.meeting."
    events = [Event(at, prefix + "start", {**common, "topic": ""}, "meetbot")]
    for number in range(1, 5):
        time, who = at + number * 600, population.person(rng)
        details = {"line": text(rng, 1), "linenum": number * 17, "nick": who, "time_": int(time)}
        events.append(Event(time, prefix + "topic.update", {**common, "topic": f"Item {number}"}, "meetbot"))
        msg = {**common, "topic": f"Item {number}", "details": details}
        events.append(Event(time + 60, prefix + "item.info", msg, "meetbot"))
    events.append(Event(at + 3300, prefix + "complete", {**common, "topic": "Open floor"}, "meetbot"))
    return events


def _meeting_on_matrix(rng: Random, at: float, people: list[str], room: str) -> list[Event]:
    """Return the start and the end of a meeting: the bot on Matrix announces nothing else."""
    name, end = f"{PROJECTS[rng.randrange(8)]} weekly", at + 1800 + rng.randrange(1800)
    url = f"https://meetbot.fedoraproject.org/meeting_matrix_{room[1:10]}/{hexadecimal(rng, 12)}"
    begun = {"location": room, "meeting_name": name, "start_time": iso(at), "start_user": people[0]}
    ended = {
        **begun,
        "attendees": [{"lines_said": 1 + rng.randrange(60), "name": who} for who in people],
        "chairs": people[:1],
        "end_time": iso(end),
        "end_user": people[rng.randrange(len(people))],
        "logs": [{"log_type": "Full log", "log_url": f"{url}.log.html"}],
        "url": f"{url}.html",
    }
    prefix = "org.fedoraproject.prod.meetbot.meeting."
    return [Event(at, prefix + "start", begun, "maubot"), Event(end, prefix + "complete", ended, "maubot")]


def blog_post(population: Population, rng: Random, at: float) -> list[Event]:
    """A person's post appears on the planet."""
    who, title = population.person(rng), text(rng, 1)
    link = f"https://{who}.example.org/{hexadecimal(rng, 8)}.html"
    post = {
        "content": [{"base": link, "language": None, "type": "text/html", "value": f"<p>{text(rng, 7)}</p>"}],
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
    who, group = population.people[rng.randrange(min(8, len(population.people)))], PROJECTS[rng.randrange(8)]
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

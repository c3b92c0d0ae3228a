from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from samples import Site, line
from statscache import testing
from statscache.message import Message
from statscache.parsing import parse
from statscache.plugins import Plugin
from statscache.timeline import parse_time
from statscache_plugins.contributors import Contributors, UniqueContributors, UniqueContributorsByCategory

DAY = 86400
MONDAY = parse_time("2015-08-03")
CATEGORIES = {
    "wiki": ("wiki.article.edit", "user"),
    "git": ("git.receive", "agent"),
    "fmn": ("fmn.rule.update", "openid"),
}


def act(who: str, category: str = "wiki", day: int = 0, number: int = 0) -> Message:
    """Return the message of something that somebody did, days after Monday, 3 August 2015."""
    topic, field = CATEGORIES[category]
    at = MONDAY + day * DAY + number
    return testing.message(f"org.fedoraproject.prod.{topic}", {field: who}, timestamp=at)


def test_a_person_has_days_by_year_and_weeks_by_category() -> None:
    """What a profile widget loads: totals, days, first and last, and the weeks in each category."""
    messages = [
        act("ralph"),
        act("ralph", "git"),
        act("ralph", "git", 2),
        act("ralph", "git", 2, 9),
        act("ralph", "wiki", 200),
    ]
    assert testing.run(Contributors, [*messages, act("toshio", day=300)])["by/ralph.json"] == {
        "schema": "statscache/key/1",
        "plugin": "contributors",
        "key": ["ralph"],
        "through": MONDAY + 200 * DAY,
        "total": 5,
        "first": MONDAY,
        "last": MONDAY + 200 * DAY,
        "years": [[2015, 4], [2016, 1]],
        "days": {"2015": [[MONDAY, 2], [MONDAY + 2 * DAY, 2]], "2016": [[MONDAY + 200 * DAY, 1]]},
        "gaps": [[1420070400, MONDAY]],
        "parts": [
            {"category": "git", "total": 3, "weeks": {"2015": [[MONDAY, 3]]}},
            {"category": "wiki", "total": 2, "weeks": {"2015": [[MONDAY, 1]], "2016": [[MONDAY + 196 * DAY, 1]]}},
        ],
    }


def test_who_acted_counts_and_no_one_else() -> None:
    """The owner of an update on which another comments does not count, nor does an anonymous commenter."""
    topic = "org.fedoraproject.prod.bodhi.update.comment"
    comment = {
        "user": {"name": "ralph"},
        "text": "cc @kevin",
        "update": {"user": {"name": "toshio"}, "title": "a-1-1.fc9"},
    }
    anonymous = {**comment, "user": {"name": "anonymous"}}
    messages = [testing.message(topic, {"comment": body}) for body in (comment, anonymous)]
    assert people(testing.run(Contributors, messages)) == {"ralph": 1}


def people(documents: dict[str, Any]) -> dict[str, int]:
    """Return the contributions of each person."""
    return {row["user"]: row["total"] for row in documents["latest.json"]["rows"]}


@pytest.mark.parametrize("plugin", [Contributors, UniqueContributors, UniqueContributorsByCategory])
def test_bots_are_left_out(plugin: type[Plugin]) -> None:
    """Those of the list that comes with statscache, or those of the list that is configured."""
    messages = [act("bodhi"), act("ralph", number=1)]
    only = testing.run(plugin, messages[1:])
    assert testing.run(plugin, messages)["latest.json"]["rows"] == only["latest.json"]["rows"]
    swapped = testing.run(plugin({"bots": ["ralph"]}), [act("ralph"), act("bodhi", number=1)])
    assert len(swapped["latest.json"]["rows"]) == 1
    assert people(testing.run(Contributors({"bots": []}), messages)) == {"bodhi": 1, "ralph": 1}


def test_leaders_of_thirty_days_are_not_those_of_all_time() -> None:
    """The window is of whole days before the newest message's."""
    messages = [act("ralph", number=number) for number in range(3)]
    messages += [act("toshio", day=40), act("toshio", "git", 41), act("adam", day=41), act("late", day=45)]
    documents = testing.run(Contributors, messages)
    assert list(people(documents)) == ["ralph", "toshio", "adam", "late"]
    assert documents["leaders-30d.json"]["rows"] == [{"user": "toshio", "value": 2}, {"user": "adam", "value": 1}]


def test_newcomers_are_counted_on_the_day_on_which_they_were_first_seen() -> None:
    """Also when an earlier message arrives late; the unfinished day is not there yet."""
    messages = [act("ralph", day=2), act("toshio", day=2, number=1), act("ralph", day=3), act("adam", day=4)]
    rows = testing.run(Contributors, messages)["newcomers.json"]["rows"]
    assert rows == [{"timestamp": MONDAY + 2 * DAY, "value": 2}, {"timestamp": MONDAY + 3 * DAY, "value": 0}]
    rows = testing.run(Contributors, [*messages, act("ralph", day=1)])["newcomers.json"]["rows"]
    assert [row["value"] for row in rows] == [1, 1, 0]


def test_who_begins_in_another_category_is_new_there() -> None:
    """A person counts once in each category, on the day of the first act in it."""
    messages = [act("ralph", day=1), act("ralph", "git", 2), act("toshio", "git", 2, number=1), act("adam", day=4)]
    rows = testing.run(Contributors, messages)["newcomers-by-category.json"]["rows"]
    assert rows[:2] == [
        {"timestamp": MONDAY + DAY, "category": "git", "value": 0},
        {"timestamp": MONDAY + DAY, "category": "wiki", "value": 1},
    ]
    assert [row["value"] for row in rows[2:]] == [2, 0, 0, 0]


def test_history_that_comes_late_is_not_held_back(tmp_path: Path) -> None:
    """When all turn out to have begun on one day, the others have no newcomers left, and are rows too."""
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, (Contributors,))
    for first in (True, False):
        site.feed(
            line(
                f"{first}-{n}",
                MONDAY + n * DAY * first + n,
                "org.fedoraproject.prod.wiki.article.edit",
                {"user": f"p{n}"},
            )
            for n in range(1, 11)
        )
        site.publish()
    (plugin,) = site.document("v1/index.json")["plugins"]
    assert plugin["state"] == "ok"
    rows = site.document("v1/plugins/contributors/newcomers.json")["rows"]
    # Ten days: the first began before the first message, the last is unfinished.
    assert [row["value"] for row in rows] == [None, *[0] * 9]
    site.close()


def test_uniques_are_of_the_day_the_week_and_the_month() -> None:
    """A person who acts on two days is one of the week, which begins on Monday, and one of each of two months."""
    messages = [
        act("ralph"),
        act("ralph", number=5),
        act("toshio"),
        act("ralph", day=1),
        act("ralph", day=29),
        act("adam", day=6),
    ]
    documents = testing.run(UniqueContributors, messages)
    september = int(datetime(2015, 9, 1, tzinfo=UTC).timestamp())
    august = int(datetime(2015, 8, 1, tzinfo=UTC).timestamp())
    assert documents["series/1d/2015.json"]["rows"] == [
        [MONDAY, 2],
        [MONDAY + DAY, 1],
        [MONDAY + 6 * DAY, 1],
        [MONDAY + 29 * DAY, 1],
    ]
    assert documents["series/1w/2015.json"]["rows"] == [[MONDAY, 3], [MONDAY + 28 * DAY, 1]]
    assert documents["series/1mo/2015.json"]["rows"] == [[august, 3], [september, 1]]


def test_uniques_by_category_count_a_person_in_each() -> None:
    """Who acts in two categories counts in both."""
    messages = [act("ralph"), act("ralph", "git"), act("toshio", "git"), act("ralph", "git", number=9)]
    rows = testing.run(UniqueContributorsByCategory, messages)["series/1w/2015.json"]["rows"]
    assert rows == [[MONDAY, "git", 2], [MONDAY, "wiki", 1]]


def test_real_people_contribute(messages_path: Path) -> None:
    """Of what was really sent, each message with an agent who is not a bot counts once, for that person."""
    messages = {message.id: message for message in map(parse, messages_path.read_bytes().splitlines())}
    agents = [message.agent for message in messages.values() if message.agent]
    found = people(testing.run(Contributors({"bots": []}), messages.values()))
    assert found == {name: agents.count(name) for name in agents}
    assert found["utorut"] > found["eposimo"] > 1

from pathlib import Path
from typing import Any

import orjson
import pytest

from samples import Site, line
from statscache import testing
from statscache.message import Message
from statscache.parsing import parse
from statscache.store import coverage
from statscache_plugins.karma import KarmaGiven, KarmaReceived

PLUGIN = "v1/plugins/karma-received/leaders-cycle"
PREFIX = "org.fedoraproject.prod."
DAY = 86400


def karma(giver: Any, recipient: Any, vote: Any = 1, *, at: int = testing.NOON, release: Any = None) -> Message:
    """Return the message of karma on IRC."""
    body = {"agent": giver, "recipient": recipient, "vote": vote, "line": f"{recipient}++", "total": 7}
    return testing.message(f"{PREFIX}irc.karma", {**body, "release": release}, timestamp=at)


def cookie(giver: str, recipient: str, release: str = "43", *, at: int = testing.NOON, **headers: Any) -> Message:
    """Return the message of a cookie on Matrix."""
    body = {"sender": giver, "recipient": recipient, "total": 7, "fedora_release": release, "count_by_release": {}}
    return testing.message(f"{PREFIX}maubot.cookie.give.v1", body, timestamp=at, headers=headers)


def totals(documents: dict[str, Any]) -> dict[str, int]:
    """Return the points of each person."""
    return {row["user"]: row["total"] for row in documents["latest.json"]["rows"]}


def both(*messages: Message) -> tuple[dict[str, int], dict[str, int]]:
    """Return the points that each person received, and those that each gave."""
    return totals(testing.run(KarmaReceived, messages)), totals(testing.run(KarmaGiven, messages))


def test_karma_and_cookies_add_up() -> None:
    """A ++ and a cookie are one point each, for who receives and who gives."""
    assert both(karma("ralph", "toshio"), cookie("kevin", "toshio")) == ({"toshio": 2}, {"kevin": 1, "ralph": 1})


def test_karma_that_is_taken_away_counts_as_such() -> None:
    """A -- takes a point away; what is neither ++ nor -- is nothing."""
    votes = [1, -1, -1, 0, 2, 10**9, True, "1", None, 1.5]
    messages = [karma("ralph", "toshio", vote, at=testing.NOON + number) for number, vote in enumerate(votes)]
    assert both(*messages) == ({"toshio": -1}, {"ralph": -1})


@pytest.mark.parametrize(
    "message",
    [
        karma("ralph", "ralph"),
        karma("Ralph", "ralph"),
        karma("ralph.id.fedoraproject.org", "ralph"),
        cookie("ralph", "ralph"),
        cookie("ralph", "ralph", fedora_messaging_user_ralph=True),
        cookie("@ralph:fedora.im", "ralph"),
    ],
)
def test_no_one_gives_themselves_karma(message: Message) -> None:
    """Neither what they gave nor what they received counts, whatever the spelling of the name."""
    assert both(message) == ({}, {})


def test_who_is_no_person_is_not_counted() -> None:
    """Thanks to an address are no one's; of thanks from somebody unknown the recipient has them."""
    assert both(karma("ralph", "somebody@example.org")) == ({}, {})
    assert both(karma("ralph", {"name": ["toshio"]})) == ({}, {})
    assert both(karma("192.0.2.1", "toshio")) == ({"toshio": 1}, {})


def test_a_forgotten_recipient_leaves_the_giver_their_points() -> None:
    """`_` stands for a person who was forgotten: what was given stays given."""
    assert both(karma("ralph", "_")) == ({}, {"ralph": 1})
    assert both(karma("_", "toshio")) == ({"toshio": 1}, {})


@pytest.mark.parametrize(
    ("message", "cycle"),
    [
        (karma("ralph", "toshio", release="f27"), "f27"),
        (karma("ralph", "toshio", release="27"), "f27"),
        (karma("ralph", "toshio"), "f22"),
        (karma("ralph", "toshio", release=["f27"]), "f22"),
        (karma("ralph", "toshio", release="soon"), "f22"),
        (cookie("ralph", "toshio", "43"), "f43"),
    ],
)
def test_points_count_in_the_cycle_that_is_named_or_was_current(message: Message, cycle: str) -> None:
    """A message that names no release counts for the newest Fedora of August 2015."""
    for plugin, user in ((KarmaReceived, "toshio"), (KarmaGiven, "ralph")):
        (part,) = testing.run(plugin, [message])[f"by/{user}.json"]["parts"]
        assert (part["cycle"], part["total"]) == (cycle, 1)


def test_leaders_are_of_all_time_of_the_cycle_and_of_thirty_days() -> None:
    """Each board counts its own time; ties are in the order of names."""
    now = testing.NOON
    messages = [
        *(karma("kevin", "toshio", at=now - 200 * DAY + number) for number in range(3)),
        karma("ralph", "kevin", at=now - 60 * DAY),
        karma("ralph", "adam", at=now - 60 * DAY + 1),
        karma("kevin", "ralph", at=now - 5 * DAY),
        karma("toshio", "adam", at=now),
    ]
    documents = testing.run(KarmaReceived, messages)
    assert totals(documents) == {"toshio": 3, "adam": 2, "kevin": 1, "ralph": 1}
    assert documents["leaders-30d.json"]["rows"] == [{"user": "ralph", "value": 1}]
    assert documents["leaders-cycle.json"]["cycle"] == "f22"
    assert documents["leaders-cycle.json"]["rows"] == [
        {"user": "adam", "value": 2},
        {"user": "kevin", "value": 1},
        {"user": "ralph", "value": 1},
    ]


def test_the_current_cycle_is_the_newest_that_messages_name() -> None:
    """A release that came later, or earlier, than statscache expects is the current one when the bus says so."""
    lately = testing.NOON - 5 * DAY
    end = karma("kevin", "adam", release="f22")
    for messages, cycle in (
        ([], "f22"),
        ([karma("ralph", "toshio", at=lately, release="f23")], "f23"),
        ([karma("ralph", "toshio", at=lately, release="f21")], "f21"),
        ([karma("ralph", "toshio", at=lately, release="f21"), karma("ralph", "kevin", at=lately)], "f22"),
        ([karma("ralph", "toshio", at=lately, release="f99")], "f22"),
        ([karma("ralph", "toshio", at=lately - 60 * DAY, release="f23")], "f22"),
    ):
        assert testing.run(KarmaReceived, [*messages, end])["leaders-cycle.json"]["cycle"] == cycle
    assert testing.run(KarmaReceived, [])["leaders-cycle.json"] == {
        "schema": "statscache/leaders-cycle/1",
        "plugin": "karma-received",
        "through": None,
        "cycle": None,
        "partial": {"cycle": None},
        "rows": [],
    }


F22 = 1432598400
"""26 May 2015, when Fedora 22 came out."""


def test_a_cycle_that_is_not_wholly_known_says_since_when_it_is(tmp_path: Path) -> None:
    """Data begin within it, or something of it is missing; of the hour that is not over nothing is said."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (KarmaReceived,))

    def said(*messages: Message, missing: tuple[int, int] | None = None) -> tuple[Any, bytes]:
        site.feed(line(each.id, each.timestamp, each.topic, each.body) for each in messages)
        if missing is not None:
            with site.database.writing() as connection:
                coverage.record(connection, *missing, complete=False)
        site.build()
        tree = site.tree()
        partial = orjson.loads(tree[f"{PLUGIN}.json"]).get("partial")
        site.build(force=True)
        assert site.tree() == tree
        return partial, tree[f"{PLUGIN}.csv"]

    early = karma("ralph", "toshio", at=testing.NOON - 5 * DAY)
    partial = {"cycle": early.timestamp}
    assert said(early, karma("ralph", "kevin")) == (partial, b"user,value\r\nkevin,\r\ntoshio,\r\n")
    whole = None, b"user,value\r\nkevin,1\r\ntoshio,1\r\n"
    assert said(karma("ralph", "adam", at=F22 - DAY)) == whole
    assert said(missing=(F22 - DAY + 60, F22)) == whole
    assert said(missing=(F22 + DAY, F22 + DAY + 60))[0] == {"cycle": F22 + DAY + 60}
    # What was missed an hour ago is unknown to the end.
    assert said(missing=(testing.NOON - 3600, testing.NOON))[0] == {"cycle": None}
    site.close()


def test_a_real_message_counts(messages_path: Path) -> None:
    """What was said on IRC in 2012: `tuvokeb++`, by godog."""
    messages = [parse(line) for line in messages_path.read_bytes().splitlines()]
    assert both(*messages) == ({"tuvokeb": 1}, {"godog": 1})
    documents = testing.run(KarmaReceived, messages)
    assert [part["cycle"] for part in documents["by/tuvokeb.json"]["parts"]] == ["f17"]

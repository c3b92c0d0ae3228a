from pathlib import Path
from typing import Any

from statscache import testing
from statscache.message import Message
from statscache.parsing import parse
from statscache_plugins.badges import Badges, BadgesByBadge, BadgesByUser, NewestBadges

DAY = 86400


def award(user: Any, badge: Any, number: int = 0, application: str = "fedbadges", **about: Any) -> Message:
    """Return the message of a badge that a person is awarded, a day later for each number."""
    body = {"badge": {"name": badge, "creator": "toshio", **about}, "user": {"username": user, "badges_user_id": 1}}
    topic = f"org.fedoraproject.prod.{application}.badge.award"
    return testing.message(topic, body, timestamp=testing.NOON + number * DAY)


AWARDS = [
    award("ralph", "Macaron"),
    award("ralph", "Crypto Badger", 1),
    award("adam", "Macaron", 1),
    award("_", "Old", 2),
]


def test_badges_count_by_day() -> None:
    """Each award counts once, whoever made the badge, and also of one who was forgotten."""
    rows = testing.run(Badges, AWARDS)["series/1d/2015.json"]["rows"]
    midnight = testing.NOON - DAY // 2
    assert rows == [[midnight, 1], [midnight + DAY, 2], [midnight + 2 * DAY, 1]]


def test_the_topic_of_today_is_the_same_statistic() -> None:
    """The application that awards badges was renamed in 2024; what it says was not."""
    messages = [award("ralph", "Egg"), award("ralph", "Egg", 1, application="badges")]
    for plugin in (Badges, BadgesByBadge, BadgesByUser):
        (row,) = testing.run(plugin, messages)["latest.json"]["rows"]
        assert row["total"] == 2
    assert [row["user"] for row in testing.run(NewestBadges, messages)["latest.json"]["rows"]] == ["ralph", "ralph"]


def test_badges_count_by_badge() -> None:
    """Each award counts under the badge's name."""
    rows = testing.run(BadgesByBadge, AWARDS)["latest.json"]["rows"]
    assert [(row["badge"], row["total"]) for row in rows] == [("Macaron", 2), ("Crypto Badger", 1), ("Old", 1)]


def test_badges_count_by_person_and_badge() -> None:
    """A person's document says which badges, and on which days."""
    documents = testing.run(BadgesByUser, AWARDS)
    rows = documents["latest.json"]["rows"]
    assert [(row["user"], row["total"]) for row in rows] == [("ralph", 2), ("adam", 1)]
    parts = documents["by/ralph.json"]["parts"]
    assert [(part["badge"], part["total"]) for part in parts] == [("Crypto Badger", 1), ("Macaron", 1)]


def test_the_newest_badges_tell_who_and_what() -> None:
    """The newest is first; an image that is not a safe URL is null."""
    image = "https://badges.example.org/macaron.png"
    messages = [
        award("ralph", "Macaron", image_url=image, description="Baked"),
        award("adam", "Old", 1, image_url="javascript:alert(1)"),
    ]
    rows = testing.run(NewestBadges, messages)["latest.json"]["rows"]
    assert [row.pop("timestamp") for row in rows] == [testing.NOON + DAY, testing.NOON]
    assert rows == [
        {"user": "adam", "badge": "Old", "description": None, "image": None},
        {"user": "ralph", "badge": "Macaron", "description": "Baked", "image": image},
    ]


def test_a_badge_without_a_name_is_none() -> None:
    """What has another type than promised is not counted."""
    for plugin in (Badges, BadgesByBadge, BadgesByUser, NewestBadges):
        assert (
            testing.run(plugin, [award("ralph", {"name": "Macaron"}), award("ralph", "", 1)])["latest.json"]["rows"]
            == []
        )


def test_a_real_message_counts(messages_path: Path) -> None:
    """What was awarded in 2013."""
    messages = [parse(line) for line in messages_path.read_bytes().splitlines()]
    rows = testing.run(NewestBadges, messages)["latest.json"]["rows"]
    assert [(row["user"], row["badge"]) for row in rows] == [("godog", "Avabovase ba azup vena")]

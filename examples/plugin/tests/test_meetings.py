"""Tests of the statistics of meetings, with the code of production."""

from statscache_meetings import LastMeetings, Meetings

from statscache import testing
from statscache.plugins import Message

TOPIC = "org.fedoraproject.prod.meetbot.meeting.complete"


def ended(room: object, number: int = 0, about: str = "weekly") -> Message:
    """Return the message of a meeting that ended, an hour later for each number."""
    body = {
        "channel": room,
        "meeting_topic": about,
        "url": f"https://meetbot.example.org/{number}",
        "attendees": {"ralph": 12, "toshio": 3},
        "owner": "ralph",
    }
    return testing.message(TOPIC, body, timestamp=testing.NOON + 3600 * number)


def test_meetings_are_counted_by_room() -> None:
    """Each meeting that ends counts one for its room, in total and by hour."""
    documents = testing.run(Meetings, [ended("#fesco"), ended("#fesco", 1), ended("#infra")])
    assert [(row["room"], row["total"]) for row in documents["latest.json"]["rows"]] == [("#fesco", 2), ("#infra", 1)]
    assert documents["series/1h/2015-08.json"]["rows"] == [
        [testing.NOON, "#fesco", 1],
        [testing.NOON, "#infra", 1],
        [testing.NOON + 3600, "#fesco", 1],
    ]


def test_meetings_of_today_have_a_location() -> None:
    """A room of Matrix is counted by its name, as rooms of IRC were."""
    today = testing.message(TOPIC, {"location": "fedora-meeting", "start_user": "ralph"})
    assert testing.run(Meetings, [today])["latest.json"]["rows"][0]["room"] == "fedora-meeting"


def test_the_last_meeting_is_shown_whatever_the_order() -> None:
    """Of two meetings in a room the later is shown, also if it arrives first."""
    documents = testing.run(LastMeetings, [ended("#fesco", 5, "elections"), ended("#fesco", 2)])
    assert documents["latest.json"]["rows"] == [
        {
            "room": "#fesco",
            "timestamp": testing.NOON + 5 * 3600,
            "about": "elections",
            "minutes": "https://meetbot.example.org/5",
            "spoke": 2,
        }
    ]


def test_a_meeting_without_a_room_is_not_counted() -> None:
    """A field that is missing, or has another type than expected, is not an error."""
    assert testing.run(Meetings, [ended(None), ended({"name": "#fesco"}, 1)])["latest.json"]["rows"] == []

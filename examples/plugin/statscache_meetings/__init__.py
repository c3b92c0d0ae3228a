"""Statistics of the meetings that meetbot records: the number in each room, and the last one in each."""

from typing import Any

from statscache.plugins import Counter, Latest, Message, fields

_TOPICS = ("meetbot.meeting.complete",)


class Meetings(Counter):
    """Meetings that were held, by room."""

    name = "meetings"
    title = "Meetings"
    definition = "One is counted for each meeting when it ends, under the room in which it was held."
    unit = "meetings"
    dimensions = ("room",)
    topics = _TOPICS

    def observe(self, message: Message) -> tuple[tuple[str], ...]:
        """Count the meeting for its room; a message without a room counts nothing."""
        room = _room(message)
        return ((room,),) if room else ()


class LastMeetings(Latest):
    """The last meeting in each room."""

    name = "last-meetings"
    title = "Last meetings"
    definition = "A room is shown with the meeting that ended there last, however long ago, and how many spoke in it."
    unit = "meetings"
    dimensions = ("room",)
    topics = _TOPICS

    def observe(self, message: Message) -> tuple[tuple[tuple[str], dict[str, Any]], ...]:
        """Keep the meeting's subject and the address of its minutes."""
        room = _room(message)
        if not room:
            return ()
        meeting = {
            "about": fields.text(message.body, "meeting_topic"),
            "minutes": fields.url(message.body, "url"),
            "spoke": len(message.usernames),
        }
        return (((room,), meeting),)


def _room(message: Message) -> str | None:
    """Return the room of a meeting; while meetings were on IRC, bodies named it `channel`."""
    return fields.text(message.body, "location") or fields.text(message.body, "channel")


PLUGINS = (Meetings, LastMeetings)

"""Recent activity, for an activity wall."""

from typing import Any, ClassVar

from statscache.plugins import Log, Message


class RecentActivity(Log):
    """The newest messages, one in each row."""

    name = "recent-activity"
    title = "Recent activity"
    subject = "bus"
    definition = (
        "One entry for each message: what happened, in one line, and where to read more, with its first package. The"
        " newest 100 are kept, with the names of the people in them. Text and links come from the bus: show them as"
        " text."
    )
    columns: ClassVar[dict[str, tuple[str, ...]]] = {
        "latest": ("agent", "category", "link", "package", "subtitle", "topic")
    }
    people = True
    version = 3

    def observe(self, message: Message) -> tuple[tuple[tuple[()], dict[str, Any]]]:
        entry = {
            "topic": message.topic,
            "category": message.category,
            "agent": message.agent,
            "package": message.packages[0] if message.packages else None,
            "subtitle": message.subtitle,
            "link": message.link,
        }
        return (((), entry),)


PLUGINS = (RecentActivity,)

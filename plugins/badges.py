"""Badges that people are awarded."""

from typing import Any, ClassVar

from statscache.plugins import Counter, Log, Message, fields

# The topic until 2024, and since.
_TOPICS = ("fedbadges.badge.award", "badges.badge.award")


class Badges(Counter):
    """Badges that were awarded."""

    name = "badges"
    title = "Badges"
    subject = "people"
    definition = "One is counted for each badge that a person is awarded."
    unit = "badges"
    topics = _TOPICS
    by_minute = False
    version = 2

    def observe(self, message: Message) -> tuple[tuple[()], ...]:
        return ((),) if _badge(message) else ()


class BadgesByBadge(Counter):
    """Badges that were awarded, by badge."""

    name = "badges-by-badge"
    title = "Badges by badge"
    subject = "people"
    definition = "One is counted for each badge that a person is awarded, under the badge's name."
    unit = "badges"
    dimensions = ("badge",)
    topics = _TOPICS
    unbounded = True
    version = 2

    def observe(self, message: Message) -> tuple[tuple[str], ...]:
        badge = _badge(message)
        return ((badge,),) if badge else ()


class BadgesByUser(Counter):
    """Badges that were awarded, by person."""

    name = "badges-by-user"
    title = "Badges by person"
    subject = "people"
    definition = "One is counted for each badge that a person is awarded, under the person and the badge's name."
    unit = "badges"
    dimensions = ("user",)
    entities: ClassVar[dict[str, str]] = {"user": "person"}
    breakdown = "badge"
    topics = _TOPICS
    people = True
    unbounded = True
    version = 2

    def observe(self, message: Message) -> tuple[tuple[str, str], ...]:
        badge, winner = _badge(message), _winner(message)
        return ((winner, badge),) if badge and winner else ()


class NewestBadges(Log):
    """The badges that were awarded last."""

    name = "newest-badges"
    title = "Newest badges"
    subject = "people"
    definition = "One entry for each badge that a person is awarded; the newest 100 are kept."
    unit = "badges"
    topics = _TOPICS
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"latest": ("badge", "description", "image", "user")}
    people = True
    version = 2

    def observe(self, message: Message) -> tuple[tuple[tuple[()], dict[str, Any]], ...]:
        badge, winner = _badge(message), _winner(message)
        if not badge or not winner:
            return ()
        about = {
            "description": fields.text(message.body, "badge", "description"),
            "image": fields.url(message.body, "badge", "image_url"),
        }
        return (((), {"badge": badge, "user": winner, **about}),)


def _badge(message: Message) -> str | None:
    return fields.text(message.body, "badge", "name")


def _winner(message: Message) -> str | None:
    """Return the only person involved; the badge's author is not."""
    return message.usernames[0] if len(message.usernames) == 1 else None


PLUGINS = (Badges, BadgesByBadge, BadgesByUser, NewestBadges)

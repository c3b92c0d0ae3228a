"""The volume of messages on the bus: in all, by category, topic, release, person, bot and package.

They concern every message, so they declare `depends_on`: `observe` is called once for messages with the same values.
"""

from typing import ClassVar

from statscache.plugins import Counter, Message
from statscache_plugins.agents import WITH_BOTS
from statscache_plugins.releases import TOPICS, release


class Volume(Counter):
    """All messages on the bus."""

    name = "volume"
    title = "Messages"
    subject = "bus"
    featured = True
    definition = "One is counted for each message that is accepted from the bus, whatever it says."
    depends_on = ()

    def observe(self, message: Message) -> tuple[tuple[()]]:
        return ((),)


class VolumeByCategory(Counter):
    """Messages on the bus, by category."""

    name = "volume-by-category"
    title = "Messages by category"
    subject = "bus"
    definition = (
        "One is counted for each message, under the application that sent it: the fourth part of the topic."
        " Topics too short to have one are counted under null."
    )
    dimensions = ("category",)
    depends_on = ("category",)

    def observe(self, message: Message) -> tuple[tuple[str | None]]:
        return ((message.category,),)


class VolumeByTopic(Counter):
    """Messages on the bus, by topic."""

    name = "volume-by-topic"
    title = "Messages by topic"
    subject = "bus"
    definition = "One is counted for each message, under its whole topic."
    dimensions = ("topic",)
    entities: ClassVar[dict[str, str]] = {"topic": "topic"}
    depends_on = ("topic",)
    unbounded = True

    def observe(self, message: Message) -> tuple[tuple[str]]:
        return ((message.topic,),)


class VolumeByUser(Counter):
    """Messages on the bus, by the people who are involved."""

    name = "volume-by-user"
    title = "Messages by person"
    subject = "bus"
    definition = (
        "One is counted for each message and each person whom it involves: who acted, and who is named as concerned."
        " A message that involves two people counts for both, so the sum over people is not the number of messages."
    )
    dimensions = ("user",)
    not_added_up = ("user",)
    entities: ClassVar[dict[str, str]] = {"user": "person"}
    depends_on = ("usernames",)
    people = True
    unbounded = True
    version = 2

    def observe(self, message: Message) -> list[tuple[str]]:
        return [(user,) for user in message.usernames]


class VolumeByPackage(Counter):
    """Messages on the bus, by package."""

    name = "volume-by-package"
    title = "Messages by package"
    subject = "bus"
    definition = (
        "One is counted for each message and each package that it concerns."
        " A message about two packages counts for both, so the sum over packages is not the number of messages."
    )
    dimensions = ("package",)
    not_added_up = ("package",)
    entities: ClassVar[dict[str, str]] = {"package": "package"}
    depends_on = ("packages",)
    unbounded = True
    version = 2

    def observe(self, message: Message) -> list[tuple[str]]:
        return [(package,) for package in message.packages]


class VolumeByRelease(Counter):
    """Messages on the bus, by release of the distribution."""

    name = "volume-by-release"
    title = "Messages by release"
    subject = "bus"
    definition = (
        "One is counted for each message that says which release it is about: by a tag, target, branch, chroot,"
        " compose, update or dist tag. Other messages are not counted, so the sum over releases is not the number of"
        " messages."
    )
    dimensions = ("release",)
    entities: ClassVar[dict[str, str]] = {"release": "release"}
    topics = TOPICS
    by_minute = False
    version = 3

    def observe(self, message: Message) -> tuple[tuple[str], ...]:
        found = release(message)
        return ((found,),) if found else ()


class VolumeByBot(Counter):
    """Messages on the bus, by the bot that acted."""

    name = "volume-by-bot"
    title = "Messages by bot"
    subject = "bus"
    definition = (
        "One is counted for each message under the account that acted, if it is on the list of bots. What people do is"
        " counted by `contributors`."
    )
    dimensions = ("bot",)
    depends_on = ("agent",)
    declared_settings = WITH_BOTS
    by_minute = False

    def observe(self, message: Message) -> tuple[tuple[str], ...]:
        agent = message.agent
        return ((agent,),) if agent and agent in self.settings["bots"] else ()


class VolumeByKindOfAgent(Counter):
    """Messages on the bus, by whether a person or a bot acted."""

    name = "volume-by-kind-of-agent"
    title = "Messages by people and by bots"
    subject = "bus"
    definition = (
        "One is counted for each message: under `bot` if an account acted that is on the list of bots, under `person`"
        " if another did, and under null if it is not known who acted."
    )
    dimensions = ("kind",)
    depends_on = ("agent",)
    declared_settings = WITH_BOTS
    by_minute = False
    version = 2

    def observe(self, message: Message) -> tuple[tuple[str | None]]:
        agent = message.agent
        return (("person",),) if agent and agent not in self.settings["bots"] else (("bot",),) if agent else ((None,),)


PLUGINS = (
    Volume,
    VolumeByCategory,
    VolumeByTopic,
    VolumeByRelease,
    VolumeByUser,
    VolumeByBot,
    VolumeByKindOfAgent,
    VolumeByPackage,
)

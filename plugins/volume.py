"""How much is said on the bus: in all, by category, by topic, by person and by package.

These concern every message. So those that can declare that they depend on the topic alone; the others return what they
would yield, for a list costs less than a generator.
"""

from statscache.plugins import Counter, Message


class Volume(Counter):
    """All messages on the bus."""

    name = "volume"
    title = "Messages"
    definition = "One is counted for each message that is accepted from the bus, whatever it says."
    by_topic = True

    def observe(self, message: Message) -> tuple[tuple[()]]:
        return ((),)


class VolumeByCategory(Counter):
    """Messages on the bus, by category."""

    name = "volume-by-category"
    title = "Messages by category"
    definition = (
        "One is counted for each message, under the application that sent it: the fourth part of the topic."
        " Topics too short to have one are counted under null."
    )
    dimensions = ("category",)
    by_topic = True

    def observe(self, message: Message) -> tuple[tuple[str | None]]:
        return ((message.category,),)


class VolumeByTopic(Counter):
    """Messages on the bus, by topic."""

    name = "volume-by-topic"
    title = "Messages by topic"
    definition = "One is counted for each message, under its whole topic."
    dimensions = ("topic",)
    unbounded = True
    by_topic = True

    def observe(self, message: Message) -> tuple[tuple[str]]:
        return ((message.topic,),)


class VolumeByUser(Counter):
    """Messages on the bus, by the people who are involved."""

    name = "volume-by-user"
    title = "Messages by person"
    definition = (
        "One is counted for each message and each person whom it involves: who acted, and who is named as concerned."
        " A message that involves two people counts for both, so the sum over people is not the number of messages."
    )
    dimensions = ("user",)
    people = True
    unbounded = True

    def observe(self, message: Message) -> list[tuple[str]]:
        return [(user,) for user in message.usernames]


class VolumeByPackage(Counter):
    """Messages on the bus, by package."""

    name = "volume-by-package"
    title = "Messages by package"
    definition = (
        "One is counted for each message and each package that it concerns."
        " A message about two packages counts for both, so the sum over packages is not the number of messages."
    )
    dimensions = ("package",)
    unbounded = True

    def observe(self, message: Message) -> list[tuple[str]]:
        return [(package,) for package in message.packages]


PLUGINS = (Volume, VolumeByCategory, VolumeByTopic, VolumeByUser, VolumeByPackage)

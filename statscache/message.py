"""A message is one announcement on the bus: the sender's data, and the facts derived from them."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

import orjson

from statscache import canonical, derivation

# A record without headers has one element less.
_FIELDS = "id", "topic", "timestamp", "body", "headers"


class Address(NamedTuple):
    """The parts of a topic that statistics use."""

    category: str | None
    environment: str | None
    name: str


@lru_cache(maxsize=8192)
def address(topic: str) -> Address:
    """Return the category, environment and name of `topic`.

    `org.fedoraproject.prod.buildsys.tag` is in category `buildsys`, environment `prod`, and is named
    `buildsys.tag`. `VirtualTopic.eng.brew.build` is in category `brew`, in no environment, and is named
    `brew.build`. A topic that is too short to have a category has none, and is its own name.
    """
    parts = topic.split(".")
    if parts[0] == "VirtualTopic":
        return Address(parts[2], None, ".".join(parts[2:])) if len(parts) > 2 else Address(None, None, topic)
    environment = parts[2] if len(parts) > 2 else None
    return Address(parts[3], environment, ".".join(parts[3:])) if len(parts) > 3 else Address(None, environment, topic)


class Message:
    """One announcement: sender, time, content, and the facts that statscache derives.

    Derived facts are computed on first use, and kept; most messages are counted by topic and time alone. All plugins
    share the same messages: treat `body` and `headers` as read-only.

    Attributes:
        id: The envelope's id; if it has none, the SHA-256 of the content.
        topic: The whole topic, with prefix and environment.
        timestamp: When it was sent, in whole seconds since 1970 UTC.
        body: The message's content; `{}` if the sender sent no object. Old messages may carry text, a list or null;
            `content` and `record` hold what was sent.
        headers: The sender's headers that name people and packages; others are not kept.
        category: The topic's fourth part, such as `buildsys` (`VirtualTopic.*`: third); None for a short topic.
        environment: The topic's third part, such as `prod`; None for a topic of fewer and for `VirtualTopic.*`.
        name: The topic without prefix and environment, such as `buildsys.build.state.change`.
    """

    __slots__ = (
        *("_derived", "_record", "body", "category", "environment", "headers", "id", "name", "timestamp", "topic"),
    )

    def __init__(
        self,
        id: str,
        topic: str,
        timestamp: int,
        body: Any,
        headers: dict[str, Any] | None = None,
        record: bytes | None = None,
    ) -> None:
        """Make a message from values that keep the rules of `parse`, with its record if known; nothing is checked."""
        self.id = id
        self.topic = topic
        self.category, self.environment, self.name = address(topic)
        self.timestamp = timestamp
        self.body: dict[str, Any] = body if type(body) is dict else {}
        self.headers: dict[str, Any] = headers or {}
        self._record = record or record_of(id, topic, timestamp, body, headers)
        self._derived: derivation.Derived | None = None

    def __repr__(self) -> str:
        """Return what identifies the message to a person who debugs."""
        return f"<Message {self.id} {self.topic} at {self.timestamp}>"

    @property
    def derived(self) -> derivation.Derived:
        """Agent, usernames and packages, derived together."""
        derived = self._derived
        if derived is None:
            derived = self._derived = derivation.derive(self.name, self.body, self.headers)
        return derived

    @property
    def agent(self) -> str | None:
        """The person who acted; None if unknown."""
        return self.derived[0]

    @property
    def usernames(self) -> tuple[str, ...]:
        """The people who are involved, the agent included, sorted and each once."""
        return self.derived[1]

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that the message is about, sorted and each once."""
        return self.derived[2]

    @property
    def subtitle(self) -> str:
        """One line of plain text for people. Untrusted text: escape it."""
        return derivation.subtitle(self.name, self.body, self.agent, self.packages)

    @property
    def link(self) -> str | None:
        """An http or https URL with more details, or None. Untrusted text: escape it."""
        return derivation.link(self.name, self.body)

    @property
    def content(self) -> bytes:
        """The canonical JSON of `[topic, timestamp, body]`, with the headers as a fourth item if there are any."""
        return canonical.encode(orjson.loads(self._record)[1:])

    def record(self) -> bytes:
        """Return the journal's line, without a newline: the array of `content` with the id in front."""
        return self._record

    @classmethod
    def from_record(cls, line: bytes) -> Self:
        """Return the message with the record `line`.

        Raises:
            ValueError: The line is not a record.
        """
        id, topic, timestamp, body, *headers = orjson.loads(line)
        return cls(id, topic, timestamp, body, headers[0] if headers else None, line)


def envelope(record: bytes) -> bytes:
    """Return the message of a record as archives hold it, in the envelope of fedora-messaging."""
    return orjson.dumps(dict(zip(_FIELDS, orjson.loads(record), strict=False)))


EXCERPTS = ("topic", "name", "category", "environment", "agent", "usernames", "packages")
"""The attributes on which a statistic can declare that it depends."""


class Excerpt(Message):
    """The attributes of a message that a statistic declares in `depends_on`, and nothing else.

    It represents all messages with these values, so reading any other attribute is an error.
    """

    # Also what is a property or a method of messages is an attribute here, which is set or refused like the rest.
    __slots__ = tuple(name for name in vars(Message) if not name.startswith("_") and name not in Message.__slots__)

    def __init__(self, attributes: Sequence[str], values: Iterable[Any]) -> None:
        for name, value in zip(attributes, values, strict=True):
            setattr(self, name, value)

    def __repr__(self) -> str:
        """Return the shown attributes, for debugging."""
        return f"<any Message with { {name: getattr(self, name) for name in self._shown()}!r:.200}>"

    def __getattr__(self, name: str) -> Any:
        """Refuse an attribute that is not declared.

        Raises:
            AttributeError: Always; the text says the fix.
        """
        if name.startswith("__"):
            raise AttributeError(name)
        fix = f"add {name!r} there" if name in EXCERPTS else "leave the declaration out"
        raise AttributeError(f"`observe` asks for `{name}`, and `depends_on` is {self._shown()}; {fix}")

    def _shown(self) -> tuple[str, ...]:
        return tuple(name for name in EXCERPTS if _is_set(self, name))


def _is_set(excerpt: Excerpt, name: str) -> bool:
    try:
        object.__getattribute__(excerpt, name)
    except AttributeError:
        return False
    return True


def record_of(id: str, topic: str, timestamp: int, body: Any, headers: dict[str, Any] | None) -> bytes:
    """Return the record of a message: canonical JSON of all stored fields."""
    return canonical.encode([id, topic, timestamp, body, headers] if headers else [id, topic, timestamp, body])

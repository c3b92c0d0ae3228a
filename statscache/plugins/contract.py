"""The contract between an author of a statistic and the framework.

An author derives from a kind (`Counter`, `Latest`, `Log`), says what is measured in class attributes, and yields from
`observe`. Everything else is the framework's: duplicates, buckets, storage, restart, rendering, publishing.

A kind is the merge that a statistic uses. It derives from `Plugin` and implements `check`, `merge`, `clear` and
the questions that rendering asks (`latest`, `series`, `keys`). All that it stores must be a commutative merge, so that
the state is a function of the *set* of messages (law 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Connection

from statscache.exceptions import PluginError, YieldError
from statscache.message import EXCERPTS, Message
from statscache.plugins import refusal
from statscache.plugins.keys import Key
from statscache.plugins.keys import load as load_key
from statscache.plugins.tally import Answers, Tally
from statscache.timeline import Resolution

Observation = tuple[int, str, int, Any]
"""One yield: timestamp, id and index (in the batch) of its message, and what `check` returned.

A plain tuple, because there are several for each message.
"""


class Dirty(NamedTuple):
    """A document whose bytes may have changed: `latest`, `key` (number: its digest), or a resolution's name and period.

    For a resolution, `number` is the start of the period in seconds since 1970 UTC.
    """

    document: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What a kind stores for one plugin, as one transaction sees it.

    Attributes:
        connection: The transaction.
        plugin: The number of the plugin in this database.
        through: Timestamp of the newest accepted message: the clock of everything published. None before the first.
        newest: Timestamp of the newest message that this plugin counted. None before the first.
    """

    connection: Connection
    plugin: int
    through: int | None
    newest: int | None = None


Days = dict[str, list[tuple[int, int]]]
"""Start of the day in seconds since 1970 UTC and value, oldest first, by year."""


class KeyPart(NamedTuple):
    """What is published of one part of a key's numbers, of a plugin that divides them."""

    name: str | None
    total: int
    days: Days


class KeyDocument(NamedTuple):
    """What is published of one key of an unbounded plugin; times in seconds since 1970 UTC.

    `parts` is None where the plugin does not divide its numbers; else `part` is the field of a part's name.
    """

    key: Key
    total: int
    first: int
    last: int
    days: Days
    part: str | None = None
    parts: list[KeyPart] | None = None


class Plugin(ABC):
    """One statistic: what it measures, and how it is said to people.

    Attributes:
        name: Its name in paths and on the command line: lowercase letters, digits and `-`.
        title: A heading for people.
        definition: What is counted as one, in a sentence or two: "One is counted when ...".
        unit: What the numbers count, in the plural, such as `messages`.
        dimensions: Names of the parts of a key, in order.
        topics: Patterns of the topics that `observe` is called for, without prefix and environment: parts separated by
            dots, `*` for any one part, `#` at the end for any number of parts. Empty: every message.
        version: Raise it when `observe` changes its mind: the statistic is then folded anew from the journal.
        takes: Names of the settings that its table `[plugins.settings.NAME]` may have, besides those in `shared`; any
            other is an error of the configuration. None: any are taken.
        shared: Names of the settings that it takes from `[plugins.shared]` where its own table does not have them.
        people: Whether keys are people, or documents name them: such a plugin is off where these are not wanted.
        unbounded: Whether keys are many (people, packages, topics): one document for each key is published.
        clocks: Widths in seconds, such as 86400, to which `documents` floors `state.through`; `documents` is then
            called anew whenever such a bucket ends.
        layout: What clients need to draw the statistic, as JSON; published as `layout.json` as it is. None: nothing.
        depends_on: All attributes of a message on which it depends what `observe` yields, for a `Counter` or a
            `Distinct`: of `topic`, `name`, `category`, `environment`, `agent`, `usernames` and `packages`. It is then
            called once for all messages that have the same values there, and shown nothing else. None: all of it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    definition: ClassVar[str] = ""
    unit: ClassVar[str] = "messages"
    dimensions: ClassVar[tuple[str, ...]] = ()
    topics: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    takes: ClassVar[tuple[str, ...] | None] = None
    shared: ClassVar[tuple[str, ...]] = ()
    people: ClassVar[bool] = False
    unbounded: ClassVar[bool] = False
    clocks: ClassVar[tuple[int, ...]] = ()
    layout: ClassVar[Any] = None
    depends_on: ClassVar[tuple[str, ...] | None] = None

    kind: ClassVar[str]
    """The framework's: the name of the merge."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """Make the plugin with its settings from `[plugins.settings.NAME]`; override to check them."""
        self.settings: Mapping[str, Any] = settings or {}
        self.suppressed: frozenset[str] = frozenset()

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Refuse a class that breaks the contract, when it is defined.

        Raises:
            PluginError: What is wrong with the class, and the mend.
        """
        super().__init_subclass__(**arguments)
        if "kind" not in vars(cls) and (problems := [*refusal.problems(cls)]):
            raise PluginError(f"plugin class {cls.__module__}.{cls.__qualname__}: {'; '.join(problems)}")

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (type(self).__doc__ or "").strip().split("\n", 1)[0].strip()

    @abstractmethod
    def observe(self, message: Message) -> Iterable[Any]:
        """Yield what is to be counted of a message; nothing if it is none of this statistic's business.

        Whatever raises here sets the message aside for this plugin alone; it can be retried when the plugin is mended.
        """

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield name and content of the fixed documents; override, and yield from this one, to publish more.

        A name is filed as `v1/plugins/<plugin>/<name>.json`. Content is a dict of JSON, of at most 1,000,000 bytes. It
        depends on what is counted, and on `state.through` only as floored to one of `clocks`: never on a clock.
        Whatever is raised here leaves the plugin's last good documents published, marked `stale`.
        """
        yield "latest", {"rows": self.latest(state)}

    # What a kind implements; an author leaves it alone.

    def record(self, stored: bytes) -> dict[str, Any]:
        """Return the fields of the dimensions of a key, given as it is stored."""
        return dict(zip(self.dimensions, load_key(stored), strict=True))

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The resolutions in which series are published, finest first; none unless the kind has buckets."""
        return ()

    @property
    def windows(self) -> tuple[int, ...]:
        """The widths in seconds of the buckets whose ends make `latest` change without an event."""
        return ()

    @property
    def moments(self) -> frozenset[int]:
        """All widths in seconds of the buckets whose ends make the fixed documents change without an event."""
        return frozenset((*self.windows, *self.clocks))

    @classmethod
    def faults(cls) -> Iterator[str]:
        """Yield what is wrong with a class of this kind, and the mend."""
        if cls.depends_on is not None:
            yield f"`depends_on` is for Counter and Distinct, and it is a {cls.kind}; leave it out"

    @abstractmethod
    def check(self, item: Any) -> Any:
        """Return what `observe` yielded in the form that `combine` takes.

        Raises:
            YieldError: It is nothing that this kind can count.
        """

    def combine(self, observations: Sequence[Observation]) -> Any:
        """Return what `merge` takes of new observations: summed up as far as that needs no database.

        The yields of one message stand together, in order. Another process may do it, so what is returned is pickled.
        """
        return observations

    @abstractmethod
    def merge(self, state: State, combined: Any) -> set[Dirty]:
        """Merge what `combine` returned into the stored state, and return which documents that concerns."""

    @property
    def newest(self) -> int | None:
        """How many yields of the newest messages are all that can matter of a batch; None where older ones can."""
        return None

    @abstractmethod
    def clear(self, connection: Connection, plugin: int) -> None:
        """Remove all stored state of the plugin, which is about to fold the journal anew."""

    @abstractmethod
    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        """Yield the stored state, row by row in a declared order, for a recount to compare with."""

    @abstractmethod
    def latest(self, state: State) -> list[dict[str, Any]]:
        """Return the flat records of the `latest` document, sorted as the published format says."""

    def series(self, state: State, resolution: Resolution, start: int, end: int) -> list[list[Any]]:
        """Return the rows `[timestamp, *dimensions, value]` of the buckets in `[start, end)`, sorted so."""
        return []

    def bucket_starts(self, state: State, resolution: Resolution) -> list[int]:
        """Return the start of one bucket in each period that has a row, oldest first."""
        return []

    def key_documents(self, state: State, digests: Sequence[int]) -> Iterator[KeyDocument]:
        """Yield what is published of each of these keys that exists."""
        return iter(())

    def all_keys(self, state: State) -> list[int]:
        """Return the digests of all keys that have a document of their own."""
        return []


class Tallying(Plugin):
    """The base of kinds that can also combine how often a yield occurred, so that `depends_on` may be declared."""

    kind = "Tallying"

    @classmethod
    def faults(cls) -> Iterator[str]:
        if cls.depends_on is not None and not (type(cls.depends_on) is tuple and set(cls.depends_on) <= {*EXCERPTS}):
            yield f"`depends_on` is {cls.depends_on!r}; give a tuple of names, each one of {', '.join(EXCERPTS)}"

    @property
    @abstractmethod
    def tallied(self) -> int:
        """The width in seconds of the buckets in which `combine_values` wants messages counted."""

    @abstractmethod
    def combine_values(self, tally: Tally, answers: Answers) -> Any:
        """Return what `merge` takes of what was observed of messages by their value; see `combine`."""


def check_key(dimensions: tuple[str, ...], key: Any) -> Key:
    """Return `key` if it is a key of these dimensions.

    Raises:
        YieldError: It is not; the text shows it and what was expected.
    """
    if not isinstance(key, tuple):
        message = f"a key is a tuple with one part for each of {dimensions}, such as ('copr',); got {key!r:.200}"
        raise YieldError(message)
    if len(key) != len(dimensions):
        raise YieldError(f"the key {key!r:.200} has {len(key)} parts; the dimensions are {dimensions}")
    for name, part in zip(dimensions, key, strict=True):
        if part is None:
            continue
        if not isinstance(part, str):
            raise YieldError(f"the part {name!r} of the key {key!r:.200} must be a string or None")
        if "\0" in part or not _encodes(part):
            raise YieldError(f"the part {name!r} of the key {key!r:.200} holds a NUL or a lone surrogate")
    checked: Key = key
    return checked


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

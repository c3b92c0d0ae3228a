"""The contract between an author of a statistic and the framework.

An author derives from the base of a kind (`Counter`, `Latest`, `Log`), describes the statistic in class attributes, and
yields from `observe`. The framework does the rest: duplicates, storage, restart, rendering, publishing. What a kind
does with the yields is in `statscache.kinds`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from statscache import canonical
from statscache.exceptions import PluginError
from statscache.kinds.base import Kind
from statscache.kinds.state import State
from statscache.message import Message
from statscache.plugins import validation
from statscache.plugins.settings import Setting, plain, read, table_of

SUBJECTS: Mapping[str, str] = {
    "people": "People",
    "packages": "Packages and builds",
    "releng": "Release engineering",
    "review": "Code review",
    "bus": "The bus",
    "other": "More",
}
"""The subjects of statistics, in the order of the front page, and the heading of each."""


@dataclass(frozen=True, slots=True)
class Feed:
    """An Atom feed of the newest records of a document of a plugin.

    Attributes:
        title: Its heading, such as `Composes`.
        names: The fields that make an entry's title, in order.
        state: The field with the result; None if there is none.
        document: The document.
        records: The field of the document that is the list of records. Each has a moment in a field that a kind
            provides, such as `timestamp` or `stop`; one without is left out.
    """

    title: str
    names: tuple[str, ...]
    state: str | None = None
    document: str = "latest"
    records: str = "rows"


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin's published metadata, whatever its state."""

    name: str
    title: str
    summary: str
    definition: str
    subject: str
    kind: str
    unit: str
    dimensions: tuple[str, ...]
    topics: tuple[str, ...]
    unbounded: bool
    people: bool
    headline: Mapping[str, str]
    not_added_up: tuple[str, ...]
    entities: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as values of JSON."""
        fields = {field: getattr(self, field) for field in self.__slots__}
        listed = {field: list(value) if isinstance(value, tuple) else value for field, value in fields.items()}
        return listed | {
            "headline": dict(self.headline),
            "entities": dict(self.entities),
        }


class Plugin(ABC):
    """One statistic: what it measures, and its description for people.

    Attributes:
        name: Its name in paths and on the command line: lowercase letters, digits and `-`.
        title: A heading for people.
        definition: What is counted as one, in a sentence or two: "One is counted when ...".
        unit: What the numbers count, in the plural, such as `messages`.
        subject: What it is about, one of `SUBJECTS`: the front page shows it there. A plugin `builds-by-package` is
            shown as a variant of the plugin `builds`.
        featured: True if its headline is one of the four numbers at the top of the front page.
        failures: Which rows are failures: a field and its values, such as `{"state": ("failed",)}`. The front page
            lists those of the last week.
        dimensions: Names of the parts of a key, in order.
        headline: Which rows make the one number for a badge, where keys are counted under more than one value of a
            dimension: that dimension and the value, such as `{"state": "complete"}`. Empty: all rows.
        not_added_up: Dimensions over which numbers must not be added up, because one event counts under several of
            their values, such as `("user",)`. No sum over them is shown. The numbers of a `Distinct` never add up.
        entities: The entity that a dimension names, which has its own page and can be searched for: `person`,
            `package`, `release` or `topic`, such as `{"user": "person"}`. At most one dimension.
        topics: Patterns of the topics that `observe` is called for, without prefix and environment: parts separated by
            dots, `*` for any one part, `#` at the end for any number of parts. Empty: every message.
        version: Raise it when the yields of `observe` change: the statistic is then folded again from the journal.
        declared_settings: The settings that its table `[plugins.settings.NAME]` may have: name and `Setting`, such as
            `{"limit": Whole(100)}`. An instance has their values in `settings`, with defaults filled in.
        people: True if keys are people, or documents name them: `[privacy] people = false` turns it off.
        unbounded: True if keys are many (people, packages, topics): one document for each key is published.
        calendars: True if each key of an unbounded plugin has a calendar, an SVG of the days of its last year.
        clocks: Widths in seconds, such as 86400, to which `documents` floors `state.through`; `documents` is then
            called again whenever such a bucket ends.
        trailing: Names of documents with numbers of the last whole UTC days, and how many days, such as
            `{"leaders-30d": 30}`. If data are missing, they have the time since when they are complete. A counter ranks
            its keys in them, without further code; the page shows the ranking next to that of all time.
        columns: Names of its own documents with `rows`, and the fields of a row in the order of its CSV, such as
            `{"newest": ("user", "timestamp")}`: then a document without rows has a header too. For `latest`, they are
            the fields of the value, after the dimensions.
        slow_documents: Names of documents of its own that may wait for `[publish] slow_interval`: large ones that only
            change with the day.
        layout: What clients need to draw the statistic, as JSON; published unchanged as `layout.json`. None: nothing.
        board: Name of its own document that the page Release engineering shows: groups of items with their states, in
            the form of `dashboard.json` in docs/release-engineering.md, with a `layout`. None: none. If no plugin has
            one, there is no such page.
        feed: The Atom feed that is made of one of its documents; None: none.
        depends_on: The message attributes that `observe` reads, for a `Counter` or a
            `Distinct`: of `topic`, `name`, `category`, `environment`, `agent`, `usernames` and `packages`. It is then
            called once for all messages with the same values of these, and sees nothing else. None: all attributes.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    definition: ClassVar[str] = ""
    unit: ClassVar[str] = "messages"
    subject: ClassVar[str] = "other"
    featured: ClassVar[bool] = False
    failures: ClassVar[Mapping[str, Collection[str]]] = {}
    dimensions: ClassVar[tuple[str, ...]] = ()
    headline: ClassVar[Mapping[str, str]] = {}
    not_added_up: ClassVar[tuple[str, ...]] = ()
    entities: ClassVar[Mapping[str, str]] = {}
    topics: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    declared_settings: ClassVar[Mapping[str, Setting]] = {}
    people: ClassVar[bool] = False
    unbounded: ClassVar[bool] = False
    calendars: ClassVar[bool] = False
    clocks: ClassVar[tuple[int, ...]] = ()
    trailing: ClassVar[Mapping[str, int]] = {}
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    slow_documents: ClassVar[tuple[str, ...]] = ()
    layout: ClassVar[Any] = None
    board: ClassVar[str | None] = None
    feed: ClassVar[Feed | None] = None
    depends_on: ClassVar[tuple[str, ...] | None] = None

    kind_class: ClassVar[type[Kind]]
    """The kind of the base that an author derives from; authors do not set it."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """Make the plugin with its settings from `[plugins.settings.NAME]`; override to compute something from them.

        Raises:
            ConfigurationError: A setting is not declared, or has a value of another type.
        """
        self.settings: Mapping[str, Any] = read(self.declared_settings, settings or {}, table_of(self.name))
        self.suppressed: frozenset[str] = frozenset()
        self.dropped: tuple[str, ...] = ()
        self.avoided: frozenset[str] = frozenset()

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Refuse a class that breaks the contract, when it is defined.

        Raises:
            PluginError: What is wrong with the class, and the fix.
        """
        super().__init_subclass__(**arguments)
        if "kind_class" not in vars(cls) and (problems := [*validation.problems(cls)]):
            raise PluginError(f"plugin class {cls.__module__}.{cls.__qualname__}: {'; '.join(problems)}")

    @classmethod
    def _faults(cls) -> Iterator[str]:
        """Yield the faults of a class of this kind, each with its fix; bases extend it for attributes of their own."""
        if unknown := cls.headline.keys() - {*cls.dimensions}:
            yield f"`headline` names {sorted(unknown)}; give names of `dimensions`"
        if type(cls.not_added_up) is not tuple or not {*cls.not_added_up} <= {*cls.dimensions}:
            yield f"`not_added_up` is {cls.not_added_up!r}; give a tuple of names of `dimensions`"
        elif not validation.are_days(cls.trailing):
            yield f"`trailing` is {cls.trailing!r}; give documents and whole days, such as {{'leaders-30d': 30}}"
        if not validation.are_columns(cls.columns):
            yield f"`columns` is {cls.columns!r}; give documents and tuples of fields, such as {{'newest': ('user',)}}"
        if cls.subject not in SUBJECTS:
            yield f"`subject` is {cls.subject!r}; give one of {', '.join(SUBJECTS)}"
        yield from validation.entities(cls)
        yield from validation.shown(cls)
        if cls.unbounded:
            yield from validation.unbounded(cls)
        if cls.depends_on is not None:
            yield from validation.depends_on(cls)

    @cached_property
    def kind(self) -> Kind:
        """The kind of this plugin, which processes its yields."""
        return self._make_kind()

    def _make_kind(self) -> Kind:
        return self.kind_class(self)

    @cached_property
    def state_version(self) -> str:
        """What the state depends on besides messages: version, settings, and suppressed people.

        Dropped keys are not part of it: they are removed and restored without folding the whole journal again.
        """
        version = f"{self.version} {_short_digest(plain(self.settings)) if self.settings else '-'}"
        return f"{version} {_short_digest(sorted(self.suppressed))}" if self.suppressed else version

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return _first_line(type(self))

    @final
    @classmethod
    def info(cls) -> PluginInfo:
        """Return the plugin's metadata, which is published."""
        return PluginInfo(
            name=cls.name,
            title=cls.title,
            summary=_first_line(cls),
            definition=cls.definition,
            subject=cls.subject,
            kind=cls.kind_class.name,
            unit=cls.unit,
            dimensions=cls.dimensions,
            topics=cls.topics,
            unbounded=cls.unbounded,
            people=cls.people,
            headline=cls.headline,
            not_added_up=cls.kind_class.not_added_up_of(cls),
            entities=cls.entities,
        )

    @abstractmethod
    def observe(self, message: Message) -> Iterable[Any]:
        """Yield what a message adds to the statistic; nothing if the message is not relevant.

        An exception here quarantines the message for this plugin only; it can be retried when the plugin is fixed.
        """

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield name and content of the fixed documents; override, and yield from this one, to publish more.

        A name is that of the file, without `.json`. Content is a dict of JSON, of at most 1,000,000 bytes. It
        depends on what is counted, and on `state.through` only as floored to one of `clocks`: never on a clock.
        Whatever is raised here leaves the plugin's last good documents published, marked `stale`.
        """
        yield "latest", {"rows": self.latest(state)}

    @final
    def latest(self, state: State) -> list[dict[str, Any]]:
        """Return the rows of `latest`, for `documents`."""
        return self.kind.latest(state)

    def columns_of(self, document: str) -> tuple[str, ...]:
        """Return the fields of the rows of a document, as far as they are declared, in the order of its CSV."""
        declared = tuple(self.columns.get(document, ()))
        return (*self.dimensions, *declared) if document == "latest" else declared

    @property
    @final
    def moments(self) -> frozenset[int]:
        """All widths in seconds of the buckets whose ends make the fixed documents change without an event."""
        return frozenset((*self.kind.windows, *self.clocks))


def _short_digest(value: Any) -> str:
    return canonical.digest(canonical.encode(value))[:16]


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n", 1)[0].strip()

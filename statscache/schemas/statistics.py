"""The documents of one plugin: what is in them, whatever its kind."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from statscache.schemas.parts import Count, Interval, KeyPart, ObjectName, Reference, Time, documented, documented_open


@documented_open
class Row(TypedDict):
    """A record: a field for each dimension (text or null), and the values. A value's own fields are the plugin's."""

    total: NotRequired[int]
    """`Counter`: sum of everything accepted, unfinished and expired buckets included."""
    last_24h: NotRequired[int]
    """`Counter`: sum over 24 whole hours; not in unbounded plugins."""
    last_7d: NotRequired[int]
    """`Counter`: sum over 7 whole days."""
    last_30d: NotRequired[int]
    """`Counter`: sum over 30 whole days."""
    timestamp: NotRequired[Time]
    """`Latest`, `Log`: when the value was announced."""
    last_day: NotRequired[Count]
    """`Distinct`: different members in the last whole day."""
    last_week: NotRequired[Count]
    """`Distinct`: different members in the last whole ISO week."""
    last_month: NotRequired[Count]
    """`Distinct`: different members in the last whole month."""
    start: NotRequired[Time | None]
    """`Span`: the first start; null if none was seen."""
    stop: NotRequired[Time | None]
    """`Span`: the last stop; null if none was seen."""
    duration: NotRequired[Count | None]
    """`Span`: seconds from start to stop; null if either is unknown, or they are in the wrong order."""
    in_progress: NotRequired[bool | None]
    """`Span`: true if it has begun and not stopped; null if that is unknown, since its stop may have been missed."""


@documented
class Header(TypedDict):
    """What every document of a plugin begins with."""

    schema: str
    """Type and version."""
    plugin: str
    """Name of the plugin."""
    through: Time | None
    """Newest event that contributed, or a later end of a bucket that was crossed."""
    complete_from: NotRequired[Time]
    """Counts start here because older messages were removed from the journal; absent if complete."""
    partial: NotRequired[dict[str, Time | None]]
    """Windows that are not wholly known, each with the time from which it is known; null if that is not known."""
    keys: NotRequired[Count]
    """`latest` of unbounded plugins: how many keys there are."""


@documented
class Latest(TypedDict):
    """The newest numbers of a plugin: one flat record for each key."""

    schema: Literal["statscache/latest/1"]
    """Type and version."""
    plugin: str
    """Name of the plugin."""
    through: Time | None
    """Newest event that contributed, or a later end of a bucket that was crossed."""
    complete_from: NotRequired[Time]
    """Counts start here because older messages were removed from the journal; absent if complete."""
    partial: NotRequired[dict[str, Time | None]]
    """Windows that are not wholly known, each with the time from which it is known; null if that is not known."""
    rows: list[Row]
    """The records."""
    keys: NotRequired[Count]
    """Unbounded plugins: how many keys there are; the records are of those with the greatest totals."""
    omitted: NotRequired[Count]
    """How many records were left out, because the document would have been too large."""


@documented_open
class PluginDocument(TypedDict):
    """A document that a plugin publishes besides the common ones; its other fields are the plugin's."""

    schema: Annotated[str, Field(pattern=r"^statscache/[a-z0-9-]+/1$")]
    """Type, which is the document's name, and version."""
    plugin: str
    """Name of the plugin."""
    through: Time | None
    """Newest event that contributed, or a later end of a bucket that was crossed."""
    complete_from: NotRequired[Time]
    """Counts start here because older messages were removed from the journal; absent if complete."""
    partial: NotRequired[dict[str, Time | None]]
    """A window of its numbers with missing data; as in `latest`."""
    omitted: NotRequired[Count]
    """How many items of its lists were left out, because the document would have been too large."""


@documented
class Series(TypedDict):
    """The buckets of one period at one resolution."""

    schema: Literal["statscache/series/1"]
    """Type and version."""
    plugin: str
    """Name of the plugin."""
    resolution: str
    """Width of the buckets, such as `1h`."""
    period: str
    """Label of the period, as in the path."""
    start: Time
    """Start of the period."""
    end: Time
    """End of the period."""
    columns: list[str]
    """`timestamp`, the dimensions, `value`."""
    rows: list[list[int | float | str | None]]
    """One array for each bucket and key that has a value; sorted."""
    complete_through: Time
    """Buckets that end at or before it are finished."""
    gaps: list[Interval]
    """What is missing, rounded outward to whole buckets."""
    through: Time
    """Newest event that contributed, or a later end of a bucket that was crossed."""
    omitted: NotRequired[Count]
    """`Distinct`: how many keys were left out, because there are too many in the period."""


@documented
class Period(TypedDict):
    """A period of a series that is published."""

    period: str
    """Label."""
    start: Time
    """Start."""
    end: Time
    """End."""
    complete_through: Time
    """As in the series."""
    path: str
    """Path, relative to the site's root."""
    object: ObjectName
    """Name of the object: SHA-256 of the bytes, and the extension."""
    size: Count
    """Bytes."""
    csv: Reference
    """The same as CSV."""


@documented
class SeriesIndex(TypedDict):
    """The periods of one resolution."""

    schema: Literal["statscache/series-index/1"]
    """Type and version."""
    plugin: str
    """Name of the plugin."""
    through: Time | None
    """Newest event that contributed, or a later end of a bucket that was crossed."""
    resolution: str
    """Width of the buckets, such as `1h`."""
    width: Annotated[int, Field(ge=1)] | None
    """Seconds of a bucket; null: calendar months, which differ."""
    keep: Annotated[int, Field(ge=1)] | None
    """Seconds for which buckets are kept; null: forever."""
    complete_through: Time | None
    """The greatest of the periods."""
    periods: list[Period]
    """What is published, oldest first."""


@documented_open
class Part(TypedDict):
    """A part of a key's numbers; the part's name, text or null, is in a field that the plugin names."""

    total: int
    """Sum of everything in this part; of an older year, in that year."""
    weeks: dict[str, list[tuple[int, int]]]
    """Monday of the ISO week and value, oldest first, by calendar year; of a week in two years, each has its days."""


@documented_open
class KeyEntry(TypedDict):
    """One of the newest events of a key, with the fields that the plugin gives it."""

    timestamp: Time
    """When it was announced."""


@documented
class Key(TypedDict):
    """One key of an unbounded plugin."""

    schema: Literal["statscache/key/1"]
    """Type and version."""
    plugin: str
    """Name of the plugin."""
    key: list[KeyPart]
    """Text or null for each dimension, in order."""
    total: int
    """Sum of everything."""
    first: Time
    """Oldest event."""
    last: Time
    """Newest event."""
    years: list[tuple[int, int]]
    """Calendar year and its sum, oldest first; years without an event are left out."""
    days: dict[str, list[tuple[int, int]]]
    """Start of the day and value, oldest first, by year: the year of `last` and the one before."""
    gaps: list[Interval]
    """The whole days of these two years, to that of `last`, that are not wholly known; a value in them is the least."""
    parts: NotRequired[list[Part]]
    """The parts, for plugins that divide their numbers, in order of their names, null first."""
    entries: NotRequired[list[KeyEntry]]
    """The newest messages that were counted for the key, newest first; only of a plugin with `entries`."""
    through: Time
    """The same as `last`."""


@documented
class KeyYear(TypedDict):
    """An older year of one key of an unbounded plugin."""

    schema: Literal["statscache/key-year/1"]
    """Type and version."""
    plugin: str
    """Name of the plugin."""
    key: list[KeyPart]
    """Text or null for each dimension, in order."""
    year: int
    """The calendar year."""
    total: int
    """Sum of the year."""
    days: dict[str, list[tuple[int, int]]]
    """As in the document of the key; this year alone."""
    gaps: list[Interval]
    """The whole days of the year that are not wholly known."""
    parts: NotRequired[list[Part]]
    """The parts that have an event in the year; as in the document of the key."""
    through: Time
    """Start of the newest day."""


@documented
class Badge(TypedDict):
    """A headline number for a badge, in the form that shields.io reads from an endpoint."""

    schemaVersion: Literal[1]
    """Always 1."""
    label: str
    """Left part."""
    message: str
    """Right part."""
    color: NotRequired[str]
    """Colour of the right part."""
    labelColor: NotRequired[str]
    """Colour of the left part."""
    isError: NotRequired[bool]
    """True if the number is not reliable."""
    cacheSeconds: NotRequired[int]
    """Seconds for which a badge may be shown again."""

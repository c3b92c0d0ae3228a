"""What kinds work on and return: the state of one plugin, the documents that a change makes dirty, those of keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from statscache.kinds.keys import Key
from statscache.kinds.known import NOTHING, Known
from statscache.store.intervals import Interval
from statscache.timeline import DAILY, year_start


class Dirty(NamedTuple):
    """A document whose bytes may have changed: `latest`, or a resolution's name and period; or documents of `keys`.

    Attributes:
        document: Its name.
        number: For a resolution, the start of the period in seconds since 1970 UTC.
        keys: For keys, all that changed; see `statscache.store.changed_keys`.
    """

    document: str
    number: int = 0
    keys: bytes = b""


@dataclass(frozen=True, slots=True)
class State:
    """What a kind stores for one plugin, as one transaction sees it.

    Attributes:
        connection: The transaction.
        plugin: The number of the plugin in this database.
        through: Timestamp of the newest accepted message: the clock of everything published. None before the first.
        newest: Timestamp of the newest message that this plugin counted. None before the first.
        known: Which time the plugin's numbers are known for. In a render only; nothing where state is merged.
    """

    connection: Connection
    plugin: int
    through: int | None
    newest: int | None = None
    known: Known = NOTHING


Times = list[tuple[int, int]]
"""Start of a day, or Monday of a week, in seconds since 1970 UTC, and value; oldest first."""

ByYear = dict[str, Times]
"""The same by calendar year."""


class KeyPart(NamedTuple):
    """One part of a key's numbers, of a plugin that divides them: its sum, and its weeks.

    A week that two years share is in both, each time with the days of that year.
    """

    name: str | None
    total: int
    weeks: ByYear


class KeyYear(NamedTuple):
    """What is published of an older year of a key; sums are those of the year."""

    year: int
    total: int
    days: Times
    parts: list[KeyPart]


class KeyDocument(NamedTuple):
    """What is published of one key of an unbounded plugin; times in seconds since 1970 UTC.

    Attributes:
        key: The key.
        total: The sum of everything.
        first: Timestamp of the oldest message that counted.
        last: Timestamp of the newest.
        years: Each year with a day, and its sum, oldest first.
        days: The days of the recent years: that of the newest day, and the one before.
        part: The field of a part's name; None where the plugin does not divide its numbers.
        parts: The parts, null first, with the weeks of the recent years.
        older: The older years that may have changed.
        entries: Timestamp and fields as JSON of the newest entries, newest first; None where none are kept.
    """

    key: Key
    total: int
    first: int
    last: int
    years: list[tuple[int, int]]
    days: ByYear
    part: str | None = None
    parts: Sequence[KeyPart] = ()
    older: Sequence[KeyYear] = ()
    entries: Sequence[tuple[int, bytes]] | None = None

    @property
    def shown(self) -> Interval:
        """The time that `days` are of: from the year before the newest day's to the end of that day."""
        return year_start(max(map(int, self.days)) - 1), DAILY.ceil(self.last + 1)


class Extent(NamedTuple):
    """Timestamps of the oldest and the newest message that count in a state; None where none does."""

    oldest: int | None
    newest: int | None

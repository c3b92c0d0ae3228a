"""How the installation fares, as the database knows it: read in plain SQL, so that a check need not import SQLAlchemy.

Times are whole seconds since 1970 UTC.
"""

from collections.abc import Collection
from struct import iter_unpack
from typing import NamedTuple

from statscache.store.intervals import Interval, subtract
from statscache.store.plain import Query
from statscache.store.rows import ConsumerRow, SourceRow, TargetRow
from statscache.timeline import HOUR


class Journal(NamedTuple):
    """The journal's end, and the counts of messages that are not in it.

    Attributes:
        head: Number of its messages, also of those that were removed.
        through: Timestamp of the newest accepted message; None before the first.
        known: Copies of accepted messages.
        conflicts: Those of them that differed in content.
        foreign: Messages of other environments, each once, and statscache's own announcements.
        discarded: Quarantined lines that were deleted because of the quota.
        removed: Messages that were removed from the journal.
        installation: The id of the installation.
    """

    head: int
    through: int | None
    known: int
    conflicts: int
    foreign: int
    discarded: int
    removed: int
    installation: str


class Sizes(NamedTuple):
    """The size of the journal: its segments, the bytes of their records, and the bytes that these take compressed."""

    segments: int
    bytes: int
    stored_bytes: int


class PluginRow(NamedTuple):
    """An active plugin.

    Attributes:
        id: The number by which other tables refer to it.
        name: Its name.
        position: Number of the last message of the journal that was folded.
        newest: Timestamp of the newest message that counted; None before the first.
        suspended: Why it no longer folds; None if it folds.
    """

    id: int
    name: str
    position: int
    newest: int | None
    suspended: str | None


def journal(query: Query) -> Journal:
    """Return the journal's end, and the counts of messages that are not in it."""
    columns = "head, through, known, conflicts, foreign_messages, discarded, removed, installation"
    return Journal(*query(f"SELECT {columns} FROM journal")[0])


def sizes(query: Query) -> Sizes:
    """Return the size of the journal."""
    (row,) = query("SELECT count(*), coalesce(sum(size), 0), coalesce(sum(length(data)), 0) FROM segment")
    return Sizes(*map(int, row))


def number_held(query: Query) -> int:
    """Return how many messages of the future are held."""
    return int(query("SELECT count(*) FROM held")[0][0])


def quarantined(query: Query) -> dict[str | None, int]:
    """Return the number of things quarantined, by plugin; malformed lines under None."""
    return dict(query("SELECT plugin, count(*) FROM quarantine GROUP BY plugin"))


def sources(query: Query) -> list[SourceRow]:
    """Return what is known of each source, by name."""
    columns = 'name, newest, heard, "offset", accepted, quarantined, seen_at'
    return [SourceRow(*row) for row in query(f"SELECT {columns} FROM source ORDER BY name")]


def consumers(query: Query) -> list[ConsumerRow]:
    """Return what is known of the consumers of each source, by name."""
    columns = "name, worked_at, batches, milliseconds, rejected, endpoints, unconnected"
    return [ConsumerRow(*row) for row in query(f"SELECT {columns} FROM consumer ORDER BY name")]


def targets(query: Query, names: Collection[str]) -> list[TargetRow]:
    """Return what is known of the targets of these names, by name; other rows are of targets that were removed."""
    columns = ", ".join(TargetRow._fields)
    found = (TargetRow(*row) for row in query(f"SELECT {columns} FROM target"))
    known = {row.name: row for row in found}
    return [known.get(name, TargetRow(name)) for name in sorted(names)]


def plugins(query: Query) -> list[PluginRow]:
    """Return the plugins that the process runs which opened the database last, by name."""
    rows = query("SELECT id, name, position, newest, suspended, active FROM plugin ORDER BY name")
    return [PluginRow(*row) for *row, active in rows if active]


def problems(query: Query) -> list[tuple[str, str]]:
    """Return the plugins that this process could not load, and why, by name."""
    return [(name, reason) for name, reason in query("SELECT name, reason FROM problem ORDER BY name, reason")]


def pending(query: Query) -> dict[int, int]:
    """Return the number of documents that changed since slow ones were rendered, by the id of the plugin.

    Counted are keys, periods of series and `latest`.
    """
    found: dict[int, int] = dict(query("SELECT plugin, count(*) FROM dirty GROUP BY plugin"))
    keys: dict[int, set[int]] = {}
    for plugin, data in query("SELECT plugin, data FROM dirty_keys"):
        # Without numpy, which takes a tenth of a second of a command's start.
        keys.setdefault(plugin, set()).update(key for key, _ in iter_unpack("<qh", data))
    return {number: found.get(number, 0) + len(keys.get(number, ())) for number in found.keys() | keys.keys()}


def moved(query: Query, through: int | None) -> set[int]:
    """Return the ids of plugins in whose slow documents windows may have moved: an hour ended since they were rendered.

    Args:
        query: Reads one state of the database.
        through: The journal's clock, in seconds since 1970 UTC.
    """
    if through is None:
        return set()
    rendered = query("SELECT id, slow_through FROM plugin WHERE slow_through IS NOT NULL AND suspended IS NULL")
    return {number for number, before in rendered if before // HOUR != through // HOUR}


def gaps(query: Query) -> list[Interval]:
    """Return what is missing and was not completed since, oldest first."""
    rows = query('SELECT start, "end", complete FROM coverage')
    complete = [(start, end) for start, end, is_complete in rows if is_complete]
    return subtract([(start, end) for start, end, is_complete in rows if not is_complete], complete)


def owed(query: Query) -> int:
    """Return the number of objects that had to go at once, and that some target may still have."""
    return int(query("SELECT count(*) FROM pending_deletion")[0][0])

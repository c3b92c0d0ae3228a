"""Compare the state with a recount: fold the whole journal again, in a scratch database, and compare all rows."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from statscache.ingest import catchup
from statscache.ingest.fold import fold
from statscache.ingest.reduce import reduce_plugin
from statscache.installation import Installation
from statscache.plugins import Plugin
from statscache.plugins.watch import Watch
from statscache.store import Database, journal, positions, quarantine
from statscache.store.journal import Head, Removed
from statscache.store.positions import Position
from statscache.wording import counted

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Recount:
    """What the recount of one plugin found.

    Attributes:
        name: The plugin.
        skipped: Why nothing was compared; empty where it was.
        messages: Messages that were folded again.
        compared: Rows of state that were compared.
        differences: The first few rows that differ, as (stored, recounted); None where one side has no row.
    """

    name: str
    skipped: str = ""
    messages: int = 0
    compared: int = 0
    differences: list[tuple[object, object]] = field(default_factory=list)


class _Share(NamedTuple):
    """The messages that count for a plugin: not older than a timestamp, and not quarantined for it."""

    complete_from: int | None
    quarantined: frozenset[int]


def recount(installation: Installation, tell: Callable[[int, int], None]) -> Iterator[Recount]:
    """Yield what the recount of each plugin found.

    Args:
        installation: Whose state is compared with its journal.
        tell: Called with how many messages of how many were folded again.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(installation.database.reading())
        rows = positions.load(connection)
        end, removed = journal.head(connection), journal.removed(connection)
        reasons = {
            plugin: _reason_to_skip(plugin, rows.get(plugin.name), end, removed) for plugin in installation.registry
        }
        shares = {
            plugin: _Share(rows[plugin.name].complete_from, quarantine.places(connection, plugin.name))
            for plugin, reason in reasons.items()
            if not reason
        }
        total = end.position - removed.messages
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="statscache-"))
        scratch = stack.enter_context(closing(Database(f"sqlite:///{Path(directory) / 'recount.db'}")))
        scratch.prepare()
        read = journal.read(connection, 0, end.position) if shares else iter(())
        for folded in _fold(scratch, shares, read, end.through, installation.watchdog):
            tell(folded, total)
        with scratch.reading() as recounted:
            fresh = positions.load(recounted)
            for plugin, reason in reasons.items():
                if reason:
                    yield Recount(plugin.name, reason)
                    continue
                stored = plugin.kind.dump(connection, rows[plugin.name].id, end.through)
                again = plugin.kind.dump(recounted, fresh[plugin.name].id, end.through)
                yield _compare(plugin.name, total, stored, again)


def _reason_to_skip(plugin: Plugin, row: Position | None, end: Head, removed: Removed) -> str:
    """Return why a plugin cannot be compared; empty if it can."""
    if not plugin.kind.follows_from_yields:
        return "it keeps rows by rules of its own, which may depend on more than messages"
    if row is None or row.position != end.position:
        return "it has not folded the whole journal"
    if not row.is_usable(plugin.state_version):
        return "its state is of another release, or of other settings"
    if (row.complete_from or 0) < (removed.until or 0):
        return "it counted messages that were removed from the journal since"
    return ""


def _fold(
    scratch: Database,
    shares: Mapping[Plugin, _Share],
    read: Iterator[tuple[int, bytes]],
    through: int | None,
    watch: Watch,
) -> Iterator[int]:
    """Fold all messages into the state of plugins in an empty database, and yield how many are folded by now.

    Args:
        scratch: The empty database.
        shares: The plugins, each with what counts for it.
        read: Position and record of each message of the journal.
        through: Timestamp of the newest.
        watch: Called with the plugin that is running.
    """
    with scratch.writing() as connection:
        rows = positions.register(connection, {plugin.name: "recount" for plugin in shares})
        for plugin in shares:
            plugin.kind.clear(connection, rows[plugin.name].id)
    at = 0
    while chunk := catchup.take_chunk(read):
        records = [record for _, record in chunk]
        with scratch.writing() as connection:
            rows = positions.load(connection)
            for plugin, (complete_from, quarantined) in shares.items():
                skipped = {index for index, (position, _) in enumerate(chunk) if position in quarantined}
                about = f"a recount of {counted(len(chunk), 'message')} from position {chunk[0][0]}"
                with watch.working(plugin, about):
                    observed, times = catchup.observe_records(plugin, records, watch, skipped)
                    counts = times >= (complete_from or 0)
                    result = reduce_plugin(plugin, observed, counts, times, records, watch)
                    fold(
                        connection,
                        plugin,
                        rows[plugin.name],
                        result,
                        places=range(at + 1, at + 1 + len(records)),
                        records=records,
                        source="journal",
                        through=through,
                        budget=float("inf"),
                        savepoints=True,
                    )
            positions.save(connection, [*rows.values()])
        at += len(records)
        yield at


def _compare(
    name: str, messages: int, stored: Iterator[tuple[object, ...]], recounted: Iterator[tuple[object, ...]]
) -> Recount:
    compared = 0
    differences: list[tuple[object, object]] = []
    for one, other in zip_longest(stored, recounted):
        compared += 1
        if one != other and len(differences) < _SHOWN:
            differences.append((one, other))
    return Recount(name, messages=messages, compared=compared, differences=differences)

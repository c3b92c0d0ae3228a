"""The state against a recount: plugins fold the whole journal once more, beside, and must come to the same."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path

from statscache.ingest.combining import Placed, combine
from statscache.ingest.fold import fold
from statscache.ingest.observing import Observed, observe
from statscache.message import Message
from statscache.plugins import Plugin, Table
from statscache.plugins.registry import Registry
from statscache.service.installation import Installation
from statscache.store import Database, journal, positions
from statscache.store.positions import Position

_STEP = 10_000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Recount:
    """What the recount of one plugin found.

    Attributes:
        name: The plugin.
        skipped: Why nothing was compared; empty where it was.
        messages: Messages that were folded anew.
        compared: Rows of state that were compared.
        differences: The first few rows that differ, as (stored, recounted); None where one side has no row.
    """

    name: str
    skipped: str = ""
    messages: int = 0
    compared: int = 0
    differences: list[tuple[object, object]] = field(default_factory=list)


def recount(installation: Installation) -> Iterator[Recount]:
    """Yield what the recount of each plugin found."""
    with installation.database.reading() as connection:
        rows = positions.load(connection)
        end = journal.head(connection)
        removed = journal.removed(connection)
        for plugin in installation.registry:
            row = rows.get(plugin.name)
            if isinstance(plugin, Table):
                yield Recount(plugin.name, "it keeps rows by rules of its own, which may depend on more than messages")
                continue
            if row is None or row.position != end.position:
                yield Recount(plugin.name, "it has not folded the whole journal")
                continue
            if (row.complete_from or 0) < (removed.until or 0):
                yield Recount(plugin.name, "it counted messages that the journal keeps no longer")
                continue
            with tempfile.TemporaryDirectory(prefix="statscache-") as directory:
                scratch = Database(f"sqlite:///{Path(directory) / 'recount.db'}")
                scratch.prepare()
                records = (record for _, record in journal.read(connection, 0, end.position))
                fresh = _fold(scratch, plugin, records, end.through, row.complete_from)
                with scratch.reading() as recounted:
                    stored = plugin.dump(connection, row.id, end.through)
                    again = plugin.dump(recounted, fresh.id, end.through)
                    yield _compare(plugin.name, end.position - removed.messages, stored, again)
                scratch.close()


def _fold(
    scratch: Database, plugin: Plugin, records: Iterator[bytes], through: int | None, complete_from: int | None
) -> Position:
    """Fold all records into a plugin's state in an empty database, and return its row there."""
    interested = Registry([plugin]).interested
    with scratch.writing() as connection:
        positions.register(connection, plugin.name, "recount")
        plugin.clear(connection, positions.load(connection)[plugin.name].id)
    at = 0
    while lines := list(islice(records, _STEP)):
        messages = [Message.from_record(line) for line in lines]
        observed = Observed()
        observe(plugin, [pair for pair in enumerate(messages) if interested(pair[1].name)], observed)
        places = range(at + 1, at + 1 + len(lines))
        placed = Placed(lines, places).since(complete_from, [message.timestamp for message in messages])
        combined = combine(plugin, observed, placed)
        with scratch.writing() as connection:
            row = positions.load(connection)[plugin.name]
            fold(
                connection,
                plugin,
                row,
                combined,
                places=places,
                source="journal",
                through=through,
                budget=float("inf"),
            )
            positions.save(connection, [row])
        at += len(lines)
    with scratch.reading() as connection:
        return positions.load(connection)[plugin.name]


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

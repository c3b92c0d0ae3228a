"""Take messages of the future out of the journal again, which a clock that was ahead had let in.

They are held until their time, as others are. What plugins made of them goes too: each plugin that counted one
folds the journal again. All of it is one transaction, so an interrupted run has changed nothing.
"""

import time
from dataclasses import dataclass, field

from sqlalchemy import Connection

from statscache import canonical
from statscache.exceptions import HistoryGone
from statscache.ingest.lifecycle import empty, fold_again
from statscache.ingest.prepare import TOLERANCE
from statscache.message import Message, envelope
from statscache.plugins.registry import Registry
from statscache.store import coverage, journal, positions, quarantine, sources
from statscache.store.database import Database
from statscache.timeline import DAY, iso

SOURCE = "journal"
"""The source of messages that were postponed, where held messages have theirs."""


@dataclass(slots=True)
class Postponed:
    """The result of postponing.

    Attributes:
        messages: Messages that were taken out, and wait.
        folded_again: Names of the plugins that are to fold the journal again, sorted.
    """

    messages: int = 0
    folded_again: list[str] = field(default_factory=list)


def postpone(database: Database, registry: Registry, *, lose_history: bool = False) -> Postponed:
    """Remove messages from the journal that are in the future by this machine's clock, and hold them.

    Args:
        database: The database.
        registry: The active plugins.
        lose_history: True if plugins may lose counts of messages that the journal no longer has.

    Raises:
        HistoryGone: They would, and may not; nothing was changed.
    """
    latest = int(time.time()) + TOLERANCE
    with database.writing() as connection:
        journal.lock(connection)
        digest = journal.digest_with(journal.identity_key(connection))
        days: list[int] = []
        digests: list[int] = []
        for first in journal.newer(connection, latest):
            [segment] = journal.segments(connection, first, first)
            records = segment.data.split(b"\n")
            messages = [Message.from_record(record) for record in records]
            late = [message for message in messages if message.timestamp > latest]
            sources.hold(connection, [_held(message) for message in late])
            days += [message.timestamp // DAY for message in late]
            gone = [at for at, message in enumerate(messages, first) if message.timestamp > latest]
            quarantine.drop_messages(connection, gone)
            digests += [int.from_bytes(digest(message.id.encode()), "big", signed=True) for message in late]
            journal.take_out(connection, first, records, [message.timestamp for message in messages], latest)
        if days:
            journal.shortened(connection, days, digests)
            coverage.cut(connection, latest)
            sources.lower(connection, latest)
            return Postponed(len(days), _fold_again(connection, registry, latest, lose_history=lose_history))
    return Postponed()


def _held(message: Message) -> tuple[int, int, str, bytes]:
    line = envelope(message.record())
    return canonical.digest64(line), message.timestamp - TOLERANCE, SOURCE, line


def _fold_again(connection: Connection, registry: Registry, latest: int, *, lose_history: bool) -> list[str]:
    """Have plugins that counted a message later than `latest` fold the journal again; return their names."""
    until = journal.removed(connection).until
    active = {plugin.name: plugin for plugin in registry}
    locked = positions.lock(connection, [row.id for row in positions.load(connection).values()])
    found = []
    for name, row in sorted(locked.items()):
        if row.newest is None or row.newest <= latest:
            # Its windows end with the newest message of all.
            positions.render_all(connection, row)
            continue
        if until is not None and not lose_history:
            raise HistoryGone(
                f"the journal has no messages before {iso(until)}, and {name} would lose what it counted then:"
                " restore a backup from before the clock was wrong, or repeat this with --lose-history"
            )
        plugin = active.get(name)
        if plugin is None or not row.is_usable(plugin.state_version):
            empty(connection, row)
        else:
            fold_again(connection, plugin, row)
        found.append(name)
    return found

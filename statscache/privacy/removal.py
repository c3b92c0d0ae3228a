"""Remove a person from the journal, from quarantine, and from the state of plugins.

The journal is searched first, without a lock. Then each segment that holds the name is rewritten in a
transaction that also takes from each plugin what the original messages had added. So the state is always that
of the current journal, wherever the work is interrupted, and doing it again completes it.
"""

from collections import Counter as Counts
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, MetaData

from statscache import kinds
from statscache.ingest.lifecycle import empty, fold_again
from statscache.ingest.observe import shown
from statscache.kinds.search import holds, is_in_table
from statscache.message import Message
from statscache.plugins import Plugin, State
from statscache.plugins.registry import Registry, wants
from statscache.scrubbing import forms, is_within, occurs, scrub
from statscache.store import dropped_keys, journal, positions, schema, suppression
from statscache.store.database import Database, is_lost
from statscache.store.journal import Segment
from statscache.store.positions import Position


@dataclass(slots=True)
class Found:
    """Where a name occurs in the journal.

    Attributes:
        all: Number of messages searched.
        messages: Messages whose body or headers have it as a whole word.
        involving: Those of them that involve a person of that name.
        packages: Messages that involve no such person and are about a package of that name.
        topics: Messages of whose topic it is a part.
        places: Position of the first and the last of them in each segment.
        end: Position of the last message that was looked at.
    """

    all: int = 0
    messages: int = 0
    involving: int = 0
    packages: int = 0
    topics: int = 0
    places: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0


class Removal:
    """The work in one database.

    Args:
        database: The database.
        registry: The active plugins.
        name: Name of the person.
        where_involved: True to leave the word alone in messages that do not involve the person.

    Attributes:
        taken_out: Names of plugins from whose state keys were removed.
        folded_again: Names of plugins that are to fold the journal again.
    """

    def __init__(self, database: Database, registry: Registry, name: str, *, where_involved: bool = False) -> None:
        self._database = database
        self._registry = registry
        self._name = name
        self._names = forms(name)
        self._where_involved = where_involved
        self.taken_out: set[str] = set()
        self.folded_again: set[str] = set()

    def search(self, tell: Callable[[int, int], None], after: int = 0) -> Found:
        """Return where the name occurs in the journal after position `after`.

        `tell` is called with the number of messages read, and of all.
        """
        found = Found(end=after)
        while True:
            with self._database.reading() as connection:
                segment, end = journal.following(connection, found.end), journal.head(connection).position
            if segment is None:
                return found
            records = segment.data.split(b"\n")
            found.end = segment.first + len(records) - 1
            found.all += len(records)
            if is_within(segment.data, self._names):
                places = [segment.first + index for index, record in enumerate(records) if self._count(record, found)]
                if places:
                    found.places.append((places[0], places[-1]))
            tell(found.end, end)

    def _count(self, record: bytes, found: Found) -> bool:
        """Count a message of the journal in `found`, and return whether it has to change."""
        if not is_within(record, self._names):
            return False
        message = Message.from_record(record)
        found.topics += any(occurs(part, self._names) for part in message.topic.split("."))
        changes = self._without(message) is not message
        involving = self._involved(message)
        found.messages += changes
        found.involving += changes and involving
        # The package name may be derived rather than written, so scrubbing the text would not remove it.
        found.packages += not involving and any(occurs(package, self._names) for package in message.packages)
        return changes

    def suppress(self) -> bool:
        """Suppress the person in all messages from now on; return whether that is new."""
        with self._database.writing() as connection:
            journal.lock(connection)
            # A dropped pattern may be the name itself. Messages that it matched no longer have the name.
            dropped_keys.remove(connection, lambda _, pattern: occurs(pattern, self._names))
            return suppression.add(connection, self._name)

    def rewrite(self, first: int, last: int) -> int:
        """Take the person out of the messages from `first` to `last`, and from the state of plugins.

        Returns:
            The number of messages that changed.
        """
        with self._database.writing() as connection:
            end = journal.lock(connection)
            changed: dict[int, tuple[Message, Message]] = {}
            for segment in journal.segments(connection, first, last):
                records = segment.data.split(b"\n")
                for index, record in enumerate(records):
                    if is_within(record, self._names):
                        message = Message.from_record(record)
                        left = self._without(message)
                        if left is not message:
                            changed[segment.first + index] = message, left
                            records[index] = left.record()
                if (data := b"\n".join(records)) != segment.data:
                    journal.rewrite(connection, Segment(segment.first, data))
            locked = self._locked(connection)
            for plugin in self._registry:
                row = locked.get(plugin.name)
                # State of another version is folded again as soon as that version starts.
                if row is not None and row.is_usable(plugin.state_version):
                    pairs = [pair for position, pair in changed.items() if position <= row.position]
                    self._withdraw(connection, plugin, row, pairs, end.through)
            return len(changed)

    def leaves_alone(self, message: Message) -> bool:
        """Return whether the name stays in a message because it means something else there."""
        return self._where_involved and not self._involved(message)

    def _without(self, message: Message) -> Message:
        """Return the message without the person; itself if nothing is to change."""
        if self.leaves_alone(message):
            return message
        left = scrub(message, self._names)
        return message if left.record() == message.record() else left

    def _involved(self, message: Message) -> bool:
        return any(occurs(user, self._names) for user in message.usernames)

    def _locked(self, connection: Connection) -> dict[str, Position]:
        return positions.lock(connection, [row.id for row in positions.load(connection).values()])

    def _withdraw(
        self,
        connection: Connection,
        plugin: Plugin,
        row: Position,
        pairs: Sequence[tuple[Message, Message]],
        through: int | None,
    ) -> None:
        """Change the state of a plugin to that of the changed messages, given the original ones."""
        pairs = [pair for pair in pairs if wants(plugin, pair[0].name)]
        if not plugin.kind.follows_from_yields:
            if pairs:
                self._forget_rows(connection, plugin, row)
            return
        gone: list[Any] = []
        for before, after in pairs:
            was, now = _yields(plugin, before), _yields(plugin, after)
            # Quarantined messages count for nothing.
            if was is None or was == now:
                continue
            difference = None if now is None else Counts(was)
            if difference is None or Counts(now or ()) - difference:
                self._fold_again(connection, plugin, row)
                return
            gone += difference - Counts(now or ())
        if gone:
            own = [plugin.kind.own_key(item) for item in gone]
            digests = {digest for digest, stored in filter(None, own) if holds(stored, self._names)}
            all_own = all(key is not None and key[0] in digests for key in own)
            self._take_out(connection, plugin, row, digests if all_own else None, through)

    def _take_out(
        self,
        connection: Connection,
        plugin: Plugin,
        row: Position,
        digests: Collection[int] | None,
        through: int | None,
    ) -> None:
        """Remove keys that are the person's own from the state of a plugin.

        It folds the journal again if there is more to remove (`digests` is None), if the word may be something else in
        these keys, or if its kind cannot remove keys.
        """
        state, left = State(connection, row.id, through, row.newest), None
        if digests is not None and not self._where_involved:
            left = plugin.kind.remove_keys(state, digests)
        if left is None:
            self._fold_again(connection, plugin, row)
            return
        row.oldest, row.newest = left
        row.revision += 1
        positions.save(connection, [row])
        positions.render_all(connection, row)
        self.taken_out.add(plugin.name)

    def _fold_again(self, connection: Connection, plugin: Plugin, row: Position) -> None:
        fold_again(connection, plugin, row)
        self.folded_again.add(plugin.name)

    def _forget_rows(self, connection: Connection, plugin: Plugin, row: Position) -> None:
        """Remove the person from an author's rows; a plugin that cannot do so folds the journal again."""
        # A plugin is foreign code: whatever it raises, its rows must not keep the name.
        try:
            if plugin.kind.forget_in_rows(connection, {*self._names, self._name.lower()}):
                row.revision += 1
                positions.save(connection, [row])
                positions.render_all(connection, row)
                self.taken_out.add(plugin.name)
        except Exception as error:
            if is_lost(error):
                raise
            self._fold_again(connection, plugin, row)
            return
        if plugin.kind.mentions(connection, self._names):
            self._fold_again(connection, plugin, row)

    def search_state(self) -> list[str]:
        """Remove the name from state that does not follow from the messages in the journal.

        That is state of messages that were removed, and of plugins that are not active here, whose state is cleared.

        Returns:
            Names of tables that hold the name and belong to no active plugin.
        """
        with self._database.writing() as connection:
            through = journal.lock(connection).through
            locked = self._locked(connection)
            found = kinds.mentions(connection, self._names)
            active = {plugin.name: plugin for plugin in self._registry}
            for name, row in locked.items():
                plugin = active.get(name)
                if row.id not in found.keys and row.id not in found.elsewhere:
                    continue
                if plugin is None or not row.is_usable(plugin.state_version):
                    self._empty(connection, row)
                elif self._where_involved and not plugin.people:
                    # The word may mean something else there; what was the person's has been removed.
                    continue
                else:
                    digests = None if row.id in found.elsewhere else found.keys[row.id]
                    self._take_out(connection, plugin, row, digests, through)
            for plugin in self._registry:
                if plugin.name in locked and plugin.kind.mentions(connection, self._names):
                    self._forget_rows(connection, plugin, locked[plugin.name])
            own = {table.name for plugin in self._registry for table in plugin.kind.own_tables}
            return self._unknown_tables(connection, own)

    def _empty(self, connection: Connection, row: Position) -> None:
        empty(connection, row)
        self.folded_again.add(row.name)

    def _unknown_tables(self, connection: Connection, known: Collection[str]) -> list[str]:
        there = MetaData()
        there.reflect(connection)
        unknown = there.tables.keys() - schema.metadata.tables.keys() - set(known) - {"alembic_version"}
        return sorted(name for name in unknown if is_in_table(connection, there.tables[name], self._names))


def _yields(plugin: Plugin, message: Message) -> list[Any] | None:
    """Return the checked yields of a plugin for a message; None if it raises."""
    left = scrub(message, plugin.suppressed) if plugin.suppressed else message
    # A plugin is foreign code, and what it raises quarantines the message.
    try:
        items = [plugin.kind.check(item) for item in plugin.observe(shown(plugin, left)) or ()]
        return [*plugin.kind.bounded(items)]
    except (Exception, SystemExit):
        return None

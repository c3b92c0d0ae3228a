"""How far each plugin has folded the journal, and which of its documents that made dirty.

numpy is imported where keys are read: it takes a tenth of a second of a command's start.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from statscache.store.bulk import Upsert
from statscache.store.schema import dirty, dirty_keys, plugin

if TYPE_CHECKING:
    from statscache.store.changed_keys import Keys

EVERYTHING = "*"
"""The dirty document that stands for all documents of a plugin."""

MISSED = " missed"
"""The suffix of a plugin's version after messages were removed from the journal that it had not folded.

No release has this version, so none continues with the state; it has to be folded again.
"""

_MOST_ROWS_OF_KEYS = 16
"""Rows of changed keys of one plugin, before they become one."""

_mark = Upsert(dirty, lambda table, new: {"revision": new.revision})


@dataclass(slots=True)
class Position:
    """One plugin's row.

    Attributes:
        id: The number by which other tables refer to the plugin.
        name: The plugin.
        version: The version and settings with which the state was folded, and `MISSED` if it is of no use.
        position: Number of the last message of the journal that was folded.
        revision: Rises with each change of the state; a dirty document carries that of its last change.
        oldest: Timestamp of the oldest message that counted; None before the first.
        newest: Timestamp of the newest message that counted; None before the first.
        failures: Messages in a row on which the plugin raised.
        suspended: Why the plugin folds no longer; None if it does.
        complete_from: Timestamp before which messages do not count, for the journal had lost some of them when the
            plugin began; None if it had not.
        rendered_through: `through` of the snapshot that holds the plugin's documents; None if none does.
        rendered_with: What else the documents depended on then; another value means to render all of them.
    """

    id: int
    name: str
    version: str
    position: int
    revision: int
    oldest: int | None
    newest: int | None
    failures: int
    suspended: str | None
    complete_from: int | None
    rendered_through: int | None
    rendered_with: str | None


def register(connection: Connection, name: str, version: str, complete_from: int | None = None) -> None:
    """Make a row for a plugin that the database has not seen; it starts at the beginning of the journal."""
    new = {"version": version, "complete_from": complete_from}
    connection.execute(insert(plugin).values(name=name, position=0, revision=0, failures=0, **new))


def load(connection: Connection) -> dict[str, Position]:
    """Return the rows of all plugins that the database has ever seen, by name."""
    return {row.name: Position(**row._mapping) for row in connection.execute(select(plugin).order_by(plugin.c.id))}


def lock(connection: Connection, ids: Sequence[int]) -> dict[str, Position]:
    """Return the rows of these plugins, by name, and keep every other writer from moving them."""
    query = select(plugin).where(plugin.c.id.in_(ids)).order_by(plugin.c.id).with_for_update()
    return {row.name: Position(**row._mapping) for row in connection.execute(query)}


def save(connection: Connection, rows: Sequence[Position]) -> None:
    """Store what folding moved; the caller holds the locks."""
    if not rows:
        return
    moved = ("version", "position", "revision", "oldest", "newest", "failures", "suspended", "complete_from")
    statement = (
        update(plugin).where(plugin.c.id == bindparam("row")).values({name: bindparam(f"new_{name}") for name in moved})
    )
    values = [{"row": row.id, **{f"new_{name}": getattr(row, name) for name in moved}} for row in rows]
    connection.execute(statement, values)


def miss(connection: Connection, position: int) -> None:
    """Note which plugins have not folded all messages up to `position`, some of which go; the caller holds the journal.

    No plugin's position moves meanwhile.
    """
    behind = plugin.c.position < position, ~plugin.c.version.endswith(MISSED)
    rows = lock(connection, [*connection.scalars(select(plugin.c.id).where(*behind))]).values()
    for row in rows:
        row.version += MISSED
    save(connection, [*rows])


def save_rendered(connection: Connection, row: Position, through: int | None, rendered_with: str | None) -> None:
    """Store for which `through`, and with what, the plugin's documents were rendered; None if it has none now."""
    values = {"rendered_through": through, "rendered_with": rendered_with}
    connection.execute(update(plugin).where(plugin.c.id == row.id).values(**values))


def mark(connection: Connection, row: Position, documents: Iterable[tuple[str, int]], keys: bytes = b"") -> None:
    """Mark documents of a plugin dirty at its current revision.

    Args:
        connection: The transaction that changed the state.
        row: Of the plugin.
        documents: All but those of keys.
        keys: The keys that changed, as `changed_keys` packs them.
    """
    _mark(connection, [(row.id, document, number, row.revision) for document, number in documents])
    if not keys:
        return
    mine = dirty_keys.c.plugin == row.id
    before = connection.scalars(select(dirty_keys.c.revision).where(mine)).all()
    if row.revision in before or len(before) >= _MOST_ROWS_OF_KEYS:
        from statscache.store import changed_keys

        # Older marks get the newest revision, so a render under way clears none that it has not seen.
        stored = connection.scalars(select(dirty_keys.c.data).where(mine)).all()
        keys = changed_keys.unpack([*stored, keys]).tobytes()
        connection.execute(delete(dirty_keys).where(mine))
    connection.execute(insert(dirty_keys).values(plugin=row.id, revision=row.revision, data=keys))


def marked(connection: Connection, row: Position) -> list[tuple[str, int]]:
    """Return the dirty documents of a plugin, all but those of keys."""
    query = select(dirty.c.document, dirty.c.number).where(dirty.c.plugin == row.id)
    return [(mark.document, mark.number) for mark in connection.execute(query.order_by(*dirty.primary_key))]


def marked_keys(connection: Connection, row: Position) -> "Keys":
    """Return the keys of a plugin whose documents are dirty, with the years that changed."""
    from statscache.store import changed_keys

    return changed_keys.unpack(connection.scalars(select(dirty_keys.c.data).where(dirty_keys.c.plugin == row.id)))


def clear_marks(connection: Connection, row: Position) -> None:
    """Remove the marks that a render of the plugin at `row.revision` has served; later ones stay."""
    for table in (dirty, dirty_keys):
        connection.execute(delete(table).where(table.c.plugin == row.id, table.c.revision <= row.revision))

"""How far each plugin has folded the journal, and which of its documents that made dirty.

numpy is imported where keys are read: it takes a tenth of a second of a command's start.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update

from statscache.exceptions import DamagedStatistics
from statscache.pace import Pace
from statscache.store import plain, state
from statscache.store.bulk import Upsert, of_bytes
from statscache.store.schema import dirty, dirty_keys, plugin, problem

if TYPE_CHECKING:
    from statscache.store.changed_keys import Keys

EVERYTHING = "*"
"""The dirty document that stands for all documents of a plugin."""

_MOVED = (
    "version",
    "missed",
    "position",
    "revision",
    "oldest",
    "newest",
    "failures",
    "suspended",
    "complete_from",
    "witness",
    "checksum",
)
"""The columns that folding changes; rendering changes the others."""

_MOST_ROWS_OF_KEYS = 16
"""Rows of changed keys of one plugin, before they become one."""

_of_plugin: BindParameter[int] = bindparam("of")
_save = update(plugin).where(plugin.c.id == _of_plugin).values({name: bindparam(f"new_{name}") for name in _MOVED})
_marks = select(dirty).where(dirty.c.plugin == _of_plugin).order_by(*dirty.primary_key)
_marks_of_keys = select(dirty_keys).where(dirty_keys.c.plugin == _of_plugin)
_clear = [
    delete(table).where(table.c.plugin == _of_plugin, table.c.revision <= bindparam("served"))
    for table in (dirty, dirty_keys)
]
_mark = Upsert(dirty, lambda table, new: {"revision": new.revision})


class RenderedWith(NamedTuple):
    """What the documents of a plugin depend on besides its state.

    Attributes:
        version: That of the plugin's state.
        basis: Digest of the plugin's metadata and of this release.
        coverage: What is known to be missing.
    """

    version: str
    basis: str
    coverage: str


class RenderedAt(NamedTuple):
    """What the documents of one pace of a plugin were rendered from.

    Attributes:
        through: The journal's clock then; None if they never were.
        revision: That of the plugin then; -1 if they never were.
    """

    through: int | None
    revision: int


class Mark(NamedTuple):
    """A dirty document of a plugin, all but those of keys.

    Attributes:
        document: `latest`, the name of a resolution, or `EVERYTHING`.
        number: For a resolution, the start of the period in seconds since 1970 UTC.
        revision: That of the plugin when it changed last.
    """

    document: str
    number: int
    revision: int


@dataclass(slots=True)
class Position:
    """One plugin's row.

    Attributes:
        id: The number by which other tables refer to the plugin.
        name: The plugin.
        version: The version and settings with which the state was folded.
        missed: True if messages that the plugin had not folded were removed from the journal: it must begin again.
        position: Number of the last message of the journal that was folded.
        revision: Rises with each change of the state; a dirty document carries that of its last change.
        oldest: Timestamp of the oldest message that counted; None before the first.
        newest: Timestamp of the newest message that counted; None before the first.
        failures: Messages in a row on which the plugin raised.
        suspended: Why the plugin no longer folds; None if it folds.
        complete_from: Timestamp before which messages do not count, because the journal had lost some of them when the
            plugin began; None if it had not.
        witness: Position of a message that the plugin counted lately, which it is shown again if it fails; None before
            the first.
        rendered_version: `version` when the documents were rendered; None if they never were.
        rendered_basis: What concerns all documents, as it was then; None to render all of them.
        rendered_coverage: What was known to be missing then; None if they never were rendered.
        loss_explained: True if the next documents may have lost rows, as after forgetting.
        fast_through: `through` of the snapshot that holds the plugin's fast documents; None if none does.
        fast_revision: The revision that they were rendered at; -1 if they were not.
        slow_through: The same of its slow documents.
        slow_revision: Likewise.
        active: True if the process that opened the database last runs it.
        checksum: Checksum of the columns that folding changes. It stays wrong in a decayed row until the row is reset.
        is_sound: True if the row was read as it was stored.
    """

    id: int
    name: str
    version: str
    missed: bool
    position: int
    revision: int
    oldest: int | None
    newest: int | None
    failures: int
    suspended: str | None
    complete_from: int | None
    witness: int | None
    rendered_version: str | None
    rendered_basis: str | None
    rendered_coverage: str | None
    loss_explained: bool
    fast_through: int | None
    fast_revision: int
    slow_through: int | None
    slow_revision: int
    active: bool
    checksum: int
    is_sound: bool = True

    def __post_init__(self) -> None:
        self.is_sound = self.checksum == self.sum()

    def is_usable(self, version: str) -> bool:
        """Return True if the state is of this version of the plugin's state, and has missed no message."""
        return not self.missed and self.version == version

    def may_fold(self, version: str) -> bool:
        """Return True if the state is usable, and the plugin is not suspended."""
        return self.suspended is None and self.is_sound and self.is_usable(version)

    def has_missed(self, version: str) -> bool:
        """Return True if the journal has lost messages that the plugin had not folded, so that it must be rebuilt."""
        return self.suspended is None and self.missed and self.version == version

    def sum(self) -> int:
        """Return the checksum that the row should have."""
        numbers = self.id, self.position, self.revision, self.oldest, self.newest, self.complete_from
        return of_bytes(self.name.encode(), self.version.encode(), *(-1 if each is None else each for each in numbers))

    @property
    def rendered_with(self) -> RenderedWith | None:
        """What the documents depended on besides the state; another value, or None, means to render all of them."""
        if self.rendered_version is None or self.rendered_basis is None or self.rendered_coverage is None:
            return None
        return RenderedWith(self.rendered_version, self.rendered_basis, self.rendered_coverage)

    @property
    def rendered(self) -> Mapping[Pace, RenderedAt]:
        """What the documents of each pace were rendered from."""
        return {
            Pace.FAST: RenderedAt(self.fast_through, self.fast_revision),
            Pace.SLOW: RenderedAt(self.slow_through, self.slow_revision),
        }


def register(
    connection: Connection, versions: Mapping[str, str], complete_from: int | None = None
) -> dict[str, Position]:
    """Make rows for plugins that the database has not seen, at the beginning of the journal; return them by name.

    Args:
        connection: The transaction, which keeps others from making them too.
        versions: The version of each plugin's state, by the plugin's name.
        complete_from: When the first message was sent that they can count, if the journal has lost some.
    """
    if not versions:
        return {}
    new = {"complete_from": complete_from, "fast_revision": -1, "slow_revision": -1}
    new |= {"missed": False, "loss_explained": False}
    new |= {"position": 0, "revision": 0, "failures": 0, "active": True, "checksum": 0}
    values = [{**new, "name": name, "version": version} for name, version in versions.items()]
    connection.execute(insert(plugin), values)
    rows = {name: row for name, row in load(connection).items() if name in versions}
    for row in rows.values():
        row.is_sound = True
    save(connection, [*rows.values()])
    return rows


def active(connection: Connection) -> tuple[set[str], set[tuple[str, str]]]:
    """Return which plugins are recorded as active, and the problems of others: name and reason."""
    query = plain.over(connection)
    return {row.name for row in state.plugins(query)}, {*state.problems(query)}


def activate(connection: Connection, names: Collection[str], problems: Collection[tuple[str, str]]) -> None:
    """Record which plugins this process runs, and the problems of others: name and reason."""
    connection.execute(update(plugin).values(active=plugin.c.name.in_(list(names))))
    connection.execute(delete(problem))
    if problems:
        connection.execute(insert(problem), [{"name": name, "reason": reason} for name, reason in sorted(problems)])


def load(connection: Connection) -> dict[str, Position]:
    """Return the rows of all plugins that the database has ever seen, by name."""
    return {row.name: Position(**row._mapping) for row in connection.execute(select(plugin).order_by(plugin.c.id))}


def find(connection: Connection, name: str) -> Position | None:
    """Return the row of one plugin; None if the database has never seen it."""
    row = connection.execute(select(plugin).where(plugin.c.name == name)).one_or_none()
    return None if row is None else Position(**row._mapping)


def lock(connection: Connection, ids: Sequence[int]) -> dict[str, Position]:
    """Return the rows of these plugins, by name, and keep every other writer from moving them."""
    query = select(plugin).where(plugin.c.id.in_(ids)).order_by(plugin.c.id).with_for_update()
    return {row.name: Position(**row._mapping) for row in connection.execute(query)}


def save(connection: Connection, rows: Sequence[Position]) -> None:
    """Store what folding moved; the caller holds the locks."""
    if not rows:
        return
    for row in rows:
        if row.is_sound:
            row.checksum = row.sum()
    values = [{"of": row.id, **{f"new_{name}": getattr(row, name) for name in _MOVED}} for row in rows]
    connection.execute(_save, values)


def miss(connection: Connection, position: int) -> None:
    """Note which plugins have not folded all messages up to `position`, some of which go; the caller holds the journal.

    No plugin's position moves meanwhile.
    """
    connection.execute(update(plugin).where(plugin.c.position < position).values(missed=True))


def save_rendered(
    connection: Connection, row: Position, paces: Collection[Pace], through: int | None, rendered_with: RenderedWith
) -> None:
    """Store which state the plugin's documents of some paces were rendered from, and remove marks that are not needed.

    Args:
        connection: The transaction that commits the documents; it holds the plugin's lock.
        row: The plugin's row, as the render read it.
        paces: The paces whose documents were rendered.
        through: The journal's clock in that render.
        rendered_with: What the documents depended on besides the state.
    """
    values: dict[str, int | str | None] = {f"rendered_{name}": value for name, value in rendered_with._asdict().items()}
    values["loss_explained"] = False
    for pace in paces:
        values |= {f"{pace}_through": through, f"{pace}_revision": row.revision}
    connection.execute(update(plugin).where(plugin.c.id == row.id).values(**values))
    if Pace.SLOW in paces:
        clear_marks(connection, row)


def render_all(connection: Connection, row: Position) -> None:
    """Mark all documents of a plugin to be rendered next time; the gate lets them lose rows."""
    connection.execute(update(plugin).where(plugin.c.id == row.id).values(rendered_basis=None, loss_explained=True))


def remove_rendered(connection: Connection, row: Position) -> None:
    """Store that a plugin has no documents now."""
    names = "rendered_version", "rendered_basis", "rendered_coverage", "fast_through", "slow_through"
    values = dict.fromkeys(names)
    connection.execute(update(plugin).where(plugin.c.id == row.id).values(**values))


def mark(connection: Connection, row: Position, documents: Iterable[tuple[str, int]], keys: bytes = b"") -> None:
    """Mark documents of a plugin dirty at its current revision.

    Args:
        connection: The transaction that changed the state.
        row: Row of the plugin.
        documents: All but those of keys.
        keys: The keys that changed, as `changed_keys` packs them.
    """
    _mark(
        connection,
        [(row.id, *each, row.revision, of_bytes(row.id, each[0].encode(), each[1])) for each in documents],
    )
    if not keys:
        return
    mine = dirty_keys.c.plugin == row.id
    before = connection.scalars(select(dirty_keys.c.revision).where(mine)).all()
    if row.revision in before or len(before) >= _MOST_ROWS_OF_KEYS:
        from statscache.store import changed_keys

        # Older marks get the newest revision, so a render under way clears none that it has not seen.
        rows = connection.execute(select(dirty_keys).where(mine)).all()
        fine = [each.data for each in rows if each.checksum == of_bytes(each.data)]
        if len(fine) < len(rows):
            _mark(connection, [(row.id, EVERYTHING, 0, row.revision, of_bytes(row.id, EVERYTHING.encode(), 0))])
        keys = changed_keys.unpack([*fine, keys]).tobytes()
        connection.execute(delete(dirty_keys).where(mine))
    new = {"plugin": row.id, "revision": row.revision, "data": keys, "checksum": of_bytes(keys)}
    connection.execute(insert(dirty_keys).values(new))


def marked(connection: Connection, row: Position) -> list[Mark]:
    """Return the dirty documents of a plugin, all but those of keys; if a mark has decayed, all of them."""
    rows = connection.execute(_marks, {"of": row.id}).all()
    if any(each.checksum != of_bytes(row.id, each.document.encode(), each.number) for each in rows):
        return [Mark(EVERYTHING, 0, row.revision)]
    return [Mark(*each[1:4]) for each in rows]


def marked_keys(connection: Connection, row: Position) -> "Keys":
    """Return the keys of a plugin whose documents are dirty, with the years that changed.

    Raises:
        DamagedStatistics: They have decayed, so that all documents have to be rendered.
    """
    from statscache.store import changed_keys

    rows = connection.execute(_marks_of_keys, {"of": row.id}).all()
    if any(each.checksum != of_bytes(each.data) for each in rows):
        raise DamagedStatistics(f"which keys of {row.name} changed is damaged in the database")
    return changed_keys.unpack([each.data for each in rows])


def damaged_mark(connection: Connection) -> int | None:
    """Return the id of a plugin of which a mark is damaged; None if there is none."""
    for each in connection.execute(select(dirty)):
        if each.checksum != of_bytes(each.plugin, each.document.encode(), each.number):
            return int(each.plugin)
    for of_keys in connection.execute(select(dirty_keys)):
        if of_keys.checksum != of_bytes(of_keys.data):
            return int(of_keys.plugin)
    return None


def clear_marks(connection: Connection, row: Position) -> None:
    """Remove the marks that a render of all documents at `row.revision` has served; later ones stay."""
    for statement in _clear:
        connection.execute(statement, {"of": row.id, "served": row.revision})


def pending(connection: Connection) -> dict[int, int]:
    """Return the number of documents that changed since slow ones were rendered, by the id of the plugin.

    Counted are keys, periods of series and `latest`.
    """
    return state.pending(plain.over(connection))

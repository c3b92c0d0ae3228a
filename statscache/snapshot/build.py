"""Building a snapshot: render what changed, put it into the tree, and commit tree, snapshot and marks together."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from statscache import layout
from statscache.exceptions import Damaged, DamagedSnapshot
from statscache.render.render import Renderer
from statscache.render.result import RenderedPlugin, RenderResult
from statscache.snapshot import damage, retention, snapshots, tree
from statscache.snapshot import summary as summaries
from statscache.snapshot.snapshot import Snapshot
from statscache.snapshot.tree import Changes
from statscache.store import positions, published, targets
from statscache.store.database import Database
from statscache.store.published import Entry

_BUFFERED_OBJECTS = 1_000
_BUFFERED_BYTES = 4 * 1024 * 1024

_log = logging.getLogger(__name__)


def build(
    database: Database,
    renderer: Renderer,
    *,
    generation: int = 0,
    force: bool = False,
    resume: bool = False,
    slow_interval: float = 0.0,
    most: int | None = None,
    repair: bool = False,
) -> tuple[Snapshot, list[RenderedPlugin]]:
    """Update the published tree and return the then current snapshot, and the result of each plugin.

    Where nothing changed, that is the snapshot before; so it is while a rollback holds publishing. One process at a
    time may build.

    Args:
        database: Where state and tree are.
        renderer: Renders their documents and pages.
        generation: A generation that the snapshot must exceed, as a target holds it.
        force: True to render everything, changed or not, to put right what is damaged, and to publish what looks
            implausible; but no other numbers than before where nothing was counted since.
        resume: True to end the hold of a rollback.
        slow_interval: Seconds for which slow documents may wait since they were last brought up to date.
        most: About how many documents of keys to make; the next publication makes the rest. None for all.
        repair: True to repair damage, rendering everything; but nothing implausible, and no
            different numbers if nothing was counted since.

    Raises:
        DamagedObject: An object or a manifest is damaged.
        DamagedSnapshot: Rows of the tree, or of a snapshot, are damaged; or, of a repair, they cannot be put right.
        DamagedStatistics: What would have to be rendered again, or is forced, follows from damaged statistics.
    """
    everything = force or repair
    if everything:
        _throw_away(database, resume=resume)
    _log.debug("publishing: rendering")
    with database.reading() as connection:
        before = snapshots.current(connection)
    if before is not None and before.is_rollback and not resume:
        if repair:
            raise DamagedSnapshot(
                f"publishing is held at snapshot {before.id[:12]}, which is damaged and cannot be rendered again:"
                " `statscache publish --resume` publishes the newest, or go back to another snapshot"
            )
        return _held(database, before, generation), []
    with database.reading() as connection:
        buffer = _Buffer(database)
        slow = everything or before is None or summaries.slow_is_due(before, renderer, slow_interval)
        result = renderer.render(
            connection, summaries.shown(before), buffer.store, slow=slow, force=everything, gated=not force, most=most
        )
        buffer.flush()
    with database.writing() as connection:
        _log.debug("publishing: committing the snapshot")
        changes = _put(connection, result, before, everything=everything)
        # Where the database's tree was not the one that was current, or was made again, both are compared.
        is_other_tree = before is not None and (before.is_rollback or everything)
        if before is not None and is_other_tree:
            changes = _since(connection, before, changes)
        summary = summaries.make(connection, result, renderer, before, changes, slow=slow)
        # Where a target is ahead, as after the database was restored, even the same tree needs a generation of its own.
        is_same = before is not None and before.manifest == changes.root and generation < before.generation
        if before is not None and is_same and not before.is_rollback:
            return _with_summary(connection, before, summary), result.plugins
        new = _new(connection, result, before, changes, summary, generation, is_other_tree=is_other_tree)
        snapshots.save(connection, new)
        retention.unmark(connection)
        retention.drop(connection, new, changes.dropped.union([before.manifest] if before else []))
        if everything:
            retention.drop(connection, new, retention.unnoticed(connection))
        if before is not None and before.summary["pages"] != summary["pages"]:
            # What caches hold of another release's pages goes with that release.
            targets.invalidate(connection)
        return new, result.plugins


def _held(database: Database, before: Snapshot, generation: int) -> Snapshot:
    """Return the snapshot of a rollback, with another number where a target is ahead of it."""
    if generation < before.generation:
        return before
    now = int(time.time())
    again = before._replace(generation=generation + 1, created_at=now, current_until=now, announced=False)
    with database.writing() as connection:
        snapshots.save(connection, again)
    return again


def _put(connection: Connection, result: RenderResult, before: Snapshot | None, *, everything: bool) -> Changes:
    """Put what was rendered into the tree, and clear the marks that it served; return what changed.

    Args:
        connection: The transaction.
        result: What was rendered.
        before: The snapshot before.
        everything: True if all of it was, so that the tree is written again.
    """
    files: Iterable[tuple[str, Entry | None]] = _files(connection, result)
    if everything:
        damage.refuse_other_numbers(connection, result)
        # The rows of the tree may be damaged, so they are all written again.
        files = chain(damage.kept(connection, result, before).items(), files)
        tree.clear(connection)
    changes = tree.apply(connection, files)
    # In the order in which folding locks: first the rows, then the marks.
    positions.lock(connection, [rendered.row.id for rendered in result.plugins])
    for rendered in result.plugins:
        if rendered.state == "ok" and rendered.rendered_with is not None:
            of = rendered.row, rendered.paces, result.through, rendered.rendered_with
            positions.save_rendered(connection, *of)
            positions.mark(connection, rendered.row, (), rendered.keys_left)
    for row in result.uninstalled:
        positions.remove_rendered(connection, row)
    if everything:
        _tell_lost(connection)
    return changes


def _with_summary(connection: Connection, before: Snapshot, summary: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot before, whose tree is still the same, with what is now said of it."""
    same_tree = {**summary, "changes": before.summary["changes"]}
    if before.summary == same_tree:
        return before
    changed = before._replace(summary=same_tree)
    snapshots.update_summary(connection, changed)
    return changed


def _new(
    connection: Connection,
    result: RenderResult,
    before: Snapshot | None,
    changes: Changes,
    summary: dict[str, Any],
    generation: int,
    *,
    is_other_tree: bool,
) -> Snapshot:
    """Return the new snapshot, of a generation that exceeds `generation` and that of the one before."""
    assert changes.root is not None
    now = int(time.time())
    number = max(generation, before.generation if before else 0) + 1
    return Snapshot(
        generation=number,
        id=changes.root.partition(".")[0],
        parent=before.id if before else None,
        through=result.through,
        created_at=now,
        current_until=now,
        manifest=changes.root,
        origin=number,
        size=tree.size(connection) if before is None or is_other_tree else before.size + changes.growth,
        announced=False,
        summary=summary,
    )


def _throw_away(database: Database, *, resume: bool) -> None:
    with database.writing() as connection:
        gone = damage.throw_away(connection, resume=resume)
    if gone:
        _log.warning("damaged in the database, and removed: %s", damage.named(gone))


def _tell_lost(connection: Connection) -> None:
    """Log files that could not be rendered again."""
    if generations := damage.forget_lost(connection):
        _log.warning("older snapshots whose manifests are lost are forgotten: %s", damage.named(generations))
    if paths := damage.lost_files(connection):
        _log.error(
            "files are lost, and their plugins cannot be rendered now; targets keep what they have: %s;"
            " `statscache status` says what their plugins need",
            damage.named(paths),
        )


def _since(connection: Connection, before: Snapshot, made: Changes) -> Changes:
    """Return the changes since a snapshot, with removals from the tree in the database."""
    assert made.root is not None
    try:
        changes = tree.between(partial(published.load_all, connection), before.manifest, made.root)
    except Damaged:
        # The content of that snapshot is unknown, so all counts as new.
        return made
    changes.dropped = made.dropped
    return changes


class _Buffer:
    """Stores objects a few at a time, so that neither memory nor a transaction grows with their number."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._objects: dict[str, bytes] = {}
        self._bytes = 0

    def store(self, name: str, data: bytes) -> None:
        self._objects[name] = data
        self._bytes += len(data)
        if len(self._objects) >= _BUFFERED_OBJECTS or self._bytes >= _BUFFERED_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._objects:
            with self._database.writing() as connection:
                retention.mark_unreferenced(connection, published.store(connection, self._objects))
        self._objects, self._bytes = {}, 0


def _files(connection: Connection, result: RenderResult) -> Iterator[tuple[str, Entry | None]]:
    """Yield path and entry of each file that was rendered, None for one that is gone."""
    yield from result.pages.items()
    yield from ((path, None) for path in result.removed)
    for rendered in result.plugins:
        yield from rendered.changed.items()
        yield from rendered.keys
        yield from ((path, None) for path in rendered.removed)
    for row in result.uninstalled:
        for directory in (layout.plugin_root(row.name), layout.page_root(row.name)):
            for part in ("data", "site"):
                yield from ((path, None) for path in list(published.below(connection, directory, part)))

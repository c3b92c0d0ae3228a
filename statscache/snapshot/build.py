"""Building a snapshot: render what changed, put it into the tree, and commit tree, snapshot and marks together."""

import logging
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from statscache import layout
from statscache.exceptions import Damaged, DamagedSnapshot
from statscache.render.render import Renderer
from statscache.render.result import Before, RenderedPlugin, RenderResult
from statscache.snapshot import damage, retention, snapshots, tree
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
        if generation < before.generation:
            return before, []
        now = int(time.time())
        again = before._replace(generation=generation + 1, created_at=now, current_until=now, announced=False)
        with database.writing() as connection:
            snapshots.save(connection, again)
        return again, []
    with database.reading() as connection:
        buffer = _Buffer(database)
        slow = everything or before is None or _slow_is_due(before, renderer, slow_interval)
        result = renderer.render(
            connection, _shown(before), buffer.store, slow=slow, force=everything, gated=not force, most=most
        )
        buffer.flush()
    with database.writing() as connection:
        _log.debug("publishing: committing the snapshot")
        if everything:
            damage.refuse_other_numbers(connection, result)
        files: Iterable[tuple[str, Entry | None]] = _files(connection, result)
        if everything:
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
        root = changes.root
        assert root is not None
        if everything:
            _tell_lost(connection)
        if before is not None and (before.is_rollback or everything):
            # The tree in the database was not the one that was current, or was made again.
            changes = _since(connection, before, changes)
        entries = _entries(connection, result, before)
        summary = {
            **_slow_summary(connection, result, renderer, before, slow=slow),
            "shown": result.shown,
            "plugins": entries,
            "reasons": {rendered.info.name: rendered.reason for rendered in result.plugins if rendered.reason},
            "oversize": published.oversize(connection, [entry["name"] for entry in entries]),
            "changes": listed(changes),
        }
        # Where a target is ahead, as after the database was restored, even the same tree needs a generation of its own.
        same = before is not None and before.manifest == root and generation < before.generation
        if before is not None and same and not before.is_rollback:
            same_tree = summary | {"changes": before.summary["changes"]}
            if before.summary != same_tree:
                before = before._replace(summary=same_tree)
                snapshots.update_summary(connection, before)
            return before, result.plugins
        now = int(time.time())
        number = max(generation, before.generation if before else 0) + 1
        new = Snapshot(
            generation=number,
            id=root.partition(".")[0],
            parent=before.id if before else None,
            through=result.through,
            created_at=now,
            current_until=now,
            manifest=root,
            origin=number,
            size=tree.size(connection)
            if before is None or before.is_rollback or everything
            else before.size + changes.growth,
            announced=False,
            summary=summary,
        )
        snapshots.save(connection, new)
        retention.unmark(connection)
        retention.drop(connection, new, changes.dropped.union([before.manifest] if before else []))
        if everything:
            retention.drop(connection, new, retention.unnoticed(connection))
        if before is not None and before.summary["pages"] != summary["pages"]:
            # What caches hold of another release's pages goes with that release.
            targets.invalidate(connection)
        return new, result.plugins


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
        changes = tree.between(lambda name: published.load(connection, name), before.manifest, made.root)
    except Damaged:
        # The content of that snapshot is unknown, so all counts as new.
        return made
    changes.dropped = made.dropped
    return changes


def _slow_is_due(before: Snapshot, renderer: Renderer, interval: float) -> bool:
    """Return whether slow documents waited long enough, are of another release or other plugins, or were withdrawn."""
    summary = before.summary
    if before.is_rollback or summary["pages"] != renderer.fingerprint:
        return True
    listed = {entry["name"] for entry in summary["plugins"]}
    # One that could not be loaded is still listed, as failed.
    loaded = {entry["name"] for entry in summary["plugins"] if entry["state"] != "failed"}
    if not loaded <= renderer.names <= listed:
        return True
    # A clock that was set back must not make them wait longer.
    return not 0 <= time.time() - summary["slow_at"] < interval


def _shown(before: Snapshot | None) -> Before:
    """Return what the tree in the database shows: not that of a rollback, and perhaps pages that were taken back."""
    if before is None or before.is_rollback:
        return Before()
    summary = before.summary
    states = {entry["name"]: entry["state"] for entry in summary["plugins"]}
    return Before(summary["pages"] if summary["whole"] else None, states, summary["shown"])


def _slow_summary(
    connection: Connection, result: RenderResult, renderer: Renderer, before: Snapshot | None, *, slow: bool
) -> dict[str, Any]:
    """Return the summary's fields of the slow documents: as before, unless all were updated."""
    if before is not None and not slow:
        kept = {name: before.summary[name] for name in ("pages", "keys", "slow_through", "slow_at")}
        return {**kept, "whole": before.summary["whole"] and result.whole}
    numbers = renderer.numbers_of_keys(connection)
    pages = {
        "pages": renderer.fingerprint,
        "whole": result.whole,
        "keys": {rendered.info.name: numbers.get(rendered.row.id, 0) for rendered in result.plugins},
    }
    if before is not None and any(rendered.keys_left for rendered in result.plugins):
        # They are due at once, so that the next publication goes on with them.
        return {**pages, "slow_through": before.summary["slow_through"], "slow_at": 0}
    return {**pages, "slow_through": result.through, "slow_at": int(time.time())}


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


def _entries(connection: Connection, result: RenderResult, before: Snapshot | None) -> list[dict[str, Any]]:
    """Return what the index says of each plugin."""
    entries = [
        {
            **rendered.info.to_dict(),
            "state": rendered.state,
            "last_event": rendered.row.newest,
            "since": rendered.known.since,
            "gaps": rendered.known.days,
            "complete_from": rendered.row.complete_from,
            "documents": _documents(connection, rendered.info.name),
        }
        for rendered in result.plugins
    ]
    known = before.summary["plugins"] if before else []
    entries += [
        {**entry, "state": "failed", "documents": _documents(connection, entry["name"])}
        for entry in known
        if entry["name"] in result.unloadable
    ]
    return sorted(entries, key=lambda entry: str(entry["name"]))


def _documents(connection: Connection, name: str) -> list[dict[str, Any]]:
    root = layout.plugin_root(name)
    entries = published.entries(connection, root, None, "data") | published.entries(connection, root, None, "site")
    for path, entry in published.entries(connection, layout.all_series(name), None, "data").items():
        if entry.type == "tree":
            # All rows are read, so that they are checked.
            series = published.entries(connection, path, None, "data")
            entries |= {each: series[each] for each in [f"{path}/index.json"] if each in series}
    return [
        {"path": path, "object": entry.object, "size": entry.size}
        for path, entry in sorted(entries.items())
        if entry.type == "file"
    ]


def listed(changes: Changes) -> dict[str, Any]:
    """Return what the list of changes says of one snapshot."""
    kinds = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    return {
        **{kind: paths.named for kind, paths in kinds.items()},
        "truncated": any(paths.documents > len(paths.named) for paths in kinds.values()),
        "documents": sum(paths.documents for paths in kinds.values()),
        "files": sum(paths.files for paths in kinds.values()),
    }

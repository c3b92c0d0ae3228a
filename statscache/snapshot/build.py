"""Building a snapshot: render what changed, put it into the tree, and commit tree, snapshot and marks together."""

import logging
import time
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from statscache import layout
from statscache.render.render import Renderer
from statscache.render.rendering import Rendered, Rendering
from statscache.snapshot import record, retention, tree
from statscache.snapshot.record import Snapshot
from statscache.snapshot.tree import Changes
from statscache.store import positions, published, targets
from statscache.store.database import Database

CHANGES_LISTED = 200
"""Documents that the list of changes names for one snapshot."""

_BUFFERED_OBJECTS = 1_000
_BUFFERED_BYTES = 4 * 1024 * 1024

_log = logging.getLogger(__name__)


def build(
    database: Database, renderer: Renderer, *, generation: int = 0, force: bool = False, resume: bool = False
) -> tuple[Snapshot, list[Rendered]]:
    """Bring the published tree up to date and return the snapshot that is current then, and how each plugin fared.

    Where nothing changed, that is the snapshot before; so it is while a rollback holds publishing. One process at a
    time may build.

    Args:
        database: Where state and tree are.
        renderer: Renders their documents and pages.
        generation: The greatest generation that any target holds; a new snapshot's is greater.
        force: Whether to render everything, changed or not, and to publish what looks implausible.
        resume: Whether to end the hold of a rollback.
    """
    _log.debug("publishing: rendering")
    with database.reading() as connection:
        before = record.current(connection)
        if before is not None and before.is_rollback and not resume:
            return before, []
        buffer = _Buffer(database)
        # The tree in the database is not that of a rollback, and may hold the pages of what was taken back.
        shown = before.summary if before and not before.is_rollback else {"pages": None, "whole": False, "plugins": []}
        pages_before = shown["pages"] if shown["whole"] else None
        states_before = {entry["name"]: entry["state"] for entry in shown["plugins"]}
        rendering = renderer.render(connection, pages_before, states_before, buffer.keep, force=force)
        buffer.flush()
    with database.writing() as connection:
        _log.debug("publishing: committing the snapshot")
        changes = _apply(connection, rendering)
        # In the order in which folding locks: first the rows, then the marks.
        positions.lock(connection, [rendered.row.id for rendered in rendering.plugins])
        for rendered in rendering.plugins:
            if rendered.state == "ok":
                positions.clear_marks(connection, rendered.row)
                positions.save_rendered(connection, rendered.row, rendering.through, rendered.rendered_with)
        for row in rendering.gone:
            positions.save_rendered(connection, row, None, None)
        root = changes.root
        assert root is not None
        if before is not None and before.is_rollback:
            # The tree in the database is not the one that was current.
            dropped = changes.dropped
            changes = tree.between(lambda name: published.load(connection, name), before.manifest, root)
            changes.dropped = dropped
        entries = _entries(connection, rendering, before)
        summary = {
            "pages": renderer.fingerprint,
            "whole": rendering.whole,
            "plugins": entries,
            "reasons": {rendered.info.name: rendered.reason for rendered in rendering.plugins if rendered.reason},
            "oversize": published.oversize(connection, [entry["name"] for entry in entries]),
            "changes": listed(changes),
        }
        # Where a target is ahead, as after the database was restored, even the same tree needs a generation of its own.
        same = before is not None and before.manifest == root and generation <= before.generation
        if before is not None and same and not before.is_rollback:
            same_tree = summary | {"changes": before.summary["changes"]}
            if before.summary != same_tree:
                before = replace(before, summary=same_tree)
                record.update_summary(connection, before)
            return before, rendering.plugins
        now = int(time.time())
        number = max(generation, before.generation if before else 0) + 1
        new = Snapshot(
            generation=number,
            id=root.partition(".")[0],
            parent=before.id if before else None,
            through=rendering.through,
            created_at=now,
            current_until=now,
            manifest=root,
            origin=number,
            size=before.size + changes.growth if before and not before.is_rollback else tree.size(connection),
            announced=False,
            summary=summary,
        )
        record.save(connection, new)
        retention.clear_suspects(connection)
        retention.drop(connection, new, changes.dropped | ({before.manifest} if before else set()))
        if before is not None and before.summary["pages"] != renderer.fingerprint:
            # What caches hold of another release's pages goes with that release.
            targets.invalidate(connection)
        return new, rendering.plugins


class _Buffer:
    """Stores objects a few at a time, so that neither memory nor a transaction grows with what is rendered."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._objects: dict[str, bytes] = {}
        self._bytes = 0

    def keep(self, name: str, data: bytes) -> None:
        self._objects[name] = data
        self._bytes += len(data)
        if len(self._objects) >= _BUFFERED_OBJECTS or self._bytes >= _BUFFERED_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._objects:
            with self._database.writing() as connection:
                retention.suspect(connection, published.keep(connection, self._objects))
        self._objects, self._bytes = {}, 0


def _apply(connection: Connection, rendering: Rendering) -> Changes:
    files = dict(rendering.pages)
    removed: list[str] = []
    for rendered in rendering.plugins:
        files |= rendered.changed
        removed += rendered.removed
    for row in rendering.gone:
        for directory in (layout.plugin_root(row.name), layout.page_root(row.name)):
            removed += [path for part in ("data", "site") for path in published.below(connection, directory, part)]
    return tree.apply(connection, files, removed)


def _entries(connection: Connection, rendering: Rendering, before: Snapshot | None) -> list[dict[str, Any]]:
    """Return what the index says of each plugin."""
    entries = [
        {
            **rendered.info.to_dict(),
            "state": rendered.state,
            "last_event": rendered.row.newest,
            "since": rendered.since,
            "complete_from": rendered.row.complete_from,
            "documents": _documents(connection, rendered.info.name),
        }
        for rendered in rendering.plugins
    ]
    known = before.summary["plugins"] if before else []
    entries += [
        {**entry, "state": "failed", "documents": _documents(connection, entry["name"])}
        for entry in known
        if entry["name"] in rendering.lost
    ]
    return sorted(entries, key=lambda entry: str(entry["name"]))


def _documents(connection: Connection, name: str) -> list[dict[str, Any]]:
    root = layout.plugin_root(name)
    entries = published.entries(connection, root, None, "data") | published.entries(connection, root, None, "site")
    for path, entry in published.entries(connection, layout.all_series(name), None, "data").items():
        if entry.type == "tree":
            entries |= published.entries(connection, path, ["index.json"], "data")
    return [
        {"path": path, "object": entry.object, "size": entry.size}
        for path, entry in sorted(entries.items())
        if entry.type == "file"
    ]


def listed(changes: Changes) -> dict[str, Any]:
    """Return what the list of changes says of one snapshot."""
    named = {
        kind: [path for path in paths if layout.subtree(path) == "data"]
        for kind, paths in (("added", changes.added), ("changed", changes.changed), ("removed", changes.removed))
    }
    return {
        **{kind: paths[:CHANGES_LISTED] for kind, paths in named.items()},
        "truncated": any(len(paths) > CHANGES_LISTED for paths in named.values()),
        "documents": sum(map(len, named.values())),
        "files": len(changes.added) + len(changes.changed) + len(changes.removed),
    }

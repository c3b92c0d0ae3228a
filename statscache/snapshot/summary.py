"""The summary of a snapshot: what is said of it besides its tree, and what the next render takes from it."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from statscache import layout
from statscache.render.render import Renderer
from statscache.render.result import Before, RenderResult
from statscache.snapshot.snapshot import Snapshot
from statscache.snapshot.tree import Changes
from statscache.store import published


def make(
    connection: Connection,
    result: RenderResult,
    renderer: Renderer,
    before: Snapshot | None,
    changes: Changes,
    *,
    slow: bool,
) -> dict[str, Any]:
    """Return what is said of the new snapshot; see `Snapshot`."""
    entries = _entries(connection, result, before)
    return {
        **_slow_summary(connection, result, renderer, before, slow=slow),
        "shown": result.shown,
        "plugins": entries,
        "reasons": {rendered.info.name: rendered.reason for rendered in result.plugins if rendered.reason},
        "oversize": published.oversize(connection, [entry["name"] for entry in entries]),
        "changes": listed(changes),
    }


def listed(changes: Changes) -> dict[str, Any]:
    """Return what the list of changes says of one snapshot."""
    kinds = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    return {
        **{kind: paths.named for kind, paths in kinds.items()},
        "truncated": any(paths.documents > len(paths.named) for paths in kinds.values()),
        "documents": sum(paths.documents for paths in kinds.values()),
        "files": sum(paths.files for paths in kinds.values()),
    }


def slow_is_due(before: Snapshot, renderer: Renderer, interval: float) -> bool:
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


def shown(before: Snapshot | None) -> Before:
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


def _entries(connection: Connection, result: RenderResult, before: Snapshot | None) -> list[dict[str, Any]]:
    """Return what the index says of each plugin."""
    known = [entry for entry in (before.summary["plugins"] if before else []) if entry["name"] in result.unloadable]
    documents = _documents(
        connection, [*(rendered.info.name for rendered in result.plugins), *(entry["name"] for entry in known)]
    )
    entries = [
        {
            **rendered.info.to_dict(),
            "state": rendered.state,
            "last_event": rendered.row.newest,
            "since": rendered.known.since,
            "gaps": rendered.known.days,
            "complete_from": rendered.row.complete_from,
            "documents": documents[rendered.info.name],
        }
        for rendered in result.plugins
    ]
    entries += [{**entry, "state": "failed", "documents": documents[entry["name"]]} for entry in known]
    return sorted(entries, key=lambda entry: str(entry["name"]))


def _documents(connection: Connection, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the fixed documents, plots and indexes of series of each plugin."""
    roots = {name: layout.plugin_root(name) for name in names}
    of_series = {name: layout.all_series(name) for name in names}
    tops = [("data", root) for root in (*roots.values(), *of_series.values())]
    found = published.directories(connection, [*tops, *(("site", root) for root in roots.values())])
    below = {
        name: [path for path, entry in found["data", root].items() if entry.type == "tree"]
        for name, root in of_series.items()
    }
    # All rows are read, so that they are checked.
    series = published.directories(connection, [("data", path) for paths in below.values() for path in paths])
    indexes = {
        name: {index: of[index] for path in paths if (index := f"{path}/index.json") in (of := series["data", path])}
        for name, paths in below.items()
    }
    return {
        name: [
            {"path": path, "object": entry.object, "size": entry.size}
            for path, entry in sorted((found["data", root] | found["site", root] | indexes[name]).items())
            if entry.type == "file"
        ]
        for name, root in roots.items()
    }

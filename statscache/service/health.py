"""The state of the service, for `status.json`, `statscache status` and monitoring."""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, TypedDict

from sqlalchemy import Connection

from statscache.plugins.registry import Registry
from statscache.snapshot import snapshots
from statscache.sources import archive
from statscache.store import consumers, coverage, journal, positions, quarantine, sources, targets
from statscache.store.positions import Position

if TYPE_CHECKING:
    from statscache import schemas


class _PluginState(TypedDict):
    state: "schemas.PluginState"
    reason: str
    behind: int
    last_event: int | None


def health(
    connection: Connection, registry: Registry, places: Collection[str], *, public: bool = False
) -> "schemas.Health":
    """Return the state of journal, sources, plugins and targets, of the quarantine, and of gaps.

    Times are seconds since 1970 UTC.

    Args:
        connection: A reading connection.
        registry: The plugins.
        places: Names of the targets that are configured.
        public: True if everyone may read it: reasons that quote an error, which can quote a message, are left out.
    """
    now = int(time.time())
    end = journal.head(connection)
    counts = journal.counts(connection)
    rows = positions.load(connection)
    set_aside = quarantine.totals(connection)
    segments, size, stored = journal.sizes(connection)
    current = snapshots.current(connection)
    reasons = current.summary["reasons"] if current else {}
    pending = positions.pending(connection)
    return {
        "through": end.through,
        "slow_through": current.summary["slow_through"] if current else None,
        "journal": {
            "messages": end.position,
            "known": counts.known,
            "conflicts": counts.conflicts,
            "foreign": counts.foreign,
            "held": sources.number_held(connection),
            "quarantined": set_aside.get(quarantine.PARSER, 0),
            "discarded": quarantine.discarded(connection),
            "removed": journal.removed(connection).messages,
            "segments": segments,
            "bytes": size,
            "stored_bytes": stored,
        },
        "sources": [
            {"name": row.name, "newest": row.newest, "accepted": row.accepted, "seen_at": row.seen_at}
            for row in sources.listed(connection)
            # The names of archives are paths of this machine.
            if not row.name.startswith(archive.PREFIX)
        ],
        "consumers": [
            {"name": row.name, "worked_at": row.worked_at, "rejected": row.rejected}
            for row in consumers.listed(connection)
        ],
        "plugins": [
            {
                "name": plugin.name,
                **_plugin(rows.get(plugin.name), end, reasons.get(plugin.name, ""), public=public),
                "pending": pending.get(rows[plugin.name].id, 0) if plugin.name in rows else 0,
                "quarantined": set_aside.get(plugin.name, 0),
            }
            for plugin in registry
        ],
        "problems": [
            {"name": problem.name, "reason": "it could not be loaded" if public else problem.reason}
            for problem in registry.problems
        ],
        "targets": [
            {"name": row.name, "generation": row.generation, "ok": row.is_ok(now)}
            for row in targets.listed(connection, places)
        ],
        "oversize": current.summary["oversize"] if current else [],
        "held": current is not None and current.is_rollback,
        "gaps": coverage.gaps(connection),
    }


def _plugin(row: Position | None, end: journal.Head, held_back: str, *, public: bool) -> _PluginState:
    """Return the state of one plugin, its reason, how many messages it is behind, and its newest event.

    Args:
        row: Its row; None if the database has not seen it.
        end: The journal's end.
        held_back: Why the newest snapshot shows older documents of it; empty if it does not.
        public: True if everyone may read it.
    """
    if row is None:
        return {"state": "rebuilding", "reason": "new", "behind": end.position, "last_event": None}
    behind = end.position - row.position
    if row.suspended:
        reason = "it is suspended after errors" if public else row.suspended
        return {"state": "failed", "reason": reason, "behind": behind, "last_event": row.newest}
    if behind:
        return {"state": "rebuilding", "reason": "", "behind": behind, "last_event": row.newest}
    return {"state": "stale" if held_back else "ok", "reason": held_back, "behind": 0, "last_event": row.newest}


def silence(connection: Connection) -> int | None:
    """Return the seconds since a live source last delivered; None if none ever did."""
    seen = [row.seen_at for row in sources.listed(connection) if row.heard is not None]
    return int(time.time()) - max(seen) if seen else None

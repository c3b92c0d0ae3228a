"""The state of the service, for `status.json`, `statscache status` and monitoring."""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, TypedDict

from statscache.snapshot import snapshot as snapshots
from statscache.store import state
from statscache.store.plain import Query
from statscache.store.rows import ARCHIVE
from statscache.store.state import Journal, PluginRow

if TYPE_CHECKING:
    from statscache import schemas
    from statscache.schemas.health import JournalHealth


class _PluginState(TypedDict):
    state: "schemas.PluginState"
    reason: str
    behind: int
    last_event: int | None


def public_health(query: Query, places: Collection[str]) -> "schemas.Health":
    """Return the state that everyone may read: without reasons that quote an error, which can quote a message."""
    return health(query, places, public=True)


def health(query: Query, places: Collection[str], *, public: bool = False) -> "schemas.Health":
    """Return the state of journal, sources, plugins and targets, of what was quarantined, and of gaps.

    Plugins are those of the process that opened the database last. Times are seconds since 1970 UTC.

    Args:
        query: Reads one state of the database.
        places: Names of the targets that are configured.
        public: True if everyone may read it: reasons that quote an error, which can quote a message, are left out.
    """
    now = int(time.time())
    journal = state.journal(query)
    quarantined, pending = state.quarantined(query), state.pending(query)
    moved = state.moved(query, journal.through)
    current = snapshots.current(query)
    reasons = current.summary["reasons"] if current else {}
    return {
        "through": journal.through,
        "slow_through": current.summary["slow_through"] if current else None,
        "journal": _journal(query, journal, quarantined.get(None, 0)),
        "sources": [
            {"name": row.name, "newest": row.newest, "accepted": row.accepted, "seen_at": row.seen_at}
            for row in state.sources(query)
            # The names of archives are paths of this machine.
            if not row.name.startswith(ARCHIVE)
        ],
        "consumers": [
            {
                "name": row.name,
                "worked_at": row.worked_at,
                "rejected": row.rejected,
                # Their number only: the names of hosts are not for everyone.
                "unconnected": len(row.unconnected.splitlines()),
            }
            for row in state.consumers(query)
        ],
        "plugins": [
            {
                "name": plugin.name,
                **_plugin(plugin, journal.head, reasons.get(plugin.name, ""), public=public),
                "pending": pending.get(plugin.id, 0) + (plugin.id in moved),
                "quarantined": quarantined.get(plugin.name, 0),
            }
            for plugin in state.plugins(query)
        ],
        "problems": [
            {"name": name, "reason": "it could not be loaded" if public else reason}
            for name, reason in state.problems(query)
        ],
        "targets": [
            {"name": row.name, "generation": row.generation, "ok": row.is_ok(now)}
            for row in state.targets(query, places)
        ],
        "oversize": current.summary["oversize"] if current else [],
        "held": current is not None and current.is_rollback,
        "gaps": state.gaps(query),
    }


def _journal(query: Query, journal: Journal, quarantined: int) -> "JournalHealth":
    """Return the numbers of messages in the journal and beside it, and its size."""
    sizes = state.sizes(query)
    return {
        "messages": journal.head,
        "known": journal.known,
        "conflicts": journal.conflicts,
        "foreign": journal.foreign,
        "held": state.number_held(query),
        "quarantined": quarantined,
        "discarded": journal.discarded,
        "removed": journal.removed,
        "segments": sizes.segments,
        "bytes": sizes.bytes,
        "stored_bytes": sizes.stored_bytes,
    }


def _plugin(row: PluginRow, head: int, held_back: str, *, public: bool) -> _PluginState:
    """Return the state of one plugin, its reason, how many messages it is behind, and its newest event.

    Args:
        row: Its row.
        head: Number of the journal's last message.
        held_back: Why the newest snapshot shows older documents of it; empty if it does not.
        public: True if everyone may read it.
    """
    behind = head - row.position
    if row.suspended:
        reason = "it is suspended after errors" if public else row.suspended
        return {"state": "failed", "reason": reason, "behind": behind, "last_event": row.newest}
    if behind:
        return {"state": "rebuilding", "reason": "", "behind": behind, "last_event": row.newest}
    return {"state": "stale" if held_back else "ok", "reason": held_back, "behind": 0, "last_event": row.newest}


def silence(query: Query) -> int | None:
    """Return the seconds since a live source last delivered; None if none ever did."""
    seen = [row.seen_at for row in state.sources(query) if row.heard is not None]
    return int(time.time()) - max(seen) if seen else None

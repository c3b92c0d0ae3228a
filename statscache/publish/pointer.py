"""Files outside the snapshot: the pointer, the status, and the changes. Only they carry wall-clock time."""

from collections.abc import Callable, Sequence
from typing import cast

from statscache import canonical, layout, schemas
from statscache.signatures import signed_bytes
from statscache.snapshot.snapshots import Snapshot

PATHS_LISTED = 150
"""Paths that the list of changes names: it is written with every publication, and those of all would be most of it."""

Sign = Callable[[bytes], list[schemas.Signature]]
"""Returns signatures of bytes."""


def index(snapshot: Snapshot, installation: str, now: int, interval: int, sign: Sign | None = None) -> bytes:
    """Return the pointer to a snapshot, with the contents of that.

    Args:
        snapshot: The snapshot.
        installation: Id of the installation that publishes.
        now: Wall clock, seconds since 1970 UTC.
        interval: Seconds until the next publication is due.
        sign: Returns the signatures of the bytes that it is given; None leaves the pointer unsigned.
    """
    document: schemas.Index = {
        "schema": "statscache/index/1",
        "installation": installation,
        "generation": snapshot.generation,
        "snapshot": snapshot.id,
        "manifest": layout.manifest(snapshot.id),
        "parent": snapshot.parent,
        "generated_at": now,
        "expires_at": now + 3 * interval,
        "interval": interval,
        "through": snapshot.through,
        "slow_through": snapshot.summary["slow_through"],
        "signatures": [],
        "plugins": snapshot.summary["plugins"],
    }
    if sign:
        document["signatures"] = sign(signed_bytes(document))
    return canonical.dumps(document)


def status(snapshot: Snapshot, now: int, health: schemas.Health) -> bytes:
    """Return the health of the service as of `now`."""
    document: schemas.Status = {
        "schema": "statscache/status/1",
        "generated_at": now,
        "generation": snapshot.generation,
        **health,
    }
    return canonical.dumps(document)


def changes(retained: Sequence[Snapshot]) -> bytes:
    """Return what each retained snapshot changed, newest first; `PATHS_LISTED` paths are named in all."""
    left = PATHS_LISTED
    listed: list[schemas.ChangedSnapshot] = []
    for snapshot in retained:
        changed = cast(schemas.Changes, snapshot.summary["changes"])
        named = _first(changed, left)
        left -= len(named["added"]) + len(named["changed"]) + len(named["removed"])
        listed.append(
            {
                "generation": snapshot.generation,
                "snapshot": snapshot.id,
                "parent": snapshot.parent,
                "through": snapshot.through,
                "created_at": snapshot.created_at,
                **named,
            }
        )
    document: schemas.ChangeLog = {"schema": "statscache/changes/1", "snapshots": listed}
    return canonical.dumps(document)


def _first(changed: schemas.Changes, most: int) -> schemas.Changes:
    """Return what a snapshot changed, with its first `most` paths: new paths before changed and removed ones."""
    added = changed["added"][:most]
    other = changed["changed"][: most - len(added)]
    removed = changed["removed"][: most - len(added) - len(other)]
    cut = len(added) + len(other) + len(removed) < sum(len(changed[kind]) for kind in ("added", "changed", "removed"))
    return {
        **changed,
        "added": added,
        "changed": other,
        "removed": removed,
        "truncated": changed["truncated"] or cut,
    }

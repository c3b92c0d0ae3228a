"""What stands outside the snapshot: the pointer to it, health, and what changed. They alone carry wall-clock time."""

from collections.abc import Callable, Sequence
from typing import cast

from statscache import canonical, layout, schemas
from statscache.signatures import signed_bytes
from statscache.snapshot import Snapshot

Sign = Callable[[bytes], list[schemas.Signature]]
"""Returns signatures of bytes."""


def index(snapshot: Snapshot, now: int, interval: int, sign: Sign | None = None) -> bytes:
    """Return the pointer to a snapshot, and what can be found there.

    Args:
        snapshot: The snapshot.
        now: Wall clock, seconds since 1970 UTC.
        interval: Seconds until the next publication is due.
        sign: Returns the signatures of the bytes that it is given; None leaves the pointer unsigned.
    """
    expires_at = now + 3 * interval
    signed = signed_bytes(snapshot.generation, snapshot.id, now, expires_at)
    document: schemas.Index = {
        "schema": "statscache/index/1",
        "generation": snapshot.generation,
        "snapshot": snapshot.id,
        "manifest": layout.manifest(snapshot.id),
        "parent": snapshot.parent,
        "generated_at": now,
        "expires_at": expires_at,
        "interval": interval,
        "through": snapshot.through,
        "slow_through": snapshot.summary["slow_through"],
        "signatures": sign(signed) if sign else [],
        "plugins": snapshot.summary["plugins"],
    }
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
    """Return what each retained snapshot changed, newest first."""
    listed: list[schemas.ChangedSnapshot] = [
        {
            "generation": snapshot.generation,
            "snapshot": snapshot.id,
            "parent": snapshot.parent,
            "through": snapshot.through,
            "created_at": snapshot.created_at,
            **cast(schemas.Changes, snapshot.summary["changes"]),
        }
        for snapshot in retained
    ]
    document: schemas.ChangeLog = {"schema": "statscache/changes/1", "snapshots": listed}
    return canonical.dumps(document)

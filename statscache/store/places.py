"""The places that were published to, also those that left the configuration: what forgetting must reach."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from statscache.store.bulk import Upsert
from statscache.store.schema import place as table

_put = Upsert(table, lambda _, new: {"target": new["target"], "reached_at": new["reached_at"]})


@dataclass(frozen=True, slots=True)
class Place:
    """A place that may hold published files.

    Attributes:
        place: A directory, a destination of rsync, or a bucket with its prefix.
        target: The name that the configuration gave it.
        reached_at: When a publication reached it last, wall clock, seconds since 1970 UTC.
    """

    place: str
    target: str
    reached_at: int

    def __str__(self) -> str:
        return f"{self.place} (target {self.target})"


def reach(connection: Connection, target: str, place: str) -> None:
    """Record that a publication to the place of a target begins."""
    _put(connection, [(place, target, int(time.time()))])


def listed(connection: Connection) -> list[Place]:
    """Return all places, in order."""
    return [Place(**row._mapping) for row in connection.execute(select(table).order_by(table.c.place))]


def lost(connection: Connection, configured: Collection[str]) -> list[Place]:
    """Return the places that were published to and are not among those configured now."""
    return [row for row in listed(connection) if row.place not in configured]


def drop(connection: Connection, place: str) -> bool:
    """Forget a place whose files were deleted there; return whether it was known."""
    return connection.execute(delete(table).where(table.c.place == place)).rowcount > 0

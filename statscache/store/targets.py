"""What the last publication to each target came to."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from statscache.store.bulk import Upsert
from statscache.store.schema import target

_put = Upsert(
    target,
    lambda table, new: {column.name: new[column.name] for column in table.c if column.name != "name"},
)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target.

    Attributes:
        name: As the configuration names it.
        generation: That it serves; None before the first.
        snapshot: Id of the snapshot that it serves; None before the first.
        published_at: Wall clock of the last success, seconds since 1970 UTC; None before the first.
        requests: Operations of the last success.
        bytes: Bytes that it sent.
        milliseconds: How long it took.
        error: Why the last attempt failed; None if it did not.
    """

    name: str
    generation: int | None = None
    snapshot: str | None = None
    published_at: int | None = None
    requests: int = 0
    bytes: int = 0
    milliseconds: int = 0
    error: str | None = None


def listed(connection: Connection) -> list[TargetRow]:
    """Return what is known of each target, by name."""
    return [TargetRow(**row._mapping) for row in connection.execute(select(target).order_by(target.c.name))]


def save(connection: Connection, row: TargetRow) -> None:
    """Store what a publication came to."""
    _put(connection, [tuple(asdict(row).values())])

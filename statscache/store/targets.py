"""What the last publication to each target came to."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select, update

from statscache.store.bulk import Upsert
from statscache.store.schema import target

_meet = Upsert(target)
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
        invalidation_due: Whether caches before it must still forget what they hold.
        error: Why the last attempt failed; None if it did not.
    """

    name: str
    generation: int | None = None
    snapshot: str | None = None
    published_at: int | None = None
    requests: int = 0
    bytes: int = 0
    milliseconds: int = 0
    invalidation_due: bool = False
    error: str | None = None


def listed(connection: Connection, names: Collection[str]) -> list[TargetRow]:
    """Return what is known of the targets of these names, by name; of those that are configured no longer, nothing."""
    wanted = select(target).where(target.c.name.in_(list(names))).order_by(target.c.name)
    known = {row.name: TargetRow(**row._mapping) for row in connection.execute(wanted)}
    return [known.get(name, TargetRow(name)) for name in sorted(names)]


def know(connection: Connection, names: Iterable[str]) -> None:
    """Record that there are targets of these names."""
    _meet(connection, [tuple(asdict(TargetRow(name)).values()) for name in names])


def invalidate(connection: Connection) -> None:
    """Record that caches before every target must forget what they hold: after rollback, forgetting and upgrade."""
    connection.execute(update(target).values(invalidation_due=True))


def save(connection: Connection, row: TargetRow) -> None:
    """Store what a publication came to."""
    _put(connection, [tuple(asdict(row).values())])

"""The state that the consumers of live sources report regularly, even if the bus is quiet."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from statscache.store.bulk import Upsert
from statscache.store.schema import consumer

_add = Upsert(
    consumer,
    lambda table, new: {
        "worked_at": new.worked_at,
        **{name: table.c[name] + new[name] for name in ("batches", "milliseconds", "rejected")},
    },
)


GONE = 60
"""Seconds without a sign of life after which a consumer is gone."""


@dataclass(frozen=True, slots=True)
class ConsumerRow:
    """The consumers of one live source, of all processes together.

    Attributes:
        name: Name of the source.
        worked_at: When one of them last went round, also in vain; wall clock, seconds since 1970 UTC.
        batches: Transactions in which they accepted what had come.
        milliseconds: That these took.
        rejected: Messages that they refused, for want of a valid signature.
    """

    name: str
    worked_at: int
    batches: int = 0
    milliseconds: int = 0
    rejected: int = 0


def listed(connection: Connection) -> list[ConsumerRow]:
    """Return the state of the consumers of each source, by name."""
    return [ConsumerRow(*row) for row in connection.execute(select(consumer).order_by(consumer.c.name))]


def add(connection: Connection, row: ConsumerRow) -> None:
    """Add to the counters of the consumers of a source; the time is replaced."""
    _add(connection, [(row.name, row.worked_at, row.batches, row.milliseconds, row.rejected)])

"""The state that the consumers of live sources report regularly, even if the bus is quiet."""

from sqlalchemy import Connection

from statscache.store.bulk import Upsert
from statscache.store.rows import ConsumerRow
from statscache.store.schema import consumer

_add = Upsert(
    consumer,
    lambda table, new: {
        **{name: new[name] for name in ("worked_at", "endpoints", "unconnected")},
        **{name: table.c[name] + new[name] for name in ("batches", "milliseconds", "rejected")},
    },
)


def add(connection: Connection, row: ConsumerRow) -> None:
    """Add to what is known of the consumers of a source; time and endpoints are replaced."""
    _add(connection, [row])

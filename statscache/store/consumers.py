"""What the consumers of live sources tell of themselves now and then, whether the bus is quiet or not."""

from sqlalchemy import Connection

from statscache.store.bulk import Upsert
from statscache.store.rows import ConsumerRow
from statscache.store.schema import consumer

_add = Upsert(
    consumer,
    lambda table, new: {
        "worked_at": new.worked_at,
        **{name: table.c[name] + new[name] for name in ("batches", "milliseconds", "rejected")},
    },
)


def add(connection: Connection, row: ConsumerRow) -> None:
    """Add to what is known of the consumers of a source; the time is replaced."""
    _add(connection, [(row.name, row.worked_at, row.batches, row.milliseconds, row.rejected)])

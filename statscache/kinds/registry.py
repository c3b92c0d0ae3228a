"""All kinds, and what is done with the tables of every one of them, whichever plugins are installed."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, Table, delete, select

from statscache.exceptions import DamagedStatistics
from statscache.kinds import lost_rows, search
from statscache.kinds.base import Kind, registered, shared_columns
from statscache.kinds.presentation import Column
from statscache.kinds.search import Mentions
from statscache.store.invariants import STRAY, Invariant
from statscache.store.schema import plugin as plugin_table


def kinds() -> Mapping[str, type[Kind]]:
    """Return every kind by its name. A kind is registered when its class, which has a `name`, is defined."""
    return registered


def columns() -> list[Column]:
    """Return the columns of all kinds in the order of CSV: moments, then numbers."""
    return sorted(shared_columns.values(), key=lambda column: column.is_number)


def column(name: str) -> Column | None:
    """Return the column of that name, of any kind; None if the field is a plugin's own."""
    return shared_columns.get(name)


def invariants() -> Iterable[Invariant]:
    """Return what must hold in the tables of all kinds, each once."""
    return dict.fromkeys(invariant for kind in registered.values() for invariant in kind.invariants)


def state_tables() -> Iterable[Table]:
    """Return the tables of all kinds, each once."""
    return dict.fromkeys(table for kind in registered.values() for table in kind.tables)


def mentions(connection: Connection, names: frozenset[str]) -> Mentions:
    """Return where names occur in the state of all plugins, whether these are installed or not."""
    return search.mentions(connection, names, (each for kind in registered.values() for each in kind.searched))


def refuse_strays(connection: Connection) -> None:
    """Look for rows that no plugin reads, since the number of their plugin decayed.

    Raises:
        DamagedStatistics: There are some; which plugin lost them cannot be told.
    """
    if (table := lost_rows.of_no_plugin(connection, (*state_tables(),))) is not None:
        raise DamagedStatistics(
            f"a row of table {table.name} belongs to no plugin, so one has lost it; `statscache db check` may tell"
            f" which; {STRAY}"
        )


def remove_strays(connection: Connection) -> None:
    """Remove rows that belong to no plugin."""
    for table in state_tables():
        connection.execute(delete(table).where(table.c.plugin.not_in(select(plugin_table.c.id))))


def clear(connection: Connection, plugin: int) -> None:
    """Remove all stored state of a plugin of any kind, installed or not; tables of its own stay."""
    for table in state_tables():
        connection.execute(delete(table).where(table.c.plugin == plugin))

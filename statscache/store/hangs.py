"""The messages on which a plugin did not return: it sees them again only when it is rebuilt."""

from sqlalchemy import Connection, delete, insert, select

from statscache.store.schema import hang


def load(connection: Connection) -> dict[str, frozenset[str]]:
    """Return the ids of the messages on which each plugin hung, by its name."""
    found: dict[str, frozenset[str]] = {}
    for row in connection.execute(select(hang)):
        found[row.plugin] = found.get(row.plugin, frozenset()) | {row.message}
    return found


def add(connection: Connection, plugin: str, message: str) -> None:
    """Record that a plugin hung on the message of this id."""
    ours = hang.c.plugin == plugin, hang.c.message == message
    if connection.execute(select(hang.c.plugin).where(*ours)).first() is None:
        connection.execute(insert(hang).values(plugin=plugin, message=message))


def drop(connection: Connection, plugin: str) -> None:
    """Let a plugin see all messages again."""
    connection.execute(delete(hang).where(hang.c.plugin == plugin))

"""Patterns of keys that plugins do not count: what an attack made up, and an administrator dropped."""

from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select, update

from statscache.store.schema import dropped_key, journal


def load(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Return the patterns of each plugin that has any, by its name, in order."""
    found: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(select(dropped_key).order_by(*dropped_key.primary_key)):
        found[row.plugin] = (*found.get(row.plugin, ()), row.pattern)
    return found


def add(connection: Connection, plugin: str, pattern: str) -> bool:
    """Add a pattern; return whether it is new. The caller holds the journal's lock."""
    if pattern in load(connection).get(plugin, ()):
        return False
    connection.execute(insert(dropped_key).values(plugin=plugin, pattern=pattern))
    _tell(connection)
    return True


def remove(connection: Connection, matches: Callable[[str, str], bool]) -> int:
    """Remove the patterns that match, given plugin and pattern, and return how many they were; as `add`."""
    gone = [
        (plugin, each) for plugin, patterns in load(connection).items() for each in patterns if matches(plugin, each)
    ]
    for plugin, pattern in gone:
        ours = dropped_key.c.plugin == plugin, dropped_key.c.pattern == pattern
        connection.execute(delete(dropped_key).where(*ours))
    if gone:
        _tell(connection)
    return len(gone)


def _tell(connection: Connection) -> None:
    """Let other processes, which look at this number, read the patterns again."""
    connection.execute(update(journal).values(rewrites=journal.c.rewrites + 1))

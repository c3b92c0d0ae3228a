"""The check of a database: its file, its invariants, the digests of stored objects, and lost data."""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from statscache import kinds
from statscache.exceptions import Damaged
from statscache.ingest.observe import describe
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.render.plugin import PluginRenderer
from statscache.snapshot import damage
from statscache.store import Database, coverage, integrity, invariants, journal, positions
from statscache.store.invariants import REBUILD, RESTORE


def check(database: Database, registry: Registry, *, quick: bool) -> Iterator[str]:
    """Yield a line for each fault: what it is, with an example, and how to fix it.

    Args:
        database: The database, with this release's schema.
        registry: The active plugins.
        quick: True to skip the checks that read everything: the digests of objects, the statistics against their
            published documents, and the journal.
    """
    parts: list[tuple[str, Callable[[Connection], Iterator[str]]]] = [
        ("the database itself", integrity.broken),
        ("the invariants", lambda connection: invariants.broken(connection, kinds.invariants())),
        ("the rows of plugins", lambda connection: _emptied(connection, registry)),
        ("what is published", lambda connection: damage.find(connection, digests=not quick)),
    ]
    if not quick:
        parts.append(("the statistics", lambda connection: _statistics(connection, registry)))
        parts.append(("the journal", _journal))
    for name, part in parts:
        # Damage can cause any error, which must not hide the other parts.
        try:
            with database.reading() as connection:
                yield from part(connection)
        except (Damaged, SQLAlchemyError, ValueError, TypeError, LookupError, ArithmeticError) as error:
            fix = RESTORE if integrity.explain(error) is None else integrity.REPLACE
            yield f"{name} cannot be checked ({_in_one_line(error)}); {fix}"


def _emptied(connection: Connection, registry: Registry) -> Iterator[str]:
    """Yield the plugins that counted messages but have no rows."""
    rows = positions.load(connection)
    for plugin in registry:
        row = rows.get(plugin.name)
        if row is None or row.newest is None or not plugin.kind.follows_from_yields:
            continue
        tables = plugin.kind.tables
        if not any(
            connection.execute(select(table).where(table.c.plugin == row.id).limit(1)).first() for table in tables
        ):
            yield f"a plugin has lost all that it counted: {plugin.name}; {REBUILD}"


def _journal(connection: Connection) -> Iterator[str]:
    for first in journal.damaged(connection):
        yield f"the segment of the journal that begins with message {first} is damaged; {RESTORE}"


def _statistics(connection: Connection, registry: Registry) -> Iterator[str]:
    """Yield the plugins whose state does not give the documents that are published.

    Nothing published depends on the clock. So if nothing was counted since the last publication, a difference means
    damage, in any column. Plugins that have counted messages since cannot be compared.
    """
    end, rows, pending = journal.head(connection), positions.load(connection), positions.pending(connection)
    gaps, complete = coverage.gaps(connection), coverage.complete(connection)
    for plugin in registry:
        row = rows.get(plugin.name)
        if row is None or row.suspended is not None or not damage.is_settled(row, end.through, pending):
            continue
        try:
            made = PluginRenderer(
                connection, plugin, row, end, gaps, complete, _keep_nothing, Watch(), slow=True, force=True, most=None
            ).render(None)
        except Exception as error:
            # Damage can cause any error, also in a plugin's own documents.
            if integrity.explain(error) is not None:
                raise
            yield f"the statistics of a plugin cannot be rendered: {plugin.name} ({_in_one_line(error)}); {REBUILD}"
            continue
        if made.repeatable and row.rendered_with == made.rendered_with and damage.differs(connection, made):
            yield (
                f"other documents follow from the statistics of a plugin than were published: {plugin.name}; they are"
                f" damaged, or its code was changed without a higher `version`; {REBUILD}"
            )


def _in_one_line(error: Exception) -> str:
    """Return the type and the text of an error, without the SQL statement that failed."""
    if isinstance(error, SQLAlchemyError):
        return f"{type(error).__name__}: {getattr(error, 'orig', None) or error}".partition("\n")[0]
    return describe(error)


def _keep_nothing(name: str, data: bytes) -> None:
    """Discard the bytes of a document: only its digest is compared."""

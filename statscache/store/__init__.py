"""The database: journal, state of the statistics, published tree; on SQLite and PostgreSQL."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from statscache.store.database import Database

__all__ = ["Database"]


def __getattr__(name: str) -> Any:
    """Import `Database` when it is asked for: importing SQLAlchemy takes longer than all that `status` does."""
    if name == "Database":
        from statscache.store.database import Database

        return Database
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

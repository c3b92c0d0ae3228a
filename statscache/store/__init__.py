"""The database: journal, state of the statistics, published tree; on SQLite and PostgreSQL."""

from statscache.store.database import Database

__all__ = ["Database"]

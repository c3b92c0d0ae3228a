"""The database in the middle: journal, state of the statistics, published tree; SQLite and PostgreSQL alike."""

from statscache.store.database import Database

__all__ = ["Database"]

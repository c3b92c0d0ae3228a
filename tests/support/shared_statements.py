"""Statements are compiled once for all databases of a test process, instead of once for each.

SQLAlchemy keeps compiled statements by engine and dialect object. Nearly every test makes a database of its own, and
compiling the same 130 statements again took a fourth of the time of a test that publishes.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache


def share() -> None:
    """Let all engines of this process share compiled statements, by kind of database.

    Databases of one kind have the same server here, so their dialects are equal in all that statements depend on.
    """
    compiled: LRUCache[Any, Any] = LRUCache(5_000)
    make = Engine.__init__

    def make_sharing(engine: Engine, *arguments: Any, **more: Any) -> None:
        make(engine, *arguments, **more)
        engine._compiled_cache = compiled

    setattr(Engine, "__init__", make_sharing)  # noqa: B010 - mypy refuses an assignment to a method
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        setattr(dialect, "__eq__", lambda one, other: type(one) is type(other))  # noqa: B010 - the same
        setattr(dialect, "__hash__", lambda one: hash(type(one)))  # noqa: B010 - the same

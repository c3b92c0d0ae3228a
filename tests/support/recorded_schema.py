"""The schema of all databases but the first is made by the statements that alembic ran for that one.

Nearly every test makes a database of its own. To find these statements out again took ten times as long as to run them.
"""

import secrets
from itertools import groupby
from typing import Any

from sqlalchemy import event, inspect

from statscache.store import Database

Statement = tuple[str, Any]
"""What alembic ran, and its parameters."""


def replay() -> None:
    """Let this process run alembic for its first empty database of each kind, and for all that are not empty."""
    upgrade = Database.upgrade
    recorded: dict[str, list[Statement]] = {}

    def upgrade_or_replay(database: Database) -> None:
        engine = database.engine
        if database.revision() is not None:
            upgrade(database)
            return
        if engine.dialect.name not in recorded:
            ran: list[Statement] = []

            def record(_connection: object, _cursor: object, sql: str, parameters: Any, *_: object) -> None:
                if sql.lstrip().startswith(("CREATE", "INSERT")):
                    ran.append((sql, parameters))

            event.listen(engine, "before_cursor_execute", record)
            upgrade(database)
            event.remove(engine, "before_cursor_execute", record)
            recorded[engine.dialect.name] = ran
            return
        with database.writing() as connection:
            # Another process may have made it since, as alembic would see in its transaction too.
            if inspect(connection).has_table("alembic_version"):
                return
            for several, statements in groupby(recorded[engine.dialect.name], key=_may_join):
                if several and not database.is_sqlite:
                    # PostgreSQL takes them at once, in half the time.
                    connection.exec_driver_sql(";".join(sql for sql, _ in statements))
                else:
                    for sql, parameters in statements:
                        connection.exec_driver_sql(sql, _others(parameters))

    setattr(Database, "upgrade", upgrade_or_replay)  # noqa: B010 - mypy refuses an assignment to a method


def _may_join(statement: Statement) -> bool:
    return not statement[1]


def _others(parameters: Any) -> Any:
    """Return other random values: all parameters are such."""
    if isinstance(parameters, dict):
        return {name: _other(value) for name, value in parameters.items()}
    return tuple(map(_other, parameters))


def _other(value: bytes | str) -> bytes | str:
    return secrets.token_bytes(len(value)) if isinstance(value, bytes) else secrets.token_hex(len(value) // 2)

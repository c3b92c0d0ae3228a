"""What a PostgreSQL server of this machine spends on a task."""

from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import create_engine, text

from benchmarks.timed import Spent

_TICKS = 100
"""Clock ticks of /proc in a second (`getconf CLK_TCK`)."""


class Expenses:
    """Measures what the server of a database spends, from outside.

    Args:
        url: SQLAlchemy URL of the database.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT")

    def __enter__(self) -> Self:
        self._connection = self._engine.connect()
        self._postmaster = int(_stat(self._ask("SELECT pg_backend_pid()"))[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
        self._engine.dispose()

    def spent(self) -> Spent:
        """Return what all processes of the server have spent so far, and what was written to its log."""
        return Spent(_cpu(self._postmaster), self._ask("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))

    def size(self) -> int:
        """Return the bytes of the database."""
        return self._ask("SELECT pg_database_size(current_database())")

    def _ask(self, query: str) -> int:
        return int(self._connection.execute(text(query)).scalar_one())


def _cpu(postmaster: int) -> float:
    """Return the seconds of processor time of a server's processes, also of those that have ended."""
    ticks = sum(int(number) for number in _stat(postmaster)[11:15])
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = _stat(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == postmaster:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _stat(process: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on: fields 3 and later of proc(5)."""
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()

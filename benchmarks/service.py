"""A service in a process of its own, observed from outside."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

_PATIENCE = 120.0
"""Seconds in which at least one more message must be accepted."""


class Service:
    """`statscache run` on a new database, for one context, at whose end it is asked to end.

    Args:
        directory: Where it runs, which is made.
        configuration: Its configuration, except database and targets, which are the defaults.
    """

    def __init__(self, directory: Path, configuration: str) -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "statscache.toml").write_text(configuration)

    def __enter__(self) -> Self:
        self._log = (self.directory / "log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "statscache", "run"],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._log.close()

    @property
    def accepted(self) -> int:
        """Messages in the journal."""
        # Before the service has made it, there is no database, or one without tables.
        with suppress(sqlite3.OperationalError):
            uri = f"file:{self.directory}/statscache.db?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as database:
                return int(database.execute("SELECT head FROM journal").fetchone()[0])
        return 0

    @property
    def memory(self) -> int:
        """Bytes of memory that it has now."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("/proc has no VmRSS: the benchmark needs Linux")

    def await_accepted(self, number: int) -> None:
        """Return when so many messages are in the journal.

        Raises:
            RuntimeError: It accepts no more of them; some were lost.
        """
        before, deadline = -1, 0.0
        while (accepted := self.accepted) < number:
            if accepted > before:
                before, deadline = accepted, time.monotonic() + _PATIENCE
            elif time.monotonic() > deadline:
                log = (self.directory / "log").read_text(errors="replace")[-1000:]
                raise RuntimeError(f"{number - accepted} of {number} messages were lost:\n{log}")
            time.sleep(0.05)

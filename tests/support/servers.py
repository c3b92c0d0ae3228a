"""Real servers for the tests, each started for one run and torn down at its end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

import psycopg

import shared_memory
from server_process import ServerProcess


class Identity(TypedDict, total=False):
    """The user of a child process; empty for our own."""

    user: str
    group: str
    extra_groups: list[str]


class PostgreSQL(ServerProcess):
    """A PostgreSQL server of its own, on a Unix socket that only its user and root can reach.

    The default collation is linguistic and the time zone is not UTC, as an installation's may be: what
    relies on either fails here.
    """

    # All connections end with it.
    ending = signal.SIGINT

    def __init__(self, programs: Path) -> None:
        """Takes the directory of `initdb` and `postgres`; use `find` to get it."""
        self._programs = programs
        self._user = pwd.getpwuid(os.geteuid()).pw_name
        self._identity: Identity = {}
        self._connection: psycopg.Connection[Any] | None = None
        if os.geteuid() == 0:
            # Root may not run the server. Debian's package brings the user.
            self._user = "postgres"
            self._identity = {"user": self._user, "group": self._user, "extra_groups": []}

    @staticmethod
    def find() -> Path | None:
        """Return the directory of the newest installed server's programs; None if there is none."""
        debian = Path("/usr/lib/postgresql").glob("*/bin/postgres")
        newest = max(debian, key=lambda path: int(path.parts[-3]), default=None)
        if newest:
            return newest.parent
        elsewhere = shutil.which("postgres")
        return Path(elsewhere).resolve().parent if elsewhere else None

    def prepare(self) -> None:
        """Make the server's files."""
        # Not pytest's tmp_path: the server's user cannot enter root's, and a socket's path is short. On a disk, to make
        # and drop the 300 files of a database took longer than all else that a small test does with it.
        place = shared_memory.DIRECTORY if shared_memory.has_room() else "/tmp"
        self.directory = Path(tempfile.mkdtemp(prefix="statscache-pg-", dir=place))
        if self._identity:
            shutil.chown(self.directory, self._user)
        self._initialize()

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://{quote(self._user)}@/{database}?host={quote(str(self.directory))}"

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, in the maintenance database, by a connection that is kept."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                host=str(self.directory), user=self._user, dbname="postgres", autocommit=True
            )
        self._connection.execute(statement.encode())

    def stop(self, number: signal.Signals | None = None) -> None:
        """End the server, after the connection that is kept."""
        if self._connection is not None:
            self._connection.close()
        super().stop(number)

    def _initialize(self) -> None:
        self._run(
            "initdb",
            f"--pgdata={self.directory / 'data'}",
            f"--username={self._user}",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=en-US",
        )

    def command(self) -> list[str]:
        """Return the command line that runs it."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "timezone": "Pacific/Auckland",
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "max_connections": "60",
            # What only costs, where databases are small and none has to outlive the server.
            "jit": "off",
            "synchronous_commit": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
        }
        command = [str(self._programs / "postgres"), "-D", str(self.directory / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def options(self) -> dict[str, Any]:
        """Return as whom it runs."""
        return {**self._identity}

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        finished = subprocess.run(
            [str(self._programs / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.directory,
            **self._identity,
            timeout=self.patience,
        )
        if finished.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{finished.stdout.decode(errors='replace')}")

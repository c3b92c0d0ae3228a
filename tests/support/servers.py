"""Real servers for the tests, each started for one run and torn down at its end."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict
from urllib.parse import quote

import psycopg

PATIENCE = 60.0  # seconds that a server may take to start or to stop


class Identity(TypedDict, total=False):
    """As whom a child process runs; empty: as we do."""

    user: str
    group: str
    extra_groups: list[str]


class PostgreSQL:
    """A PostgreSQL server of its own, on a Unix socket that only its user and root can reach.

    The default collation is linguistic and the time zone is not UTC, as an installation's may be: what
    relies on either fails here.
    """

    def __init__(self, programs: Path) -> None:
        """Takes the directory of `initdb` and `postgres`; use `find` to get it."""
        self._programs = programs
        self._user = pwd.getpwuid(os.geteuid()).pw_name
        self._identity: Identity = {}
        if os.geteuid() == 0:
            # Root may not run the server. Debian's package brings the user.
            self._user = "postgres"
            self._identity = {"user": self._user, "group": self._user, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def find() -> Path | None:
        """The directory of the newest installed server's programs; None if there is none."""
        debian = Path("/usr/lib/postgresql").glob("*/bin/postgres")
        newest = max(debian, key=lambda path: int(path.parts[-3]), default=None)
        if newest:
            return newest.parent
        elsewhere = shutil.which("postgres")
        return Path(elsewhere).resolve().parent if elsewhere else None

    def __enter__(self) -> Self:
        # Not pytest's tmp_path: the server's user cannot enter root's, and a socket's path is short.
        self._directory = Path(tempfile.mkdtemp(prefix="statscache-pg-", dir="/tmp"))
        if self._identity:
            shutil.chown(self._directory, self._user)
        self._log = self._directory / "log"
        try:
            self._initialize()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends the server and all connections: properly, or by SIGQUIT as if it had crashed."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://{quote(self._user)}@/{database}?host={quote(str(self._directory))}"

    def execute(self, statement: str) -> None:
        """Runs one statement outside a transaction, in the maintenance database."""
        with psycopg.connect(
            host=str(self._directory), user=self._user, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def _initialize(self) -> None:
        self._run(
            "initdb",
            f"--pgdata={self._directory / 'data'}",
            f"--username={self._user}",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=en-US",
        )

    def start(self) -> None:
        """Starts the server on its data, and returns when it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._directory),
            "timezone": "Pacific/Auckland",
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "max_connections": "60",
        }
        command = [str(self._programs / "postgres"), "-D", str(self._directory / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                # A Ctrl-C at the terminal is for pytest, which still needs the server to clean up.
                start_new_session=True,
                **self._identity,
            )
        self._await_readiness()

    def _await_readiness(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self.execute("SELECT 1")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(0.05)

    def _run(self, program: str, *arguments: str) -> None:
        finished = subprocess.run(
            [str(self._programs / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._directory,
            **self._identity,
            timeout=PATIENCE,
        )
        if finished.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{finished.stdout.decode(errors='replace')}")

"""The real datagrepper, over HTTP on loopback, before a real datanommer database.

Both run in an environment of their own, which `.ci/datagrepper` makes. datanommer's models ask for a hypertable of
TimescaleDB, which Debian does not have: here the table stays one of PostgreSQL alone, which answers the same.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import urllib3
from sqlalchemy import create_engine, make_url

from loopback import free_ports
from servers import PATIENCE, PostgreSQL

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv" / "datagrepper"
"""Where `.ci/datagrepper` installs it."""

_FILL = Path(__file__).with_name("fill_datanommer.py")
_HYPERTABLE = "CREATE FUNCTION create_hypertable(text, text) RETURNS void LANGUAGE sql AS ''"


class Datagrepper:
    """A server and its database, for one context.

    Args:
        server: Where the database is made, named `datanommer`.
        messages: What it holds: lines in the envelope of fedmsg or of fedora-messaging.
        directory: For the server's configuration and log.

    Attributes:
        address: Where it is reached, with a slash at the end.
        database: The SQLAlchemy URL of its database.
    """

    def __init__(self, server: PostgreSQL, messages: Iterable[bytes], directory: Path) -> None:
        self._server = server
        self._messages = messages
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        [self._port] = free_ports(1)
        self.address = f"http://127.0.0.1:{self._port}/"
        self.database = server.url("datanommer")

    @staticmethod
    def is_installed() -> bool:
        """Return whether there is an environment to run it in."""
        return (ENVIRONMENT / "bin" / "flask").exists()

    def __enter__(self) -> Self:
        self._server.execute("CREATE DATABASE datanommer TEMPLATE template0")
        # Times without a zone are the server's local time to both, as they are UTC where they run.
        self._server.execute("ALTER DATABASE datanommer SET timezone = 'UTC'")
        try:
            self._fill()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._server.execute("DROP DATABASE datanommer WITH (FORCE)")

    @property
    def _url(self) -> str:
        return self.database.replace("+psycopg:", "+psycopg2:")

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "TZ": "UTC", "LANG": "C.UTF-8"}

    def _fill(self) -> None:
        engine = create_engine(make_url(self.database))
        with engine.begin() as connection:
            connection.exec_driver_sql(_HYPERTABLE)
        engine.dispose()
        subprocess.run(
            [str(ENVIRONMENT / "bin" / "python"), str(_FILL), self._url],
            input=b"".join(line + b"\n" for line in self._messages),
            env=self._environment,
            check=True,
        )

    def _start(self) -> None:
        configuration = self._directory / "datagrepper.cfg"
        configuration.write_text(f"DATANOMMER_SQLALCHEMY_URL = {self._url!r}\n")
        log = self._directory / "datagrepper.log"
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [str(ENVIRONMENT / "bin" / "flask"), "--app", "datagrepper.app", "run", "--port", str(self._port)],
                env={**self._environment, "DATAGREPPER_CONFIG": str(configuration)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                urllib3.request("GET", f"{self.address}healthz/live", retries=False, timeout=5.0)
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"datagrepper did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)

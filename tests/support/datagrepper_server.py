"""The real datagrepper, over HTTP on loopback, before a real datanommer database.

Both run in an environment of their own, which `.ci/datagrepper` makes. datanommer's models ask for a hypertable of
TimescaleDB, which Debian does not have: here the table stays one of PostgreSQL alone, which answers the same.
"""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import urllib3
from sqlalchemy import create_engine, make_url

from loopback import free_ports
from server_process import ServerProcess
from servers import PostgreSQL

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv" / "datagrepper"
"""Where `.ci/datagrepper` installs it."""

_FILL = Path(__file__).with_name("fill_datanommer.py")
_HYPERTABLE = "CREATE FUNCTION create_hypertable(text, text) RETURNS void LANGUAGE sql AS ''"


class Datagrepper(ServerProcess):
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
        self.directory = directory
        [self._port] = free_ports(1)
        self.address = f"http://127.0.0.1:{self._port}/"
        self.database = server.url("datanommer")

    @staticmethod
    def is_installed() -> bool:
        """Return whether there is an environment to run it in."""
        return (ENVIRONMENT / "bin" / "flask").exists()

    def prepare(self) -> None:
        """Make and fill its database, and write its configuration."""
        self._server.execute("CREATE DATABASE datanommer TEMPLATE template0")
        # Times without a zone are the server's local time to both, as they are UTC where they run.
        self._server.execute("ALTER DATABASE datanommer SET timezone = 'UTC'")
        self._fill()
        self._configuration.write_text(f"DATANOMMER_SQLALCHEMY_URL = {self._url!r}\n")

    def command(self) -> list[str]:
        """Return the command line that runs it."""
        return [str(ENVIRONMENT / "bin" / "flask"), "--app", "datagrepper.app", "run", "--port", str(self._port)]

    def options(self) -> dict[str, Any]:
        """Return where its configuration is."""
        return {"env": {**self._environment, "DATAGREPPER_CONFIG": str(self._configuration)}}

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            urllib3.request("GET", f"{self.address}healthz/live", retries=False, timeout=5.0)
        except urllib3.exceptions.HTTPError:
            return False
        return True

    def clean(self) -> None:
        """Remove its database."""
        self._server.execute("DROP DATABASE IF EXISTS datanommer WITH (FORCE)")

    @property
    def _configuration(self) -> Path:
        return self.directory / "datagrepper.cfg"

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

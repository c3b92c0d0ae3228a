"""What all tests share: databases of both kinds, messages of all shapes, and a time zone that finds mistakes."""

import gc
import itertools
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url

import disk_sync
import forks
import recorded_schema
import shared_memory
import shared_statements
import small_site
from servers import PostgreSQL
from statscache.config import Config, DatabaseSection
from statscache.installation import Installation

ROOT = Path(__file__).resolve().parent.parent
IN_CI = bool(os.environ.get("CI"))

IN_MEMORY = pytest.StashKey[Path]()

REAL_MESSAGES = (
    Path(os.environ.get("STATSCACHE_MESSAGES") or ROOT.parent / "shared" / "messages") / "real-messages.ndjson"
)
"""Messages as they were sent, from which those in `data` were made. The project does not carry them."""

# Far from UTC, with daylight saving: local time where UTC belongs gives other days. Set on import, since
# what a test imports or starts inherits it.
os.environ["TZ"] = "Pacific/Auckland"
time.tzset()

# jsonschema can do without, and it prepares grammars for two seconds.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
disk_sync.switch_off()
recorded_schema.replay()
shared_statements.share()
small_site.shrink()

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A gate must give one commit one answer; who searches for more sets HYPOTHESIS_PROFILE=search.
settings.register_profile("ci", settings.get_profile("dev"), max_examples=12, derandomize=True)
settings.register_profile("search", settings.get_profile("dev"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "dev"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests found out, also those that ran in another process."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    shown = (value for report in reports for name, value in report.user_properties if name == "shown")
    for value in dict.fromkeys(shown):
        terminalreporter.write_line(str(value))


# Looking for garbage took a tenth of the time: 700 new objects are nothing, and what was imported for all tests stays.
gc.set_threshold(50_000, 10, 10)


def pytest_collection_finish() -> None:
    """Leave what stays to the end out of each search for garbage."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run where the time zone has no effect; keep directories of tests in memory, if there is enough.

    What workers of xdist share is started.
    """
    if time.tzname[0] != "NZST":
        raise pytest.UsageError("the system does not know Pacific/Auckland: install its time zones (tzdata)")
    # Workers of xdist have theirs in the one that starts them.
    if not hasattr(config, "workerinput") and not config.option.basetemp and shared_memory.has_room():
        # A site has hundreds of small files; on a disk, they took as long in the kernel as half of their publication.
        config.option.basetemp = tempfile.mkdtemp(prefix="statscache-tests-", dir=shared_memory.DIRECTORY)
        config.stash[IN_MEMORY] = Path(config.option.basetemp)
    if config.getoption("numprocesses", None):
        # Before the workers of xdist, which share the processes that fork commands: each takes seconds to start.
        forks.start()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Leave nothing in memory but the directories of tests that failed."""
    directory = session.config.stash.get(IN_MEMORY, None)
    if directory is not None and exitstatus != pytest.ExitCode.TESTS_FAILED:
        shutil.rmtree(directory, ignore_errors=True)


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, a test that is skipped has failed."""
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI, a module that is skipped has failed."""
    return _refuse_skip((yield))


def _refuse_skip(report: Report) -> Report:
    # An expected failure is reported as skipped too, and is none.
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: nothing is skipped in CI, and this was. {reason}"
    return report


class Databases(Protocol):
    """Makes empty databases of one kind."""

    def create(self) -> str:
        """Make a new, empty database and return its SQLAlchemy URL."""

    def copy(self, url: str) -> str:
        """Copy a database that no one has open, and return the URL of the copy."""

    def drop(self, url: str) -> None:
        """Remove a database that `create` or `copy` made, also one with open connections."""


class SQLiteDatabases:
    """Makes SQLite databases in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()

    def create(self) -> str:
        """Return the URL of a file that is not there yet, in a directory of its own."""
        directory = self._directory / str(next(self._numbers))
        directory.mkdir()
        return f"sqlite:///{directory}/statscache.db"

    def copy(self, url: str) -> str:
        """Return the URL of a copy of the file; closing has brought the write-ahead log into it."""
        new = self.create()
        shutil.copyfile(str(make_url(url).database), str(make_url(new).database))
        return new

    def drop(self, url: str) -> None:
        """Remove the file with its write-ahead log."""
        # At once: somebody who still uses it may make a file while the others are deleted.
        directory = Path(str(make_url(url).database)).parent
        shutil.rmtree(directory.rename(f"{directory} dropped"))


class PostgreSQLDatabases:
    """Makes PostgreSQL databases on one server."""

    def __init__(self, server: PostgreSQL) -> None:
        self._server = server

    def create(self) -> str:
        """Return the URL of a new database."""
        return self._like("template0")

    def copy(self, url: str) -> str:
        """Return the URL of a new database with the same content."""
        return self._like(str(make_url(url).database))

    def _like(self, template: str) -> str:
        # Several makers share the server.
        name = f"test_{secrets.token_hex(8)}"
        # By the write-ahead log, the default, it took 90 ms of the processor instead of 20.
        self._server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self._server.url(name)

    def drop(self, url: str) -> None:
        """Remove the database, ending what is connected to it."""
        self._server.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of this run's own."""
    programs = PostgreSQL.find()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: postgresql)")
    with PostgreSQL(programs) as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """A maker of empty databases, once for each kind: for tests that need several, as property tests do."""
    if request.param == "sqlite":
        return SQLiteDatabases(tmp_path_factory.mktemp("sqlite"))
    return PostgreSQLDatabases(request.getfixturevalue("postgresql"))


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database, once for each kind, removed after the test."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def messages_path() -> Path:
    """The file of messages of all shapes, NDJSON in fedmsg's envelope."""
    return Path(__file__).parent / "data" / "messages.ndjson"


@pytest.fixture(scope="session", params=["data", "real"] if REAL_MESSAGES.is_file() else ["data"])
def any_messages_path(request: pytest.FixtureRequest, messages_path: Path) -> Path:
    """The same file, and that of real messages where it is at hand."""
    return messages_path if request.param == "data" else REAL_MESSAGES


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation of its own."""
    config = Config(database=DatabaseSection(url=f"sqlite:///{tmp_path}/statscache.db"))
    made = Installation(config)
    yield made
    made.close()

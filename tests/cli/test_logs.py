"""The log: bounded whatever happens, and readable for programs."""

import logging
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from commands import Home
from samples import NOON, line
from servers import PostgreSQL
from statscache.cli import logs

NO_MESSAGE = b'{"topic": "org.fedoraproject.prod.shop.sale", "timestamp": "never %d"}'

LOSE_THE_CONNECTION = """\
import sys
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from statscache.cli import logs

logs.set_up(verbose=False, json=False)
engine = create_engine(sys.argv[1])
with engine.connect() as reading, engine.connect() as other:
    process = reading.scalar(text("SELECT pg_backend_pid()"))
    try:
        rows = reading.execution_options(stream_results=True).execute(text("SELECT generate_series(1, 100000)"))
        other.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})
        rows.close()
        reading.commit()
    except OperationalError:
        print("lost")
"""


@pytest.fixture
def bounded() -> logs.Bounded:
    """A filter that has seen nothing."""
    return logs.Bounded()


def event(message: str, *values: object, at: float = 0.0, level: int = logging.ERROR) -> logging.LogRecord:
    """Return an event, so many seconds after the first."""
    record = logging.LogRecord("statscache", level, "file", 1, message, values, None)
    record.created = NOON + at
    return record


def test_lines_that_say_the_same_are_bounded(bounded: logs.Bounded) -> None:
    """A hundred of a kind pass in a minute; the next minute says how many did not, and others pass meanwhile."""
    passed = [bounded.filter(event("message %d is bad", number, at=number / 100)) for number in range(1000)]
    assert passed == [True] * 100 + [False] * 900
    assert bounded.filter(event("something else"))
    late = event("message %d is bad", 1000, at=61)
    assert bounded.filter(late)
    assert late.getMessage() == "message 1000 is bad (900 more like it were left out)"
    after = event("message %d is bad", 1001, at=62)
    assert bounded.filter(after)
    assert after.getMessage() == "message 1001 is bad"


def test_details_are_not_bounded(bounded: logs.Bounded) -> None:
    """Whoever asks for them gets them."""
    assert all(bounded.filter(event("detail", level=logging.DEBUG)) for _ in range(1000))


def test_memory_is_bounded_too(bounded: logs.Bounded) -> None:
    """Texts that are never the same are forgotten."""
    assert all(bounded.filter(event(f"text {number}")) for number in range(5000))
    assert len(bounded._kinds) <= 1000


def test_an_event_is_an_object() -> None:
    """With its exception, and with whatever a plugin has put into its text."""
    try:
        raise ValueError("lone \udc80")
    except ValueError:
        record = logging.LogRecord("statscache", logging.ERROR, "file", 1, "it\n%s", ("failed",), sys.exc_info())
    record.created = NOON + 0.5
    found = orjson.loads(logs.AsJSON().format(record))
    assert found.pop("exception").endswith("ValueError: lone ?")
    assert found == {
        "time": "2015-08-08T12:00:00.500+00:00",
        "level": "ERROR",
        "logger": "statscache",
        "message": "it\nfailed",
    }


def test_a_service_logs_no_message(tmp_path: Path) -> None:
    """Thousands of messages, good and bad, come to a handful of lines, each of which is JSON."""
    home = Home(tmp_path / "home")
    good = [line(f"{number}", NOON + number) for number in range(1000)]
    archive = [*good, *(NO_MESSAGE % number for number in range(1000))]
    (home.directory / "archive").write_bytes(b"\n".join(archive))
    done = home.run("--log-json", "backfill", "archive")
    assert done.stdout.startswith("2,000 read, 1,000 accepted")
    events = [orjson.loads(text) for text in done.stderr.splitlines()]
    assert len(events) < 20
    published = home.run("--log-json", "publish").stderr.splitlines()
    assert [orjson.loads(text)["message"][:10] for text in published] == []


def test_a_lost_connection_to_the_database_leaves_no_traceback(postgresql: PostgreSQL) -> None:
    """What the library cannot close any more is not worth a line: the outage has one."""
    command = [sys.executable, "-c", LOSE_THE_CONNECTION, postgresql.url("postgres")]
    lost = subprocess.run(command, capture_output=True, text=True, check=True)
    assert lost.stdout == "lost\n"
    assert lost.stderr == ""

"""The whole job on one machine: read a simulated history, then publish a day that comes over a real fedmsg bus."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from statscache import layout
from statscache.exceptions import DemoError
from statscache.simulator import past, simulate
from statscache.simulator.bus import publish_on_bus
from statscache.timeline import DAY, floor, iso

DATABASE = Path("statscache-demo.db")
SITE = Path("public")
SECONDS = 15
"""Seconds in which the day is sent over the bus: long enough to publish several times."""

INTERVAL = 3
"""Seconds between two publications."""

_AFTER = 300
"""Seconds of the next day that are simulated too, so that the day is complete by the clock of the published data."""

_PATIENCE = 120.0
"""Seconds without any progress after which the demo fails."""

_MESSAGES_BETWEEN_CHECKS = 50

_CONFIGURATION = """\
[database]
url = "sqlite:///{database}"

[sources.fedmsg]
endpoints = ["{endpoint}"]

[plugins]
hang_note = "{note}"

[publish]
interval = {interval}
title = "statscache demo"
examples = true

[[publish.targets]]
name = "public"
type = "directory"
path = "{site}"
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of the day on the bus.

    Attributes:
        sent: Messages that were put on the bus.
        expected: Number of messages at the end.
        generation: Generation of the snapshot that is published; 0 before the first.
        through: Its clock, seconds since 1970 UTC; None before the first message.
        counted: Messages of the day in the published journal.
    """

    sent: int
    expected: int
    generation: int
    through: int | None
    counted: int


@dataclass(frozen=True, slots=True)
class Result:
    """The result of the demo.

    Attributes:
        since: Start of the simulated history, seconds since 1970 UTC.
        day: Start of the day that was played.
        history: Messages of the history.
        sent: Messages that were put on the bus.
        counted: Messages in the published journal, those of the history included.
        plugins: Statistics that were published.
        person: The person with the most contributions.
        package: The package with the most builds.
    """

    since: int
    day: int
    history: int
    sent: int
    counted: int
    plugins: int
    person: str
    package: str


def demo(prepare: Callable[[int, int], None], tell: Callable[[Progress], None]) -> Result:
    """Read 13 months of simulated history, then publish a day of it that a real `run` consumes from a bus on loopback.

    The day is the last complete UTC day. The site is written to `public/` in the current directory, from a new database
    next to it. At the end it is published with an interval of a day, so that it does not expire before tomorrow.

    Args:
        prepare: Called after each month of history with the number of months that are done, and of all.
        tell: Called several times a second with the progress of the day.

    Raises:
        DemoError: `public/` holds a site that is not the demo's, or the service failed.
    """
    if (SITE / layout.INDEX).exists() and not DATABASE.exists():
        raise DemoError(f"{SITE}/ holds a site that is not the demo's: run the demo in another directory")
    for path in Path().glob(f"{DATABASE}*"):
        path.unlink()
    day = floor(int(time.time()), DAY) - DAY
    lines = list(simulate(past.traffic(day, day + DAY + _AFTER, day)))
    before = _published().generation
    endpoint = f"tcp://127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory(prefix="statscache-") as directory:
        log = Path(directory) / "log"
        archive = Path(directory) / "history.ndjson.gz"
        history = past.write(archive, day, prepare)
        complete = ("--complete", iso(past.start_of(day)), iso(day))
        _end(_start(["backfill", *complete, str(archive)], Path(directory), endpoint, INTERVAL, log), log)
        # The database is new, so its first publication takes over the site of an earlier demo.
        publish = ["publish", "--take-over"] if before else ["publish"]
        _end(_start(publish, Path(directory), endpoint, INTERVAL, log), log)
        service = _start(["run"], Path(directory), endpoint, INTERVAL, log)
        try:
            watched = _watched(lines, history, service, log, tell)
            sent = publish_on_bus(watched, endpoint, len(lines) / SECONDS, patience=_PATIENCE)
            _wait(sent, history, service, log, tell)
            service.terminate()
            _end(service, log)
            service = _start(["publish"], Path(directory), endpoint, DAY, log)
            _end(service, log)
        finally:
            service.kill()
            service.wait()
    return Result(
        since=past.start_of(day),
        day=day,
        history=history,
        sent=sent,
        counted=_published().counted,
        plugins=len(_load(layout.INDEX)["plugins"]),
        person=_first("contributors", "user"),
        package=_first("builds-by-package", "package"),
    )


def _first(plugin: str, field: str) -> str:
    """Return the greatest key of a statistic."""
    name: str = _load(layout.latest(plugin))["rows"][0][field]
    return name


def _start(
    command: Sequence[str], directory: Path, endpoint: str, interval: int, log: Path
) -> "subprocess.Popen[bytes]":
    """Start a command of statscache that publishes every `interval` seconds, and writes to the log."""
    file, note = directory / "statscache.toml", directory / "hang"
    file.write_text(
        _CONFIGURATION.format(database=DATABASE, endpoint=endpoint, interval=interval, site=SITE, note=note.as_posix())
    )
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "statscache", "--config", str(file), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _end(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.wait(_PATIENCE):
        raise DemoError(f"the service ended with status {process.returncode}:\n{_end_of(log)}")


def _watched(
    lines: list[bytes], history: int, service: "subprocess.Popen[bytes]", log: Path, tell: Callable[[Progress], None]
) -> Iterator[bytes]:
    """Yield the lines; check the service and report the progress now and then."""
    for number, line in enumerate(lines):
        if number % _MESSAGES_BETWEEN_CHECKS == 0:
            _check(service, log)
            tell(_published(number, len(lines), history))
        yield line


def _wait(
    sent: int, history: int, service: "subprocess.Popen[bytes]", log: Path, tell: Callable[[Progress], None]
) -> None:
    """Wait until all messages that were sent are published."""
    last, moved = None, time.monotonic()
    while (progress := _published(sent, sent, history)).counted < sent:
        _check(service, log)
        tell(progress)
        if progress != last:
            last, moved = progress, time.monotonic()
        if time.monotonic() > moved + _PATIENCE:
            raise DemoError(
                f"{progress.counted} of {sent} messages were published, and none since {_PATIENCE:g} s:\n{_end_of(log)}"
            )
        time.sleep(0.2)
    tell(progress)


def _check(service: "subprocess.Popen[bytes]", log: Path) -> None:
    if service.poll() is not None:
        raise DemoError(f"the service ended early, with status {service.returncode}:\n{_end_of(log)}")


def _published(sent: int = 0, expected: int = 0, history: int = 0) -> Progress:
    index, status = _load(layout.INDEX), _load(layout.STATUS)
    counted = max(0, status.get("journal", {}).get("messages", 0) - history)
    return Progress(sent, expected, index.get("generation", 0), index.get("through"), counted)


def _load(path: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = orjson.loads((SITE / path).read_bytes())
    except FileNotFoundError:
        return {}
    return document


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])

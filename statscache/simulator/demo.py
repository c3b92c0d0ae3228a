"""The whole job on one machine: simulated history is read, then a day goes over a real fedmsg bus and is published."""

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
"""What the day on the bus takes, so that it is published several times."""

INTERVAL = 3
"""Seconds between two publications."""

_AFTER = 300
"""Seconds of the next day that are simulated too: so the day is over by the clock of the published data."""

_PATIENCE = 120.0
"""Seconds without any progress after which something must be wrong."""

_MESSAGES_BETWEEN_LOOKS = 50

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
    """How far the day on the bus is.

    Attributes:
        sent: Messages that were put on the bus.
        expected: Messages that will have been in the end.
        generation: Generation of the snapshot that is published; 0 before the first.
        through: Its clock, seconds since 1970 UTC; None before the first message.
        counted: Messages of the day that it knows.
    """

    sent: int
    expected: int
    generation: int
    through: int | None
    counted: int


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo did.

    Attributes:
        since: Start of the simulated history, seconds since 1970 UTC.
        day: Start of the day that was played.
        history: Messages of the history.
        sent: Messages that were put on the bus.
        counted: Messages that the published statistics know.
        plugins: Statistics that were published.
        person: Who contributed most.
        package: What was built most.
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

    The day is the last UTC day that is over. The site is made in `public/` of the current directory, from a new
    database beside it. In the end it is published as one that is due again in a day, when there is another day to
    simulate.

    Args:
        prepare: Called while history is made with how many months are done, and of how many.
        tell: Called several times a second with how far the day is.

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
        # The database is new, and what it publishes takes the place of the demo before.
        publish = ["publish", "--take-over"] if before else ["publish"]
        _end(_start(publish, Path(directory), endpoint, INTERVAL, log), log)
        service = _start(["run"], Path(directory), endpoint, INTERVAL, log)
        try:
            told = _reporting(lines, history, service, log, tell)
            sent = publish_on_bus(told, endpoint, len(lines) / SECONDS, patience=_PATIENCE)
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


def _reporting(
    lines: list[bytes], history: int, service: "subprocess.Popen[bytes]", log: Path, tell: Callable[[Progress], None]
) -> Iterator[bytes]:
    """Yield the lines, looking from time to time how the service fares."""
    for number, line in enumerate(lines):
        if number % _MESSAGES_BETWEEN_LOOKS == 0:
            _check(service, log)
            tell(_published(number, len(lines), history))
        yield line


def _wait(
    sent: int, history: int, service: "subprocess.Popen[bytes]", log: Path, tell: Callable[[Progress], None]
) -> None:
    """Return when all that was sent is published."""
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

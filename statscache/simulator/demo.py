"""The whole job on one machine: simulated traffic over a real fedmsg bus, consumed and published as in production."""

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
from statscache.simulator import Traffic, simulate
from statscache.simulator.bus import publish_on_bus
from statscache.timeline import DAY, floor

DATABASE = Path("statscache-demo.db")
SITE = Path("public")
RATE = 1_500
"""Messages a second on the bus: as many as one of two slow cores can take; the day takes half a minute."""

INTERVAL = 3
"""Seconds between two publications."""

_AFTER = 300
"""Seconds of the next day that are simulated too: so the day is over by the clock of the published data."""

_PATIENCE = 120.0
"""Seconds without any progress after which something must be wrong."""

_MESSAGES_BETWEEN_LOOKS = 500

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
    """How far the demo is.

    Attributes:
        sent: Messages that were put on the bus.
        expected: Messages that will have been in the end.
        generation: Generation of the snapshot that is published; 0 before the first.
        through: Its clock, seconds since 1970 UTC; None before the first message.
        counted: Messages that it knows.
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
        day: Start of the simulated day, seconds since 1970 UTC.
        sent: Messages that were put on the bus.
        counted: Messages that the published statistics know.
        generations: Snapshots that were published.
        plugins: Statistics that were published.
        documents: Files of the published tree, objects aside.
        seconds: How long it took.
    """

    day: int
    sent: int
    counted: int
    generations: int
    plugins: int
    documents: int
    seconds: float


def demo(tell: Callable[[Progress], None]) -> Result:
    """Publish the last finished UTC day of simulated traffic on a bus on loopback, while a real `run` consumes it.

    The site is made in `public/` of the current directory, from a new database beside it. In the end it is published
    as one that is due again in a day, when there is another day to simulate.

    Args:
        tell: Called several times a second with the progress.

    Raises:
        DemoError: `public/` holds a site that is not the demo's, or the service failed.
    """
    started = time.monotonic()
    if (SITE / layout.INDEX).exists() and not DATABASE.exists():
        raise DemoError(f"{SITE}/ holds a site that is not the demo's: run the demo in another directory")
    for path in Path().glob(f"{DATABASE}*"):
        path.unlink()
    day = floor(int(time.time()), DAY) - DAY
    traffic = Traffic(start=day, end=day + DAY + _AFTER, per_day=40_000, people=400, packages=3_000)
    lines = list(simulate(traffic))
    before = _published().generation
    endpoint = f"tcp://127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory(prefix="statscache-") as directory:
        log = Path(directory) / "log"
        if before:
            # The database is new, and what it publishes takes the place of the demo before.
            _end(_start(["publish", "--take-over"], Path(directory), endpoint, INTERVAL, log), log)
        service = _start(["run"], Path(directory), endpoint, INTERVAL, log)
        try:
            sent = publish_on_bus(_reporting(lines, service, log, tell), endpoint, RATE, patience=_PATIENCE)
            _wait(sent, service, log, tell)
            service.terminate()
            _end(service, log)
            service = _start(["publish"], Path(directory), endpoint, DAY, log)
            _end(service, log)
        finally:
            service.kill()
            service.wait()
    end = _published()
    index = _load(layout.INDEX)
    return Result(
        day=day,
        sent=sent,
        counted=end.counted,
        generations=end.generation - before,
        plugins=len(index["plugins"]),
        documents=sum(1 for path in SITE.rglob("*") if path.is_file() and "objects" not in path.parts),
        seconds=time.monotonic() - started,
    )


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
    lines: list[bytes], service: "subprocess.Popen[bytes]", log: Path, tell: Callable[[Progress], None]
) -> Iterator[bytes]:
    """Yield the lines, looking from time to time how the service fares."""
    for number, line in enumerate(lines):
        if number % _MESSAGES_BETWEEN_LOOKS == 0:
            _check(service, log)
            tell(_published(number, len(lines)))
        yield line


def _wait(sent: int, service: "subprocess.Popen[bytes]", log: Path, tell: Callable[[Progress], None]) -> None:
    """Return when all that was sent is published."""
    last, moved = None, time.monotonic()
    while (progress := _published(sent, sent)).counted < sent:
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


def _published(sent: int = 0, expected: int = 0) -> Progress:
    index, status = _load(layout.INDEX), _load(layout.STATUS)
    counted = status.get("journal", {}).get("messages", 0)
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

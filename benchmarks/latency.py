"""Latency: the time from publication on the bus to a changed file in `public/`.

The published total of all messages shows which of them a file counts. A message is published when a reader who looks at
the file all the time first sees it counted.
"""

import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import quantiles

import orjson

from benchmarks.result import Result
from benchmarks.service import Service
from loopback import free_endpoint
from statscache.simulator.bus import publish_on_bus

RATE = 100
"""Messages a second."""

SECONDS = 60
"""Seconds for which messages are sent."""

_WARM_UP = 15
"""Seconds at the start that do not count: the first publication makes the whole site."""

_CONFIGURATION = '[sources.fedmsg]\nendpoints = ["{endpoint}"]\n[publish]\ninterval = 1\n'


def measure(archive: Path, directory: Path) -> list[Result]:
    """Send the first messages of `archive` at a steady rate to a service that publishes every second."""
    endpoint = free_endpoint()
    sent: list[float] = []
    seen: list[float] = []
    with Service(directory / "latency", _CONFIGURATION.format(endpoint=endpoint)) as service:
        total = RATE * SECONDS

        def lines() -> Iterator[bytes]:
            with archive.open("rb") as file:
                for line in islice(file, total):
                    sent.append(time.monotonic())
                    yield line.rstrip(b"\n")

        path = service.directory / "public/v1/plugins/volume/latest.json"
        reader = threading.Thread(target=_look, args=(path, seen, total), daemon=True)
        reader.start()
        publish_on_bus(lines(), endpoint, RATE)
        service.await_accepted(total)
        reader.join()
    counted = slice(RATE * _WARM_UP, None)
    delays = [after - before for before, after in zip(sent[counted], seen[counted], strict=True)]
    percentiles = quantiles(delays, n=100)
    note = f"{len(delays):,} messages at {RATE} a second, an interval of 1 s"
    return [
        Result("bus to file, median", percentiles[49], "s", note=note),
        Result("bus to file, 99th percentile", percentiles[98], "s", note=note),
    ]


def _look(path: Path, seen: list[float], total: int) -> None:
    """Record when each message was first seen counted, until all are."""
    before = None
    while len(seen) < total:
        changed = path.stat().st_ino if path.exists() else None
        if changed != before:
            before = changed
            rows = orjson.loads(path.read_bytes())["rows"]
            counted = rows[0]["total"] if rows else 0
            seen.extend([time.monotonic()] * (counted - len(seen)))
        time.sleep(0.005)

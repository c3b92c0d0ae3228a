"""Live: what one process takes from a real ZeroMQ bus that sends as fast as it can, its memory, and bytes on disk.

The bus drops nothing, and waits for a service that is slower. So no queue grows, and what is measured can go on.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.installed import install
from benchmarks.result import Result
from benchmarks.service import Service
from loopback import free_endpoint
from statscache.simulator.bus import publish_on_bus
from statscache.store import plain, state

_PART = 20_000
"""Messages after which the memory is looked at."""


def measure(archive: Path, directory: Path) -> list[Result]:
    """Send all of `archive` over a bus to a service that consumes and publishes."""
    endpoint = free_endpoint()
    memory: list[int] = []
    began = 0.0
    with Service(directory / "live", f'[sources.fedmsg]\nendpoints = ["{endpoint}"]\n') as service:

        def lines() -> Iterator[bytes]:
            nonlocal began
            began = time.perf_counter()
            with archive.open("rb") as file:
                for number, line in enumerate(file):
                    if number % _PART == 0:
                        memory.append(service.memory)
                    yield line.rstrip(b"\n")

        sent = publish_on_bus(lines(), endpoint, patience=600.0)
        service.await_accepted(sent)
        seconds = time.perf_counter() - began
        memory.append(service.memory)
    note = f"{sent:,} messages, none lost, published every minute meanwhile"
    results = [
        Result("live from ZeroMQ, messages a second", sent / seconds, "/s", note=note),
        Result("live, peak memory", max(memory) / 1e6, "MB", most=250),
    ]
    if len(memory) > 10:
        before = max(memory[: len(memory) // 5 + 1])
        note = f"of {len(memory)} looks"
        results.append(
            Result("live, peak memory over that of the first fifth", max(memory) / before, most=1.1, note=note)
        )
    return results + _sizes(service.directory, archive.stat().st_size / sent, sent)


def _sizes(directory: Path, line: float, messages: int) -> list[Result]:
    installation = install(directory)
    while installation.ingest.catch_up():
        pass
    with installation.database.reading() as connection:
        stored = state.sizes(plain.over(connection)).stored_bytes
    installation.close()
    database = sum(path.stat().st_size for path in directory.glob("statscache.db*"))
    return [
        Result("journal, bytes a message", stored / messages, "B", note=f"of {line:.0f} on the bus"),
        Result("database, bytes a message", database / messages, "B", note="with ids, statistics and published files"),
    ]

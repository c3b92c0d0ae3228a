"""Backfill: its time over that of `orjson.loads` on the same lines, its steadiness and its memory.

The backfill runs in a process of its own, so that its memory is nobody else's. After every 100,000 messages it waits
while this process parses the same lines, so that both meet the machine in the same mood.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import orjson

from benchmarks.installed import install
from benchmarks.result import Result
from statscache.service.backfill import backfill

PART = 100_000
"""Messages after which the two processes take turns."""

_HELD = 10_000


class Part(NamedTuple):
    """What a part of the backfill took.

    Attributes:
        messages: Number of its messages.
        cpu: Seconds of processor time, of the process and the system on its behalf.
        wall: Seconds on the clock.
        peak: Bytes of the greatest memory that the process has had so far.
    """

    messages: int
    cpu: float
    wall: float
    peak: int


class Parsed(NamedTuple):
    """Seconds of processor time and on the clock in which the same lines were parsed."""

    cpu: float
    wall: float


def measure(archive: Path, directory: Path) -> list[Result]:
    """Backfill `archive` into a new database in `directory`, and compare.

    Raises:
        CalledProcessError: The backfill failed.
    """
    parts: list[tuple[Part, Parsed]] = []
    command = [sys.executable, "-m", "benchmarks.history", str(archive), str(directory)]
    with (
        archive.open("rb") as lines,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            part = Part(*orjson.loads(line))
            parts.append((part, _parse(islice(lines, part.messages))))
            process.stdin.write(b"\n")
            process.stdin.flush()
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)
    return _results(parts)


def _parse(lines: Iterator[bytes]) -> Parsed:
    cpu = wall = 0.0
    while held := [line.rstrip(b"\n") for line in islice(lines, _HELD)]:
        cpu_before, wall_before = time.process_time(), time.perf_counter()
        for line in held:
            orjson.loads(line)
        cpu += time.process_time() - cpu_before
        wall += time.perf_counter() - wall_before
    return Parsed(cpu, wall)


def _results(parts: list[tuple[Part, Parsed]]) -> list[Result]:
    messages = sum(part.messages for part, _ in parts)
    cpu, wall = sum(part.cpu for part, _ in parts), sum(part.wall for part, _ in parts)
    parsed = sum(base.cpu for _, base in parts)
    ratios = [part.cpu / base.cpu for part, base in parts]
    each = f"{cpu / messages * 1e6:.1f} µs over {parsed / messages * 1e6:.2f} µs a message"
    results = [
        Result("backfill over orjson.loads, processor", median(ratios), most=8, note=f"{each}; the goal is 4"),
        Result("backfill over orjson.loads, clock", wall / sum(base.wall for _, base in parts)),
        Result("backfill, messages a second", messages / wall, "/s"),
    ]
    peak = max(part.peak for part, _ in parts) / 1e6
    results.append(Result("peak memory of the backfill", peak, "MB", most=250))
    if len(parts) > 1:
        note = f"{ratios[-1]:.2f} over {ratios[0]:.2f} times orjson.loads"
        results.append(Result(f"last {PART:,} over the first", ratios[-1] / ratios[0], most=1.1, note=note))
        growth = parts[-1][0].peak / parts[len(parts) // 5][0].peak
        results.append(Result("peak memory at the end over that at a fifth", growth, most=1.1))
    return results


def _peak() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM: the benchmark measures memory as Linux tells it")


def _run(archive: Path, directory: Path) -> None:
    installation = install(directory)
    told = 0
    cpu, wall = time.process_time(), time.perf_counter()

    def tell(read: int) -> None:
        nonlocal told, cpu, wall
        part = Part(read - told, time.process_time() - cpu, time.perf_counter() - wall, _peak())
        print(orjson.dumps([*part]).decode(), flush=True)
        sys.stdin.readline()
        told, cpu, wall = read, time.process_time(), time.perf_counter()

    read = 0
    for _, outcome in backfill(installation, archive):
        read += outcome.read
        if read - told >= PART:
            tell(read)
    if read > told:
        tell(read)
    installation.close()


if __name__ == "__main__":
    _run(Path(sys.argv[1]), Path(sys.argv[2]))

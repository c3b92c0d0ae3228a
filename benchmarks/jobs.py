"""Jobs: how much faster a backfill is of which two processes do the work that can be shared, and what stays serial."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks.installed import install
from benchmarks.result import Result
from statscache.service.backfill import backfill
from statscache.service.parallel import working

JOBS = 2
"""Processes that do the work that can be shared."""


class Taken(NamedTuple):
    """What a backfill took, in seconds.

    Attributes:
        messages: Number of its messages.
        wall: On the clock, from when the workers were there.
        parent: Processor time of the process that commits.
        workers: Processor time of the others, their start included.
    """

    messages: int
    wall: float
    parent: float
    workers: float


def measure(archive: Path, directory: Path) -> list[Result]:
    """Backfill `archive` by one process, and by `JOBS` that work for one that commits.

    Raises:
        CalledProcessError: A backfill failed.
    """
    one, more = (_taken(archive, directory / f"{jobs}-jobs", jobs) for jobs in (1, JOBS))
    serial = more.parent / more.wall
    note = f"{more.messages / more.wall:,.0f} over {one.messages / one.wall:,.0f} messages a second"
    each = [f"{seconds / more.messages * 1e6:.1f} µs" for seconds in (more.parent, more.workers)]
    return [
        Result(
            f"backfill, {JOBS} jobs over one, {os.cpu_count()} processors", one.wall / more.wall, least=1.4, note=note
        ),
        Result(
            f"backfill, {JOBS} jobs, what is serial",
            serial,
            note=f"processor time of what commits over the clock; {each[0]} a message there, {each[1]} shared",
        ),
    ]


def _taken(archive: Path, directory: Path, jobs: int) -> Taken:
    directory.mkdir()
    command = [sys.executable, "-m", "benchmarks.jobs", str(archive), str(directory), str(jobs)]
    return Taken(*orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def _run(archive: Path, directory: Path, jobs: int) -> None:
    installation = install(directory)
    messages = 0
    with working(installation, jobs) as workers:
        wall, cpu = time.perf_counter(), time.process_time()
        for _, outcome in backfill(installation, archive, workers):
            messages += outcome.read
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    installation.close()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(orjson.dumps([messages, wall, cpu, children.ru_utime + children.ru_stime]).decode())


if __name__ == "__main__":
    _run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

"""History folded in a process of its own, measured in parts that take turns with `orjson.loads` of the same lines.

Memory is then of the folding alone, and both meet the machine in the same state. Times are processor time, of the
process and of the system on its behalf, unless their name says clock. This module is also the program of
that process, which is given a `Task` as JSON.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import orjson

from benchmarks.installed import install
from statscache.installation import Installation
from statscache.memory import collect_rarely
from statscache.service.backfill import backfill
from statscache.service.parallel import Workers, working

PART = 80_000
"""Messages after which the two processes take turns, at the end of a batch: a whole number of batches."""

REBUILT = "volume-by-user"
"""The plugin that is rebuilt: it asks for what is derived from the body."""

_HELD = 10_000


@dataclass(frozen=True)
class Task:
    """What the process does.

    Attributes:
        archive: The messages, an NDJSON file.
        directory: Where the database and notes lie.
        url: SQLAlchemy URL of the database; None for one of SQLite in the directory.
        jobs: Processes that share the work. With more than one there are no turns, for they would work in their
            pauses: the lines are parsed when all is done.
        rebuild: Rebuild `REBUILT` from the journal, which holds the messages of the archive and no others.
    """

    archive: str
    directory: str
    url: str | None = None
    jobs: int = 1
    rebuild: bool = False


class Part(NamedTuple):
    """What a part of the work took.

    Attributes:
        messages: Number of its messages.
        cpu: Seconds of processor time.
        wall: Seconds on the clock.
        written: Bytes that were handed to the system to be written (`wchar` of /proc/self/io): the database, its
            write-ahead log and notes.
        peak: Bytes of the greatest memory that any process of the task has had so far.
    """

    messages: int
    cpu: float
    wall: float
    written: int
    peak: int

    def followed_by(self, other: "Part") -> "Part":
        """Return this part and the next one as one."""
        return Part(
            self.messages + other.messages,
            self.cpu + other.cpu,
            self.wall + other.wall,
            self.written + other.written,
            max(self.peak, other.peak),
        )


class Spent(NamedTuple):
    """What a server of its own spent on the task: seconds of processor time, bytes of write-ahead log."""

    cpu: float
    written: float


@dataclass
class Run:
    """What a task took, part by part, beside `orjson.loads`.

    Attributes:
        parts: Parts of the task.
        parsed: Seconds of processor time in which the lines of each part were parsed.
        parsed_wall: The same on the clock.
        server: What a server spent on each part.
    """

    parts: list[Part] = field(default_factory=list)
    parsed: list[float] = field(default_factory=list)
    parsed_wall: list[float] = field(default_factory=list)
    server: list[Spent] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """Messages of all parts."""
        return sum(part.messages for part in self.parts)

    @property
    def cpu(self) -> float:
        """Seconds of processor time, of a server too."""
        return sum(part.cpu for part in self.parts) + sum(spent.cpu for spent in self.server)

    @property
    def ratios(self) -> list[float]:
        """Processor time of each part over that of `orjson.loads`."""
        return [
            (part.cpu + spent.cpu) / parsed
            for part, spent, parsed in zip(self.parts, self.server, self.parsed, strict=True)
        ]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)

    @property
    def wall_ratio(self) -> float:
        """Time on the clock over that of `orjson.loads`, of everything."""
        return sum(part.wall for part in self.parts) / sum(self.parsed_wall)

    @property
    def written(self) -> float:
        """Bytes written for each message, by a server too."""
        written = sum(part.written for part in self.parts) + sum(spent.written for spent in self.server)
        return written / self.messages

    @property
    def peak(self) -> int:
        """Bytes of the greatest memory of any process, a server's aside."""
        return max(part.peak for part in self.parts)


def run(task: Task, server: Callable[[], Spent] = lambda: Spent(0, 0)) -> Run:
    """Do the task in a process of its own, and parse the same lines in this one, by turns.

    Args:
        task: What to do.
        server: Tells what a server of the database has spent so far.

    Raises:
        CalledProcessError: The task failed.
    """
    done = Run()
    command = [sys.executable, "-m", "benchmarks.timed", orjson.dumps(asdict(task)).decode()]
    with (
        Path(task.archive).open("rb") as lines,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        before = server()
        for line in process.stdout:
            part, after = Part(*orjson.loads(line)), server()
            if part.messages or not done.parts:
                done.parts.append(part)
                done.server.append(Spent(after.cpu - before.cpu, after.written - before.written))
                _parse(islice(lines, part.messages), done)
            else:
                # What it takes to close the database belongs to the last messages.
                done.parts[-1] = done.parts[-1].followed_by(part)
            before = server()
            process.stdin.write(b"\n")
            process.stdin.flush()
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)
    return done


def _parse(lines: Iterator[bytes], done: Run) -> None:
    cpu = wall = 0.0
    while held := [line.rstrip(b"\n") for line in islice(lines, _HELD)]:
        cpu_before, wall_before = time.process_time(), time.perf_counter()
        for line in held:
            orjson.loads(line)
        cpu += time.process_time() - cpu_before
        wall += time.perf_counter() - wall_before
    done.parsed.append(cpu)
    done.parsed_wall.append(wall)


class _Meter:
    """Reports to the other process what a part took, and waits until it has parsed the same lines."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._cpu, self._wall, self._written = _cpu(), time.perf_counter(), _written()

    def tell(self, messages: int) -> None:
        part = Part(messages, _cpu() - self._cpu, time.perf_counter() - self._wall, _written() - self._written, _peak())
        print(orjson.dumps([*part]).decode(), flush=True)
        sys.stdin.readline()
        self._start()


def _cpu() -> float:
    # That of other processes counts from when they have ended.
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _written() -> int:
    return _number("/proc/self/io", "wchar:")


def _peak() -> int:
    own = _number("/proc/self/status", "VmHWM:")
    return 1024 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def _number(path: str, name: str) -> int:
    for line in Path(path).read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise RuntimeError(f"{path} has no field {name.rstrip(':')}: the benchmark needs Linux")


def _backfill(installation: Installation, task: Task, workers: Workers | None) -> Iterator[int]:
    """Accept and fold the archive; yield the messages of each batch."""
    for _, outcome in backfill(installation, Path(task.archive), workers):
        yield outcome.read


def _rebuild(installation: Installation) -> Iterator[int]:
    """Rebuild one plugin; yield the messages of each step."""
    installation.ingest.plugins.rebuild([REBUILT])
    [(_, left)] = installation.ingest.plugins.behind()
    while left:
        installation.ingest.catch_up()
        now = dict(installation.ingest.plugins.behind()).get(REBUILT, 0)
        yield left - now
        left = now


def _main(task: Task) -> None:
    installation = install(Path(task.directory), url=task.url)
    # As every command does.
    collect_rarely()
    untold = 0
    with working(installation, task.jobs) as workers:
        meter = _Meter()
        steps = _rebuild(installation) if task.rebuild else _backfill(installation, task, workers)
        for messages in steps:
            untold += messages
            if untold >= PART and task.jobs == 1:
                meter.tell(untold)
                untold = 0
    # SQLite copies its write-ahead log into the database then.
    installation.close()
    meter.tell(untold)


if __name__ == "__main__":
    _main(Task(**orjson.loads(sys.argv[1])))

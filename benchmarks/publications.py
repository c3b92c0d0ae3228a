"""Publications, one after each batch of messages, of several histories that take turns.

Each history has a process of its own, of which this module is also the program. It consumes and publishes, as
`statscache run` does, into a directory without compressed siblings. So its memory is that of both. Each step is done
for one history after the other: other work on the machine slows all of them, and their times can be compared.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from benchmarks.installed import install
from benchmarks.metered import MeteredDirectory, metered
from statscache.ingest import Delivery
from statscache.memory import collect_rarely
from statscache.service.publishing import Publishing

MOST_AT_ONCE = 5_000
"""Messages of one delivery."""


@dataclass(frozen=True)
class Step:
    """Some messages, and a publication.

    Attributes:
        messages: The number of messages that are taken from the archive first.
        slow: True if slow documents are updated.
    """

    messages: int
    slow: bool


@dataclass(frozen=True)
class Publication:
    """What one publication cost.

    Attributes:
        messages: The number of messages before it.
        files: Files that were written.
        bytes: Bytes that were written; those of a file that lies at two paths once.
        cpu: Seconds of processor time of the publication.
        wall: The same on the clock.
        peak: Bytes of the greatest memory of the process since the publication before, consuming included.
        put: Requests that S3 bills as PUT.
        get: Requests that S3 bills as GET.
        delete: Requests that delete.
        sent: Bytes that S3 is sent, without compression.
        size: Bytes of all published files.
    """

    messages: int
    files: int
    bytes: int
    cpu: float
    wall: float
    peak: int
    put: int
    get: int
    delete: int
    sent: int
    size: int


def publish(directories: Sequence[Path], archive: Path, steps: Sequence[Step]) -> list[list[Publication]]:
    """Take the messages of an archive and publish, step by step, and return what each publication of each history cost.

    Args:
        directories: Where the database of each history is.
        archive: The messages that follow all of them.
        steps: What is done.

    Raises:
        CalledProcessError: It failed.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(_start(directory, archive, steps)) for directory in directories]
        done: list[list[Publication]] = [[] for _ in processes]
        for _ in steps:
            for process, publications in zip(processes, done, strict=True):
                publications.append(_turn(process))
    return done


def _start(directory: Path, archive: Path, steps: Sequence[Step]) -> "subprocess.Popen[bytes]":
    task = orjson.dumps([str(directory), str(archive), [asdict(step) for step in steps]]).decode()
    command = [sys.executable, "-m", "benchmarks.publications", task]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _turn(process: "subprocess.Popen[bytes]") -> Publication:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    if line := process.stdout.readline():
        return Publication(**orjson.loads(line))
    raise subprocess.CalledProcessError(process.wait(), process.args)


def _main(directory: str, archive: str, steps: list[dict[str, Any]]) -> None:
    target = {"name": "public", "type": "directory", "path": Path(directory) / "public", "precompress": []}
    # Only what a step asks for updates slow documents, however long the steps take.
    installation = install(Path(directory), [target], slow_interval=10**9)
    # As every command does.
    collect_rarely()
    with metered, Path(archive).open("rb") as lines:
        publishing = Publishing(installation)
        for step in (Step(**step) for step in steps):
            if not sys.stdin.readline():
                break
            for part in _parts(lines, step.messages):
                installation.ingest.take(Delivery("benchmark", part))
            print(orjson.dumps(asdict(_publish(publishing, step))).decode(), flush=True)
    installation.close()


def _parts(lines: Iterator[bytes], messages: int) -> Iterator[list[bytes]]:
    wanted = (line.rstrip(b"\n") for line in islice(lines, messages))
    while part := list(islice(wanted, MOST_AT_ONCE)):
        yield part


def _publish(publishing: Publishing, step: Step) -> Publication:
    cpu, wall = time.process_time(), time.perf_counter()
    snapshot, [report] = publishing.publish(slow=step.slow)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    asked = dict(MeteredDirectory.asked)
    MeteredDirectory.asked.clear()
    return Publication(
        messages=step.messages,
        files=report.files,
        bytes=report.bytes,
        cpu=cpu,
        wall=wall,
        peak=_peak(),
        size=snapshot.size,
        **{name: asked.get(name, 0) for name in ("put", "get", "delete", "sent")},
    )


def _peak() -> int:
    """Return the greatest resident size of this process in bytes since the last call, as Linux reports it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            # proc(5): 5 sets the mark back to the present size.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM: the benchmark needs Linux")


if __name__ == "__main__":
    _main(*orjson.loads(sys.argv[1]))

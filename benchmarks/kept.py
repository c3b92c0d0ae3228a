"""Databases of long histories, which are kept in `.bench` between runs; `make clean` removes them."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path

import click
import orjson

from benchmarks import traffic
from benchmarks.timed import Task, run

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".bench"

_DECIDES = (
    "benchmarks/traffic.py",
    "plugins",
    "statscache/kinds",
    "statscache/plugins",
    "statscache/simulator",
    "statscache/store",
)
"""Files and directories that decide what a database holds, and in which form."""

_PIECE = 200_000
_BUILT = "built.json"


@dataclass(frozen=True)
class Built:
    """What it took to build a database.

    Attributes:
        messages: Messages of the history.
        written: Bytes that were written for it.
        size: Bytes of the database.
        peak: Bytes of the greatest memory of a process.
    """

    messages: int
    written: int
    size: int
    peak: int


def database(name: str, lines: Iterator[bytes]) -> Path:
    """Return the directory of a database of SQLite that holds a history.

    It is built where it is missing, or where the code that decides what is in it has changed since. Copy it, and leave
    it as it is.

    Args:
        name: Name of the history; another name for other lines.
        lines: Its messages; read only if the database has to be built.
    """
    place = CACHE / f"{name}-{_digest()}"
    if place.exists():
        return place
    for outdated in CACHE.glob(f"{name}-*"):
        shutil.rmtree(outdated)
    building = CACHE / f"{name}-building"
    building.mkdir(parents=True)
    archive = building / "piece.ndjson"
    messages = written = peak = 0
    for number, piece in enumerate(_pieces(lines), 1):
        traffic.write(archive, piece)
        done = run(Task(str(archive), str(building)))
        messages += done.messages
        written += round(done.written * done.messages)
        peak = max(peak, done.peak)
        click.echo(f"  {name}: at most {number * _PIECE:,} messages ...")
    archive.unlink()
    size = sum(path.stat().st_size for path in building.glob("statscache.db*"))
    (building / _BUILT).write_bytes(orjson.dumps(asdict(Built(messages, written, size, peak))))
    building.rename(place)
    return place


def built(place: Path) -> Built:
    """Return what it took to build the database in a directory that `database` returned."""
    return Built(**orjson.loads((place / _BUILT).read_bytes()))


def _pieces(lines: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    for first in lines:
        yield chain([first], islice(lines, _PIECE - 1))


def _digest() -> str:
    found = hashlib.sha256()
    for name in _DECIDES:
        path = ROOT / name
        for module in [path] if path.is_file() else sorted(path.rglob("*.py")):
            found.update(module.read_bytes())
    return found.hexdigest()[:16]

"""Databases of long histories, which are kept in `.bench` between runs; `make clean` removes them."""

import hashlib
import shutil
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import click

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


def database(name: str, lines: Iterator[bytes]) -> Path:
    """Return the directory of a database of SQLite that holds a history.

    It is built where it is missing, or where the code that decides what is in it has changed since. Copy it, and leave
    it as it is.

    Args:
        name: Of the history; another name for other lines.
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
    for number, piece in enumerate(_pieces(lines), 1):
        traffic.write(archive, piece)
        run(Task(str(archive), str(building)))
        click.echo(f"  {name}: at most {number * _PIECE:,} messages ...")
    archive.unlink()
    building.rename(place)
    return place


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

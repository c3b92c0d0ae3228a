"""History: what folding it costs on the reference history, against the limits of DESIGN.md 9, as one table.

Ratios are processor time over that of `orjson.loads` on the same lines, the median of parts of `timed.PART` messages;
notes give the least too, for other work on the machine only adds. Rows that say "clock" are time on the clock, and mean
something only on a quiet machine.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import click

from benchmarks import kept, traffic
from benchmarks.result import Result
from benchmarks.server import Expenses
from benchmarks.timed import PART, REBUILT, Run, Task, run
from servers import PostgreSQL

PARTS = 10
JOBS = 2


def measure(directory: Path, part: float = 1.0) -> list[Result]:
    """Fold slices of the reference history into new databases under `directory`, and compare.

    Args:
        directory: Where to work.
        part: How much of the messages to take.

    Raises:
        CalledProcessError: A backfill or a rebuild failed.
    """
    number = max(1, int(PARTS * PART * part))
    results = []
    for name, lines, most in (("dense", traffic.dense(number), 13), ("sparse", traffic.sparse(number), 16)):
        archive = _archive(directory, name, lines)
        results += _sqlite(name, archive, _place(directory, name), most)
        results += _jobs(name, archive, _place(directory, f"{name}-jobs"))
        results += _postgresql(name, archive, _place(directory, f"{name}-postgresql"))
        archive.unlink()
    results += _on_top(directory, number, part)
    archive = _archive(directory, "old", traffic.old(number))
    return [
        *results,
        _folding("old traffic", _folded("old traffic", Task(str(archive), str(_place(directory, "old"))))),
    ]


def _archive(directory: Path, name: str, lines: Iterable[bytes]) -> Path:
    path = directory / f"{name}.ndjson"
    traffic.write(path, lines)
    return path


def _place(directory: Path, name: str) -> Path:
    place = directory / name
    place.mkdir()
    return place


def _folded(name: str, task: Task) -> Run:
    """Do the task, and say that it is being done."""
    click.echo(f"  {name} ...")
    return run(task)


def _sqlite(name: str, archive: Path, place: Path, most: float) -> list[Result]:
    """Measure a backfill, and a rebuild of one plugin from the journal that it leaves."""
    done = _folded(name, Task(str(archive), str(place)))
    size = _size(place) / done.messages
    rebuilt = _folded(f"{name}, rebuild", Task(str(archive), str(place), rebuild=True))
    shutil.rmtree(place)
    return [
        *_costs(name, done, most, size),
        Result(f"{name}, rebuild of {REBUILT}", rebuilt.ratio, most=5, note=_each(rebuilt)),
    ]


def _costs(name: str, done: Run, most: float, size: float) -> list[Result]:
    results = [
        _folding(name, done, most),
        Result(f"{name}, written a message", done.written, "B", most=1500, note="database, its log and notes"),
        Result(f"{name}, database a message", size, "B"),
        Result(f"{name}, peak memory", done.peak / 1e6, "MB", most=250),
    ]
    ratios = done.ratios
    if len(ratios) > 1:
        note = f"{ratios[-1]:.1f} over {ratios[0]:.1f}"
        results.insert(1, Result(f"{name}, last part over first", ratios[-1] / ratios[0], most=1.1, note=note))
    return results


def _folding(name: str, done: Run, most: float | None = None) -> Result:
    return Result(f"{name}, over orjson.loads", done.ratio, most=most, note=_each(done))


def _each(done: Run) -> str:
    each, parsed = (seconds / done.messages * 1e6 for seconds in (done.cpu, sum(done.parsed)))
    return f"least {min(done.ratios):.1f}; {each:.1f} µs over {parsed:.2f} µs a message"


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.glob("statscache.db*"))


def _jobs(name: str, archive: Path, place: Path) -> list[Result]:
    """Measure a backfill that several processes share."""
    done = _folded(f"{name}, --jobs {JOBS}", Task(str(archive), str(place), jobs=JOBS))
    shutil.rmtree(place)
    note = f"processor time {done.ratio:.1f}; largest process {done.peak / 1e6:.0f} MB"
    return [Result(f"{name}, --jobs {JOBS} over orjson.loads, clock", done.wall_ratio, most=9, note=note)]


def _postgresql(name: str, archive: Path, place: Path) -> list[Result]:
    """Measure a backfill into a server of its own; nothing where none is installed."""
    programs = PostgreSQL.find()
    if programs is None:
        click.echo("PostgreSQL is not installed, and is left out", err=True)
        return []
    click.echo(f"  {name}, PostgreSQL ...")
    with PostgreSQL(programs) as server:
        server.execute("CREATE DATABASE history")
        url = server.url("history")
        with Expenses(url) as expenses:
            empty = expenses.size()
            done = run(Task(str(archive), str(place), url), expenses.spent)
            size = (expenses.size() - empty) / done.messages
    clock = f"; on the clock {done.wall_ratio:.1f} times"
    return [
        Result(f"{name}, PostgreSQL over orjson.loads", done.ratio, note=_each(done) + clock),
        Result(f"{name}, PostgreSQL, log a message", done.written, "B", note="without full pages"),
        Result(f"{name}, PostgreSQL, database a message", size, "B"),
    ]


def _on_top(directory: Path, number: int, part: float) -> list[Result]:
    """Measure a backfill into a database that holds three years."""
    place = directory / "three-years"
    shutil.copytree(kept.database(f"three-years-of-{part:g}", traffic.three_years(part)), place)
    before = _size(place)
    archive = _archive(directory, "on-top", traffic.on_top(number, part))
    name = "on three years"
    done = _folded(name, Task(str(archive), str(place)))
    results = _costs(name, done, 16, (_size(place) - before) / done.messages)
    shutil.rmtree(place)
    archive.unlink()
    return results

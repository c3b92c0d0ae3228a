"""Start-up: the processor time of commands that do next to nothing, beside that of `python -c pass`."""

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

from benchmarks.result import Result
from servers import PostgreSQL

_TIMES = 15


def measure(directory: Path) -> list[Result]:
    """Start each command in turn, again and again, on small databases of both kinds, and compare the medians."""
    place = directory / "start"
    place.mkdir()
    programs = PostgreSQL.find()
    if programs is None:
        click.echo("PostgreSQL is not installed, and is left out", err=True)
        return _compare(place, None)
    with PostgreSQL(programs) as server:
        server.execute("CREATE DATABASE start")
        return _compare(place, server.url("start"))


def _compare(place: Path, postgresql: str | None) -> list[Result]:
    ours = [sys.executable, "-m", "statscache"]
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "--help": [*ours, "--help"],
        "status": [*ours, "status"],
        "publish": [*ours, "publish"],
        "a worker": [sys.executable, "-c", "import statscache.service.parallel"],
    }
    if postgresql is not None:
        (place / "postgresql.toml").write_text(f'[database]\nurl = "{postgresql}"\n')
        commands["status, PostgreSQL"] = [*ours, "--config", "postgresql.toml", "status"]
    for command in commands.values():
        # The first one makes the database, or compiles a module.
        _seconds(command, place)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_TIMES):
        for name, command in commands.items():
            taken[name].append(_seconds(command, place))
    nothing = median(taken.pop("pass"))
    limits = {"--help": 5.0, "status": 10.0, "status, PostgreSQL": 10.0}
    return [
        Result(f"start of {name}", median(seconds) / nothing, most=limits.get(name), note=f"{median(seconds):.2f} s")
        for name, seconds in taken.items()
    ]


def _seconds(command: Sequence[str], directory: Path) -> float:
    """Return the seconds of processor time that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # With its modules compiled, as an installation has them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

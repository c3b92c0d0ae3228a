"""Start-up: the processor time of commands that do next to nothing, beside that of `python -c pass`.

They are those of a wheel: an editable installation looks for modules in another way.
"""

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
_ROOT = Path(__file__).resolve().parent.parent


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


def _installed(place: Path) -> Path:
    """Return the programs of an environment in which this checkout is installed as a wheel."""
    uv = str(Path(sys.executable).parent / "uv")
    _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place), str(_ROOT)])
    (wheel,) = place.glob("*.whl")
    _run([uv, "venv", "--python", sys.executable, str(place / "venv")])
    programs = place / "venv/bin"
    options = ["--constraint", str(_ROOT / "requirements.txt"), "--compile-bytecode"]
    _run([uv, "pip", "install", *options, "--python", str(programs / "python"), f"{wheel}[postgresql]"])
    return programs


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _compare(place: Path, postgresql: str | None) -> list[Result]:
    programs = _installed(place)
    python = str(programs / "python")
    ours = [str(programs / "statscache")]
    commands = {
        "pass": [python, "-c", "pass"],
        "--help": [*ours, "--help"],
        "status": [*ours, "status"],
        "publish": [*ours, "publish"],
        "a worker": [python, "-c", "import statscache.service.parallel"],
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

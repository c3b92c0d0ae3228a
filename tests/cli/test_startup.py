"""Commands import what they need and no more: counted in modules, for seconds depend on the machine."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from commands import Home
from statscache.cli import cli
from statscache.cli.lazy import Deferred

HEAVY = {
    "alembic",
    "boto3",
    "botocore",
    "distributed",
    "fedora_messaging",
    "jinja2",
    "markdown_it",
    "moksha.hub",
    "prometheus_client",
    "rich",
    "twisted",
    "urllib3",
    "watchdog",
    "zmq",
}
"""What takes long to import, and few commands need."""

_MODULES = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
"""


def modules(program: str, *arguments: str, directory: Path) -> list[str]:
    """Return the names of the modules that a program in Python has imported when it ends."""
    command = [sys.executable, "-c", _MODULES + program, *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)
    return done.stderr.split()


def of_command(*arguments: str, directory: Path) -> list[str]:
    """Return the names of the modules that a command has imported when it ends."""
    return modules("from statscache.cli import main; main()", *arguments, directory=directory)


def heavy(names: list[str]) -> set[str]:
    """Return what of `HEAVY` was imported."""
    return HEAVY & {*names}


def test_help_imports_no_command(tmp_path: Path) -> None:
    """The help of all commands imports click, and next to nothing of ours."""
    found = of_command("--help", directory=tmp_path)
    assert len(found) <= 150
    assert sorted(name for name in found if name.startswith("statscache")) == [
        "statscache",
        "statscache.cli",
        "statscache.cli.lazy",
        "statscache.cli.output",
        "statscache.exceptions",
        "statscache.memory",
    ]


def test_status_imports_no_more_than_it_reads_with(tmp_path: Path) -> None:
    """`status` renders, publishes and consumes nothing, and imports nothing that does."""
    Home(tmp_path).run("status")
    found = of_command("status", directory=tmp_path)
    assert len(found) <= 260
    # By which pydantic would search for plugins of its own.
    assert "importlib.metadata" not in found
    assert (heavy(found) | {"numpy", "psycopg", "sqlalchemy", "statscache.plugins", "statscache_plugins"}) & {
        *found
    } == set()
    assert not [name for name in found if name.startswith(("statscache.render", "statscache.publish"))]


def test_the_collector_leaves_alone_what_was_imported(tmp_path: Path) -> None:
    """Garbage collection at start and at exit would take a fifth of the time of `status`, and a sixth of `publish`."""
    Home(tmp_path).run("status")
    told = "gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()[0]"
    said = f"import atexit, gc, sys; atexit.register(lambda: print({told}, file=sys.stderr))"
    command = [sys.executable, "-c", f"{said}\nfrom statscache.cli import main; main()", "status"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    enabled, frozen, searched_after = done.stderr.split()
    assert (enabled, int(frozen) > 10_000, int(searched_after) > 10_000) == ("False", True, True)


def test_publishing_imports_no_other_command(tmp_path: Path) -> None:
    """`publish` to a directory imports neither a bus, nor a watcher, nor clients of servers."""
    Home(tmp_path).run("publish")
    found = of_command("publish", directory=tmp_path)
    assert len(found) <= 860
    assert heavy(found) <= {"jinja2", "markdown_it"}
    assert not [name for name in found if name.startswith("statscache.simulator")]


def test_a_worker_imports_what_it_observes_with(tmp_path: Path) -> None:
    """A process that observes for another one has no use for what renders and publishes."""
    found = modules("import statscache.service.parallel", directory=tmp_path)
    assert len(found) <= 630
    assert heavy(found) == set()
    assert "sqlalchemy.orm" not in found
    assert not [name for name in found if name.startswith(("statscache.render", "statscache.publish"))]


def deferred() -> Iterator[tuple[str, Deferred]]:
    """Yield the commands that are imported when they are called."""
    for name, command in cli.commands.items():
        assert isinstance(command, Deferred)
        yield name, command


@pytest.mark.parametrize("name", cli.commands)
def test_what_is_listed_of_a_command_is_true(name: str) -> None:
    """The list of commands has each with the name and the first sentence that it has itself."""
    listed = dict(deferred())[name]
    command = listed.load()
    assert command.name == name
    assert isinstance(command, click.Command)
    assert command.help is not None
    assert listed.help == " ".join(command.help.split("\n\n")[0].split())

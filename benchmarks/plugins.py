"""Plugins: what each costs for a message of history, in a run of its own, because measuring costs time too."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.installed import install
from benchmarks.result import Result
from statscache.ingest import Delivery, Outcome, fold, observe, reduce
from statscache.ingest.observe import Observer
from statscache.plugins import Plugin
from statscache.service.backfill import PIECE
from statscache.service.parallel import PIECES

MESSAGES = 100_000
"""Messages of the run."""


def measure(archive: Path, directory: Path) -> list[Result]:
    """Take the first messages of `archive` into a new database, and return processor time by plugin, greatest first."""
    place = directory / "plugins"
    place.mkdir()
    installation = install(place)
    seconds = defaultdict[tuple[str, str], float](float)
    outcome = Outcome()
    with archive.open("rb") as lines, _instruments(seconds):
        wanted = islice(lines, MESSAGES)
        while held := list(islice(wanted, PIECE * PIECES)):
            outcome += installation.ingest.take(Delivery("benchmark", held))
    results = [_result(plugin, seconds, outcome.read) for plugin in installation.registry]
    installation.close()
    return sorted(results, key=lambda result: -result.value)


def _result(plugin: Plugin, seconds: dict[tuple[str, str], float], messages: int) -> Result:
    observing, folding = (seconds[plugin.name, work] / messages * 1e6 for work in ("observe", "fold"))
    note = f"{observing:.2f} observe, {folding:.2f} fold"
    return Result(f"plugin {plugin.name}, a message", observing + folding, "µs", note=note)


@contextmanager
def _instruments(seconds: dict[tuple[str, str], float]) -> Iterator[None]:
    """Record the processor time that the plugins take, by name and work."""

    def timed(function: Callable[..., Any], work: str, argument: int) -> Callable[..., Any]:
        def run(*arguments: Any, **more: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*arguments, **more)
            finally:
                seconds[arguments[argument].name, work] += time.process_time() - begun

        return run

    def look(observer: Observer, *arguments: Any) -> None:
        begun = time.process_time()
        try:
            look_at(observer, *arguments)
        finally:
            seconds[observer.plugin.name, "observe"] += time.process_time() - begun

    look_at = Observer.look
    with (
        patch.object(Observer, "look", look),
        patch("statscache.ingest.prepare.observe_values", timed(observe.observe_values, "observe", 0)),
        patch("statscache.ingest.reduce.reduce_plugin", timed(reduce.reduce_plugin, "fold", 0)),
        patch("statscache.ingest.ingest.fold", timed(fold.fold, "fold", 1)),
    ):
        yield

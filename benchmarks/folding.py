"""Rebuild: the time in which one plugin folds the whole journal anew."""

import time
from pathlib import Path

from benchmarks.installed import install
from benchmarks.result import Result

PLUGIN = "volume-by-user"
"""The plugin that is rebuilt, which asks for what is derived from the body."""


def measure(directory: Path) -> list[Result]:
    """Rebuild one plugin in the installation that an earlier section left in `directory`."""
    installation = install(directory)
    wall = time.perf_counter()
    installation.ingest.plugins.rebuild([PLUGIN])
    [(_, messages)] = installation.ingest.plugins.behind()
    while installation.ingest.catch_up():
        pass
    wall = time.perf_counter() - wall
    installation.close()
    note = f"{messages:,} messages in {wall:.1f} s"
    return [Result(f"rebuild of {PLUGIN}, a message", wall / messages * 1e6, "µs", note=note)]

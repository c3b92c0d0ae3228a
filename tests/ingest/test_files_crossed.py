"""A message crosses few files on its way to its rows, and docs/architecture.md names them."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType

import statscache
from benchmarks import traffic
from benchmarks.installed import install
from statscache.ingest import Delivery, Ingest
from statscache.plugins.registry import Registry

ROOT = Path(statscache.__file__).parent
STATISTICS = {"builds", "volume-by-category", "volume-by-kind-of-agent", "volume-by-release"}
"""Two that are asked once for each value, and two that see each message of their topics."""

MOST = 26
OF_THE_STATISTIC = "plugins/fields.py"
"""What an `observe` calls to read a body."""


@contextmanager
def called(files: set[str]) -> Iterator[None]:
    """Add the files of the package in which a function is called."""
    names: set[str] = set()

    def note(frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            names.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
    files |= {path.relative_to(ROOT).as_posix() for path in map(Path, names) if path.is_relative_to(ROOT)}


def test_a_message_crosses_at_most_26_files_and_the_documentation_names_them(tmp_path: Path) -> None:
    """Counted are those in which a function runs, message by message, after the caches have met the usual values."""
    installation = install(tmp_path)
    registry = Registry(plugin for plugin in installation.registry if plugin.name in STATISTICS)
    assert {plugin.name for plugin in registry} == STATISTICS
    ingest = Ingest(installation.database, registry, watch=installation.watchdog)
    ingest.start()
    lines = traffic.dense(2_100)
    ingest.take(Delivery("archive", [*islice(lines, 2_000)]))
    crossed: set[str] = set()
    for line in lines:
        files: set[str] = set()
        with called(files):
            outcome = ingest.take(Delivery("archive", [line]))
        assert outcome.accepted == 1
        assert len(files - {OF_THE_STATISTIC}) <= MOST, sorted(files)
        crossed |= files
    installation.close()
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("\n### Files that a message crosses\n")[2].partition("\n#")[0]
    rows = "".join(line for line in section.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`([\w/]+\.py)`", rows)) == crossed - {OF_THE_STATISTIC}

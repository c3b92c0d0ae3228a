"""Little documentation and few assets in the sites of most tests: neither depends on statistics.

Of 480 files of a site with two statistics, 260 were documentation, scripts and styles with their objects and compressed
forms: most of the first publication was to render, compress, store, send and compare them. Tests that look at the
documentation or at the scripts use `whole_site`.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from statscache import resources
from statscache.resources import Sources

DOCS = ("start.md", "format.md", "adr/0009-charts.md", "nginx.conf")
"""Pages in two directories, and a file that is published as it is."""

_ASSET = re.compile(r'assets\["([^"]+)"\]')
"""What templates refer to, and so has to be there."""

WHOLE_SITE = "TESTS_PUBLISH_THE_WHOLE_SITE"
"""The variable of the environment of a forked command that shall publish all of it."""

_whole = resources.sources


def shrink() -> None:
    """Let this process, and those that it forks, publish small sites; commands that are started publish all of it."""
    resources.sources = lambda: _whole() if WHOLE_SITE in os.environ else _small()


@contextmanager
def whole_site() -> Iterator[None]:
    """Let this process publish all documentation and all assets."""
    before, resources.sources = resources.sources, _whole
    try:
        yield
    finally:
        resources.sources = before


def _remove(directory: Path, process: int) -> None:
    # A forked process has it from the one that made it.
    if os.getpid() == process:
        shutil.rmtree(directory, ignore_errors=True)


@cache
def _small() -> Sources:
    whole = _whole()
    directory = Path(tempfile.mkdtemp(prefix="statscache-site-"))
    atexit.register(_remove, directory, os.getpid())
    docs, site = directory / "docs", directory / "site"
    for name in DOCS:
        path = docs / name
        path.parent.mkdir(exist_ok=True, parents=True)
        shutil.copyfile(whole.docs / name, path)
    site.mkdir()
    for template in whole.templates.iterdir():
        for name in _ASSET.findall(template.read_text()):
            if name.endswith(".js"):
                # Without imports, the other modules need not be there.
                (site / name).write_text(f"/** {name} */\nconst name = {name!r};\n")
            else:
                shutil.copyfile(whole.site / name, site / name)
    return replace(whole, docs=docs, site=site)

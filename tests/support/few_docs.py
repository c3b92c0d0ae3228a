"""Little documentation in the sites of most tests: it does not depend on statistics, and was most of a small site.

Of 340 files of a site with two statistics, 100 were pages of documentation and their objects; to render, store,
compress and send them took a quarter of the first publication. Tests that look at the documentation use `all_docs`.
"""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from statscache import resources
from statscache.resources import Sources

KEPT = ("start.md", "format.md", "adr/0009-charts.md", "nginx.conf")
"""Pages in two directories, and a file that is published as it is."""

_whole = resources.sources


def leave_out() -> None:
    """Let this process publish little documentation; commands in processes of their own publish all of it."""
    resources.sources = _few


@contextmanager
def all_docs() -> Iterator[None]:
    """Let this process publish all documentation."""
    before, resources.sources = resources.sources, _whole
    try:
        yield
    finally:
        resources.sources = before


@cache
def _few() -> Sources:
    whole = _whole()
    directory = Path(tempfile.mkdtemp(prefix="statscache-docs-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for name in KEPT:
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(whole.docs / name, path)
    return replace(whole, docs=directory)

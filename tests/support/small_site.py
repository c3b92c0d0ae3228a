"""Little documentation, few assets and few schemas in the sites of most tests: none depends on statistics.

Of 480 files of a site with two statistics, 260 were documentation, scripts and styles with their objects and compressed
forms: most of the first publication was to render, compress, store, send and compare them. Tests that look at the
documentation, the scripts or the schemas use `whole_site`.
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
from unittest.mock import patch

from statscache import layout, resources, schemas
from statscache.resources import Sources

DOCS = ("start.md", "format.md", "adr/0009-charts.md", "nginx.conf")
"""Pages in two directories, and a file that is published as it is."""

SCHEMAS = tuple(layout.schema(name) for name in ("index", "latest"))
"""Schemas of documents, which depend on the release alone."""

_ASSET = re.compile(r'assets\["([^"]+)"\]')
"""What templates refer to, and so has to be there."""

WHOLE_SITE = "TESTS_PUBLISH_THE_WHOLE_SITE"
"""The variable of the environment of a forked command that shall publish all of it."""

_whole = resources.sources
_all_schemas = schemas.documents


def shrink() -> None:
    """Let this process, and those that it forks, publish small sites; commands that are started publish all of it."""
    resources.sources = lambda: _whole() if WHOLE_SITE in os.environ else _small()
    documents = lambda: _all_schemas() if WHOLE_SITE in os.environ else _few_schemas()  # noqa: E731 - as above
    setattr(schemas, "documents", documents)  # noqa: B010 - mypy knows that the function has a cache


@contextmanager
def whole_site() -> Iterator[None]:
    """Let this process publish all documentation, all assets and all schemas."""
    with patch.object(resources, "sources", _whole), patch.object(schemas, "documents", _all_schemas):
        yield


def _remove(directory: Path, process: int) -> None:
    # A forked process has it from the one that made it.
    if os.getpid() == process:
        shutil.rmtree(directory, ignore_errors=True)


@cache
def _few_schemas() -> tuple[tuple[str, bytes], ...]:
    return tuple((path, data) for path, data in _all_schemas() if path in SCHEMAS)


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
                # Without imports, the other modules need not be there. All have the same bytes, which are one object.
                (site / name).write_text("const nothing = 0;\n")
            else:
                shutil.copyfile(whole.site / name, site / name)
    return replace(whole, docs=docs, site=site)

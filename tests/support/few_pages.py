"""A site of the real templates with little beside: what does not depend on statistics is most of a small site.

Of some 140 files of a site with one statistic, 120 are documentation, scripts and their copies. Tests that publish
hundreds of sites, to stores that take milliseconds for each file, look at the others. `worlds`, `test_pages` and
`test_docs` have all of them.
"""

import atexit
import re
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from statscache import resources
from statscache.resources import Sources

DOCS = ("start.md", "format.md", "adr/0009-charts.md", "nginx.conf")
"""Of the documentation: pages in two directories, and a file that is published as it is."""

_NAMED = re.compile(r'assets\["([^"]+)"\]')


@cache
def few_pages() -> Sources:
    """Return sources with the real templates, a few pages of documentation, and the assets that templates name.

    Scripts import none of the others.
    """
    whole = resources.sources()
    directory = Path(tempfile.mkdtemp(prefix="statscache-few-pages-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for name in DOCS:
        path = directory / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(whole.docs / name, path)
    (directory / "site").mkdir()
    named = {name for path in whole.templates.iterdir() for name in _NAMED.findall(path.read_text(encoding="utf-8"))}
    for name in named:
        data = (whole.site / name).read_bytes()
        without = b"\n".join(row for row in data.splitlines() if not re.search(rb'(from|import\() ?"\./', row))
        (directory / "site" / name).write_bytes(without if name.endswith(".js") else data)
    return replace(whole, docs=directory / "docs", site=directory / "site")

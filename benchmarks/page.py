"""The index page: how soon a browser shows it, and how much of it is sent, with many plugins."""

import gzip
import shutil
import threading
from itertools import islice
from pathlib import Path
from statistics import median
from unittest.mock import patch

from playwright.sync_api import sync_playwright

from benchmarks.installed import install
from benchmarks.result import Result
from statscache.ingest import Delivery
from statscache.plugins import Plugin, registry
from statscache.service import preview
from statscache.service.publishing import Publishing
from statscache_plugins.volume import VolumeByCategory

PLUGINS = 40
"""Plugins on the page: those that are installed, and more of one kind."""

MESSAGES = 20_000
"""Messages that they count."""

_VISITS = 9
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def measure(archive: Path, directory: Path) -> list[Result]:
    """Publish what the first messages of `archive` give, and visit it in Chromium; nothing without Chromium."""
    program = shutil.which("chromium-headless-shell")
    if program is None:
        return []
    place = directory / "page"
    place.mkdir()
    root = _published(archive, place)
    size = len(gzip.compress((root / "index.html").read_bytes()))
    seconds = _seconds(root, program)
    return [
        Result(f"first paint of the index, {PLUGINS} plugins", seconds, "s", most=1.0, note="on loopback, no cache"),
        Result(f"index page, {PLUGINS} plugins, compressed", size / 1000, "kB", most=150.0),
    ]


def _published(archive: Path, directory: Path) -> Path:
    """Return the root of a site of `PLUGINS` plugins."""
    plugins: list[Plugin] = list(registry.load())
    plugins += [_another(number)() for number in range(PLUGINS - len(plugins))]
    # The plugins are given, instead of looked for among what is installed.
    with patch("statscache.installation.load", return_value=registry.Registry(plugins)):
        installation = install(directory)
    with archive.open("rb") as lines:
        installation.ingest.take(Delivery("benchmark", list(islice(lines, MESSAGES))))
    Publishing(installation).publish()
    installation.close()
    return directory / "public"


def _another(number: int) -> type[VolumeByCategory]:
    return type(f"Another{number}", (VolumeByCategory,), {"name": f"another-{number}", "__doc__": "Another."})


def _seconds(root: Path, program: str) -> float:
    """Return the seconds from asking for the page to its first paint, in the median of visits by new profiles."""
    server = preview.server(root, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
            painted: list[float] = []
            for _ in range(_VISITS):
                with browser.new_context() as profile:
                    page = profile.new_page()
                    page.goto(f"http://127.0.0.1:{server.server_port}/")
                    page.wait_for_function(_PAINTED)
                    painted.append(page.evaluate(_PAINTED) / 1000)
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    seconds: float = median(painted)
    return seconds

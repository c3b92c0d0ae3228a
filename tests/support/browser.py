"""Debian's Chromium, without its windows, visits pages and reports everything that is wrong with them."""

import contextlib
import functools
import http.server
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from loopback import serving
from npm import NODE_MODULES, require_npm
from statscache.service import preview

# A busy machine may take its time.
expect.set_options(timeout=30_000)

WIDTHS = (360, 768, 1440)
BETWEEN = (600, 1024)
"""Widths between those of tours, in pixels."""

SCHEMES = ("light", "dark")
_TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll("body :not(pre)")]
  .filter((part) => part.localName === "html" || getComputedStyle(part).overflowX === "auto")
  .filter((part) => part.scrollWidth > part.clientWidth)
  .map((part) => `${part.localName} "${part.className}" is ${part.scrollWidth - part.clientWidth} px`)"""
_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # On cores that are busy anyway, threads that compile and collect garbage cost more than they save.
    "--js-flags=--single-threaded",
]

# Only what is wrong leaves the page: all that axe returns has 55 kB, which took a fifth of its time.
_AXE = """axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap(
  ({ id, nodes }) => nodes.slice(0, 3).map(
    ({ html, failureSummary }) => `axe: ${id}: ${html.slice(0, 200)}: ${failureSummary.slice(0, 300)}`)))"""

# A message to itself comes after what came before. Tests may have stopped its timers.
_HANDLED = """new Promise((done) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => done();
  port2.postMessage(null);
})"""


@contextlib.contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run a browser."""
    program = shutil.which("chromium-headless-shell")
    if program is None:
        pytest.skip("no browser is installed (Debian: chromium-headless-shell)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS, chromium_sandbox=False)
        yield browser
        browser.close()


def serving_tree(directory: Path) -> AbstractContextManager[str]:
    """Serve a published tree, and give its address."""
    return serving(preview.server(directory, 0))


def serving_files(directory: Path) -> AbstractContextManager[str]:
    """Serve files as any static server does: somebody else's site."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(directory))
    return serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))


class Visit:
    """A visit to one page at a time, in a fresh profile, that records whatever should not happen.

    Args:
        browser: The browser.
        allowed: Beginnings of the addresses that may be asked for.
        script: True if scripts run.

    Attributes:
        page: The page.
        problems: What happened that should not.
    """

    def __init__(self, browser: Browser, allowed: Iterable[str], *, script: bool = True) -> None:
        self._context: BrowserContext = browser.new_context(java_script_enabled=script, reduced_motion="reduce")
        self._allowed = tuple(allowed)
        self._script = script
        self.page: Page = self._context.new_page()
        self.problems: list[str] = []
        self._pending = 0
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)
        self.page.on("requestfinished", lambda _: self._ended())
        self.page.on("requestfailed", lambda _: self._ended())
        self.page.on("response", self._response)

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *_: object) -> None:
        # What still waits for an answer of the test would fail in the middle of the next one.
        self.page.unroute_all(behavior="ignoreErrors")
        self._context.close()

    def open(self, url: str) -> None:
        """Open a page, and wait until it and what it loads is there."""
        self.page.goto(url)
        self.settle()

    def settle(self) -> None:
        """Wait until nothing that was asked for is under way, and every element shows something."""
        quiet = 0
        while quiet < 3:
            self.page.wait_for_timeout(10)
            if self._script:
                # Only when it has handled what came does a page ask for what it refers to.
                self.page.evaluate(_HANDLED)
            quiet = 0 if self._pending else quiet + 1
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)

    def look(self, width: int, scheme: Any) -> None:
        """Look at the page at a width and in a colour scheme; what has to be scrolled sideways is a problem.

        Code and a year's calendar may scroll.
        """
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=scheme)
        # Listeners for the colour scheme are called with the next frame.
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.problems += [f"at {width} px, {part} too wide: {self.page.url}" for part in self.page.evaluate(_TOO_WIDE)]

    def tour(self, audited: Collection[int] = (WIDTHS[0], WIDTHS[-1])) -> None:
        """Look at the page at every width, on a desk in the dark, and let axe look at some of them.

        That the scheme moves nothing is a test of its own.
        """
        for width in WIDTHS:
            self.look(width, SCHEMES[width == WIDTHS[-1]])
            if width in audited:
                self.audit()

    def audit(self) -> None:
        """Let axe look for what keeps people out; its findings are problems."""
        require_npm()
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate((NODE_MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
        self.problems += self.page.evaluate(_AXE)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"something was executed: {dialog.message}")
        dialog.dismiss()

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def _ended(self) -> None:
        self._pending -= 1

    def _request(self, request: Request) -> None:
        self._pending += 1
        if not request.url.startswith((*self._allowed, "data:", "blob:")):
            self.problems.append(f"a request to elsewhere: {request.url}")

"""Progress: a bar on a terminal; elsewhere a line in the log now and then, for long work."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 5.0

Arguments = ParamSpec("Arguments")

_log = logging.getLogger("statscache")


class Bar:
    """Shows how far the work is.

    Args:
        progress: Draws the bar; None without a terminal.
        lines: True to log a line now and then if there is no terminal.
    """

    def __init__(self, progress: "Progress | None", *, lines: bool) -> None:
        self._progress = progress
        self._lines = lines
        self._task = None if progress is None else progress.add_task("", total=None, note="")
        self._what = ""
        self._logged_at = time.monotonic()

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show the progress.

        Args:
            what: What is being done, in a few words.
            done: How much of it is done.
            total: How much there is to do; 0 if unknown.
            note: More details.
        """
        # Another thread may remove the bar meanwhile.
        progress = self._progress
        if progress is not None and self._task is not None:
            # A new part of the work is drawn at once: it may end before the next regular redraw.
            is_new, self._what = what != self._what, what
            progress.update(
                self._task, refresh=is_new, description=what, completed=done, total=total or None, note=note
            )
        elif self._lines and time.monotonic() - self._logged_at >= SECONDS_BETWEEN_LINES:
            self._logged_at = time.monotonic()
            _log.info("%s%s%s", what, f": {100 * done / total:.0f} %" if total else "", f", {note}" if note else "")

    @property
    def is_drawn(self) -> bool:
        """True if there is a terminal to draw on."""
        return self._progress is not None

    def until(self, tell: Callable[Arguments, None]) -> Callable[Arguments, None]:
        """Return a function that removes the bar, then calls `tell`: logs take over."""

        def forward(*arguments: Arguments.args, **more: Arguments.kwargs) -> None:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None
            tell(*arguments, **more)

        return forward


@contextmanager
def bar(*, lines: bool = False) -> Iterator[Bar]:
    """Yield a progress bar on a terminal; elsewhere nothing, or log lines if requested."""
    if not sys.stderr.isatty():
        yield Bar(None, lines=lines)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    )
    with progress:
        yield Bar(progress, lines=lines)

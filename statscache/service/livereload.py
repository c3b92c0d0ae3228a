"""Development: publish again when a template, an asset, a page of the documentation or a plugin changes.

The result of each attempt is sent to the open pages of `statscache serve --watch`.
"""

import importlib
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

QUIET = 0.05
"""Seconds without a further change after which a change is acted on: an editor writes a file in several steps."""


class Attempts:
    """Counts the attempts to publish, and keeps the error of the last one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.number = 0
        self.error = ""

    def add(self, error: str) -> None:
        """Record an attempt, with its error; empty if none."""
        with self._changed:
            self.number += 1
            self.error = error
            self._changed.notify_all()

    def wait(self, number: int, seconds: float) -> bool:
        """Wait at most so many seconds for an attempt after the one of this number; return whether there is one."""
        with self._changed:
            return self._changed.wait_for(lambda: self.number > number, seconds)


class Watcher(FileSystemEventHandler):
    """Calls `publish` after each change below some directories, one at a time, in a thread of its own.

    Args:
        publish: Publishes with what is there now.
        directories: What is watched, with all that is below.
        tell: Called with the result of each attempt.
    """

    def __init__(self, publish: Callable[[], None], directories: Iterable[Path], tell: Callable[[str], None]) -> None:
        self.attempts = Attempts()
        self._publish = publish
        self._tell = tell
        self._changed: set[Path] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = False
        self._observer = Observer()
        for directory in sorted(set(directories)):
            self._observer.schedule(self, str(directory), recursive=True)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._observer.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop watching."""
        self._observer.stop()
        self._observer.join()
        self._over = True
        self._wake.set()
        self._thread.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note the file that was written, moved or removed."""
        if event.is_directory or event.event_type not in ("created", "modified", "moved", "deleted"):
            return
        path = Path(str(event.dest_path or event.src_path))
        if "__pycache__" in path.parts or path.name.startswith("."):
            return
        with self._lock:
            self._changed.add(path)
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            while self._wake.is_set() and not self._over:
                self._wake.clear()
                self._wake.wait(QUIET)
            if self._over:
                return
            with self._lock:
                changed, self._changed = self._changed, set()
            error = self._attempt(changed)
            names = ", ".join(sorted(path.name for path in changed))
            self._tell(f"{names} changed: {error or 'published'}")
            self.attempts.add(error)

    def _attempt(self, changed: set[Path]) -> str:
        """Publish, and return the errors that were raised or logged."""
        errors = _Errors()
        logging.getLogger("statscache").addHandler(errors)
        # Whatever a template or a plugin under development does, the watch goes on.
        try:
            _reload(changed)
            self._publish()
        except Exception:
            errors.texts.append(traceback.format_exc(limit=-3))
        finally:
            logging.getLogger("statscache").removeHandler(errors)
        return "\n".join(errors.texts)


class _Errors(logging.Handler):
    """Collects logged errors, with the end of their tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message and the exception."""
        about = record.exc_info[1] if record.exc_info else None
        cause = "".join(traceback.format_exception(about, limit=-3)) if about else ""
        self.texts.append(f"{record.getMessage()}\n{cause}".strip())


def _reload(changed: set[Path]) -> None:
    """Load the modules of the files again."""
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name != "__main__" and Path(file).resolve() in {path.resolve() for path in changed}:
            importlib.reload(module)

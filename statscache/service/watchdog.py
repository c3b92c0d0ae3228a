"""A plugin that does not return ends the process, and is suspended when the process comes back.

The timer is `faulthandler`'s: a thread of C that needs no interpreter lock, so that even a regular expression that runs
wild is caught. It writes the traceback behind a note, kept up to date through a memory map, of the plugin that was at
work. Each process has a file of its own for that, which it locks: one that is not locked was left by a process that is
dead. Whoever supervises the process starts it again.
"""

import faulthandler
import fcntl
import logging
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statscache.exceptions import ConfigurationError
from statscache.ingest import Ingest
from statscache.ingest.watch import Watch
from statscache.plugins import Plugin

_SIZE = 4096
"""Bytes of the note, before the traceback."""

# A process has one timer of faulthandler's: a second thread would put off, and then end, that of the first.
_timer = threading.Lock()

_log = logging.getLogger(__name__)


class Watchdog(Watch):
    """Ends the process when observing takes too long.

    Args:
        note: How the names of the files begin that processes leave; that of the last hang is kept as `NOTE.last`.
        timeout: Seconds that the plugins may take for one batch.
    """

    def __init__(self, note: Path, timeout: float) -> None:
        self._note = note
        self._timeout = timeout
        self._file: Path | None = None
        self._descriptor = -1
        self._map: mmap.mmap | None = None

    def report(self, ingest: Ingest) -> None:
        """Suspend the plugins at which processes before this one were ended."""
        last = self._note.with_name(f"{self._note.name}.last")
        for path in sorted(self._note.parent.glob(f"{self._note.name}.*")):
            if path == last or (left := _left(path)) is None:
                continue
            name, what, traceback = left
            if not traceback:
                path.unlink(missing_ok=True)
                continue
            reason = f"it did not return within {self._timeout:g} s, at work on {what}; see {last}"
            _log.error("plugin %s is suspended: %s", name, reason)
            ingest.suspend(name, reason)
            path.replace(last)

    @contextmanager
    def observing(self) -> Iterator[None]:
        with _timer:
            if self._map is None:
                self._open()
            faulthandler.dump_traceback_later(self._timeout, exit=True, file=self._descriptor)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()

    def begin(self, plugin: Plugin, number: int, first: str) -> None:
        assert self._map is not None
        text = f"{plugin.name}\n{number} messages from {first:.200}".encode()[:_SIZE]
        self._map[:] = text.ljust(_SIZE, b"\0")

    def close(self) -> None:
        """Remove the file of this process; it ends in peace."""
        if self._map is not None and self._file is not None:
            self._map.close()
            self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._map = None

    def _open(self) -> None:
        while True:
            try:
                self._descriptor, name = tempfile.mkstemp(prefix=f"{self._note.name}.", dir=self._note.parent)
            except OSError as error:
                raise ConfigurationError(
                    f"[plugins] hang_note: {self._note.parent.absolute()}/ cannot be written: {error.strerror};"
                    " name a file in a directory that can"
                ) from error
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            # Another process may have removed it as a dead one's, before it was locked.
            if os.fstat(self._descriptor).st_nlink:
                break
            os.close(self._descriptor)
        self._file = Path(name)
        os.ftruncate(self._descriptor, _SIZE)
        # There the traceback will be written.
        os.lseek(self._descriptor, _SIZE, os.SEEK_SET)
        self._map = mmap.mmap(self._descriptor, _SIZE)


def _left(path: Path) -> tuple[str, str, bytes] | None:
    """Return the plugin, what it was at work on, and the traceback that a dead process left; None if it lives."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        note, traceback = file.read(_SIZE), file.read()
    name, _, what = note.rstrip(b"\0").decode(errors="replace").partition("\n")
    return name, what, traceback

"""A plugin that does not return ends the process.

When the process comes back, the message that the plugin was looking at is quarantined for it. A plugin that was busy
with something else, or that hung on several messages, is suspended.

The timer is `faulthandler`'s: a thread of C that needs no interpreter lock, so that even a regular expression that runs
wild is caught. It writes the traceback behind a note, kept up to date through a memory map, of the plugin that was at
work. As it reads the frames of threads that run on meanwhile, it may, rarely, end by a segmentation fault; the first
line of the traceback is written by then, and that is enough to suspend the plugin. Each watchdog has a file of its own
for that, which it locks: one that is not locked was left by a process that is dead. Whoever supervises the process
starts it again.
"""

import faulthandler
import fcntl
import logging
import mmap
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from statscache.exceptions import ConfigurationError
from statscache.ingest import Ingest
from statscache.message import Message
from statscache.plugins import Plugin
from statscache.plugins.watch import Watch

_SIZE = 4096
"""Bytes of the note, before the traceback."""

MAX_HANGS = 3
"""Messages on which a plugin may hang before it is suspended."""

_MESSAGE = "message "

_log = logging.getLogger(__name__)


class _Timer:
    """The one timer of faulthandler that a process has, set for the earliest deadline of its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[int, float] = {}

    @contextmanager
    def running(self, seconds: float, descriptor: int) -> Iterator[None]:
        """Return a context that ends within `seconds`, or the process does, with a traceback in the open file."""
        with self._lock:
            self._ends[descriptor] = time.monotonic() + seconds
            self._set()
        try:
            yield
        finally:
            with self._lock:
                del self._ends[descriptor]
                self._set()

    def _set(self) -> None:
        if not self._ends:
            faulthandler.cancel_dump_traceback_later()
            return
        descriptor, end = min(self._ends.items(), key=itemgetter(1))
        faulthandler.dump_traceback_later(max(end - time.monotonic(), 0.001), exit=True, file=descriptor)


_timer = _Timer()


class Watchdog(Watch):
    """Ends the process when plugins run for too long. One thread at a time uses it.

    Args:
        note: How the names of the files begin that processes leave; that of the last hang is kept as `NOTE.last`.
        timeout: Seconds that the plugins may take to observe a batch, or to merge it; or one of them, to render.
    """

    def __init__(self, note: Path, timeout: float) -> None:
        self._note = note
        self._timeout = timeout
        self._file: Path | None = None
        self._descriptor = -1
        self._map: mmap.mmap | None = None

    def report(self, ingest: Ingest) -> None:
        """Quarantine for a plugin the message at which it hung, or suspend it, for each process that ended so."""
        last = self._note.with_name(f"{self._note.name}.last")
        for path in sorted(self._note.parent.glob(f"{self._note.name}.*")):
            if path == last or (left := _left(path)) is None:
                continue
            name, what, traceback = left
            if not traceback:
                path.unlink(missing_ok=True)
                continue
            reason = f"it did not return within {self._timeout:g} s, working on {what}; see {last}"
            hung = ingest.avoid(name, what.removeprefix(_MESSAGE)) if what.startswith(_MESSAGE) else MAX_HANGS
            if hung < MAX_HANGS:
                _log.error("plugin %s hung: %s; it is not shown that message again", name, reason)
            else:
                _log.error("plugin %s is suspended: %s", name, reason)
                ingest.suspend(name, reason)
            path.replace(last)

    @contextmanager
    def observing(self) -> Iterator[None]:
        if self._map is None:
            self._open()
        with _timer.running(self._timeout, self._descriptor):
            yield

    def begin(self, plugin: Plugin, message: Message) -> None:
        assert self._map is not None
        note = f"{plugin.name}\n{_MESSAGE}{message.id}\0".encode()
        self._map[: len(note)] = note

    def note(self, plugin: Plugin, what: str) -> None:
        assert self._map is not None
        note = f"{plugin.name}\n{what:.1000}\0".encode()
        self._map[: len(note)] = note

    def close(self) -> None:
        """Remove the file of this process: nothing hangs."""
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
    """Return the plugin, what it worked on, and the traceback that a dead process left; None if it lives."""
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
    name, _, what = note.partition(b"\0")[0].decode(errors="replace").partition("\n")
    return name, what, traceback

"""A plugin that does not return ends the process, and is suspended when the process comes back.

The timer is `faulthandler`'s: a thread of C that needs no interpreter lock, so that even a regular expression that runs
wild is caught. It writes the traceback to a file; beside it lies a note, kept up to date through a memory map, of the
plugin that was at work. Whoever supervises the process starts it again.
"""

import faulthandler
import logging
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from statscache.ingest import Ingest
from statscache.ingest.watch import Watch
from statscache.message import Message
from statscache.plugins import Plugin

_SIZE = 4096

_log = logging.getLogger(__name__)


class Watchdog(Watch):
    """Ends the process when observing takes too long.

    Args:
        note: The file of the note; the traceback lies beside it, with `.traceback` appended.
        timeout: Seconds that the plugins may take for one batch.
    """

    def __init__(self, note: Path, timeout: float) -> None:
        self._note = note
        self._traceback = note.with_name(f"{note.name}.traceback")
        self._timeout = timeout
        self._map: mmap.mmap | None = None

    def report(self, ingest: Ingest) -> None:
        """Suspend the plugin at which the process before this one was ended, if it was."""
        try:
            traceback = self._traceback.read_text(errors="replace")
        except FileNotFoundError:
            return
        if traceback and self._note.exists():
            name, _, what = self._note.read_bytes().rstrip(b"\0").decode(errors="replace").partition("\n")
            reason = f"it did not return within {self._timeout:g} s, at work on {what}; see {self._traceback}"
            _log.error("plugin %s is suspended: %s", name, reason)
            ingest.suspend(name, reason)
            self._traceback.replace(self._note.with_name(f"{self._note.name}.traceback.last"))

    @contextmanager
    def observing(self) -> Iterator[None]:
        with self._traceback.open("w") as file:
            faulthandler.dump_traceback_later(self._timeout, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()

    def begin(self, plugin: Plugin, messages: Sequence[tuple[int, Message]]) -> None:
        text = f"{plugin.name}\n{len(messages)} messages from {messages[0][1].id:.200}".encode()[:_SIZE]
        note = self._map or self._open()
        note[:_SIZE] = text.ljust(_SIZE, b"\0")

    def _open(self) -> mmap.mmap:
        descriptor = os.open(self._note, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            os.ftruncate(descriptor, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        return self._map

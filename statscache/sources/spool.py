"""The spool: a directory into which archives are dropped, each taken once, when it is complete.

Beside the dropped files there are three directories. A file is first moved to `taken/`, where its writer no
longer looks; then to `done/` if it could be read to its end, else to `failed/`, with the reason beside it.
Users who drop files choose their names and the targets of links, so nothing existing is overwritten or followed.
Several processes may watch one spool. A file in `taken/` that no process has locked was left by one that is dead, and
is taken again.
"""

import errno
import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import IO, NamedTuple

from watchdog.events import FileClosedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from statscache.exceptions import ConfigurationError, SourceError
from statscache.sources import archive
from statscache.wording import printable

QUIET = 5.0
"""Seconds for which a file must not have changed if its closing was not seen."""

_DIRECTORIES = ("taken", "done", "failed")
_REASON = ".reason"
# Leaves room for suffixes: a name has at most 255 bytes.
_LONGEST_NAME = 230
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}

_log = logging.getLogger(__name__)


_State = tuple[int, int, int]


class Taken(NamedTuple):
    """A file that this process, and no other, works on.

    Attributes:
        path: Where it is.
        descriptor: The open file, which holds the lock.
    """

    path: Path
    descriptor: int


class Spool:
    """The directory, as seen by one process.

    Args:
        path: The directory.

    Raises:
        ConfigurationError: It is not a writable directory, or files cannot be moved to the three directories in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken, self._done, self._failed = (path / name for name in _DIRECTORIES)
        try:
            # No one else may replace a file while it is read.
            for directory, mode in ((self._taken, 0o700), (self._done, 0o777), (self._failed, 0o777)):
                with suppress(FileExistsError):
                    directory.mkdir(mode)
            self._check()
        except OSError as error:
            message = f"[sources.spool] path: {path} is not a directory that can be used: {error.strerror}"
            raise ConfigurationError(message) from error
        # How files were when they were closed, and since when they have been as they are.
        self._closed: dict[str, _State] = {}
        self._seen: dict[str, tuple[_State, float]] = {}
        self._refused: set[str] = set()

    @contextmanager
    def watching(self, changed: threading.Event) -> Iterator[None]:
        """Set `changed` whenever a file is closed in the directory, or moved there, while this context lasts."""
        observer = Observer()
        observer.schedule(_Handler(self._path, self._closed, changed), str(self._path))
        observer.start()
        try:
            yield
        finally:
            observer.stop()
            observer.join()

    def take(self) -> Taken | None:
        """Return a complete file, to be finished, failed or released; None if there is none now.

        Raises:
            OSError: One of the three directories cannot be used; the text has the fix.
        """
        with self._locked():
            for path in sorted(self._taken.iterdir()):
                if (taken := self._open(path)) is not None:
                    return taken
            for name in self._whole():
                path = self._taken / name
                # While one of the same name is being read, this one waits.
                if os.path.lexists(path):
                    continue
                try:
                    (self._path / name).rename(path)
                except OSError as error:
                    self._complain(name, error)
                    continue
                if (taken := self._open(path)) is not None:
                    return taken
        return None

    def finish(self, taken: Taken) -> None:
        """Move a file to `done/`; it was read to its end.

        Raises:
            OSError: It cannot be moved, and is released.
        """
        try:
            with self._locked():
                taken.path.rename(_free(self._done, taken.path.name))
        finally:
            os.close(taken.descriptor)
        _log.info("%r is done", taken.path.name)

    def fail(self, taken: Taken, reason: str) -> None:
        """Move a file to `failed/`, with the reason beside it.

        Raises:
            OSError: It cannot be moved, and is released.
        """
        try:
            with self._locked():
                self._refuse(taken.path, reason)
        finally:
            os.close(taken.descriptor)

    def release(self, taken: Taken) -> None:
        """Leave a file where it is, for the next process."""
        os.close(taken.descriptor)

    def rewrite(self, change: Callable[[bytes], bytes], max_line: int) -> tuple[int, list[str], list[str]]:
        """Change lines of all files: of those that wait, that were read, and that could not be.

        Args:
            change: Returns what is to stand for a line.
            max_line: Bytes of the longest line that is changed as a whole.

        Returns:
            How many files changed; the names of those that are being written or read; and those that need too much
            memory to read. The latter two stay as they are.
        """
        changed, busy, unread = 0, list[str](), list[str]()
        with self._locked():
            for directory in (self._path, self._taken, self._done, self._failed):
                for path in sorted(directory.iterdir()):
                    about = _look(path)
                    if about is None or not stat.S_ISREG(about.st_mode) or path.name.startswith("."):
                        continue
                    is_written = directory == self._path and time.time() - about.st_mtime < QUIET
                    with path.open("rb") as file:
                        if is_written or (directory == self._taken and not _is_free(file)):
                            busy.append(path.name)
                            continue
                    try:
                        changed += archive.rewrite(path, change, max_line) > 0
                    except SourceError:
                        unread.append(path.name)
        return changed, busy, unread

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from moving files in this context."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._check()
            yield
        finally:
            os.close(descriptor)

    def _check(self) -> None:
        """Raise OSError unless files can be moved to the three directories, and stay on this filesystem."""
        device = self._path.stat().st_dev
        for directory in (self._taken, self._done, self._failed):
            if (about := _look(directory)) is None:
                raise FileNotFoundError(errno.ENOENT, f"{directory} is missing: create it again")
            if not stat.S_ISDIR(about.st_mode):
                kind = _KINDS.get(stat.S_IFMT(about.st_mode), "no directory")
                raise NotADirectoryError(errno.ENOTDIR, f"{directory} is {kind}: put a directory in its place")
            if about.st_dev != device:
                fix = "replace it with a directory on the spool's filesystem"
                raise OSError(errno.EXDEV, f"{directory} is on another filesystem: {fix}")
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, f"{directory} cannot be written")

    def _open(self, path: Path) -> Taken | None:
        """Return a file of `taken/`, locked; None if another process works on it, or it was refused here."""
        kind = stat.S_IFMT(path.lstat().st_mode)
        if kind != stat.S_IFREG:
            what = _KINDS.get(kind, "no file")
            if kind == stat.S_IFLNK:
                what += f" to {os.readlink(path)!r}"
            self._refuse(path, f"it is {what}: put a copy of the archive here")
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self._refuse(path, f"it cannot be read: {error.strerror}")
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return Taken(path, descriptor)

    def _refuse(self, path: Path, reason: str) -> None:
        target = _free(self._failed, path.name, _REASON)
        beside = target.with_name(target.name + _REASON)
        # It may quote names; they must not start new lines in the file or the log.
        text = printable(reason)
        # Before the file, so that it never lies there without. Exclusive creation does not follow links.
        with beside.open("x", encoding="utf-8") as file:
            try:
                file.write(f"{text}\n")
                file.flush()
                if path.is_symlink():
                    # A link could lead outside for whoever opens it.
                    path.unlink()
                else:
                    path.rename(target)
            except OSError:
                beside.unlink()
                raise
        _log.error("%r is refused, see %r in %s/: %s", path.name, beside.name, self._failed, text)

    def _whole(self) -> list[str]:
        """Return the names of dropped files that were closed, or have not changed for a while, oldest first."""
        now = time.monotonic()
        whole: list[tuple[int, str]] = []
        there: dict[str, tuple[_State, float]] = {}
        for name in os.listdir(self._path):
            # Programs that copy files begin the names of unfinished ones with a dot.
            if name.startswith(".") or name in _DIRECTORIES:
                continue
            if (about := _look(self._path / name)) is None or stat.S_ISDIR(about.st_mode):
                continue
            state = _state(about)
            before = self._seen.get(name)
            since = before[1] if before is not None and before[0] == state else now
            there[name] = state, since
            if self._closed.get(name) == state or now - since >= QUIET or not stat.S_ISREG(about.st_mode):
                whole.append((about.st_mtime_ns, name))
        self._seen = there
        for name in self._closed.keys() - there.keys():
            self._closed.pop(name, None)
        return [name for _, name in sorted(whole)]

    def _complain(self, name: str, error: OSError) -> None:
        # It may be gone, which is its owner's right; else it would be logged at each check.
        if not isinstance(error, FileNotFoundError) and name not in self._refused:
            self._refused.add(name)
            _log.error("%r cannot be taken from the spool %s: %s", name, self._path, error.strerror)


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _state(about: os.stat_result) -> _State:
    return about.st_ino, about.st_size, about.st_mtime_ns


def _is_free(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; return False if another process has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Handler(FileSystemEventHandler):
    """Records the names of complete files."""

    def __init__(self, path: Path, closed: dict[str, _State], changed: threading.Event) -> None:
        self._directory = os.fspath(path)
        self._closed = closed
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileClosedEvent):
            self._note(event.src_path)
        elif isinstance(event, FileMovedEvent):
            self._note(event.dest_path)

    def _note(self, path: bytes | str) -> None:
        directory, name = os.path.split(os.fsdecode(path))
        if directory == self._directory and (about := _look(Path(directory, name))) is not None:
            self._closed[name] = _state(about)
            self._changed.set()


def _free(directory: Path, name: str, beside: str = "") -> Path:
    """Return where in a directory a file of this name can go, and what is `beside` it, without replacing another."""
    name = os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])
    names = chain([name], (f"{name}.{number}" for number in count(2)))
    free = (name for name in names if not any(os.path.lexists(directory / (name + end)) for end in ("", beside)))
    return directory / next(free)

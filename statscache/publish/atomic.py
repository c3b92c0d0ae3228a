"""Atomic files: a reader finds the old bytes or the new ones, also after a crash."""

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

_MODE = 0o644
_DIRECTORY_MODE = 0o755


def make_directory(path: Path, root: Path) -> None:
    """Make a directory and those above it up to `root`, open to readers whatever the process's mask says."""
    try:
        path.mkdir(parents=path == root)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_directory(path.parent, root)
        path.mkdir(exist_ok=True)
    path.chmod(_DIRECTORY_MODE)


def write(path: Path, data: bytes, temporary: Path, *, synced: bool = False) -> None:
    """Put `data` in place of the file at `path`.

    Args:
        path: The file; its directory exists.
        data: Its new bytes.
        temporary: A directory on the same file system, for the bytes until they are whole.
        synced: Whether they are on the disk before they have the name: else the loss of power can leave less of them.
    """
    unfinished = temporary / uuid4().hex
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(data)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        raise


def link(source: Path, path: Path, temporary: Path) -> bool:
    """Make `path` the same file as `source`; return False where the file system has no hard links.

    Its modification time is now, or that of the file which it replaces if that is later: readers compare times, and one
    that goes back would leave them with bytes that were replaced.
    """
    unfinished = temporary / uuid4().hex
    try:
        os.link(source, unfinished)
    except OSError:
        return False
    try:
        now = time.time_ns()
        with suppress(FileNotFoundError):
            now = max(now, path.stat().st_mtime_ns)
        os.utime(unfinished, ns=(now, now))
        unfinished.replace(path)
    finally:
        # Where both are the same file already, POSIX leaves the new name behind.
        with suppress(FileNotFoundError):
            unfinished.unlink()
    return True


def sync(path: Path) -> None:
    """Return when the file or directory has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

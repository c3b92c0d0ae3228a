"""Atomic files: a reader finds the old bytes or the new ones, also after a crash."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

_MODE = 0o644
_DIRECTORY_MODE = 0o755
_SYNC_ONE_BY_ONE = 64
_SECOND = 1_000_000_000


def make_directory(path: Path, root: Path) -> None:
    """Make a directory and those above it up to `root`, readable for all despite the process's umask."""
    try:
        path.mkdir(parents=path == root)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_directory(path.parent, root)
        path.mkdir(exist_ok=True)
    path.chmod(_DIRECTORY_MODE)


def draft(data: bytes, temporary: Path) -> Path:
    """Write `data` to a new file in a directory, and return its path."""
    unfinished = temporary / uuid4().hex
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), _MODE)
        file.write(data)
    return unfinished


def put(drafts: dict[Path, Path], root: Path) -> None:
    """Put drafts in place of files, when their bytes are on the disk: else the loss of power can leave less of them.

    Args:
        drafts: By the path of the file, the draft, on the same file system; in order. Those that were put are taken
            out, so that the same call can be tried again where it failed.
        root: Below which directories are made where they are missing.
    """
    sync_all([*drafts.values()])
    for path, unfinished in [*drafts.items()]:
        replace(path, unfinished, root)
        del drafts[path]


def replace(path: Path, unfinished: Path, root: Path) -> None:
    """Put a draft in place of a file, with a later modification time than the file had; see `_date_after`."""
    make_directory(path.parent, root)
    _date_after(path, unfinished)
    unfinished.replace(path)


def link(source: Path, path: Path, temporary: Path) -> bool:
    """Make `path` the same file as `source`, if it is not yet; return False where the file system has no hard links."""
    unfinished = temporary / uuid4().hex
    try:
        os.link(source, unfinished)
    except OSError:
        return False
    try:
        if not (path.exists() and path.samefile(unfinished)):
            _date_after(path, unfinished)
        unfinished.replace(path)
    finally:
        # Where both are the same file already, POSIX leaves the new name behind.
        with suppress(FileNotFoundError):
            unfinished.unlink()
    return True


def _date_after(path: Path, unfinished: Path) -> None:
    """Set the modification time of a draft to now, or to the second after that of the file which it replaces.

    Readers compare times in whole seconds (`Last-Modified` in RFC 9110, 8.8.2), so other bytes with the same time, or
    an earlier one, would leave them with what was replaced. A file that is replaced more than once in a second gets
    times ahead of the clock, by a second each, until the clock catches up. The draft itself may be shared: another
    path may be the same file, and its time must not go back either.
    """
    modified = max(time.time_ns(), unfinished.stat().st_mtime_ns)
    with suppress(FileNotFoundError):
        modified = max(modified, (path.stat().st_mtime_ns // _SECOND + 1) * _SECOND)
    os.utime(unfinished, ns=(modified, modified))


def sync_all(paths: Sequence[Path]) -> None:
    """Return when files and directories have reached the disk."""
    if len(paths) > _SYNC_ONE_BY_ONE:
        os.sync()
        return
    for path in dict.fromkeys(paths):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

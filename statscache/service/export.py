"""The journal as an archive: NDJSON in fedora-messaging's envelope, which a backfill takes."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from statscache.exceptions import ExportError, ExportRefused
from statscache.installation import Installation
from statscache.message import envelope
from statscache.permissions import CLOSED
from statscache.sources import archive
from statscache.sources.compression import GZIP, ZSTD, compressing
from statscache.store import journal

_MAGIC = {".gz": GZIP, ".zst": ZSTD}
_MESSAGES_BETWEEN_UPDATES = 10_000


def export(installation: Installation, out: BinaryIO, progress: Callable[[int, int], None]) -> int:
    """Write all messages of the journal, in order of acceptance, and return how many there were.

    Args:
        installation: Whose journal.
        out: Where to.
        progress: Called now and then with the number written, and the number of all.
    """
    number = 0
    with installation.database.reading() as connection:
        end = journal.head(connection).position
        total = end - journal.removed(connection).messages
        for _, record in journal.read(connection, 0, end):
            out.write(envelope(record) + b"\n")
            number += 1
            if number % _MESSAGES_BETWEEN_UPDATES == 0:
                progress(number, total)
    return number


def refuse_others(path: Path, files: Sequence[Path] = ()) -> None:
    """Refuse a path at which there is something that an archive must not replace.

    Args:
        path: The file to write.
        files: The files of the database; none if unknown.

    Raises:
        ExportError: The existing file cannot be read.
        ExportRefused: The path is that of the database, or of a file that is not an archive.
    """
    if any(path.resolve() == file.resolve() or _is_same(path, file) for file in files):
        raise ExportRefused(f"{path} belongs to the database; nothing was written: give another name")
    try:
        refused = path.exists() and not archive.is_archive(path)
    except OSError as error:
        raise ExportError(f"cannot tell whether {path} is an archive: {error.strerror}") from error
    if refused:
        raise ExportRefused(
            f"{path} exists, and is not an archive: remove it, or give another name (nothing was written)"
        )


def _is_same(path: Path, file: Path) -> bool:
    return path.exists() and file.exists() and path.samefile(file)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file that replaces `path` when it is complete; compressed if the name ends in `.gz` or `.zst`.

    Whatever the umask, it is closed to others, as the database is: it holds the same messages. An archive that only its
    owner could read stays so.

    Raises:
        ExportError: It cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        try:
            mode = stat.S_IMODE(path.stat().st_mode) & CLOSED if path.exists() else CLOSED
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                with compressing(file, _MAGIC.get(path.suffix, b"")) as out:
                    yield out
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error

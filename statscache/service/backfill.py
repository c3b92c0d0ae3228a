"""History from archives: read once, resumable, nothing counted twice."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from statscache.exceptions import DamagedArchive, SourceError
from statscache.ingest import Delivery, Outcome
from statscache.ingest.prepare import Batch
from statscache.installation import Installation
from statscache.service.parallel import Workers, caught_up, prepared
from statscache.sources import archive
from statscache.store import coverage, journal, sources
from statscache.store.rows import ARCHIVE

PIECE = 8_000
"""Maximum number of lines that are in memory at the same time; `PIECES` as many are accepted in one transaction."""

PIECE_BYTES = 8 * 1024 * 1024
"""Bytes of lines at which a piece ends."""


def backfill(installation: Installation, path: Path, workers: Workers | None = None) -> Iterator[tuple[int, Outcome]]:
    """Accept the messages of an archive, resuming an earlier run on the same file.

    Yields, after each batch, the bytes of the file that have been read so far, and the outcome of the batch.

    Args:
        installation: The installation.
        path: An NDJSON file, plain, gzip or zstd.
        workers: The processes that parse lines and let plugins observe; None for this process.

    Raises:
        DamagedArchive: The file is damaged; what came before was accepted.
        SourceError: It cannot be read.
        WorkerError: The workers failed; what came before was accepted.
    """
    name = _name(path)
    with installation.database.reading() as connection:
        row = sources.load(connection, name)
    chunks = archive.read(
        path,
        offset=row.offset if row else 0,
        max_line=installation.config.bus.max_line,
        max_lines=PIECE,
        max_bytes=PIECE_BYTES,
    )

    def deliver(chunk: archive.Chunk) -> tuple[int, Delivery]:
        return chunk.consumed, Delivery(name, chunk.lines, offset=chunk.offset, oversize=chunk.oversize)

    def take(item: tuple[int, Delivery, Batch]) -> tuple[int, Outcome]:
        consumed, delivery, batch = item
        return consumed, installation.ingest.take(delivery, batch)

    try:
        # `map`, unlike a loop, has no name that keeps a chunk in memory while the next one is read.
        yield from map(take, prepared(map(deliver, chunks), installation.ingest, workers))
    except SourceError as error:
        # There is nothing more to read in it, and what replaces it is another file.
        _forget(installation, name)
        if isinstance(error, DamagedArchive):
            raise DamagedArchive(f"{error}; the readable part was accepted") from error
        raise
    _forget(installation, name)


def quarantined_before(installation: Installation, path: Path) -> int:
    """Return how many lines of an archive an interrupted run on the same file has quarantined."""
    with installation.database.reading() as connection:
        row = sources.load(connection, _name(path))
    return row.quarantined if row else 0


def _forget(installation: Installation, name: str) -> None:
    with installation.database.writing() as connection:
        sources.forget(connection, name)


def complete(installation: Installation, start: int, end: int) -> None:
    """Record that all messages of `[start, end)` have been delivered; times in seconds since 1970 UTC."""
    with installation.database.writing() as connection:
        journal.lock(connection)
        coverage.record(connection, start, end, complete=True)


def catch_up(
    installation: Installation,
    tell: Callable[[Sequence[tuple[str, int]]], None],
    workers: Workers | None = None,
) -> None:
    """Fold the journal into every plugin that is behind, until none is.

    Args:
        installation: The installation.
        tell: Called after each step with the plugins that are behind, and by how many messages.
        workers: The processes that let plugins observe the journal; None for this process.

    Raises:
        WorkerError: The workers failed; what they had done was folded.
    """
    if workers is not None:
        for _ in caught_up(installation, workers):
            tell(installation.ingest.plugins.behind())
    while installation.ingest.catch_up():
        tell(installation.ingest.plugins.behind())


def _name(path: Path) -> str:
    # Another file at the same path, or one that has grown, is read from its beginning.
    # A path is bytes, and a database takes text only.
    whole = os.fsencode(path.resolve()).decode(errors="backslashreplace")
    try:
        stat = path.stat()
    except OSError:
        return f"{ARCHIVE}{whole}"
    return f"{ARCHIVE}{whole}:{stat.st_size}:{stat.st_mtime_ns}"

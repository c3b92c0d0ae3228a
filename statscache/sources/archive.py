"""Archives: files of newline-delimited JSON, plain, gzip or zstd; told apart by their first bytes, not by name."""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from statscache.exceptions import SourceError

_CHUNK = 1 << 20
_KEPT_OF_OVERSIZE = 65_536
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Chunk(NamedTuple):
    """Lines of an archive.

    Attributes:
        lines: Without newline, none empty.
        oversize: Of lines that are too long: their first 64 KiB, and what is wrong.
        offset: Bytes of the uncompressed archive up to the end of these lines.
        consumed: Bytes of the file that have been read for them, for progress.
    """

    lines: list[bytes]
    oversize: list[tuple[bytes, str]]
    offset: int
    consumed: int


def read(path: Path, *, offset: int, max_line: int, max_lines: int, max_bytes: int) -> Iterator[Chunk]:
    """Yield the lines of an archive behind `offset` bytes of its uncompressed content, with flat memory.

    Args:
        path: The file.
        offset: Where an earlier reading ended.
        max_line: Bytes of the longest line that is taken for a message.
        max_lines: Lines of a chunk.
        max_bytes: Bytes at which a chunk ends, beyond which it goes by one line at most.

    Raises:
        SourceError: The file cannot be read, or ends in the middle of its compression; what came before it was
            yielded.
    """
    try:
        with path.open("rb", buffering=0) as file:
            yield from _chunks(path, file, offset, max_line, max_lines, max_bytes)
    except IsADirectoryError as error:
        raise SourceError(f"{path} is a directory; name the files in it") from error
    except (EOFError, gzip.BadGzipFile, zstandard.ZstdError) as error:
        message = f"{path} is truncated or damaged: {error}; what could be read was taken. Get it anew and run again"
        raise SourceError(message) from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _chunks(
    path: Path, file: io.FileIO, offset: int, max_line: int, max_lines: int, max_bytes: int
) -> Iterator[Chunk]:
    content = _content(file)
    _skip(path, content, offset)
    lines: list[bytes] = []
    oversize: list[tuple[bytes, str]] = []
    size = number = 0
    while line := content.readline(max_line + 1):
        offset += len(line)
        number += 1
        if len(line) > max_line and not line.endswith(b"\n"):
            length = len(line)
            while (rest := content.readline(_CHUNK)) and not rest.endswith(b"\n"):
                length += len(rest)
            offset += length + len(rest) - len(line)
            where = f"the line that ends at byte {offset}"
            reason = f"{where} has {length + len(rest)} bytes; at most {max_line} are taken ([bus] max_line)"
            oversize.append((line[:_KEPT_OF_OVERSIZE], reason))
        elif stripped := line.strip():
            lines.append(stripped)
            size += len(stripped)
        if len(lines) >= max_lines or size >= max_bytes or len(oversize) >= max_lines:
            yield Chunk(lines, oversize, offset, file.tell())
            lines, oversize, size = [], [], 0
    yield Chunk(lines, oversize, offset, file.tell())


def _content(file: io.FileIO) -> io.BufferedReader:
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=file), _CHUNK)
    if magic == _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return io.BufferedReader(_Raw(reader), _CHUNK)
    return io.BufferedReader(file, _CHUNK)


class _Raw(io.RawIOBase):
    """The decompressor's stream as the raw stream that a buffered reader takes."""

    def __init__(self, reader: zstandard.ZstdDecompressionReader) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _skip(path: Path, content: io.BufferedReader, offset: int) -> None:
    if not offset:
        return
    while offset > 0 and (data := content.read(min(offset, _CHUNK))):
        offset -= len(data)
    if offset > 0:
        raise SourceError(f"{path} is shorter than when it was last read; it is another file: rename it and run again")

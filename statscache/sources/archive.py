"""Archives: files of newline-delimited JSON, plain, gzip or zstd; told apart by their first bytes, not by name."""

import gzip
import io
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import zstandard

from statscache.exceptions import SourceError

_CHUNK = 1 << 20
_KEPT_OF_OVERSIZE = 65_536
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
# A few bytes of zstd can stand for 128 KiB: little at a time keeps memory flat.
_ZSTD_CHUNK = 1 << 12
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


class Chunk(NamedTuple):
    """Lines of an archive.

    Attributes:
        lines: Without the newline that ends them, none blank.
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
    except _DAMAGE as error:
        message = f"{path} is truncated or damaged: {error}; what could be read was taken. Get it anew and run again"
        raise SourceError(message) from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _chunks(
    path: Path, file: io.FileIO, offset: int, max_line: int, max_lines: int, max_bytes: int
) -> Iterator[Chunk]:
    lines: list[bytes] = []
    oversize: list[tuple[bytes, str]] = []
    size = 0
    try:
        content = _content(file)
        _skip(path, content, offset)
        for part in _parts(content, max_line):
            begin = 0
            # Whole slices go through built-in functions, for this is done for each line of history.
            while begin < len(part.lines):
                room = max_lines - len(lines) - len(oversize)
                ends = list(accumulate(part.lengths[begin : begin + room]))
                number = min(len(ends), bisect_left(ends, max_bytes - size) + 1)
                end = begin + number
                found = part.lines[begin:end]
                if max(part.lengths[begin:end]) > max_line:
                    found = [line for line in found if len(line) <= max_line]
                    oversize += _oversize(part, begin, end, offset, max_line)
                lines += [line for line in found if line and not line.isspace()]
                size += ends[number - 1]
                offset += ends[number - 1] + number * part.newline
                begin = end
                if len(lines) + len(oversize) >= max_lines or size >= max_bytes:
                    yield Chunk(lines, oversize, offset, file.tell())
                    lines, oversize, size = [], [], 0
    except _DAMAGE:
        yield Chunk(lines, oversize, offset, file.tell())
        raise
    yield Chunk(lines, oversize, offset, file.tell())


class _Part(NamedTuple):
    """Some lines of an archive, one behind the other.

    Attributes:
        lines: Without the newline; of one that is too long, the beginning, which is too long as well.
        lengths: How many bytes each has, without the newline.
        newline: Bytes of the newline behind each: 1, or 0 behind the last line of an archive that ends without one.
    """

    lines: list[bytes]
    lengths: list[int]
    newline: int


def _parts(content: Callable[[int], bytes], max_line: int) -> Iterator[_Part]:
    begun = b""
    cut = 0
    while block := content(_CHUNK):
        lines = block.split(b"\n")
        lines[0] = begun + lines[0]
        begun = lines.pop()
        if lines:
            lengths = list(map(len, lines))
            lengths[0] += cut
            cut = 0
            yield _Part(lines, lengths, newline=1)
        kept = max(max_line + 1, _KEPT_OF_OVERSIZE)
        if len(begun) > kept:
            cut += len(begun) - kept
            begun = begun[:kept]
    if begun:
        yield _Part([begun], [len(begun) + cut], newline=0)


def _oversize(part: _Part, begin: int, end: int, offset: int, max_line: int) -> Iterator[tuple[bytes, str]]:
    """Yield the beginning of each line that is too long, and what is wrong; the first of them begins at `offset`."""
    for line, length in zip(part.lines[begin:end], part.lengths[begin:end], strict=True):
        whole = length + part.newline
        offset += whole
        if length > max_line:
            where = f"the line that ends at byte {offset}"
            reason = f"{where} has {whole} bytes; at most {max_line} are taken ([bus] max_line)"
            yield line[:_KEPT_OF_OVERSIZE], reason


def _content(file: io.FileIO) -> Callable[[int], bytes]:
    """Return the function that reads at most so many bytes of the uncompressed content, and none at the end."""
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(_GZIP):
        # `read` would lose what it has when it meets the damage; `read1` gives it first.
        return gzip.GzipFile(fileobj=file).read1
    if magic == _ZSTD:
        return _Frames(file).read
    return file.read


class _Frames:
    """The content of zstd frames, one behind the other; the library's own reader takes a cut one for a whole one."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._content = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end.

        Raises:
            EOFError: The file ends within a frame.
        """
        while not self._content and (data := self._file.read(_ZSTD_CHUNK)):
            self._content = memoryview(b"".join(self._decompressed(data)))
        if not self._content and self._begun:
            raise EOFError("it ends in the middle of its compression")
        part, self._content = self._content[:size], self._content[size:]
        return bytes(part)

    def _decompressed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._begun = True
            yield self._frame.decompress(data)
            data = b""
            if self._frame.eof:
                data = self._frame.unused_data
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._begun = False


def _skip(path: Path, content: Callable[[int], bytes], offset: int) -> None:
    while offset > 0 and (data := content(min(offset, _CHUNK))):
        offset -= len(data)
    if offset > 0:
        raise SourceError(f"{path} is shorter than when it was last read; it is another file: rename it and run again")

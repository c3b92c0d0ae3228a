"""Plain, gzip and zstd files, distinguished by their first bytes: reading what is in them, and writing the like."""

import gzip
import io
import shlex
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from statscache.exceptions import SourceError

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"

DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
"""What reading the content raises where a file is damaged, or ends in the middle of its compression."""

CHUNK = 1 << 20
"""Bytes that are read at a time."""

# Four bytes of zstd can stand for 128 KiB: little at a time keeps memory flat, and costs nothing that can be measured.
_ZSTD_CHUNK = 512
_ZSTD_LEVEL = 6
# A reader of zstd allocates as much as the frame's window; `zstd` makes larger ones only with `--long` or `--ultra`.
_ZSTD_WINDOW = 1 << 25
LARGEST_WINDOW = 1 << 27
"""The largest window in bytes that the zstd program reads unless told otherwise."""

_ZSTD_TOO_LARGE = "too much memory"


def content(file: io.FileIO, window: int = _ZSTD_WINDOW) -> io.BufferedReader:
    """Return a reader of the decompressed content of a file; reading raises `DAMAGE` where the file is damaged.

    Args:
        file: The file, at its beginning.
        window: Bytes of memory that its decompression may take; beyond that the reader raises SourceError.
    """
    magic = magic_of(file)
    if magic.startswith(GZIP):
        # `read` would lose what it has when it meets the damage; `read1` gives it first.
        return io.BufferedReader(_Raw(gzip.GzipFile(fileobj=file).read1), CHUNK)
    if magic == ZSTD:
        return io.BufferedReader(_Raw(_Frames(file, window).read), CHUNK)
    return io.BufferedReader(file, CHUNK)


def magic_of(file: io.FileIO) -> bytes:
    """Return the first bytes of a file, which tell how it is compressed, and go back to its beginning."""
    magic = file.read(4)
    file.seek(0)
    return magic


class _Raw(io.RawIOBase):
    """A function that decompresses some more as the raw stream that a buffered reader takes."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Frames:
    """The content of consecutive zstd frames; the library's own reader takes a cut one for a whole one."""

    def __init__(self, file: io.FileIO, window: int) -> None:
        self._file = file
        self._window = window
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=window)
        self._frame = self._decompressor.decompressobj()
        self._begun = False
        self._content = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end.

        Raises:
            EOFError: The file ends within a frame.
            SourceError: A frame needs too much memory.
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
            try:
                yield self._frame.decompress(data)
            except zstandard.ZstdError as error:
                if _ZSTD_TOO_LARGE not in str(error):
                    raise
                name = shlex.quote(Path(str(self._file.name)).name)
                raise SourceError(
                    f"{self._file.name} needs more than {self._window >> 20} MiB of memory to decompress."
                    f" Compress it again: zstd -dc --long=31 {name} | zstd > NEW.zst"
                ) from error
            data = b""
            if self._frame.eof:
                data = self._frame.unused_data
                self._frame = self._decompressor.decompressobj()
                self._begun = False


@contextmanager
def compressing(out: BinaryIO, magic: bytes) -> Iterator[BinaryIO]:
    """Give a stream that compresses into `out`; `magic` is `GZIP`, `ZSTD`, or anything else for no compression."""
    if magic.startswith(GZIP):
        # Neither name nor time, so that the same content gives the same bytes.
        with gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0) as packed:
            yield cast(BinaryIO, packed)
    elif magic == ZSTD:
        with zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(out, closefd=False) as packer:
            yield packer
    else:
        yield out

"""Archives: files of newline-delimited JSON, in any compression of `statscache.sources.compression`."""

import io
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import orjson

from statscache.bounds import KEPT_OF_OVERSIZE
from statscache.exceptions import DamagedArchive, SourceError
from statscache.sources.compression import CHUNK, DAMAGE, GZIP, LARGEST_WINDOW, ZSTD, compressing, content, magic_of

# Where a line is read in pieces, one ends after one of these, if there is one in its last bytes.
_LONGEST_WORD = 512
_BETWEEN_VALUES = b'"', b",", b":", b"{", b"}", b"[", b"]", b" "
_BOM = b"\xef\xbb\xbf"
_PAGE_FIELDS = re.compile(rb'\s*\{\s*"(arguments|count|pages|raw_messages|total)"')


class Lines:
    """Lines that are freed as they are read; reading them again reads the file again.

    Args:
        lines: The lines.
        again: Returns them once more.
    """

    def __init__(self, lines: list[bytes], again: Callable[[], "Lines"]) -> None:
        self._lines: list[bytes] | None = lines
        self._again = again

    def __iter__(self) -> Iterator[bytes]:
        lines, self._lines = self._lines, None
        if lines is None:
            yield from self._again()
            return
        lines.reverse()
        while lines:
            yield lines.pop()

    def __reduce__(self) -> tuple[type, tuple[list[bytes]]]:
        return list, ([*self],)


class Chunk(NamedTuple):
    """Lines of an archive.

    Attributes:
        lines: With the newline that ends them, none blank.
        oversize: Lines that are too long: their first 64 KiB, and the error.
        offset: Bytes of the uncompressed archive up to the end of these lines.
        consumed: Bytes of the file that have been read for them, for progress.
    """

    lines: Lines
    oversize: list[tuple[bytes, str]]
    offset: int
    consumed: int


def read(path: Path, *, offset: int, max_line: int, max_lines: int, max_bytes: int) -> Iterator[Chunk]:
    """Yield the lines of an archive after `offset` bytes of its uncompressed content, with flat memory.

    Args:
        path: The file.
        offset: Where an earlier reading ended.
        max_line: Bytes of the longest line that is taken for a message.
        max_lines: Lines of a chunk.
        max_bytes: Bytes at which a chunk ends, which it exceeds by at most one line.

    Raises:
        DamagedArchive: It is damaged, or ends in the middle of its compression; what came before was yielded.
        SourceError: The file cannot be read, or is a page of datagrepper.
    """
    if path.is_fifo() or path.is_socket() or (path == Path("-") and not path.exists()):
        fix = "write it to a file, and give that"
        raise SourceError(f"{path}: a pipe cannot be read, because an interrupted run could not be resumed; {fix}")
    try:
        with path.open("rb", buffering=0) as file:
            yield from _chunks(path, file, offset, max_line, max_lines, max_bytes)
    except IsADirectoryError as error:
        raise SourceError(f"{path} is a directory; name the files in it") from error
    except DAMAGE as error:
        raise DamagedArchive(f"{path} is truncated or damaged: {error}") from error
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def is_archive(path: Path) -> bool:
    """Return whether a file is empty, or begins as an archive does.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        magic = file.read(4)
    return not magic.strip() or magic.lstrip().removeprefix(_BOM).startswith((GZIP, b"{")) or magic == ZSTD


def rewrite(path: Path, change: Callable[[bytes], bytes], max_line: int) -> int:
    """Put other lines in the place of those of an archive, in its compression, and return how many changed.

    A damaged archive of which lines change is left with what could be read of it. A line that is too long for a message
    is changed in pieces, so that memory stays flat.

    Args:
        path: The file.
        change: Returns what is to stand for a line, or for a piece of one, without its newline.
        max_line: Bytes of the longest line that is changed as a whole.

    Raises:
        OSError: The file cannot be read or replaced; it is as it was.
        SourceError: It needs too much memory to decompress; it is as it was.
    """
    unfinished = path.with_name(f".{uuid4().hex}")
    changed = 0
    try:
        with path.open("rb", buffering=0) as file, unfinished.open("xb") as out:
            # What is damaged after the last line that could be read is left out.
            with compressing(out, magic_of(file)) as packed, content(file, LARGEST_WINDOW) as text, suppress(*DAMAGE):
                for said in _pieces(text, max_line + 1):
                    left = change(said.removesuffix(b"\n"))
                    changed += left != said.removesuffix(b"\n")
                    packed.write(left + b"\n" * said.endswith(b"\n"))
            out.flush()
            os.fsync(out.fileno())
        if changed:
            about = path.stat()
            shutil.copymode(path, unfinished)
            with suppress(PermissionError):
                os.chown(unfinished, about.st_uid, about.st_gid)
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return changed


def _pieces(text: io.BufferedReader, most: int) -> Iterator[bytes]:
    """Yield lines with their newlines; one of more than `most` bytes in pieces, which part between words."""
    rest = b""
    first = True
    while line := text.readline(most - len(rest)):
        if first:
            line, first = line.removeprefix(_BOM), False
        line = rest + line
        rest = b""
        if len(line) >= most and not line.endswith(b"\n"):
            tail = line[-_LONGEST_WORD:]
            end = len(line) - len(tail) + max(map(tail.rfind, _BETWEEN_VALUES))
            if end >= len(line) - len(tail):
                line, rest = line[: end + 1], line[end + 1 :]
        yield line
    if rest:
        yield rest


def _chunks(path: Path, file: io.FileIO, offset: int, max_line: int, max_lines: int, max_bytes: int) -> Iterator[Chunk]:
    def chunk(start: int) -> Chunk:
        def again() -> Lines:
            bounds = {"max_line": max_line, "max_lines": max_lines, "max_bytes": max_bytes}
            return next(read(path, offset=start, **bounds)).lines

        return Chunk(Lines(lines, again), oversize, offset, file.tell())

    start = offset
    lines: list[bytes] = []
    oversize: list[tuple[bytes, str]] = []
    size = 0
    with content(file) as text:
        try:
            _skip(path, text, offset)
            while line := text.readline(max_line + 1):
                first, offset = not offset, offset + len(line)
                if first:
                    line = line.removeprefix(_BOM)
                    _refuse_page(path, line)
                if len(line) > max_line and not line.endswith(b"\n"):
                    length = len(line)
                    while (rest := text.readline(CHUNK)) and not rest.endswith(b"\n"):
                        length += len(rest)
                    offset += length + len(rest) - len(line)
                    where = f"the line that ends at byte {offset}"
                    reason = f"{where} has {length + len(rest)} bytes; at most {max_line} are taken ([bus] max_line)"
                    reason += f", and the first {KEPT_OF_OVERSIZE} are kept here"
                    oversize.append((line[:KEPT_OF_OVERSIZE], reason))
                    size += KEPT_OF_OVERSIZE
                elif not line.isspace():
                    lines.append(line)
                    size += len(line)
                if len(lines) >= max_lines or size >= max_bytes:
                    yield chunk(start)
                    start, lines, oversize, size = offset, [], [], 0
        except DAMAGE:
            yield chunk(start)
            raise
        yield chunk(start)


def _refuse_page(path: Path, line: bytes) -> None:
    """Refuse a file that begins as a saved answer of datagrepper, or as JSON over several lines.

    Raises:
        SourceError: It does; the text says how to convert it.
    """
    if line.strip() == b"{":
        what = "JSON over several lines"
    elif b'"raw_messages"' in line[:KEPT_OF_OVERSIZE] and _is_page(line):
        what = "a page of datagrepper"
    else:
        return
    name, made = shlex.quote(path.name), f"{path.name.partition('.')[0]}-messages.ndjson"
    unpack = {".gz": f"gzip -dc {name} | ", ".zst": f"zstd -dc {name} | "}.get(path.suffix)
    command = f"{unpack or ''}jq -c '.raw_messages? // [.] | .[]' {'' if unpack else name + ' '}> {shlex.quote(made)}"
    raise SourceError(f"{path} holds {what}; expected one message on each line. Convert it: {command}")


def _is_page(line: bytes) -> bool:
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError:
        # A page that is longer than the longest message is cut here.
        return _PAGE_FIELDS.match(line) is not None
    return type(content) is dict and "raw_messages" in content and "topic" not in content


def _skip(path: Path, text: io.BufferedReader, offset: int) -> None:
    if not offset:
        return
    while offset > 0 and (data := text.read(min(offset, CHUNK))):
        offset -= len(data)
    if offset > 0:
        raise SourceError(f"{path} is shorter than when it was last read; it is another file: rename it and run again")

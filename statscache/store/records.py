"""Records of a batch, compressed as they come, for the journal's segments.

A batch keeps tens of thousands of records while the bodies of its messages come and go. Compressed in segments they
take a tenth of their room, and are ready to be written when all of them turn out to be new.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from itertools import compress as chosen
from typing import NamedTuple, Self

import zstandard

from statscache.exceptions import DamagedStatistics

SEGMENT = 8_000
"""Maximum number of messages of one segment."""

SEGMENT_BYTES = 8 * 1024 * 1024
"""Bytes of records at which a segment ends."""

# Level 3 would save an eighth of the space, and take half as long again.
_LEVEL = 1


class Packed(NamedTuple):
    """Consecutive messages as a segment stores them, at whatever position of the journal.

    Attributes:
        messages: How many they are.
        oldest: Their smallest timestamp.
        newest: Their greatest timestamp.
        size: Bytes of their records, joined by newlines.
        data: These, compressed.
    """

    messages: int
    oldest: int
    newest: int
    size: int
    data: bytes


class Records:
    """Lines of the journal with their timestamps, in order; an index gives the line, without its newline."""

    def __init__(self) -> None:
        self._segments: list[Packed] = []
        self._starts: list[int] = []
        self._packed = 0
        # What the next segment will hold: its lines, each after a newline, in parts as they came, and their size.
        self._parts: list[bytes] = []
        self._size = 0
        self._times: list[int] = []
        # The segment that was read last, since readers ask for neighbours.
        self._read: tuple[int, list[bytes]] = (-1, [])

    def extend(self, lines: Sequence[bytes], times: Sequence[int]) -> None:
        """Add lines, without newlines, and the timestamps of their messages; a few at a time, as they are parsed."""
        if len(lines) > 1 and self._size + sum(map(len, lines)) > SEGMENT_BYTES:
            for line, time in zip(lines, times, strict=True):
                self.extend([line], [time])
            return
        # The lines are copied: as orjson writes them, they occupy several times their length.
        part = b"\n".join([b"", *lines])
        if lines:
            self._parts.append(part)
        self._size += len(part)
        self._times += times
        if len(self._times) >= SEGMENT or self._size >= SEGMENT_BYTES:
            self.close()

    def close(self) -> None:
        """Compress the lines that are not yet; more may follow."""
        if self._times:
            data = deflate(self._parts[0][1:], *self._parts[1:])
            packed = Packed(len(self._times), min(self._times), max(self._times), self._size - 1, data)
            self._starts.append(self._packed)
            self._segments.append(packed)
            self._packed += packed.messages
            self._parts, self._size, self._times = [], 0, []

    def __len__(self) -> int:
        return self._packed + len(self._times)

    def __getitem__(self, index: int) -> bytes:
        if index >= self._packed:
            self.close()
        at = bisect_right(self._starts, index) - 1
        if self._read[0] != at:
            self._read = at, inflate(self._segments[at].data).split(b"\n")
        return self._read[1][index - self._starts[at]]

    def __getstate__(self) -> object:
        self.close()
        return self._segments

    def __setstate__(self, state: list[Packed]) -> None:
        self.__init__()  # type: ignore[misc]
        self._segments = state
        *self._starts, self._packed = accumulate((packed.messages for packed in state), initial=0)

    @classmethod
    def joined(cls, parts: Iterable["Records"]) -> Self:
        """Return the lines of several in sequence."""
        found = cls()
        found.__setstate__([packed for part in parts for packed in part.segments()])
        return found

    def segments(self) -> list[Packed]:
        """Return all lines as the journal stores them."""
        self.close()
        return self._segments

    def only(self, wanted: Iterable[bool], times: Iterable[int]) -> Self:
        """Return those lines that are wanted.

        Args:
            wanted: True for each line that is.
            times: Timestamps of all lines.
        """
        found = type(self)()
        flags, ages = iter(wanted), iter(times)
        for lines in self._pieces():
            mask = [*islice(flags, len(lines))]
            found.extend([*chosen(lines, mask)], [*chosen(islice(ages, len(lines)), mask)])
        return found

    def _pieces(self) -> Iterator[list[bytes]]:
        self.close()
        for segment in self._segments:
            yield inflate(segment.data).split(b"\n")


def deflate(*parts: bytes, level: int = _LEVEL) -> bytes:
    """Return the data of a segment, compressed.

    Args:
        parts: Records, joined by newlines, in one piece or several.
        level: Level of zstd.
    """
    # The checksum finds bits that decayed.
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj(size=sum(map(len, parts)))
    return b"".join([*map(compressor.compress, parts), compressor.flush()])


def inflate(data: bytes) -> bytes:
    """Return the records of a segment's data, joined by newlines.

    Raises:
        DamagedStatistics: The data is damaged.
    """
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except (zstandard.ZstdError, MemoryError, TypeError) as error:
        raise DamagedStatistics(
            f"messages of the journal are damaged in the database ({error}):"
            " restore a backup, and backfill what came since"
        ) from error

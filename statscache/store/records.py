"""Records packed one behind the other, as the journal's segments hold them.

A batch keeps thousands of records while the bodies of its messages come and go. As objects of their own they would lie
scattered between these, and the holes that bodies leave would be lost; packed they take what they are long.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Records:
    """Some lines of the journal, in order; an index gives the line, without its newline."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self._data = bytearray()
        self._ends = array("Q")
        self.extend(lines)

    def extend(self, lines: Iterable[bytes]) -> None:
        """Add lines, which have no newlines."""
        end = len(self._data)
        packed: list[bytes] = []
        for line in lines:
            end += len(line) + 1
            self._ends.append(end)
            packed += line, b"\n"
        self._data += b"".join(packed)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> bytes:
        return bytes(self._data[self._start(index) : self._ends[index] - 1])

    def pieces(self, lines: int, size: int) -> Iterator[tuple[int, int, memoryview]]:
        """Yield all lines in pieces of at most so many lines, and bytes if it is more than one line.

        Each comes with the index of its first line, the index behind its last, and the lines joined by newlines.
        """
        start = 0
        while start < len(self):
            begin = self._start(start)
            stop = min(start + lines, max(start + 1, bisect_right(self._ends, begin + size)))
            yield start, stop, memoryview(self._data)[begin : self._ends[stop - 1] - 1]
            start = stop

    def _start(self, index: int) -> int:
        return self._ends[index - 1] if index else 0

"""The files of a snapshot by path, sorted, so that the files below a directory are found by bisection."""

import re
import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping

import numpy as np
from typing_extensions import override

from statscache.store.published import Entry

_DIGEST = re.compile("[0-9a-f]{64}")
_PACKED = struct.Struct("<32sQ")


class Files(Mapping[str, Entry]):
    """Entry of each file of a snapshot by its path; no file is added after the first lookup.

    There may be a million documents of keys: each takes the memory of its path and 48 bytes.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._keys: list[str] = []
        self._packed = bytearray()
        self._added = 0
        self._ordered: list[str] = []

    def add(self, path: str, entry: Entry) -> None:
        """Add a file."""
        self._added += 1
        if entry.type == "path" and _DIGEST.fullmatch(entry.object) and entry.size < 2**63:
            self._keys.append(path)
            self._packed += _PACKED.pack(bytes.fromhex(entry.object), entry.size)
        else:
            self._entries[path] = entry

    @property
    def added(self) -> int:
        """How many files were added so far."""
        return self._added

    def below(self, directory: str) -> Iterator[str]:
        """Yield the paths that begin with `directory`, in order."""
        ordered = self.ordered()
        at = bisect_left(ordered, directory)
        while at < len(ordered) and ordered[at].startswith(directory):
            yield ordered[at]
            at += 1

    def ordered(self) -> list[str]:
        """Return all paths in order."""
        if not self._ordered and self._added:
            order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
            # Sorting slices of bytes would take a hundred bytes more for each.
            packed = np.frombuffer(self._packed, np.dtype((np.void, _PACKED.size)))
            self._packed = bytearray(packed[order])
            self._keys = [self._keys[at] for at in order]
            self._ordered = sorted([*self._entries, *self._keys])
        return self._ordered

    @override
    def __getitem__(self, path: str) -> Entry:
        self.ordered()
        at = bisect_left(self._keys, path)
        if at == len(self._keys) or self._keys[at] != path:
            return self._entries[path]
        digest, size = _PACKED.unpack_from(self._packed, at * _PACKED.size)
        return Entry("path", digest.hex(), size)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.ordered())

    @override
    def __len__(self) -> int:
        return len(self.ordered())

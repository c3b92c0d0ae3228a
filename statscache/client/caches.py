"""Caches of the client: in memory, or in a directory that several processes may share."""

import os
import tempfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock

LASTING = ".lasting"
"""Suffix of names that a directory never drops: their content cannot be fetched again."""


class Cache(ABC):
    """Keeps bytes by name; what it loses is fetched again."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """Return the bytes kept under a name; None if there are none."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Keep bytes under a name."""


class MemoryCache(Cache):
    """Keeps the most recently used data in memory.

    Args:
        largest: Maximum number of bytes to keep.
    """

    def __init__(self, largest: int = 16 * 1024 * 1024) -> None:
        self._largest = largest
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, name: str) -> bytes | None:
        """Return the bytes kept under a name, and mark them as used."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes, and drop the least recently used ones."""
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(name, b""))
            self._kept[name] = data
            while self._bytes > self._largest:
                self._bytes -= len(self._kept.popitem(last=False)[1])


class DirectoryCache(Cache):
    """Keeps the most recently used data in a directory; files are written atomically.

    Args:
        path: The directory, created if it is missing; it must not hold other files.
        largest: Maximum number of bytes to keep; other processes may exceed it briefly.
    """

    def __init__(self, path: Path, largest: int = 256 * 1024 * 1024) -> None:
        self._path = path
        self._largest = largest
        self._path.mkdir(parents=True, exist_ok=True)
        self._bytes = sum(size for _, size, _ in self._listed())

    def get(self, name: str) -> bytes | None:
        """Return the bytes kept under a name, and mark them as used."""
        path = self._path / name
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes, and remove the least recently used ones."""
        # A cache that cannot be written to (full, read-only) must not make reading fail.
        with suppress(OSError):
            descriptor, unfinished = tempfile.mkstemp(dir=self._path, prefix=".", suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                os.replace(unfinished, self._path / name)
            except BaseException:
                os.unlink(unfinished)
                raise
            self._bytes += len(data)
            if self._bytes > self._largest:
                self._prune()

    def _prune(self) -> None:
        listed = sorted(self._listed())
        self._bytes = sum(size for _, size, _ in listed)
        for _, size, path in listed:
            if self._bytes <= self._largest // 2:
                break
            with suppress(OSError):
                path.unlink()
                self._bytes -= size

    def _listed(self) -> list[tuple[float, int, Path]]:
        listed = []
        for path in self._path.iterdir():
            if path.suffix == LASTING:
                continue
            with suppress(FileNotFoundError):
                status = path.stat()
                listed.append((status.st_mtime, status.st_size, path))
        return listed

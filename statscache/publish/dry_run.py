"""A target that is read and never changed, so that a publication reports what it would do."""

from collections.abc import Iterator, Sequence
from itertools import chain

from typing_extensions import override

from statscache import layout
from statscache.publish.target import File, Target


class DryRunTarget(Target):
    """A target with the files that it would have; the real one is only read.

    Args:
        target: The real one.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.name = target.name
        self.siblings = target.siblings
        self.links = target.links
        self.halt = target.halt
        self._written: dict[str, bytes] = {}
        self._deleted: set[str] = set()

    @property
    def requests(self) -> int:  # type: ignore[override]
        """Operations at the real place so far."""
        return self._target.requests

    @override
    def _read(self, path: str) -> bytes | None:
        if path in self._deleted:
            return None
        return self._written[path] if path in self._written else self._target._read(path)

    @override
    def _holds(self, path: str, size: int) -> bool:
        return path in self._written or (path not in self._deleted and self._target._holds(path, size))

    @override
    def _is_intact(self, file: File) -> bool:
        return file.path in self._written or (file.path not in self._deleted and self._target._is_intact(file))

    @override
    def _siblings_of(self, path: str) -> Sequence[str]:
        return self._target._siblings_of(path)

    @override
    def _files(self, directories: Sequence[str]) -> Iterator[str]:
        there = (path for path in self._target._files(directories) if path not in self._written)
        written = (path for path in self._written if path.partition("/")[0] in directories)
        yield from (path for path in chain(there, written) if path not in self._deleted)

    @override
    def _write(self, files: Sequence[File]) -> None:
        for file in files:
            # Only files outside the snapshot are read again; the content of a whole site may not fit into memory.
            self._written[file.path] = file.data if file.path in layout.OUTSIDE else b""
            self._deleted.discard(file.path)

    @override
    def _delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._written.pop(path, None)
            self._deleted.add(path)

    @override
    def _barrier(self) -> None:
        pass

    @override
    def close(self) -> None:
        self._target.close()

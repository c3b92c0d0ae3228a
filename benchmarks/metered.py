"""A target that is a directory, and counts what a bucket of S3 would be asked for and sent."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar
from unittest.mock import patch

from statscache.publish.directory import DirectoryTarget
from statscache.publish.target import File

_AT_ONCE = 1_000
"""Names that one request deletes or lists."""


class MeteredDirectory(DirectoryTarget):
    """A directory that counts, of all targets together.

    Attributes:
        asked: Requests as S3 would bill them, `put`, `get` and `delete`, and the bytes that they send, `sent`.
    """

    asked: ClassVar[Counter[str]] = Counter()

    def _read(self, path: str) -> bytes | None:
        """Count a GET."""
        self.asked["get"] += 1
        return super()._read(path)

    def _holds(self, path: str, size: int) -> bool:
        """Count a HEAD, which costs as much as a GET."""
        self.asked["get"] += 1
        return super()._holds(path, size)

    def _files(self, directories: Sequence[str]) -> Iterator[str]:
        """Count one LIST, as a GET, for each thousand names."""
        for number, path in enumerate(super()._files(directories)):
            self.asked["get"] += number % _AT_ONCE == 0
            yield path

    def _write(self, files: Sequence[File]) -> None:
        """Count a PUT for each file, and its bytes."""
        self.asked["put"] += len(files)
        self.asked["sent"] += sum(len(file.data) for file in files)
        super()._write(files)

    def _delete(self, paths: Sequence[str]) -> None:
        """Count one request for each thousand names."""
        self.asked["delete"] += -(-len(paths) // _AT_ONCE)
        super()._delete(paths)


metered = patch("statscache.publish.targets.DirectoryTarget", MeteredDirectory)
"""A context in which publications to a directory are counted."""

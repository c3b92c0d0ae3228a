"""A target that is a directory, and counts what a bucket of S3 would be asked for and sent."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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

    def read(self, path: str) -> bytes | None:
        """Count a GET."""
        self.asked["get"] += 1
        return super().read(path)

    def holds(self, path: str, size: int) -> bool:
        """Count a HEAD, which costs as much as a GET."""
        self.asked["get"] += 1
        return super().holds(path, size)

    def files(self, directories: Sequence[str]) -> Iterator[str]:
        """Count one LIST, as a GET, for each thousand names."""
        for number, path in enumerate(super().files(directories)):
            self.asked["get"] += number % _AT_ONCE == 0
            yield path

    def write(self, files: Iterable[File]) -> None:
        """Count a PUT for each file, and its bytes."""
        listed = list(files)
        self.asked["put"] += len(listed)
        self.asked["sent"] += sum(len(file.data) for file in listed)
        super().write(listed)

    def delete(self, paths: Iterable[str]) -> None:
        """Count one request for each thousand names."""
        listed = list(paths)
        self.asked["delete"] += -(-len(listed) // _AT_ONCE)
        super().delete(listed)


metered = patch("statscache.publish.targets.DirectoryTarget", MeteredDirectory)
"""Has publications to a directory counted, as a context."""

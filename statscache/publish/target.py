"""A target: a place that holds files. It knows how to read, write and delete them; the publisher knows the order."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple


class File(NamedTuple):
    """A file to write.

    Attributes:
        path: Relative to the site's root.
        data: Its bytes.
        object: Name of the object with the same bytes that the target holds already; None if it holds none.
    """

    path: str
    data: bytes
    object: str | None = None


class Target(ABC):
    """One place. Every method raises `OSError`, or an error of its own library, where the place does not do its part.

    Attributes:
        name: As the configuration names it.
    """

    name: str

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file as readers get them; None if there is no such file."""

    @abstractmethod
    def holds(self, path: str, size: int) -> bool:
        """Return whether the file, whose content never changes, is there with this many bytes."""

    @abstractmethod
    def write(self, files: Iterable[File]) -> None:
        """Write files; each appears whole or not at all, and readers meet the old bytes until then."""

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove files; one that is not there is no error."""

    @abstractmethod
    def barrier(self) -> None:
        """Return when all that was written before would survive the loss of power."""

"""A target: a place that holds files. It knows how to read, write and delete them; the publisher knows the order."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from statscache.publish.halt import Halt


class File(NamedTuple):
    """A file to write.

    Attributes:
        path: Relative to the site's root.
        data: Its bytes.
        object: Path of a file with the same bytes that the target holds already; None if it holds none.
    """

    path: str
    data: bytes
    object: str | None = None


class Target(ABC):
    """One place. Every method raises `OSError`, or an error of its own library, if the place fails.

    Attributes:
        name: As the configuration names it.
        siblings: Compressed forms, such as `gz`, that are laid beside each file for the web server to send.
        links: True if a file whose bytes the target holds already costs no transfer.
        confirms: True if a barrier compares what arrived with what was sent.
        max_age: Seconds for which a cache between this target and its readers may store a file.
        requests: Operations at the place so far: system calls, HTTP requests or runs of a program.
        halt: Asked between operations whether to stop; long operations ask within, too.
    """

    name: str
    siblings: Sequence[str] = ()
    links: bool = False
    confirms: bool = False
    max_age: int = 0
    requests: int = 0
    halt: Halt = Halt()

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file as the place holds them; None if there is no such file."""

    @abstractmethod
    def holds(self, path: str, size: int) -> bool:
        """Return whether the file, whose content never changes, exists with this size in bytes.

        A target that finds this out as cheaply by writing may always return False.
        """

    def is_intact(self, file: File) -> bool:
        """Return whether the place holds a file with exactly these bytes.

        A target that finds this out as cheaply by writing may always return False.
        """
        return self.read(file.path) == file.data

    def siblings_of(self, path: str) -> Sequence[str]:
        """Return the forms of which a compressed sibling lies beside a file, of any that there can be."""
        return ()

    @abstractmethod
    def files(self, directories: Sequence[str]) -> Iterator[str]:
        """Yield the paths of all files below these directories, but those whose name begins with a dot.

        One that was tried again may come twice.
        """

    @abstractmethod
    def write(self, files: Iterable[File]) -> None:
        """Write files, each whole or not at all, by the next barrier; readers meet the old bytes until then."""

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove files; a missing one is not an error."""

    @abstractmethod
    def barrier(self) -> None:
        """Return when all earlier operations are done and would survive a loss of power."""

    def read_back(self, path: str) -> bytes | None:
        """Return the bytes of a file as readers get them, through the cache if there is one."""
        return self.read(path)

    def invalidate(self) -> None:  # noqa: B027 - most places have no cache before them
        """Invalidate the caches in front of this target; called after rollback, forgetting and upgrade."""

    def close(self) -> None:  # noqa: B027 - most places hold on to nothing
        """Close connections and delete temporary files; after a failure too."""

"""A target: a place that holds files. It knows how to read, write and delete them; the publisher knows the order.

Each public method has a private one that does it once: a short failure must not fail a publication.
"""

import errno
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from statscache.exceptions import Refused, Stopped
from statscache.publish.halt import Halt

PAUSES = (0.2, 1.0)
"""Seconds before the second and the third try."""

_HOPELESS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


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
    """One place. Every method raises `OSError`, or an error of its own library, if the place fails again and again.

    A subclass implements the abstract methods, which may be repeated without harm.

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

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file as the place holds them; None if there is no such file."""
        return self._try(lambda: self._read(path))

    def holds(self, path: str, size: int) -> bool:
        """Return whether the file, whose content never changes, exists with this size in bytes.

        A target that finds this out as cheaply by writing may always return False.
        """
        return self._try(lambda: self._holds(path, size))

    def is_intact(self, file: File) -> bool:
        """Return whether the place holds a file with exactly these bytes.

        A target that finds this out as cheaply by writing may always return False.
        """
        return self._try(lambda: self._is_intact(file))

    def siblings_of(self, path: str) -> Sequence[str]:
        """Return the forms of which a compressed sibling lies beside a file, of any that there can be."""
        return self._try(lambda: self._siblings_of(path))

    def files(self, directories: Sequence[str]) -> Iterator[str]:
        """Yield the paths of all files below these directories, but those whose name begins with a dot.

        After a failure, all of them come once more.
        """
        pauses = iter(PAUSES)
        self.halt.check()
        while True:
            try:
                yield from self._files(directories)
            except Exception as error:
                self._wait(error, next(pauses, None))
            else:
                return

    def write(self, files: Iterable[File]) -> None:
        """Write files, each whole or not at all, by the next barrier; readers meet the old bytes until then."""
        listed = list(files)
        self._try(lambda: self._write(listed))

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files; a missing one is not an error."""
        listed = list(paths)
        self._try(lambda: self._delete(listed))

    def barrier(self) -> None:
        """Return when all earlier operations are done and would survive a loss of power."""
        self._try(self._barrier)

    def read_back(self, path: str) -> bytes | None:
        """Return the bytes of a file as readers get them, through the cache if there is one."""
        return self._try(lambda: self._read_back(path))

    def invalidate(self) -> None:  # noqa: B027 - most places have no cache before them
        """Invalidate the caches in front of this target; called after rollback, forgetting and upgrade.

        It is not retried: it waits for as long as that may take, and what could not be done stays due.
        """

    def close(self) -> None:  # noqa: B027 - most places hold on to nothing
        """Close connections and delete temporary files; after a failure too."""

    @abstractmethod
    def _read(self, path: str) -> bytes | None: ...

    @abstractmethod
    def _holds(self, path: str, size: int) -> bool: ...

    def _is_intact(self, file: File) -> bool:
        return self._read(file.path) == file.data

    def _siblings_of(self, path: str) -> Sequence[str]:
        return ()

    @abstractmethod
    def _files(self, directories: Sequence[str]) -> Iterator[str]: ...

    @abstractmethod
    def _write(self, files: Sequence[File]) -> None: ...

    @abstractmethod
    def _delete(self, paths: Sequence[str]) -> None: ...

    @abstractmethod
    def _barrier(self) -> None: ...

    def _read_back(self, path: str) -> bytes | None:
        return self._read(path)

    def _try(self, operation: Callable[[], _T]) -> _T:
        pauses = iter(PAUSES)
        self.halt.check()
        while True:
            try:
                return operation()
            except Exception as error:
                self._wait(error, next(pauses, None))

    def _wait(self, error: Exception, pause: float | None) -> None:
        """Wait before the next try; raise the error if there is none, or if it would be useless.

        The libraries of targets raise errors of many classes, which share no base.
        """
        hopeless = isinstance(error, OSError) and error.errno in _HOPELESS
        if pause is None or hopeless or isinstance(error, Refused | Stopped):
            raise error
        _log.warning("target %s: %s: %s; trying again", self.name, type(error).__name__, error)
        self.halt.wait(pause)

"""Retries: a short failure must not fail a publication."""

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from statscache.exceptions import Refused, Stopped
from statscache.publish.halt import Halt
from statscache.publish.target import File, Target

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


class Retrying(Target):
    """A target whose operations are retried; each may be repeated without harm."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.name = target.name
        self.siblings = target.siblings
        self.links = target.links
        self.confirms = target.confirms
        self.max_age = target.max_age

    @property
    def requests(self) -> int:  # type: ignore[override]
        return self._target.requests

    @property
    def halt(self) -> Halt:
        return self._target.halt

    @halt.setter
    def halt(self, halt: Halt) -> None:
        self._target.halt = halt

    def read(self, path: str) -> bytes | None:
        return self._try(lambda: self._target.read(path))

    def holds(self, path: str, size: int) -> bool:
        return self._try(lambda: self._target.holds(path, size))

    def is_intact(self, file: File) -> bool:
        return self._try(lambda: self._target.is_intact(file))

    def siblings_of(self, path: str) -> Sequence[str]:
        return self._try(lambda: self._target.siblings_of(path))

    def files(self, directories: Sequence[str]) -> Iterator[str]:
        """Yield the paths; after a failure, all of them once more."""
        pauses = iter(PAUSES)
        self.halt.check()
        while True:
            try:
                yield from self._target.files(directories)
            except Exception as error:
                self._wait(error, next(pauses, None))
            else:
                return

    def write(self, files: Iterable[File]) -> None:
        listed = list(files)
        self._try(lambda: self._target.write(listed))

    def delete(self, paths: Iterable[str]) -> None:
        listed = list(paths)
        self._try(lambda: self._target.delete(listed))

    def barrier(self) -> None:
        self._try(self._target.barrier)

    def read_back(self, path: str) -> bytes | None:
        return self._try(lambda: self._target.read_back(path))

    def invalidate(self) -> None:
        # It waits for as long as that may take, and what could not be done stays due.
        self._target.invalidate()

    def close(self) -> None:
        self._target.close()

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

        A target is foreign ground, and its library's errors share no base.
        """
        hopeless = isinstance(error, OSError) and error.errno in _HOPELESS
        if pause is None or hopeless or isinstance(error, Refused | Stopped):
            raise error
        _log.warning("target %s: %s: %s; trying again", self.name, type(error).__name__, error)
        self.halt.wait(pause)

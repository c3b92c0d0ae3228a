"""The target `directory`: files of this machine, under a web server or to be taken elsewhere."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from statscache.publish import atomic
from statscache.publish.target import File, Target
from statscache.store.published import object_path

_SYNC_ONE_BY_ONE = 64


class DirectoryTarget(Target):
    """A directory. Readable paths are hard links to objects, so that bytes are stored once.

    Args:
        name: As the configuration names it.
        path: The directory; it is made where it is missing.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._root = path
        self._temporary = path / ".statscache" / "unfinished"
        self._written: list[Path] = []

    def read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def holds(self, path: str, size: int) -> bool:
        try:
            return (self._root / path).stat().st_size == size
        except (FileNotFoundError, NotADirectoryError):
            return False

    def write(self, files: Iterable[File]) -> None:
        self._temporary.mkdir(parents=True, exist_ok=True)
        for file in files:
            path = self._root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            linked = file.object is not None and atomic.link(
                self._root / object_path(file.object), path, self._temporary
            )
            if not linked:
                atomic.write(path, file.data, self._temporary)
            self._written.append(path)

    def delete(self, paths: Iterable[str]) -> None:
        for name in paths:
            path = self._root / name
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            for parent in path.relative_to(self._root).parents[:-1]:
                with suppress(OSError):
                    (self._root / parent).rmdir()
                    continue
                break

    def barrier(self) -> None:
        if len(self._written) > _SYNC_ONE_BY_ONE:
            os.sync()
        else:
            for path in dict.fromkeys(self._written):
                atomic.sync(path)
            for directory in dict.fromkeys(path.parent for path in self._written):
                atomic.sync(directory)
        self._written.clear()

    def clean(self) -> None:
        """Remove what a killed publisher left unfinished."""
        shutil.rmtree(self._temporary, ignore_errors=True)

"""The target `directory`: files on this machine, for a web server or for a later transfer."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from statscache import layout
from statscache.publish import atomic, precompressed
from statscache.publish.target import File, Target

_REMEMBERED = 1_000
_DRAFTS = 5_000


class DirectoryTarget(Target):
    """A directory. Readable paths are hard links to objects, so that bytes are stored once.

    What has no object takes its place at the next barrier.

    Args:
        name: As the configuration names it.
        path: The directory; it is made where it is missing.
        siblings: Compressed forms to lay beside each file.
    """

    links = True

    def __init__(self, name: str, path: Path, siblings: Sequence[str] = ()) -> None:
        self.name = name
        self.siblings = siblings
        self._root = path
        self._temporary = path / ".statscache" / "unfinished"
        self._written: list[Path] = []
        self._drafts: dict[Path, Path] = {}

    def _read(self, path: str) -> bytes | None:
        self.requests += 1
        self._put()
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _holds(self, path: str, size: int) -> bool:
        self.requests += 1
        try:
            return (self._root / path).stat().st_size == size
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _siblings_of(self, path: str) -> Sequence[str]:
        self.requests += len(precompressed.FORMS)
        return [form for form in precompressed.FORMS if (self._root / f"{path}.{form}").exists()]

    def _files(self, directories: Sequence[str]) -> Iterator[str]:
        for name in directories:
            for directory, below, files in os.walk(self._root / name):
                self.requests += 1
                below[:] = [name for name in below if not name.startswith(".")]
                here = Path(directory).relative_to(self._root)
                yield from ((here / name).as_posix() for name in files if not name.startswith("."))

    def _write(self, files: Sequence[File]) -> None:
        atomic.make_directory(self._temporary, self._root)
        for file in files:
            self.requests += 1
            path = self._root / file.path
            atomic.make_directory(path.parent, self._root)
            # More need not be remembered: then everything is synced at once.
            if len(self._written) <= _REMEMBERED:
                self._written += [path, path.parent]
            if file.object is not None and atomic.link(self._root / file.object, path, self._temporary):
                continue
            unfinished = atomic.draft(file.data, self._temporary)
            if file.path.startswith(layout.OBJECTS):
                # No one reads an object before the next barrier.
                unfinished.replace(path)
            else:
                # Any other file replaces what readers have now, once its bytes are on the disk: many at a time.
                self._drafts[path] = unfinished
                if len(self._drafts) >= _DRAFTS:
                    self._put()

    def _delete(self, paths: Sequence[str]) -> None:
        for name in paths:
            self.requests += 1
            path = self._root / name
            self._drafts.pop(path, None)
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            for parent in path.relative_to(self._root).parents[:-1]:
                try:
                    (self._root / parent).rmdir()
                except OSError:
                    break

    def _barrier(self) -> None:
        self._put()
        atomic.sync_all(self._written)
        self._written.clear()

    def _put(self) -> None:
        atomic.put(self._drafts, self._root)

    def close(self) -> None:
        """Remove unfinished files of this publisher, or of one that was killed."""
        self._written.clear()
        self._drafts.clear()
        shutil.rmtree(self._temporary, ignore_errors=True)

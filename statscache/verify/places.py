"""Places of published trees: a directory or a web server. Neither is trusted: reads are bounded, and stay inside."""

import os
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit

import urllib3
from typing_extensions import override
from urllib3.exceptions import DecodeError, HTTPError, MaxRetryError

from statscache.exceptions import StatscacheError, Unreachable

_CHUNK = 65_536
_REMEMBERED = 4_096
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_FILE_SECONDS = 120.0


class Unreadable(StatscacheError):
    """One file cannot be read; the text says why, as a finding does."""


class NoAnswer(Unreadable):
    """The server did not answer, after several attempts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request for a file.

    Attributes:
        data: Its bytes, decoded; empty where only its size was asked for.
        size: Its size in bytes, or the size that the server announces; None if unknown.
        headers: What a web server sent with it, by lowercase name; empty for a directory.
    """

    data: bytes
    size: int | None
    headers: Mapping[str, str] = field(default_factory=dict)


class Place(ABC):
    """A place that holds a published tree.

    Attributes:
        name: The place, as the caller wrote it.
        is_served: True for a web server, whose headers matter.
        connections: Maximum number of concurrent requests.
    """

    name: str
    is_served: bool
    connections: int

    @abstractmethod
    def read(self, path: str, limit: int, *, headers: Mapping[str, str] | None = None) -> Answer | None:
        """Return a file of at most `limit` bytes; None if there is none.

        Args:
            path: Relative to the site's root.
            limit: Maximum size in bytes.
            headers: Headers of the request to a web server.

        Raises:
            Unreadable: It is larger, or cannot be read.
        """

    @abstractmethod
    def look(self, path: str) -> Answer | None:
        """Return the size of a file, unread; None if there is none.

        Raises:
            Unreadable: It cannot be looked at.
        """

    @abstractmethod
    def files(self) -> Iterator[tuple[str, float]] | None:
        """Return path and time of change (seconds since 1970 UTC) of every file; None if the place cannot list them."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections and files."""


class Directory(Place):
    """A tree in a directory of this machine.

    Args:
        path: The directory.

    Raises:
        Unreachable: There is no such directory.
    """

    is_served = False
    connections = 1

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise Unreachable(f"there is no directory {path}: expected the URL or the directory of a published tree")
        self.name = str(path)
        self._root = path.resolve()
        self._real = lru_cache(_REMEMBERED)(Path.resolve)

    @override
    def read(self, path: str, limit: int, *, headers: Mapping[str, str] | None = None) -> Answer | None:
        place = self._inside(path)
        try:
            # Without O_NONBLOCK, opening a named pipe would wait for its writer.
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unreadable(f"it cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is not a plain file")
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Unreadable(f"it has more than {limit:,} bytes")
        return Answer(data, len(data))

    @override
    def look(self, path: str) -> Answer | None:
        try:
            status = self._inside(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unreadable(f"it cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is not a plain file")
        return Answer(b"", status.st_size)

    @override
    def files(self) -> Iterator[tuple[str, float]] | None:
        return self._files()

    @override
    def close(self) -> None:
        pass

    def _files(self) -> Iterator[tuple[str, float]]:
        for directory, names, files in os.walk(self._root):
            here = Path(directory)
            if here == self._root and ".statscache" in names:
                # The publisher's own: unfinished files and notes.
                names.remove(".statscache")
            links = [name for name in names if (here / name).is_symlink()]
            for name in [*files, *links]:
                path = here / name
                yield path.relative_to(self._root).as_posix(), path.lstat().st_mtime

    def _inside(self, path: str) -> Path:
        place = self._root / path
        try:
            # Many files are in few directories.
            real = self._real(place.parent) / place.name
            if place.name in ("", "..") or real.is_symlink():
                real = real.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise Unreadable(f"its path cannot be resolved: {error}") from error
        if not real.is_relative_to(self._root):
            raise Unreadable("it is a link that leads out of the tree")
        return place


class Website(Place):
    """A tree on a web server.

    Args:
        url: Address of the site's root, http or https.

    Raises:
        Unreachable: It is not such an address.
    """

    is_served = True
    connections = 8

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise Unreachable(f"{url!r} is not the address of a site: expected for example https://stats.example.org/")
        self.name = url
        self._url = url.rstrip("/") + "/"
        self._pool = urllib3.PoolManager(
            maxsize=self.connections,
            block=True,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            retries=urllib3.Retry(
                3,
                redirect=False,
                backoff_factor=0.2,
                status_forcelist=(429, 500, 502, 503, 504),
                raise_on_status=False,
            ),
        )

    @override
    def close(self) -> None:
        self._pool.clear()

    @override
    def read(self, path: str, limit: int, *, headers: Mapping[str, str] | None = None) -> Answer | None:
        with self._asked("GET", path, headers or {"Accept-Encoding": "gzip"}) as response:
            if not self._is_there(response):
                return None
            deadline = time.monotonic() + _FILE_SECONDS
            data = bytearray()
            try:
                for chunk in response.stream(_CHUNK, decode_content=True):
                    data += chunk
                    if len(data) > limit:
                        raise Unreadable(f"it has more than {limit:,} bytes")
                    if time.monotonic() > deadline:
                        raise Unreadable(f"it takes longer than {_FILE_SECONDS:.0f} s")
            except DecodeError as error:
                encoding = response.headers.get("Content-Encoding")
                raise Unreadable(f"its bytes are not in the encoding that its header says ({encoding})") from error
            except HTTPError as error:
                raise Unreadable(f"the answer is incomplete: {error}") from error
            return Answer(bytes(data), len(data), _lowered(response))

    @override
    def look(self, path: str) -> Answer | None:
        with self._asked("HEAD", path, {"Accept-Encoding": "identity"}) as response:
            if not self._is_there(response):
                return None
            response.read()
            length = response.headers.get("Content-Length", "")
            is_known = "Content-Encoding" not in response.headers and length.isascii() and length.isdigit()
            return Answer(b"", int(length) if is_known else None, _lowered(response))

    @override
    def files(self) -> Iterator[tuple[str, float]] | None:
        return None

    def is_unmodified(self, path: str, headers: Mapping[str, str]) -> bool:
        """Return whether a conditional request with `headers` is answered by 304.

        Raises:
            NoAnswer: The server does not answer.
        """
        with self._asked("GET", path, headers) as response:
            if response.status != 304:
                return False
            response.read()
            return True

    @contextmanager
    def _asked(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        try:
            response = self._pool.request(
                method,
                self._url + quote(path),
                headers=headers,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except MaxRetryError as error:
            raise NoAnswer(f"it cannot be fetched: {error.reason}") from error
        except HTTPError as error:
            raise NoAnswer(f"it cannot be fetched: {error}") from error
        try:
            yield response
        finally:
            # If it was read to its end, its connection is back in the pool; the rest of any other is not worth reading.
            response.close()

    @staticmethod
    def _is_there(response: urllib3.BaseHTTPResponse) -> bool:
        if response.status in (404, 410):
            response.read(_CHUNK)
            return False
        if 300 <= response.status < 400:
            raise Unreadable(f"it is redirected to {response.headers.get('Location', 'nowhere')!r:.200}")
        if response.status != 200:
            raise Unreadable(f"the server answers with status {response.status}")
        return True


def _lowered(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.itermerged()}


def place(where: str) -> Place:
    """Return the place that a URL or a path names.

    Raises:
        Unreachable: It is neither.
    """
    return Website(where) if "://" in where else Directory(Path(where))

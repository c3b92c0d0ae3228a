"""Fetch published files with the standard library: conditional, bounded, checked, and kept in a cache."""

import hashlib
import json
import time
import urllib.request
import zlib
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit

from statscache import __version__, layout
from statscache.client.caches import Cache
from statscache.exceptions import StatscacheError, Unreachable

_TRIES = 3
_PAUSE = 0.3
_CHUNK = 65_536
_READ_TIMEOUTS = 12
_SETTLED = 2


class Damaged(StatscacheError, ValueError):
    """The site's answer is not what it announced; the text names the file and the difference."""


class Missing(Damaged, LookupError):
    """A referenced file is missing: its snapshot is no longer retained, or the site is damaged."""


class Fetcher:
    """Fetches files of one site.

    Args:
        url: Address of the site's root: http, https or file.
        cache: Keeps what was fetched.
        timeout: Seconds for which the server may be silent.
        largest: Maximum size in bytes of a file that is read.

    Attributes:
        url: The address, with a slash at its end.

    Raises:
        ValueError: The address is of none of these kinds.
    """

    def __init__(self, url: str, cache: Cache, timeout: float, largest: int) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "file") or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is not the address of a site: expected for example https://stats.example.org/")
        self.url = url.rstrip("/") + "/"
        self._directory = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._cache = cache
        self._timeout = timeout
        self._largest = largest

    def object(self, name: str, size: int | None) -> bytes:
        """Return the bytes of an object, checked against its name; from the cache if possible.

        Args:
            name: Its name.
            size: Its size in bytes, as the referring file says; None if unknown.

        Raises:
            Unreachable: The site does not answer.
            Missing: There is no such object.
            Damaged: The name is invalid, or the bytes do not match it.
        """
        matched = layout.OBJECT_NAME.fullmatch(name)
        if matched is None:
            raise Damaged(f"{name!r:.100} does not name an object")
        kept = self._cache.get(name)
        if kept is not None and hashlib.sha256(kept).hexdigest() == matched[1]:
            return kept
        path = layout.object_path(name)
        largest = self._largest if size is None else size
        if largest > self._largest:
            raise Damaged(f"{path} has {size:,} bytes by its reference; at most {self._largest:,} are read")
        data, _ = self._fetch(path, {}, largest)
        if data is None:
            raise Missing(f"{self.url}{path} is missing, but referred to")
        if hashlib.sha256(data).hexdigest() != matched[1]:
            raise Damaged(f"{self.url}{path} has bytes that do not match its name")
        self._cache.put(name, data)
        return data

    def changing(self, path: str, *, fresh: bool) -> bytes:
        """Return the bytes of a file that may change; if unchanged, the server sends nothing.

        Args:
            path: Where it is, relative to the site's root.
            fresh: True if caches on the way must ask the server.

        Raises:
            Unreachable: The site does not answer.
            Missing: There is no such file.
            Damaged: It is too large, or not compressed as its header says.
        """
        name = hashlib.sha256(f"{self.url}{path}".encode()).hexdigest() + ".kept"
        kept, conditions = _unwrapped(self._cache.get(name))
        asked = dict(conditions)
        if fresh:
            asked["Cache-Control"] = "no-cache"
        data, answered = self._fetch(path, asked, self._largest)
        if data is None and answered is None:
            raise Missing(f"{self.url}{path} is not there: is this the root of a published site?")
        if data is None:
            return kept
        self._cache.put(name, _wrapped(data, answered or {}))
        return data

    def document(self, path: str, digest: str | None) -> bytes | None:
        """Return the bytes of a document that has no object; from the cache, if they are there.

        Args:
            path: Where it is, relative to the site's root.
            digest: Their SHA-256; None accepts any.

        Returns:
            The bytes; None if there is no such file, or it has another digest.

        Raises:
            Unreachable: The site does not answer.
            Damaged: It is too large, or not compressed as its header says.
        """
        kept = None if digest is None else self._cache.get(digest)
        if kept is not None and hashlib.sha256(kept).hexdigest() == digest:
            return kept
        # The second request makes a cache on the way, which may have an older one, ask the server.
        for headers in ({}, {"Cache-Control": "no-cache"}):
            data, _ = self._fetch(path, headers, self._largest)
            if data is not None and digest in (None, hashlib.sha256(data).hexdigest()):
                self._cache.put(hashlib.sha256(data).hexdigest(), data)
                return data
        return None

    def _fetch(self, path: str, headers: dict[str, str], largest: int) -> tuple[bytes | None, dict[str, str] | None]:
        """Return the bytes and the next request's conditions; None for the bytes if unchanged, for both if missing."""
        if self._directory is not None:
            return self._read(self._directory / path, largest)
        url = self.url + quote(path)
        request = urllib.request.Request(
            url, headers={"Accept-Encoding": "gzip", "User-Agent": f"statscache/{__version__}", **headers}
        )
        for attempt in range(1, _TRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as response:
                    return _body(response, url, largest, self._timeout * _READ_TIMEOUTS), _conditions(response)
            except HTTPError as error:
                with error:
                    if error.code == 304:
                        return None, {}
                    if error.code in (404, 410):
                        return None, None
                    reason: object = f"status {error.code}"
                    if error.code < 500 and error.code != 429:
                        raise Unreachable(f"{url}: the server answers with {reason}") from error
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", None) or error
            if attempt < _TRIES:
                time.sleep(_PAUSE * attempt)
        raise Unreachable(f"{url} cannot be fetched: {reason}")

    @staticmethod
    def _read(path: Path, largest: int) -> tuple[bytes | None, dict[str, str] | None]:
        try:
            with path.open("rb") as file:
                data = file.read(largest + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None, None
        except OSError as error:
            raise Unreachable(f"{path} cannot be read: {error.strerror}") from error
        if len(data) > largest:
            raise Damaged(f"{path} has more than {largest:,} bytes")
        return data, {}


def _body(response: HTTPResponse, url: str, largest: int, patience: float) -> bytes:
    """Return the body of a response, decompressed, of at most `largest` bytes, within `patience` seconds.

    Raises:
        Damaged: It is larger, or not in the encoding of its header.
        OSError: It takes too long or is incomplete; the caller may try again.
    """
    encoding = (response.headers.get("Content-Encoding") or "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise Damaged(f"{url} is sent in the encoding {encoding}, which was not requested")
    unpack = zlib.decompressobj(31) if encoding == "gzip" else None
    deadline = time.monotonic() + patience
    data = bytearray()
    received = 0
    try:
        while chunk := response.read1(_CHUNK):
            received += len(chunk)
            data += chunk if unpack is None else unpack.decompress(chunk, largest + 1 - len(data))
            if len(data) > largest:
                raise Damaged(f"{url} has more than {largest:,} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it takes longer than {patience:.0f} s")
    except zlib.error as error:
        raise Damaged(f"{url} is not compressed as its header says: {error}") from error
    announced = response.headers.get("Content-Length") or str(received)
    if announced != str(received) or (unpack is not None and not unpack.eof):
        raise ConnectionError("the answer is incomplete")
    return bytes(data)


def _conditions(response: HTTPResponse) -> dict[str, str]:
    """Return the headers of a conditional request; none if the file is too new for that."""
    changed, sent = (_time(response.headers.get(name)) for name in ("Last-Modified", "Date"))
    if changed is not None and sent is not None and sent - changed < _SETTLED:
        # Web servers distinguish versions by whole seconds, in entity tags too: it may change again within this one.
        return {}
    names = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
    return {ask: response.headers[name] for name, ask in names.items() if response.headers.get(name)}


def _time(header: str | None) -> float | None:
    try:
        return None if header is None else parsedate_to_datetime(header).timestamp()
    except ValueError:
        return None


def _wrapped(data: bytes, conditions: dict[str, str]) -> bytes:
    """Return bytes with the headers of their answer and their digest, for the cache."""
    about = {"digest": hashlib.sha256(data).hexdigest(), "conditions": conditions}
    return json.dumps(about).encode() + b"\n" + data


def _unwrapped(kept: bytes | None) -> tuple[bytes, dict[str, str]]:
    """Return the content that `_wrapped` made; empty, without conditions, if it is damaged or missing."""
    head, _, data = (kept or b"").partition(b"\n")
    try:
        about = json.loads(head)
        if about["digest"] != hashlib.sha256(data).hexdigest():
            return b"", {}
        return data, {str(name): str(value) for name, value in about["conditions"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return b"", {}

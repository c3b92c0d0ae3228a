"""One page of datagrepper's rows: asked for over HTTP, as often as it takes, bounded in bytes and time, and checked."""

import json
import logging
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout, parse_url

from statscache import __version__
from statscache.exceptions import SourceError

ROWS = 100
"""Rows of a page: the most that the server gives."""

LARGEST = 8 * 1024 * 1024
"""Bytes of the largest page that is read. Where a page of `ROWS` is larger, one row is asked for at a time."""

MOST_VALUES = 800_000
"""Values in the JSON of the largest page that is read: parsed, each of them takes up to a hundred bytes of memory."""

_ATTEMPTS = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 300.0
_REDIRECTS = 3
_PIECE = 65_536
_SILENCES = 10
"""Times the seconds of the longest silence that an answer may take."""

_HEADERS = {"Accept": "application/json", "User-Agent": f"statscache/{__version__}"}

_log = logging.getLogger(__name__)


class Page(NamedTuple):
    """Some rows of a window.

    Attributes:
        total: Rows of the whole window, as the server counts them.
        rows: Those of this page.
    """

    total: int
    rows: list[dict[str, Any]]


class Failed(Exception):
    """A request or a window failed, and may succeed later or in parts; the text has the reason."""


class LargePage(Exception):
    """A page is larger than is read; the text says by what."""


class Stopped(Exception):
    """The work was stopped."""


class Server:
    """A server of history, asked for one page at a time; safe to share between threads.

    Args:
        url: Address of its search.
        timeout: Seconds for which it may be silent.
        stopping: Aborts, at the latest when the server sends something or was silent for `timeout`.
        credentials: `user:password`, sent to this server only; none if empty.

    Attributes:
        clock: What its clock showed in the last answer to any thread (they differ by seconds); None if unknown.
    """

    def __init__(self, url: str, timeout: float, stopping: threading.Event, credentials: str = "") -> None:
        self.clock: int | None = None
        self._url = url
        self._longest = timeout * _SILENCES
        self._stopping = stopping
        self._credentials = _authorization(credentials) if credentials else {}
        self._pool = urllib3.PoolManager(
            maxsize=16,
            timeout=Timeout(connect=min(timeout, 10.0), read=timeout),
        )

    def page(self, start: int, end: int, page: int, order: str, size: int) -> Page:
        """Return a page of a window; a request that fails is made again, after a pause.

        Args:
            start: Start of the window, in seconds since 1970 UTC.
            end: Its end, which belongs to it.
            page: Number of the page, from 1.
            order: `asc` for the oldest rows first, `desc` for the newest.
            size: Rows of a page, at most `ROWS`.

        Raises:
            Failed: No attempt gave a page of rows of this window.
            LargePage: The page is larger than is read.
            Stopped: `stopping` was set.
            SourceError: The server refuses the request as such.
        """
        query = {"start": start, "end": end, "page": page, "rows_per_page": size, "order": order}
        url = f"{self._url}?{urlencode(query)}"
        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            if self._stopping.is_set():
                raise Stopped
            wait = 0.0
            try:
                with self._answer(url) as response:
                    if response.status == 200:
                        found = _parsed(self._body(response))
                        _check(found.rows, start, end)
                        self.clock = _clock(response)
                        return found
                    if response.status < 500 and response.status not in (408, 429):
                        raise SourceError(
                            f"{self._url} refuses to be searched, with status {response.status}:"
                            " check [sources.datagrepper] url"
                        )
                    reason: object = f"status {response.status}"
                    wait = _asked_to_wait(response)
            except (HTTPError, Failed) as error:
                reason = error
            if attempt < _ATTEMPTS:
                wait = min(max(wait, pause), _LONGEST_PAUSE)
                _log.warning("%s: %s; retrying in %.1f s", self._url, reason, wait)
                self._stopping.wait(wait)
            pause *= 2
        raise Failed(str(reason))

    def _answer(self, url: str) -> urllib3.BaseHTTPResponse:
        """Follow redirects and return the answer; its body is not read yet."""
        for left in reversed(range(1 + _REDIRECTS)):
            # What `urllib3` follows by itself, it reads to the end first, however long that takes.
            headers = _HEADERS | self._credentials if _origin(url) == _origin(self._url) else _HEADERS
            response = self._pool.request(
                "GET", url, headers=headers, retries=False, redirect=False, preload_content=False
            )
            location = response.get_redirect_location()
            if not location or not left:
                break
            response.close()
            try:
                url = urljoin(url, location)
            except ValueError as error:
                raise Failed(f"a redirect to {location!r:.100}, which is not an address") from error
        return response

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """Return the body of an answer, which is bounded in bytes and in time."""
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise Failed(f"it is sent in the encoding {encoding:.100}, which was not requested")
        deadline = time.monotonic() + self._longest
        body = bytearray()
        while piece := response.read1(_PIECE, decode_content=False):
            body += piece
            if self._stopping.is_set():
                raise Stopped
            if len(body) > LARGEST:
                raise LargePage(f"a page has more than {LARGEST:,} bytes")
            if time.monotonic() > deadline:
                raise Failed(f"an answer takes longer than {self._longest:.0f} s")
        return bytes(body)


def _authorization(credentials: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode('ascii')}"}


def _origin(url: str) -> tuple[str | None, str | None, int | None]:
    """Return whose server an address is: scheme, host and port, None if unknown."""
    parts = parse_url(url)
    return parts.scheme, parts.host, parts.port


def _asked_to_wait(response: urllib3.BaseHTTPResponse) -> float:
    """Return the seconds that the server asks to wait; 0 if it does not, or unreadably."""
    try:
        return Retry().get_retry_after(response) or 0.0
    except (HTTPError, ValueError, OverflowError):
        return 0.0


def _clock(response: urllib3.BaseHTTPResponse) -> int | None:
    """Return what the server's clock shows, in seconds since 1970 UTC; None if unknown."""
    try:
        return int(parsedate_to_datetime(response.headers.get("Date", "")).timestamp())
    except (ValueError, OverflowError):
        return None


def line(row: dict[str, Any]) -> bytes:
    """Return a row as one line of JSON; as text it takes a fraction of the memory."""
    return json.dumps(row).encode()


def _parsed(data: bytes) -> Page:
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
        raise LargePage(f"a page has more than {MOST_VALUES:,} values")
    # The standard library's parser keeps NaN and long integers, which are the one parser's to refuse, row by row.
    try:
        answer = json.loads(data, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise Failed(f"no JSON: {error}") from error
    rows = answer.get("raw_messages") if isinstance(answer, dict) else None
    total = answer.get("total") if isinstance(answer, dict) else None
    if type(total) is not int or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Failed("JSON, but no page of rows: expected raw_messages and total")
    return Page(total, rows)


def _integer(digits: str) -> int | float:
    """Return a whole number; infinity, which is not JSON, for one of more digits than Python reads."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _check(rows: list[dict[str, Any]], start: int, end: int) -> None:
    """Refuse rows that were not requested: a server that sends them cannot be trusted to be complete.

    Raises:
        Failed: A row has a time before `start` or after `end`.
    """
    for row in rows:
        sent = second(row)
        if sent and not start <= sent <= end:
            raise Failed(f"a row of the second {sent} came, where {start} to {end} was asked for")


def second(row: dict[str, Any]) -> int:
    """Return the time of a row, in either shape, in whole seconds since 1970 UTC; 0 if it has none."""
    timestamp, headers = row.get("timestamp"), row.get("headers")
    try:
        if timestamp is not None:
            return int(timestamp)
        sent = datetime.fromisoformat(headers["sent-at"] if isinstance(headers, dict) else "")
        return int((sent if sent.tzinfo else sent.replace(tzinfo=UTC)).timestamp())
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0


def identity(row: dict[str, Any]) -> object:
    """Return what identifies a row, in the shape of either version of the search; None if nothing does."""
    name = row.get("msg_id") or row.get("id")
    if not isinstance(name, str):
        return None
    headers = row.get("headers")
    return name, str(row.get("timestamp") or (headers.get("sent-at") if isinstance(headers, dict) else None))

"""History over HTTP, from datagrepper: windows of time, each of which counts only when it is complete.

What is to be known of the server:

- A window is inclusive at both ends, and times behind it have fractions, which it cuts off. So windows share their
  ends: `[start, end]` and `[end, later]` lose nothing between them, and what both hold is a copy.
- It answers in pages of at most 100 rows. Rows of one time have no fixed order, and rows with old times come late, so
  deeper pages may repeat a row and leave out another, and each costs more than the one before. So a page is followed by
  the first page from its last second on, and deeper pages are read only where that does not add up. What arrived is
  counted against `total`.
- A start of 0 is taken for none, and means everything.
"""

import json
import logging
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import cycle, islice
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout, parse_url

from statscache import __version__
from statscache.exceptions import SourceError

ROWS = 100
"""Rows of a page: the most that the server gives."""

MOST = 10_000
"""Rows beyond which a window is split before it is read, for deep pages cost several times the first; of one second
no more are read."""

LARGEST = 8 * 1024 * 1024
"""Bytes of the largest page that is read. Where a page of `ROWS` is larger, one row is asked for at a time."""

MOST_VALUES = 800_000
"""Values in the JSON of the largest page that is read: parsed, each of them takes up to a hundred bytes of memory."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of rows beyond which a window is split, and after which no further window is begun."""

_ATTEMPTS = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 300.0
_REDIRECTS = 3
_READINGS = 16
"""Maximum number of times that the pages of a window are read, to complement each other."""

_PIECE = 65_536
_SILENCES = 10
"""Times the seconds of the longest silence that an answer may take."""

_FAILURES = 8
"""Consecutive failures after which a window is not split further, unless its last second can be fetched."""

_HEADERS = {"Accept": "application/json", "User-Agent": f"statscache/{__version__}"}

_log = logging.getLogger(__name__)


class Part(NamedTuple):
    """The result for `[start, end)`, in seconds since 1970 UTC.

    Attributes:
        start: Its start.
        end: Its end.
        lines: Its messages, one JSON document each; one that was sent at the very end may be among them.
        error: Why it could not be fetched; None if it was fetched completely.
        clock: What the server's clock showed when they came, likewise; None if unknown.
    """

    start: int
    end: int
    lines: list[bytes]
    error: str | None = None
    clock: int | None = None


class _Page(NamedTuple):
    total: int
    rows: list[dict[str, Any]]


@dataclass
class _Failures:
    """How failures are handled while one window is fetched.

    Attributes:
        end: Its end, in seconds since 1970 UTC.
        left: Consecutive failures that are still tolerated.
        answers: True if the server answers for its last second; None until that matters.
    """

    end: int
    left: int = _FAILURES
    answers: bool | None = None


class _Failed(Exception):
    """A request or a window failed, and may succeed later or in parts; the text has the reason."""


class _TooLarge(Exception):
    """A window has more rows than are read at once."""


class _LargePage(Exception):
    """A page is larger than is read; the text says by what."""


class _Stopped(Exception):
    """The work was stopped."""


class Datagrepper:
    """One datagrepper server; safe to share between threads.

    Args:
        url: Address of its search, such as `https://apps.fedoraproject.org/datagrepper/raw`.
        timeout: Seconds for which the server may be silent.
        stopping: Aborts, at the latest when the server sends something or was silent for `timeout`.
        credentials: `user:password`, sent to this server only; none if empty.
    """

    def __init__(self, url: str, timeout: float, stopping: threading.Event, credentials: str = "") -> None:
        self._url = url
        self._longest = timeout * _SILENCES
        self._stopping = stopping
        # From the last answer to any thread: they differ by seconds.
        self._clock: int | None = None
        self._credentials = _authorization(credentials) if credentials else {}
        self._pool = urllib3.PoolManager(
            maxsize=16,
            timeout=Timeout(connect=min(timeout, 10.0), read=timeout),
        )

    def fetch(self, start: int, end: int) -> list[Part]:
        """Return the server's messages of `[start, end)`, in consecutive parts, oldest first.

        A window that is too large, fails, or does not add up, is halved, down to one second, so that what cannot be
        had is as little as possible. The parts end before `end` where they have `MOST` rows or `MOST_BYTES` by then, or
        where there is to be an end.

        Args:
            start: Seconds since 1970 UTC, at least 1.
            end: Later than that.

        Raises:
            SourceError: The server refuses the request as such; the address is wrong.
        """
        parts: list[Part] = []
        rows = size = 0
        with suppress(_Stopped):
            for part in self._parts(start, end, _Failures(end)):
                parts.append(part)
                rows += len(part.lines)
                size += sum(map(len, part.lines))
                if rows >= MOST or size >= MOST_BYTES:
                    break
        return parts

    def _parts(self, start: int, end: int, failures: _Failures) -> Iterator[Part]:
        if failures.answers is False:
            yield Part(start, end, [], "the server failed several times before it")
            return
        try:
            yield Part(start, end, self._window(start, end), clock=self._clock)
            failures.left = _FAILURES
            return
        except _TooLarge:
            pass
        except _Failed as failed:
            failures.left -= 1
            if end - start == 1 or not self._is_worth_halving(end, failures):
                yield Part(start, end, [], str(failed))
                return
        middle = (start + end) // 2
        yield from self._parts(start, middle, failures)
        yield from self._parts(middle, end, failures)

    def _is_worth_halving(self, end: int, failures: _Failures) -> bool:
        """Return whether a window that failed, and ends there, may have parts that do not."""
        if failures.left > 0:
            return True
        if self._answers(end):
            failures.left = _FAILURES
            return True
        # All of it is damaged, or the server is away. What follows is asked for only where it is not away.
        if failures.answers is None:
            failures.answers = end < failures.end and self._answers(failures.end)
        return False

    def _answers(self, end: int) -> bool:
        """Return whether the server answers for the last second before `end`."""
        try:
            self._page(end - 1, end, 1, "asc", ROWS)
        except _Failed:
            return False
        except _LargePage:
            pass
        return True

    def _window(self, start: int, end: int) -> list[bytes]:
        try:
            lines = self._by_time(start, end)
            return self._by_page(start, end, ROWS) if lines is None else lines
        except _LargePage as error:
            if end - start > 1:
                raise _TooLarge from error
        # Whoever sent so much in one second must not hide what others sent then.
        try:
            return self._by_page(start, end, 1)
        except _LargePage as error:
            raise _Failed(str(error)) from error

    def _by_time(self, start: int, end: int) -> list[bytes] | None:
        """Return the rows of a window, of which only first pages are read; None if they do not add up.

        A page holds all rows that are older than its last one. So the next page begins with the second of that, and
        neither the order within a second nor the depth of pages matters.
        """
        found: list[bytes] = []
        size = 0
        since = start
        while True:
            total, rows = self._page(since, end, 1, "asc", ROWS)
            if total > MOST and end - start > 1:
                raise _TooLarge
            whole = len(rows) == total
            seconds = [_second(row) for row in rows]
            last = max(seconds, default=0)
            if not whole and not since < last <= end:
                return None
            # As text they take a fraction of the memory.
            lines = [_line(row) for row, second in zip(rows, seconds, strict=True) if whole or second < last]
            found += lines
            if whole:
                break
            size += sum(map(len, lines))
            if size > MOST_BYTES and end - start > 1:
                raise _TooLarge
            if len(found) > MOST:
                raise _Failed(f"more rows came than the {total:,} that it says there are")
            since = last
        # A row that came late may be of a time that was read already. Rows that look alike are what the server has.
        return found if since == start or self._page(start, end, 1, "asc", ROWS).total == len(found) else None

    def _by_page(self, start: int, end: int, size: int) -> list[bytes]:
        found: dict[object, bytes] = {}
        before, read = -1, 0
        # Pages that repeat rows and leave out others make up for each other, as long as each reading brings something.
        for order in islice(cycle(("asc", "desc")), _READINGS):
            page = 1
            while True:
                total, rows = self._page(start, end, page, order, size)
                if total > MOST:
                    raise _Failed(f"{total:,} rows; at most {MOST:,} are read at once")
                for row in rows:
                    line = _line(row)
                    identity = _identity(row) or line
                    if identity not in found:
                        found[identity] = line
                        read += len(line)
                if read > 2 * MOST_BYTES:
                    raise _Failed(f"its rows have more than {2 * MOST_BYTES:,} bytes")
                if not rows or page * size >= total:
                    break
                page += 1
            if len(found) == total:
                return [*found.values()]
            # Of rows that come one by one, in any order, a reading may bring only known ones, and the next one more.
            if (len(found) == before and size > 1) or len(found) > total:
                break
            before = len(found)
        raise _Failed(f"of {total} rows, {len(found)} came")

    def _page(self, start: int, end: int, page: int, order: str, size: int) -> _Page:
        query = {"start": start, "end": end, "page": page, "rows_per_page": size, "order": order}
        url = f"{self._url}?{urlencode(query)}"
        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            if self._stopping.is_set():
                raise _Stopped
            wait = 0.0
            try:
                with self._answer(url) as response:
                    if response.status == 200:
                        found = _parsed(self._body(response))
                        _check(found.rows, start, end)
                        self._clock = _clock(response)
                        return found
                    if response.status < 500 and response.status not in (408, 429):
                        raise SourceError(
                            f"{self._url} refuses to be searched, with status {response.status}:"
                            " check [sources.datagrepper] url"
                        )
                    reason: object = f"status {response.status}"
                    wait = _asked_to_wait(response)
            except (HTTPError, _Failed) as error:
                reason = error
            if attempt < _ATTEMPTS:
                wait = min(max(wait, pause), _LONGEST_PAUSE)
                _log.warning("%s: %s; retrying in %.1f s", self._url, reason, wait)
                self._stopping.wait(wait)
            pause *= 2
        raise _Failed(str(reason))

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
                raise _Failed(f"a redirect to {location!r:.100}, which is not an address") from error
        return response

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """Return the body of an answer, which is bounded in bytes and in time."""
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise _Failed(f"it is sent in the encoding {encoding:.100}, which was not requested")
        deadline = time.monotonic() + self._longest
        body = bytearray()
        while piece := response.read1(_PIECE, decode_content=False):
            body += piece
            if self._stopping.is_set():
                raise _Stopped
            if len(body) > LARGEST:
                raise _LargePage(f"a page has more than {LARGEST:,} bytes")
            if time.monotonic() > deadline:
                raise _Failed(f"an answer takes longer than {self._longest:.0f} s")
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


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()


def _parsed(data: bytes) -> _Page:
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
        raise _LargePage(f"a page has more than {MOST_VALUES:,} values")
    # The standard library's parser keeps NaN and long integers, which are the one parser's to refuse, row by row.
    try:
        answer = json.loads(data, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise _Failed(f"no JSON: {error}") from error
    rows = answer.get("raw_messages") if isinstance(answer, dict) else None
    total = answer.get("total") if isinstance(answer, dict) else None
    if type(total) is not int or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _Failed("JSON, but no page of rows: expected raw_messages and total")
    return _Page(total, rows)


def _integer(digits: str) -> int | float:
    """Return a whole number; infinity, which is not JSON, for one of more digits than Python reads."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _check(rows: list[dict[str, Any]], start: int, end: int) -> None:
    """Refuse rows that were not requested: a server that sends them cannot be trusted to be complete.

    Raises:
        _Failed: A row has a time before `start` or after `end`.
    """
    for row in rows:
        second = _second(row)
        if second and not start <= second <= end:
            raise _Failed(f"a row of the second {second} came, where {start} to {end} was asked for")


def _second(row: dict[str, Any]) -> int:
    """Return the time of a row, in either shape, in whole seconds since 1970 UTC; 0 if it has none."""
    timestamp, headers = row.get("timestamp"), row.get("headers")
    try:
        if timestamp is not None:
            return int(timestamp)
        sent = datetime.fromisoformat(headers["sent-at"] if isinstance(headers, dict) else "")
        return int((sent if sent.tzinfo else sent.replace(tzinfo=UTC)).timestamp())
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0


def _identity(row: dict[str, Any]) -> object:
    """Return what identifies a row, in the shape of either version of the search; None if nothing does."""
    identity = row.get("msg_id") or row.get("id")
    if not isinstance(identity, str):
        return None
    headers = row.get("headers")
    return identity, str(row.get("timestamp") or (headers.get("sent-at") if isinstance(headers, dict) else None))

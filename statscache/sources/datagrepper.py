"""History over HTTP, from datagrepper: windows of time, each of which counts only when it is complete.

Facts about the server:

- A window is inclusive at both ends, and its times have fractions, which it cuts off. So windows share their
  ends: `[start, end]` and `[end, later]` lose nothing between them, and what both hold is a copy.
- It answers in pages of at most 100 rows. Rows of one time have no fixed order, and rows with old times come late, so
  deeper pages may repeat a row and leave out another, and each costs more than the one before. So a page is followed by
  the first page from its last second on, and deeper pages are read only where that does not add up. What arrived is
  counted against `total`.
- A start of 0 is taken for none, and means everything.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from typing import NamedTuple

from statscache.sources.datagrepper_pages import ROWS, Failed, LargePage, Server, Stopped, identity, line, second

MOST = 10_000
"""Rows beyond which a window is split before it is read, for deep pages cost several times the first; of one second
no more are read."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of rows beyond which a window is split, and after which no further window is begun."""

_READINGS = 16
"""Maximum number of times that the pages of a window are read, to complement each other."""

_FAILURES = 8
"""Consecutive failures after which a window is not split further, unless its last second can be fetched."""


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


class _TooLarge(Exception):
    """A window has more rows than are read at once."""


class Datagrepper:
    """One datagrepper server; safe to share between threads.

    Args:
        url: Address of its search, such as `https://apps.fedoraproject.org/datagrepper/raw`.
        timeout: Seconds for which the server may be silent.
        stopping: Aborts, at the latest when the server sends something or was silent for `timeout`.
        credentials: `user:password`, sent to this server only; none if empty.
    """

    def __init__(self, url: str, timeout: float, stopping: threading.Event, credentials: str = "") -> None:
        self._server = Server(url, timeout, stopping, credentials)

    def fetch(self, start: int, end: int) -> list[Part]:
        """Return the server's messages of `[start, end)`, in consecutive parts, oldest first.

        A window that is too large, fails, or does not add up, is halved, down to one second, so that as little as
        possible is missing. The parts end before `end` where they have `MOST` rows or `MOST_BYTES` by then, or where
        the work was stopped.

        Args:
            start: Seconds since 1970 UTC, at least 1.
            end: Later than that.

        Raises:
            SourceError: The server refuses the request as such; the address is wrong.
        """
        parts: list[Part] = []
        rows = size = 0
        with suppress(Stopped):
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
            yield Part(start, end, self._window(start, end), clock=self._server.clock)
            failures.left = _FAILURES
            return
        except _TooLarge:
            pass
        except Failed as failed:
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
            self._server.page(end - 1, end, 1, "asc", ROWS)
        except Failed:
            return False
        except LargePage:
            pass
        return True

    def _window(self, start: int, end: int) -> list[bytes]:
        try:
            lines = self._by_time(start, end)
            return self._by_page(start, end, ROWS) if lines is None else lines
        except LargePage as error:
            if end - start > 1:
                raise _TooLarge from error
        # Whoever sent so much in one second must not hide what others sent then.
        try:
            return self._by_page(start, end, 1)
        except LargePage as error:
            raise Failed(str(error)) from error

    def _by_time(self, start: int, end: int) -> list[bytes] | None:
        """Return the rows of a window, of which only first pages are read; None if they do not add up.

        A page holds all rows that are older than its last one. So the next page begins with the second of that, and
        neither the order within a second nor the depth of pages matters.
        """
        found: list[bytes] = []
        size = 0
        since = start
        while True:
            total, rows = self._server.page(since, end, 1, "asc", ROWS)
            if total > MOST and end - start > 1:
                raise _TooLarge
            whole = len(rows) == total
            seconds = [second(row) for row in rows]
            last = max(seconds, default=0)
            if not whole and not since < last <= end:
                return None
            lines = [line(row) for row, sent in zip(rows, seconds, strict=True) if whole or sent < last]
            found += lines
            if whole:
                break
            size += sum(map(len, lines))
            if size > MOST_BYTES and end - start > 1:
                raise _TooLarge
            if len(found) > MOST:
                raise Failed(f"more rows came than the {total:,} that it says there are")
            since = last
        # A row that came late may be of a time that was read already. Rows that look alike are what the server has.
        return found if since == start or self._server.page(start, end, 1, "asc", ROWS).total == len(found) else None

    def _by_page(self, start: int, end: int, size: int) -> list[bytes]:
        found: dict[object, bytes] = {}
        before, read = -1, 0
        # Pages that repeat rows and leave out others make up for each other, as long as each reading brings something.
        for order in islice(cycle(("asc", "desc")), _READINGS):
            page = 1
            while True:
                total, rows = self._server.page(start, end, page, order, size)
                if total > MOST:
                    raise Failed(f"{total:,} rows; at most {MOST:,} are read at once")
                for row in rows:
                    text = line(row)
                    name = identity(row) or text
                    if name not in found:
                        found[name] = text
                        read += len(text)
                if read > 2 * MOST_BYTES:
                    raise Failed(f"its rows have more than {2 * MOST_BYTES:,} bytes")
                if not rows or page * size >= total:
                    break
                page += 1
            if len(found) == total:
                return [*found.values()]
            # Of rows that come one by one, in any order, a reading may bring only known ones, and the next one more.
            if (len(found) == before and size > 1) or len(found) > total:
                break
            before = len(found)
        raise Failed(f"of {total} rows, {len(found)} came")

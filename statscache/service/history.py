"""History from a server: window after window is fetched, several at a time, and accepted in order, oldest first.

Progress is coverage: complete intervals are not fetched again, so a walk that was killed resumes where it
stopped. A window that cannot be fetched becomes a gap, and the walk goes on; but if later windows
and the current second fail too, the server is considered down, and the walk ends.
"""

import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from statscache.config import Config, DatagrepperSection
from statscache.exceptions import ConfigurationError, SourceError
from statscache.ingest import Delivery, Outcome
from statscache.installation import Installation
from statscache.permissions import secret_of
from statscache.service.backfill import complete
from statscache.sources.datagrepper import Datagrepper, Part
from statscache.store import coverage, journal
from statscache.store.intervals import Interval
from statscache.timeline import DAY, HOUR

NAME = "datagrepper"
"""The name of the source, under which its progress is kept."""

SETTLED = 600
"""Seconds after which the server has all messages; younger ones are fetched, but not called complete."""

TARGET = 3_000
"""Messages of a window, about which its width is chosen."""

_FIRST_WIDTH, _LARGEST_WIDTH = HOUR, 7 * DAY
_BATCH = 32_000
"""Maximum number of lines accepted in one transaction; those of a part are in memory anyway."""

_LOOK = 0.2
_FAILURES = 3
"""Consecutive windows that cannot be fetched, after which the server is checked."""


class Step(NamedTuple):
    """The result of one window.

    Attributes:
        at: How far the walk is, seconds since 1970 UTC.
        outcome: The outcome of its messages.
        lost: What of it, and of windows before, is recorded as missing.
    """

    at: int
    outcome: Outcome
    lost: list[Part]


class Windows:
    """Splits intervals into windows, oldest first, whose width follows from the ones before.

    Args:
        wanted: The intervals, which do not overlap, oldest first.
    """

    def __init__(self, wanted: Sequence[Interval]) -> None:
        self._wanted = wanted
        self._at = 0
        self._width = _FIRST_WIDTH

    def next(self) -> Interval | None:
        """Return the next window; None if all has been cut."""
        for start, end in self._wanted:
            if end > self._at:
                start = max(start, self._at)
                self._at = min(end, start + self._width)
                return start, self._at
        return None

    def learn(self, seconds: int, messages: int) -> None:
        """Record how many messages there were in so many seconds."""
        fitting = seconds * TARGET // max(messages, 1)
        self._width = max(1, min(fitting, 4 * self._width, _LARGEST_WIDTH))

    def return_to(self, moment: int) -> None:
        """Split the later windows again."""
        self._at = moment


def section(config: Config) -> DatagrepperSection:
    """Return the configuration of the server.

    Raises:
        ConfigurationError: None is configured.
    """
    if config.sources.datagrepper is None:
        raise ConfigurationError("no server of history is configured: add a section [sources.datagrepper], with a url")
    return config.sources.datagrepper


def credentials(section: DatagrepperSection) -> str:
    """Return `user:password` for the server; empty if it asks for none.

    Raises:
        ConfigurationError: The file cannot be read, is open to everybody, or holds something else.
    """
    if section.password_file is None:
        return ""
    setting = "[sources.datagrepper] password_file"
    try:
        held = secret_of(section.password_file, "a password")
    except ConfigurationError as error:
        raise ConfigurationError(f"{setting}: {error}") from error
    if ":" not in held or "\n" in held:
        raise ConfigurationError(f"{setting}: {section.password_file} must hold one line, `user:password`")
    return held


def wanted(installation: Installation, start: int | None, end: int | None, *, only_gaps: bool) -> list[Interval]:
    """Return the intervals to fetch: those not known to be complete, oldest first.

    Args:
        installation: The installation.
        start: Seconds since 1970 UTC; None begins where the configuration says, or with the first gap.
        end: Likewise; None ends now.
        only_gaps: True to fetch only known gaps.

    Raises:
        ConfigurationError: No server is configured, or nothing says where history begins.
    """
    server = section(installation.config)
    begin = server.start if start is None else start
    if begin is None and not only_gaps:
        raise ConfigurationError("nothing says where history begins: give --start, or [sources.datagrepper] start")
    # A start of 0 would be taken for none, which stands for everything.
    low = max(begin or 1, 1)
    high = int(time.time()) if end is None else end
    with installation.database.reading() as connection:
        if only_gaps:
            gaps = coverage.gaps(connection)
            return [(max(first, low), min(last, high)) for first, last in gaps if first < high and last > low]
        return coverage.missing(connection, low, high)


def walk(
    installation: Installation, wanted: Sequence[Interval], *, jobs: int, stopping: threading.Event
) -> Generator[Step, None, None]:
    """Fetch these intervals from the configured server and accept the messages.

    Args:
        installation: The installation.
        wanted: Intervals in seconds since 1970 UTC, oldest first.
        jobs: Windows that are fetched at a time.
        stopping: Ends the walk soon.

    Raises:
        ConfigurationError: No server is configured.
        SourceError: The server refuses to be asked, or does not answer; what came before was accepted.
    """
    server = section(installation.config)
    halt = threading.Event()
    source = Datagrepper(server.url, server.timeout, halt, credentials(server))
    windows = Windows(wanted)
    failed: list[Part] = []
    failures = 0
    with ThreadPoolExecutor(jobs, thread_name_prefix="history") as pool:
        waiting: deque[tuple[Interval, int, Future[list[Part]]]] = deque()
        try:
            while True:
                while len(waiting) < 2 * jobs and (window := windows.next()):
                    waiting.append((window, int(time.time()) - SETTLED, pool.submit(source.fetch, *window)))
                if not waiting:
                    break
                (start, end), settled, future = waiting.popleft()
                parts = _result(future, stopping)
                if not parts:
                    return
                at = parts[-1].end
                if at < end:
                    # The windows that are fetched after it are too wide as well.
                    _drop(waiting)
                    windows.return_to(at)
                outcome = Outcome()
                lost: list[Part] = []
                for part in parts:
                    if part.error:
                        failed.append(part)
                    else:
                        outcome += _accept(installation, part, settled)
                        lost, failed = lost + failed, []
                        failures = 0
                if not all(part.error for part in parts):
                    windows.learn(at - start, sum(len(part.lines) for part in parts))
                    yield Step(at, outcome, _lose(installation, lost))
                failures += bool(failed)
                if failures < _FAILURES:
                    continue
                # What was given out is as likely to fail, and need not be waited for.
                _drop(waiting)
                windows.return_to(at)
                if not _is_there(source, server.url, failed, pool, stopping):
                    return
                yield Step(at, Outcome(), _lose(installation, failed))
                failed, failures = [], 0
            if failed and _is_there(source, server.url, failed, pool, stopping):
                yield Step(failed[-1].end, Outcome(), _lose(installation, failed))
        finally:
            halt.set()
            _drop(waiting)


def _result(future: Future[list[Part]], stopping: threading.Event) -> list[Part]:
    """Return the parts of a window; none where `stopping` is set first."""
    while not stopping.is_set():
        try:
            return future.result(timeout=_LOOK)
        except TimeoutError:
            continue
    return []


def _is_there(
    source: Datagrepper, url: str, failed: list[Part], pool: ThreadPoolExecutor, stopping: threading.Event
) -> bool:
    """Return whether the server answers for the present second, so that what failed is missing there.

    Returns:
        False where `stopping` is set first.

    Raises:
        SourceError: It does not.
    """
    now = int(time.time())
    probe = _result(pool.submit(source.fetch, now - 1, now), stopping)
    if any(part.error for part in probe):
        raise SourceError(f"{url} does not answer: {failed[0].error}; run again to go on from where it stopped")
    return bool(probe)


def _drop(waiting: deque[tuple[Interval, int, Future[list[Part]]]]) -> None:
    while waiting:
        waiting.pop()[2].cancel()


def _accept(installation: Installation, part: Part, settled: int) -> Outcome:
    outcome = Outcome()
    for at in range(0, len(part.lines), _BATCH):
        outcome += installation.ingest.take(Delivery(NAME, part.lines[at : at + _BATCH]))
    # This machine's clock may be fast, and what it takes for the past be still to come.
    if part.clock is not None:
        settled = min(settled, part.clock - SETTLED)
    complete(installation, part.start, min(part.end, settled))
    return outcome


def _lose(installation: Installation, failed: list[Part]) -> list[Part]:
    with installation.database.writing() as connection:
        journal.lock(connection)
        for part in failed:
            coverage.record(connection, part.start, part.end, complete=False)
    return failed

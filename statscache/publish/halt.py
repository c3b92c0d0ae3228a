"""Stop the work at a target early: on request, or when its time is over.

It ends at a safe point, between two operations. There the target serves a whole snapshot, and the next publication
carries on.
"""

import threading
import time

from statscache.exceptions import PublishError, Stopped


class Halt:
    """Says whether work at a target may go on.

    Args:
        seconds: How long the work may take.
        stopping: Set to end it.
    """

    def __init__(self, seconds: float = threading.TIMEOUT_MAX, stopping: threading.Event | None = None) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._stopping = stopping or threading.Event()

    def check(self) -> None:
        """Return if the work may go on.

        Raises:
            Stopped: Somebody asked for its end.
            PublishError: Its time is over.
        """
        if self._stopping.is_set():
            raise Stopped("stopped before the end; the next publication carries on")
        if time.monotonic() >= self._deadline:
            raise PublishError(f"not done within `time_limit`, {self._seconds:g} s; the next publication carries on")

    def wait(self, seconds: float) -> None:
        """Wait so many seconds, or raise as `check` does as soon as the work must end."""
        self._stopping.wait(max(0.0, min(seconds, self._deadline - time.monotonic())))
        self.check()

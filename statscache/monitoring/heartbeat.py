"""Notify the supervisor that the service is ready, and that all its parts make progress.

The protocol is sd_notify(3): datagrams to the socket that systemd names in the environment. Without a supervisor,
nothing is sent. Progress is work done, not a connection held: a part beats after each round of its work, also where
the bus is quiet. When one part no longer does, the watchdog of systemd restarts the service.
"""

import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator

PUBLISHING = "publish"
"""The part that publishes."""

_LIMITS = {PUBLISHING: 1800.0}
_LIMIT = 300.0
"""Seconds without progress after which a part is stalled. The first publication of a large site takes long."""


class Heartbeat:
    """Notifies the supervisor once that the service is ready, and then each time that every part has done a round.

    Args:
        parts: Names of the parts that have to make progress.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts = frozenset(parts)
        self._progress = dict.fromkeys(sorted(self._parts), time.monotonic())
        self._beaten: set[str] = set()
        self._lock = threading.Lock()
        self._ready = False

    def beat(self, part: str) -> None:
        """Record that a part has completed a round."""
        with self._lock:
            self._progress[part] = time.monotonic()
            self._beaten.add(part)
            if self._beaten < self._parts:
                return
            self._beaten.clear()
            _notify("WATCHDOG=1" if self._ready else "READY=1")
            self._ready = True

    def stalled(self) -> Iterator[str]:
        """Yield, for each part that makes no progress, its name and for how long."""
        now = time.monotonic()
        with self._lock:
            idle = {part: now - at for part, at in self._progress.items()}
        for part, seconds in idle.items():
            if seconds > _LIMITS.get(part, _LIMIT):
                yield f"{part}: no progress for {seconds:.0f} s"


def tell_stopping() -> None:
    """Notify the supervisor that the service is stopping."""
    _notify("STOPPING=1")


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An abstract socket is written with @ and begins with a zero byte.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)

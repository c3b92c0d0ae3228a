"""What the supervisor is told: that the service is ready, and that all its parts make progress.

The protocol is sd_notify(3): datagrams to the socket that systemd names in the environment. Without a supervisor,
nothing is told. Progress is work done, not a connection held: a part beats each time that it goes round, also where
the bus is quiet. When one part no longer does, the watchdog of systemd starts the service anew.
"""

import os
import socket
import threading
from collections.abc import Iterable


class Heartbeat:
    """Tells the supervisor once that the service is ready, and then each time that every part has gone round.

    Args:
        parts: Names of the parts that have to make progress.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts = frozenset(parts)
        self._beaten: set[str] = set()
        self._lock = threading.Lock()
        self._ready = False

    def beat(self, part: str) -> None:
        """Take note that a part has gone round once."""
        with self._lock:
            self._beaten.add(part)
            if self._beaten < self._parts:
                return
            self._beaten.clear()
            _notify("WATCHDOG=1" if self._ready else "READY=1")
            self._ready = True


def tell_stopping() -> None:
    """Tell the supervisor that the service flushes and ends."""
    _notify("STOPPING=1")


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An abstract socket is written with @ and begins with a zero byte.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)

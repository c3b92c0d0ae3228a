"""Ports of the loopback, and HTTP servers that run on it while a test does."""

import http.server
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle

# The system gives outgoing connections ports from this number on (`net.ipv4.ip_local_port_range`). A server that is
# started again must not have one of them: meanwhile a connection may have got it, even one that looks for the server.
_OUTGOING = 32_768
_LOWEST = 10_000
# Tests that run side by side have ports of their own.
_WORKERS = 16
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
# None is given twice before all were: it may be some time before a server listens on it.
_MINE = range(_LOWEST + _WORKER, _OUTGOING, _WORKERS)
_PORTS = cycle(random.sample(_MINE, len(_MINE)))


def free_ports(count: int) -> list[int]:
    """Return numbers of ports of the loopback that no one listens on, and that no outgoing connection gets."""
    free: list[int] = []
    while len(free) < count:
        port = next(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.append(port)
    return free


def free_endpoint() -> str:
    """Return an endpoint of ZeroMQ on the loopback that no one listens on."""
    return f"tcp://127.0.0.1:{free_ports(1)[0]}"


@contextmanager
def serving(server: http.server.ThreadingHTTPServer) -> Iterator[str]:
    """Run a server that is bound to the loopback, in a thread, and give its address, with a slash at its end."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

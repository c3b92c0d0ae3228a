"""Ports of the loopback, and HTTP servers that run on it while a test does."""

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def free_ports(count: int) -> list[int]:
    """Return numbers of ports of the loopback that no one listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


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

"""The port of a process that consumes: metrics for Prometheus, liveness and readiness for Kubernetes."""

import http.server
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from sqlalchemy.exc import SQLAlchemyError

from statscache.exceptions import ConfigurationError
from statscache.installation import Installation
from statscache.monitoring.heartbeat import Heartbeat
from statscache.store import plain, state
from statscache.store.rows import GONE

_log = logging.getLogger(__name__)

Answer = tuple[HTTPStatus, str, bytes]
"""Status, media type and body."""


@contextmanager
def listening(
    registry: CollectorRegistry, installation: Installation, heartbeat: Heartbeat, address: str, port: int
) -> Iterator[None]:
    """Answer at a port in this context: `/metrics`, `/livez`, `/readyz`; 404 for all else.

    Raises:
        ConfigurationError: The port cannot be listened at.
    """

    def metrics(accept: str) -> Answer:
        encode, media_type = choose_encoder(accept)
        return HTTPStatus.OK, media_type, encode(registry)

    def livez(_accept: str) -> Answer:
        return _probe([*heartbeat.stalled()])

    def readyz(_accept: str) -> Answer:
        return _probe([*not_ready(installation)])

    answers: dict[str, Callable[[str], Answer]] = {"/metrics": metrics, "/livez": livez, "/readyz": readyz}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer a request."""
            answer = answers.get(urlsplit(self.path).path)
            found = HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found\n"
            status, media_type, body = answer(self.headers.get("Accept", "")) if answer else found
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log each request, if details are wanted."""
            _log.debug(format, *args)

    try:
        server = http.server.ThreadingHTTPServer((address, port), Handler)
    except OSError as error:
        raise ConfigurationError(
            f"[metrics] port: cannot listen at {address}:{port}: {error.strerror}; where several processes consume on"
            " one machine, give each a port of its own by STATSCACHE_METRICS__PORT"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="probes")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def not_ready(installation: Installation) -> Iterator[str]:
    """Yield what keeps the service from working now: the database, a source, or a target."""
    config = installation.config
    names = [section.name for section in config.publish.targets]
    try:
        with installation.database.reading() as connection:
            query = plain.over(connection)
            consumers = {row.name: row for row in state.consumers(query)}
            places = state.targets(query, names)
    except SQLAlchemyError as error:
        yield f"database: {getattr(error, 'orig', None) or error}"
        return
    now = int(time.time())
    for name in config.sources.live:
        row = consumers.get(name)
        if row is None or now - row.worked_at > GONE:
            yield f"source {name}: it has no consumer"
        elif row.is_cut_off:
            yield f"source {name}: no one answers at {', '.join(row.unconnected.splitlines())}"
    for place in places:
        if not place.is_ok(now):
            yield f"target {place.name}: {place.error or 'it is behind' if place.published_at else 'nothing yet'}"


def _probe(problems: list[str]) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return status, "text/plain; charset=utf-8", ("\n".join(problems or ["ok"]) + "\n").encode()

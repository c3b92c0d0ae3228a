"""A datagrepper for the tests: a real HTTP server over a history in memory, which misbehaves on demand.

It keeps the habits of the real one: windows that are inclusive at both ends, times whose fractions it compares and then
cuts off, at most 100 rows a page, no fixed order among rows of one second, and a start of 0 that means everything.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class Answer:
    """What is about to be sent; a fault changes it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    """Bytes that are announced, and not sent."""
    delay: float = 0.0
    """Seconds before it is sent."""
    drip: float = 0.0
    """Seconds after each byte of it, where they are sent one by one."""


Query = dict[str, int]
Fault = Callable[[Query, Answer], None]


class HistoryServer:
    """A server on loopback, for one context.

    Args:
        messages: Envelopes of fedmsg, in any order, whose times may have fractions.
        fault: Is given each query and the answer that is about to be sent; none behaves well.

    Attributes:
        messages: What it holds; may be added to at any time.
        queries: The queries so far: start, end, page.
        credentials: The header `Authorization` of each of them, None where there was none.
        busiest: Most requests that were under way at a time.
        answered: Answers that were sent to their end.
    """

    def __init__(self, messages: Iterable[dict[str, Any]], fault: Fault | None = None) -> None:
        self.messages = [*messages]
        self.fault = fault
        self.queries: list[Query] = []
        self.credentials: list[str | None] = []
        self.busiest = self.answered = 0
        self._under_way = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                # Who does not want the rest of an answer closes the connection.
                with suppress(ConnectionResetError):
                    super().handle()

            def do_GET(self) -> None:
                owner._serve(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address of the search, in the old shape."""
        return f"http://127.0.0.1:{self._server.server_port}/raw"

    @property
    def url_of_v2(self) -> str:
        """The address of the search, in the new shape."""
        return self.url.replace("/raw", "/v2/search")

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        values = parse_qs(parts.query)
        query = {name: int(values[name][0]) for name in ("start", "end", "page", "rows_per_page")}
        with self._lock:
            self.queries.append(query)
            self.credentials.append(handler.headers["Authorization"])
            self._under_way += 1
            self.busiest = max(self.busiest, self._under_way)
            answer = self._answer(query, values["order"][0], parts.path)
        if self.fault is not None:
            self.fault(query, answer)
        time.sleep(answer.delay)
        try:
            handler.send_response_only(answer.status)
            handler.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            for byte in answer.body if answer.drip else b"":
                handler.wfile.write(bytes([byte]))
                time.sleep(answer.drip)
            handler.wfile.write(b"" if answer.drip else answer.body[: len(answer.body) - answer.cut])
            if answer.cut:
                handler.close_connection = True
            with self._lock:
                self.answered += 1
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True
        finally:
            with self._lock:
                self._under_way -= 1

    def _answer(self, query: Query, order: str, path: str) -> Answer:
        start, end, page, size = (query[name] for name in ("start", "end", "page", "rows_per_page"))
        if size > 100 or page < 1:
            return Answer(400, b"rows_per_page must be <= 100")
        found = [m for m in self.messages if not start or start <= m["timestamp"] <= end]
        random.shuffle(found)
        # The database orders by time; rows of one time come in any order.
        found.sort(key=lambda message: message["timestamp"], reverse=order == "desc")
        shape = _v2 if path == "/v2/search" else _v1
        rows = [shape(message) for message in found[size * (page - 1) : size * page]]
        pages = -(-len(found) // size)
        body = {"raw_messages": rows, "total": len(found), "pages": pages, "count": len(rows), "arguments": {}}
        headers = {"Content-Type": "application/json", "Date": formatdate(usegmt=True)}
        return Answer(200, json.dumps(body).encode(), headers)


def _v1(message: dict[str, Any]) -> dict[str, Any]:
    added = {"source_name": "datanommer", "users": ["somebody"], "packages": [], "agent_name": "somebody", "meta": {}}
    return {**message, **added, "timestamp": float(int(message["timestamp"]))}


def _v2(message: dict[str, Any]) -> dict[str, Any]:
    sent = datetime.fromtimestamp(message["timestamp"], UTC).isoformat()
    headers = {**message.get("headers", {}), "sent-at": sent}
    return {
        "body": message["msg"],
        "headers": headers,
        "id": message["msg_id"],
        "priority": 0,
        "queue": None,
        "topic": message["topic"],
    }

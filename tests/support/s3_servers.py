"""S3 for the tests: two servers that share nothing but the protocol, and a proxy that misbehaves."""

import http.client
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ca import Authority
from loopback import free_ports
from server_process import ServerProcess

KEY_ID = "AKIDOFTHETESTS"
SECRET = "secret+of/the+tests"
PATIENCE = 60.0  # seconds that the proxy waits for the server, or stays silent


def client(service: str, endpoint: str, verify: str | None = None, **settings: Any) -> Any:
    """Return a boto3 client of the tests' own, which reads no file and no variable."""
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **settings)
    session = Session(aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, region_name="us-east-1")
    return session.client(service, endpoint_url=endpoint, verify=verify, config=config)


class Server(ServerProcess):
    """A server process on the loopback, which keeps what it is given in a directory of its own.

    Attributes:
        endpoint: Its URL.
    """

    endpoint: str

    # What it keeps is thrown away: there is nothing that it should save first.
    ending = signal.SIGKILL

    def prepare(self) -> None:
        """Make its directory."""
        self.directory = Path(tempfile.mkdtemp(prefix="statscache-s3-"))

    def options(self) -> dict[str, Any]:
        """Return its environment, without credentials of ours."""
        return {"env": {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}}

    def answers(self) -> bool:
        """Return whether it keeps something: not all of it is up when it answers the first question."""
        try:
            self.create("probe")
            self.client.put_object(Bucket="probe", Key="probe", Body=b"probe")
        except (BotoCoreError, ClientError):
            return False
        return True

    @cached_property
    def client(self) -> Any:
        """A client of it that does not go through our code."""
        return client("s3", self.endpoint)

    def create(self, bucket: str) -> None:
        """Make a bucket."""
        self.client.create_bucket(Bucket=bucket)


class Moto(Server):
    """Moto's server, an imitation of S3 and CloudFront in Python. It does not check signatures.

    Args:
        authority: Whose certificate it shows; None serves without encryption.
    """

    def __init__(self, authority: Authority | None = None) -> None:
        self._authority = authority

    @cached_property
    def client(self) -> Any:
        """A client of it that does not go through our code, and trusts its authority."""
        return client("s3", self.endpoint, verify=str(self._authority.certificate) if self._authority else None)

    def command(self) -> list[str]:
        """Return the command line that runs it."""
        (port,) = free_ports(1)
        scheme = "https" if self._authority else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{port}"
        shown = ["-s", "-c", str(self._authority.chain), "-k", str(self._authority.key)] if self._authority else []
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), *shown]


class SeaweedFS(Server):
    """SeaweedFS, a store for production, in Go. It checks signatures."""

    @staticmethod
    def find() -> Path | None:
        """Return its program; None if it is not installed."""
        beside = Path(sys.executable).with_name("weed")
        found = str(beside) if beside.exists() else shutil.which("weed")
        return Path(found) if found else None

    def command(self) -> list[str]:
        """Return the command line that runs it."""
        program = self.find()
        assert program is not None
        names = ("master", "volume", "filer", "s3")
        ports = dict(zip([*names, *(f"{name}.port.grpc" for name in names)], free_ports(8), strict=True))
        self.endpoint = f"http://127.0.0.1:{ports['s3']}"
        (self.directory / "data").mkdir()
        credentials = [{"accessKey": KEY_ID, "secretKey": SECRET}]
        identities = [{"name": "publisher", "credentials": credentials, "actions": ["Admin", "Read", "List", "Write"]}]
        (self.directory / "s3.json").write_text(json.dumps({"identities": identities}))
        settings = {
            "dir": self.directory / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 400,
            "volume.minFreeSpace": 1,
            "filer": "true",
            "filer.localSocket": self.directory / "filer.sock",
            "s3": "true",
            "s3.config": self.directory / "s3.json",
            "s3.localSocket": self.directory / "s3.sock",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **{name if "." in name else f"{name}.port": port for name, port in ports.items()},
        }
        return [str(program), "server", *(f"-{name}={value}" for name, value in settings.items())]


@dataclass(frozen=True, slots=True)
class Request:
    """What passed the proxy."""

    method: str
    path: str
    headers: dict[str, str]


class Fault(Enum):
    """What the proxy does instead of what it is asked."""

    ERROR = auto()
    "Answers 500 without asking the server."
    RESET = auto()
    "Ends the connection before the server receives the request."
    LOST = auto()
    "Passes the request on, and ends the connection instead of answering."
    SILENCE = auto()
    "Passes the request on, and never answers."


Answer = tuple[int, bytes]
"""Status and body of an answer that the server never gave."""


@dataclass
class Proxy:
    """An HTTP proxy before a server; it remembers all requests, and disturbs those it is asked to.

    Attributes:
        upstream: URL of the server.
        disturb: Called with each request; says what to do instead of passing it on, or None.
        rewrite: Called with each request and the body of its answer; returns the body to send.
        requests: All requests so far, in the order of their arrival.
    """

    upstream: str
    disturb: Callable[[Request], Fault | Answer | None] = lambda request: None
    rewrite: Callable[[Request, bytes], bytes] = lambda request, body: body
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, method: str) -> list[str]:
        """Return path and query of all requests of a method."""
        return [request.path for request in self.requests if request.method == method]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = PATIENCE

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: what passed is remembered."""

            def handle_any(self) -> None:
                proxy._serve(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - named by the protocol

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = Request(handler.command, handler.path, {name.lower(): v for name, v in handler.headers.items()})
        self.requests.append(request)
        fault = self.disturb(request)
        if fault is Fault.RESET:
            return _reset(handler)
        if fault is Fault.ERROR:
            fault = (500, b"")
        if isinstance(fault, tuple):
            return _answer(handler, fault[0], [], fault[1])
        status, headers, answered = self._ask(request, body)
        if fault is Fault.SILENCE:
            self._ended.wait(PATIENCE)
        if fault is not None:
            return _reset(handler)
        _answer(handler, status, headers, self.rewrite(request, answered))

    def _ask(self, request: Request, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        server = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=PATIENCE)
        try:
            # The host stays that of the proxy: it is part of what is signed.
            server.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name not in ("connection", "expect"):
                    server.putheader(name, value)
            server.endheaders(body)
            answer = server.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            server.close()


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    handler.send_response_only(status)
    is_head = handler.command == "HEAD"
    for name, value in headers:
        if name.lower() not in ("connection", "transfer-encoding", "content-length") or (
            is_head and name.lower() == "content-length"
        ):
            handler.send_header(name, value)
    if not is_head and status != 204:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if not is_head:
        handler.wfile.write(body)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    # Without lingering, closing sends RST instead of FIN.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True

"""A preview of the published tree on loopback, with the headers that a web server is to send."""

import re
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import orjson

from statscache import canonical, layout
from statscache.publish import headers
from statscache.service.livereload import Attempts

_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
_WATCH_SCRIPT = "_watch.js"
_WATCH_EVENTS = "_watch"
_SCRIPT = b"""\
// Part of `statscache serve --watch` alone: reloads the page when something was published, and shows what went wrong.
const events = new EventSource("/_watch");
let started;
events.addEventListener("message", (event) => {
  const { number, error } = JSON.parse(event.data);
  document.getElementById("watch-error")?.remove();
  if (error) {
    const box = document.createElement("pre");
    box.id = "watch-error";
    box.role = "alert";
    box.textContent = error;
    box.style.cssText = "position:fixed;inset:auto 0 0;z-index:9;max-height:60vh;overflow:auto;margin:0;padding:1rem;"
      + "white-space:pre-wrap;background:#5c1410;color:#fff;font:13px/1.5 monospace";
    document.body.append(box);
  } else if (started !== undefined && number !== started) {
    location.reload();
  }
  started ??= number;
});
"""


def server(directory: Path, port: int, attempts: Attempts | None = None) -> ThreadingHTTPServer:
    """Return a server of a published tree on 127.0.0.1; port 0 takes any that is free.

    Args:
        directory: The tree.
        port: The port.
        attempts: Attempts to publish, whose outcome the open pages are to show; None serves pages as they are.

    Raises:
        OSError: The port is taken.
    """
    handler = _Handler if attempts is None else type("_Watching", (_WatchingHandler,), {"attempts": attempts})
    return _Server(("127.0.0.1", port), partial(handler, directory=str(directory)))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        # A browser that leaves a page closes its connections, whatever is being sent.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(SimpleHTTPRequestHandler):
    # As nginx answers with the documented configuration.
    error_content_type = "application/json; charset=utf-8"
    error_message_format = '{"error":"%(message)s","status":%(code)d}\n'
    _found = True
    _tag = ""
    _varies = False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._found = False
        page = Path(self.directory, layout.NOT_FOUND_PAGE)
        if code == HTTPStatus.NOT_FOUND and layout.is_page(self.path.partition("?")[0]) and page.is_file():
            data = page.read_bytes()
            self.send_response(code)
            self.send_header("Content-Type", self.guess_type(page))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)
            return
        super().send_error(code, "there is no such file" if code == HTTPStatus.NOT_FOUND else message, explain)

    def guess_type(self, path: str | PathLike[str]) -> str:
        return headers.content_type(str(path))

    def end_headers(self) -> None:
        # What is missing now may be there soon, so it is not immutable.
        path = self.path.lstrip("/") if self._found else ""
        self.send_header("Cache-Control", headers.cache_control(path))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("X-Content-Type-Options", "nosniff")
        if self._found and self._tag:
            self.send_header("ETag", self._tag)
        if self._found and self._varies:
            self.send_header("Vary", "Accept-Encoding")
        super().end_headers()

    def parse_request(self) -> bool:
        """Refuse requests for another host: a foreign site whose name points here could read local pages."""
        if not super().parse_request():
            return False
        host = re.sub(r":[0-9]*$", "", self.headers.get("Host", "localhost"))
        if host not in _HOSTS:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "this server answers for localhost alone")
            return False
        return True

    def translate_path(self, path: str) -> str:
        """Return the file of a path; a missing one if a link leads out of the tree."""
        found = super().translate_path(path)
        page = Path(found) / "index.html"
        try:
            root = Path(self.directory).resolve()
            inside = all(place.resolve().is_relative_to(root) for place in (Path(found), page))
        except (OSError, RuntimeError):
            inside = False
        return found if inside else str(Path(self.directory) / "\0")

    def send_head(self) -> BinaryIO | BytesIO | None:
        try:
            path = Path(self.translate_path(self.path))
            if path.is_dir() and self.path.partition("?")[0].endswith("/"):
                path /= "index.html"
            compressed = self._compressed(path)
            self._varies = compressed is not None
            if not re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", self.headers.get("Accept-Encoding", "")):
                compressed = None
            self._tag = self._tag_of(path) if compressed is None else f'"{canonical.digest(compressed)}"'
            if self._tag and self._tag in re.split(r"[,\s]+", self.headers.get("If-None-Match", "")):
                self.send_response(HTTPStatus.NOT_MODIFIED)
                self.end_headers()
                return None
            return super().send_head() if compressed is None else self._send_compressed(path, compressed)
        except ValueError:  # a NUL in the path, which no file's name has
            self.send_error(404, "File not found")
            return None

    def _compressed(self, path: Path) -> bytes | None:
        """Return the bytes of the compressed sibling of a file, which is sent as it is; None if it has none."""
        sibling = path.with_name(f"{path.name}.gz")
        try:
            inside = sibling.resolve().is_relative_to(Path(self.directory).resolve())
            return sibling.read_bytes() if inside and path.is_file() else None
        except OSError:
            return None

    def _send_compressed(self, path: Path, data: bytes) -> BytesIO:
        """Send the headers of a file that is sent compressed, and return its bytes."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return BytesIO(data)

    def _tag_of(self, path: Path) -> str:
        """Return the entity tag of a file, by the digest of its bytes; empty if there is no such file."""
        path = path / "index.html" if path.is_dir() else path
        try:
            return f'"{canonical.digest(path.read_bytes())}"'
        except OSError:
            return ""

    def list_directory(self, path: object) -> None:
        self.send_error(404, "File not found")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class _WatchingHandler(_Handler):
    """Adds a script to each page, and reports attempts to publish to it."""

    attempts: Attempts

    def do_GET(self) -> None:
        """Answer, also to the script."""
        path = self.path.partition("?")[0].lstrip("/")
        if path == _WATCH_EVENTS:
            self._tell()
        elif path == _WATCH_SCRIPT:
            self._send(_SCRIPT, "text/javascript; charset=utf-8")
        else:
            page = Path(self.translate_path(self.path))
            page = page / "index.html" if page.is_dir() and self.path.endswith("/") else page
            if page.suffix == ".html" and page.is_file():
                script = f'<script src="/{_WATCH_SCRIPT}" defer></script></head>'
                self._send(page.read_bytes().replace(b"</head>", script.encode(), 1), "text/html; charset=utf-8")
            else:
                super().do_GET()

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _tell(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        sent = -1
        try:
            while True:
                if self.attempts.wait(sent, 1.0):
                    sent = self.attempts.number
                    self.wfile.write(b"data: " + orjson.dumps({"number": sent, "error": self.attempts.error}) + b"\n\n")
                else:
                    # Finds out whether the page is still there.
                    self.wfile.write(b": waiting\n\n")
                self.wfile.flush()
        except OSError:
            pass

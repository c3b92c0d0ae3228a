"""A preview of the published tree on loopback, with the headers that a web server is to send."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from statscache.publish import headers


def server(directory: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of a published tree on 127.0.0.1; port 0 takes any that is free.

    Raises:
        OSError: The port is taken.
    """
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(directory)))


class _Handler(SimpleHTTPRequestHandler):
    _found = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._found = False
        super().send_error(code, message, explain)

    def guess_type(self, path: str | PathLike[str]) -> str:
        return headers.content_type(str(path))

    def end_headers(self) -> None:
        # What is missing now may be there soon, so it is not immutable.
        path = self.path.lstrip("/") if self._found else ""
        self.send_header("Cache-Control", headers.cache_control(path))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def send_head(self) -> BinaryIO | BytesIO | None:
        try:
            return super().send_head()
        except ValueError:  # a NUL in the path, which no file's name has
            self.send_error(404, "File not found")
            return None

    def list_directory(self, path: object) -> None:
        self.send_error(404, "File not found")

    def log_message(self, format: str, *arguments: object) -> None:
        pass

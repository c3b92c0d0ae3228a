"""Headers of published files: content type and caching."""

from statscache import layout

MAX_AGE = 60
"""Seconds for which a cache may keep a file that can change."""

CONTENT_TYPES = {
    "conf": "text/plain; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "sh": "text/plain; charset=utf-8",
    "sql": "text/plain; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
    "toml": "text/plain; charset=utf-8",
    "ts": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "xml": "application/xml; charset=utf-8",
    "ico": "image/vnd.microsoft.icon",
    "png": "image/png",
    "woff2": "font/woff2",
    "br": "application/octet-stream",
    "gz": "application/gzip",
    "zst": "application/zstd",
}
"""Content types by extension: our own list, since that of the machine differs from machine to machine."""

_UNKNOWN = "application/octet-stream"


def content_type(path: str) -> str:
    """Return the `Content-Type` of the file at `path`, with the charset where it is text."""
    return CONTENT_TYPES.get(path.rpartition(".")[2].lower(), _UNKNOWN)


def cache_control(path: str) -> str:
    """Return the `Cache-Control` of the file at `path`, by the two rules of the format."""
    return "public, max-age=31536000, immutable" if path.startswith(layout.OBJECTS) else f"public, max-age={MAX_AGE}"


def is_text(path: str) -> bool:
    """Return whether the file at `path` is text; all else is compressed already, or unknown."""
    return "charset" in content_type(path)

"""Check the headers of a web server against the format: the two rules of caching, CORS, content types, compression."""

from collections.abc import Iterator, Mapping

from statscache.publish.headers import cache_control, content_type, is_text
from statscache.verify.findings import Weight

_WORTH_COMPRESSING = 1024


def problems(
    path: str, headers: Mapping[str, str], size: int, *, always_compressed: bool
) -> Iterator[tuple[Weight, str]]:
    """Yield the faults of the headers of a file that was asked for with `Accept-Encoding: gzip`.

    Args:
        path: Where the file is, relative to the site's root.
        headers: What the server sent, by lowercase name.
        size: Bytes of the file.
        always_compressed: True if the site has only compressed files, whatever is requested.
    """
    expected = {
        "Cache-Control": cache_control(path),
        "Content-Type": content_type(path),
        "Access-Control-Allow-Origin": "*",
    }
    for name, value in expected.items():
        sent = headers.get(name.lower())
        if sent is None:
            yield Weight.SERVED, f"{name} is missing; expected {value!r}"
        elif _normal(name, sent) != _normal(name, value):
            yield Weight.SERVED, f"{name} is {sent!r:.200}; expected {value!r}"
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        yield Weight.SERVED, f"Content-Encoding is {encoding!r:.200}, where only gzip was asked for"
    elif encoding == "gzip" and not always_compressed and "accept-encoding" not in headers.get("vary", "").lower():
        yield (
            Weight.SERVED,
            "it is compressed without Vary: Accept-Encoding; a cache may give it to clients that cannot read it",
        )
    elif encoding == "identity" and is_text(path) and size >= _WORTH_COMPRESSING:
        yield Weight.NOTE, "it is sent uncompressed to clients that accept gzip"


def _normal(name: str, value: str) -> list[str]:
    """Return the parts of a list, sorted and in lowercase: their order and case do not matter."""
    parts = value.replace('"', "").split("," if name == "Cache-Control" else ";")
    return sorted(part.strip().lower() for part in parts)

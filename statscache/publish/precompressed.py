"""Compressed siblings: `latest.json.gz` beside `latest.json`, made once, for a web server to send unchanged."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import zstandard

from statscache.exceptions import ConfigurationError
from statscache.publish.headers import is_text
from statscache.publish.target import File

SMALLEST = 512
"""Bytes below which a file is not worth compressing."""


def _brotli(data: bytes) -> bytes:
    try:
        import brotli
    except ModuleNotFoundError as error:
        raise ConfigurationError("siblings of the form 'br' need the extra statscache[brotli]") from error
    compressed: bytes = brotli.compress(data, quality=9)
    return compressed


FORMS: Mapping[str, Callable[[bytes], bytes]] = {
    # No time is stored, so that the same bytes compress to the same bytes.
    "gz": lambda data: gzip.compress(data, 9, mtime=0),
    "br": _brotli,
    "zst": lambda data: zstandard.ZstdCompressor(level=12).compress(data),
}
"""The compression of each form; the form is the extension."""


def beside(files: Iterable[File], forms: Sequence[str]) -> Iterator[File]:
    """Yield each file after its siblings, so that the file itself changes last."""
    for file in files:
        if worth_it(file.path, len(file.data)):
            for form in forms:
                source = None if file.object is None else f"{file.object}.{form}"
                yield File(f"{file.path}.{form}", FORMS[form](file.data), source)
        yield file


def stale(files: Iterable[File], forms: Sequence[str]) -> list[str]:
    """Return the paths of siblings that files do not have now, but may have had before."""
    small = [file.path for file in files if not worth_it(file.path, len(file.data))]
    return [f"{path}.{form}" for path in small for form in forms if is_text(path)]


def paths(path: str, forms: Sequence[str]) -> list[str]:
    """Return a path and those of the siblings that it may have."""
    return [path, *(f"{path}.{form}" for form in forms)]


def worth_it(path: str, size: int) -> bool:
    """Return whether a file has siblings."""
    return size >= SMALLEST and is_text(path)

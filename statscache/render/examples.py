"""The pages with examples of use, which work without a site too: in one they get its menu."""

from collections.abc import Callable, Iterator
from pathlib import Path

from statscache import layout

_MENU = (b"<!-- menu -->", b"<!-- /menu -->")
"""Between these, an example has links for those who use it without a site."""


def examples(directory: Path, menu: Callable[[str], bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the path in a site and the bytes of each example.

    Args:
        directory: Where they are.
        menu: Returns the menu of all pages for the page at a path.
    """
    for name, data in files(directory).items():
        path = layout.example(name)
        before, begin, rest = data.partition(_MENU[0])
        yield path, before + menu(path) + rest.partition(_MENU[1])[2] if begin else data


def files(directory: Path) -> dict[str, bytes]:
    """Return the bytes of every file below the directory by path."""
    paths = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}

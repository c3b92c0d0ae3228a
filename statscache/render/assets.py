"""Assets: styles, scripts and icons, under names that carry their digest, so that a path never changes its content."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from statscache import canonical, layout

MODULES = (
    "statscache.js",
    "statscache.d.ts",
    "widgets.js",
    "element.js",
    "dom.js",
    "values.js",
    "labels.js",
    "parts.js",
    "readout.js",
    "chart.js",
    "models.js",
    "keymodels.js",
    "explore.js",
    "controls.js",
    "chartfile.js",
    "names.js",
)
"""Assets that other sites import: they have a name that stays, besides the one with their digest."""

_PACKAGE = "package.json"
"""Makes a package for npm of the directory, and is not part of a site."""

_COMMENT = re.compile(rb"^ *(//[^\n]*|/\*\*.*?\*/)?\n|^ +", re.MULTILINE | re.DOTALL)
"""Comments on lines of their own, empty lines and indentation, which a browser has no use for."""

_STATIC = re.compile(rb' from "\./([a-z]+\.js)"')
"""The static imports of a module, which it needs before it runs; dynamic ones are loaded when they are used."""

_IMPORT = re.compile(rb'(?:(?<=from )|(?<=import\())"\./([a-z]+\.js)"')


class Assets:
    """The files of one directory.

    Attributes:
        names: Path in the site by name in the directory.
    """

    def __init__(self, directory: Path) -> None:
        """Read every file."""
        self.sources: Mapping[str, bytes] = {
            path.name: path.read_bytes()
            for path in sorted(directory.iterdir())
            if path.is_file() and path.name != _PACKAGE
        }
        self._made: dict[str, tuple[str, bytes]] = {}
        for name in self.sources:
            self._make(name)
        self.names = {name: path for name, (path, _) in self._made.items()}

    def preloads(self, *names: str) -> list[str]:
        """Return the paths of all that modules import, directly or not: a page asks for them at once, not in turn."""
        found: set[str] = set()
        waiting = {*names}
        while waiting:
            imported = {match.decode() for name in waiting for match in _STATIC.findall(self.sources[name])}
            waiting = imported - found
            found |= waiting
        return [self.names[name] for name in sorted(found.difference(names))]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and bytes of each asset."""
        yield from self._made.values()
        for name in MODULES:
            if name in self.sources:
                yield layout.asset(name), self.sources[name]

    def _make(self, name: str) -> str:
        """Return the name with a digest; a module imports the others by theirs, which are so part of its own."""
        if name not in self._made:
            data = _IMPORT.sub(lambda match: b'"./' + self._make(match[1].decode()).encode() + b'"', self.sources[name])
            if name.endswith(".js"):
                data = _COMMENT.sub(b"", data)
            stem, dot, suffix = name.partition(".")
            self._made[name] = layout.asset(f"{stem}.{canonical.digest(data)[:8]}{dot}{suffix}"), data
        return self._made[name][0].rpartition("/")[2]

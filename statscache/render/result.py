"""The result of one render, which the snapshot is built from."""

import tempfile
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from statscache import layout
from statscache.kinds.known import NOTHING, Known
from statscache.pace import Pace
from statscache.plugins.contract import PluginInfo
from statscache.render.documents import Document
from statscache.render.page_model import PluginView
from statscache.store.positions import Position, RenderedWith
from statscache.store.published import Entry

_IN_MEMORY = 256 * 1024

StoreObject = Callable[[str, bytes], None]
"""Takes the name and bytes of an object that was made."""


class EntryFile:
    """Entries of many files, kept on disk until they are put into the tree: of keys there may be a million."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - it lives as long as this object
        weakref.finalize(self, self._file.close)
        # Eight bytes of each path.
        self._known = array("q")
        self._sorted = True

    def add(self, path: str, entry: Entry) -> None:
        """Add the entry of a file."""
        self._known.append(hash(path))
        self._sorted = False
        self._file.write("\t".join((path, *map(str, entry), "\n")).encode())

    def __contains__(self, path: str) -> bool:
        if not self._sorted:
            self._known = array("q", sorted(self._known))
            self._sorted = True
        at = bisect_left(self._known, hash(path))
        return at < len(self._known) and self._known[at] == hash(path)

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        self._file.seek(0)
        for line in self._file:
            path, kind, name, size, _ = line.decode().split("\t")
            yield path, Entry(kind, name, int(size))


@dataclass(slots=True)
class RenderedPlugin:
    """The result of rendering one plugin.

    Attributes:
        info: What the index says of the plugin, its state and documents aside.
        state: `ok`, `stale`, `rebuilding` or `failed`.
        row: The plugin's row as it was read; if the state is `ok`, the documents are those of `row.revision`.
        paces: The paces whose documents are up to date now.
        rendered_with: What the documents depended on besides the state; None if none were rendered.
        known: Which time the numbers are known for.
        coverage: Digest of the gaps and the beginning of its data, which pages show.
        reason: Why it is not `ok`; empty if it is.
        changed: Entries of the documents that were rendered, by path; documents of keys are left out.
        keys: Entries of the documents of keys that were rendered.
        keys_left: Changed keys whose documents are left to the next publication, as `changed_keys` packs them.
        removed: Paths of documents that are gone.
        crossed: True if windows of the fixed documents have moved since the previous snapshot.
        fresh: Rendered bytes, by path, until the view has been made; documents of keys are left out.
        page_due: True if its page may show other numbers than the documents that were rendered.
        renewed: True if all of its documents were rendered, so that keys may have gone.
        repeatable: True if the same state always gives the same documents.
        view: The data for its pages; None if it never had a document, or no page needs it.
    """

    info: PluginInfo
    state: str
    row: Position
    paces: frozenset[Pace] = frozenset()
    rendered_with: RenderedWith | None = None
    known: Known = NOTHING
    coverage: str = ""
    reason: str = ""
    changed: dict[str, Entry] = field(default_factory=dict)
    keys: EntryFile = field(default_factory=EntryFile)
    keys_left: bytes = b""
    removed: list[str] = field(default_factory=list)
    crossed: bool = False
    fresh: dict[str, bytes] = field(default_factory=dict)
    page_due: bool = False
    renewed: bool = False
    repeatable: bool = True
    view: PluginView | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What the previous snapshot shows.

    Attributes:
        pages: Fingerprint of its pages; None if there are none, or not all of them could be rendered.
        states: The state of each plugin.
        shown: State and coverage that the page of each plugin shows: those of when it was rendered.
    """

    pages: str | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class RenderResult:
    """What one render made.

    Attributes:
        through: The journal's clock.
        plugins: The result of each plugin, in order of name.
        uninstalled: Rows of plugins that are no longer installed, and whose documents must be removed.
        unloadable: Names of plugins that are missing while a module fails to load, maybe theirs: they stay, failed.
        pages: Entries of the pages, plots and assets that were rendered, by path.
        shown: State and coverage that the page of each plugin shows.
        whole: True if every page that was due could be rendered.
        removed: Paths of pages and of names of entities that are gone.
    """

    through: int | None
    plugins: list[RenderedPlugin]
    uninstalled: list[Position]
    unloadable: list[str]
    pages: dict[str, Entry]
    shown: dict[str, str]
    whole: bool = True
    removed: list[str] = field(default_factory=list)


def store_document(document: Document, store: StoreObject) -> tuple[str, Entry]:
    """Give the bytes of a document to `store`, and return its path and entry."""
    name = layout.object_name(document.path, document.data)
    store(name, document.data)
    kind = "file" if layout.has_object(document.path) else "path"
    return document.path, Entry(kind, name, len(document.data))

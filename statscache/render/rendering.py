"""What one render made, as the snapshot is made of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from statscache import layout
from statscache.plugins.contract import PluginInfo
from statscache.render.documents import Document
from statscache.render.view import PluginView
from statscache.store.positions import Position
from statscache.store.published import Entry

Keep = Callable[[str, bytes], None]
"""Takes the name and bytes of an object that was made."""


@dataclass(slots=True)
class Rendered:
    """What rendering made of one plugin.

    Attributes:
        info: What the index says of the plugin, its state and documents aside.
        state: `ok`, `stale`, `rebuilding` or `failed`.
        row: The plugin's row as it was read; its marks up to `row.revision` are served if the state is `ok`.
        rendered_with: What the documents depended on besides the state.
        since: Start of the first day for which the numbers are complete; None if nothing was counted.
        reason: Why it is not `ok`; empty if it is.
        changed: Entries of the documents that were rendered, by path.
        removed: Paths of documents that are there no longer.
        crossed: Whether windows of the fixed documents have moved since the previous snapshot.
        fresh: Bytes of what was rendered, by path, until the view has been made; documents of keys are left out.
        view: What the pages say of it; None if it never had a document.
    """

    info: PluginInfo
    state: str
    row: Position
    rendered_with: str = ""
    since: int | None = None
    reason: str = ""
    changed: dict[str, Entry] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    crossed: bool = False
    fresh: dict[str, bytes] = field(default_factory=dict)
    view: PluginView | None = None


@dataclass(slots=True)
class Rendering:
    """What one render made.

    Attributes:
        through: The journal's clock.
        plugins: What became of each plugin, in order of name.
        gone: Rows of plugins that are installed no longer, and whose documents are to be removed.
        lost: Names of plugins that are missing while another fails to load: it may be theirs, so they stay, failed.
        pages: Entries of the pages, plots and assets that were rendered, by path.
        whole: Whether every page that was due could be rendered.
    """

    through: int | None
    plugins: list[Rendered]
    gone: list[Position]
    lost: list[str]
    pages: dict[str, Entry]
    whole: bool = True


def keep_document(document: Document, keep: Keep) -> tuple[str, Entry]:
    """Give the bytes of a document to `keep`, and return its path and entry."""
    name = layout.object_name(document.path, document.data)
    keep(name, document.data)
    return document.path, Entry("file", name, len(document.data))

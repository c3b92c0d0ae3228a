"""Atom feeds (RFC 4287): the newest records of a document as entries, the same bytes for the same document.

Ids are names, not addresses (`urn:uuid`), so an entry stays the same entry wherever it is read. They follow from the
address of the site, where that is configured, and from what the record says: a thing that enters another state is
another entry.
"""

from typing import NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from statscache import canonical, layout
from statscache.plugins.contract import Feed
from statscache.render import text
from statscache.render.figures import newest_time
from statscache.render.page_model import PluginView

MOST_ENTRIES = 50

_LONGEST_TITLE = 200
_LONGEST_CONTENT = 1_000
_MOST_PARTS = 20
_OF_ADDRESSES = ":/?#[]@!$&'()*+,;=%~"


class Entry(NamedTuple):
    """An entry of a feed.

    Attributes:
        id: Its name, which is that of no other entry.
        title: What happened.
        updated: When, in seconds since 1970 UTC.
        key: What names the entity that it is about, where it is about one; empty otherwise.
        related: A page elsewhere that says more; empty if there is none.
        content: The fields of the record, in words.
    """

    id: str
    title: str
    updated: int
    key: str
    related: str
    content: str


def feed_id(name: str, base_url: str | None) -> UUID:
    """Return the id of a feed: of each site another, where the address of the site is known."""
    return uuid5(NAMESPACE_URL, (base_url or "statscache:") + layout.feed(name))


def entries(view: PluginView, base_url: str | None) -> list[Entry]:
    """Return the newest records of a plugin as entries, the newest first."""
    feed = view.kind.plugin.feed
    assert feed is not None
    timed = [(time, record) for record in view.feed if (time := newest_time(record)) is not None]
    of = feed_id(view.info.name, base_url)
    found = [_entry(feed, view, of, time, record) for time, record in timed]
    newest = sorted(found, key=lambda entry: (-entry.updated, entry.id))
    return [*{entry.id: entry for entry in newest}.values()][:MOST_ENTRIES]


def _entry(feed: Feed, view: PluginView, of: UUID, time: int, record: dict[str, object]) -> Entry:
    key = [record.get(name) for name in feed.names]
    state = record.get(feed.state) if feed.state is not None else None
    name = " ".join(str(part) for part in key if part is not None)
    title = text.clean(name if state is None else f"{name}: {state}", _LONGEST_TITLE) or "(unnamed)"
    cells = {field: text.cell(value, column=field) for field, value in record.items() if value is not None}
    links = [cell.href for cell in cells.values() if cell.form == "link"]
    about = next(iter(view.info.entities), None)
    return Entry(
        id=f"urn:uuid:{uuid5(of, canonical.encode([key, state, time]).decode())}",
        title=title,
        updated=time,
        key=str(record.get(about) or "") if about in feed.names else "",
        related=quote(links[0], safe=_OF_ADDRESSES) if links else "",
        content=text.clean("; ".join(_said(field, record[field]) for field in cells), _LONGEST_CONTENT),
    )


def _said(field: str, value: object) -> str:
    """Return a field of a record in words."""
    heading = text.heading(field)
    if isinstance(value, dict):
        parts = [f"{name} {part}" if part is not None else str(name) for name, part in [*value.items()][:_MOST_PARTS]]
        more = f" and {len(value) - len(parts)} more" if len(value) > len(parts) else ""
        return f"{heading}: {', '.join(parts)}{more}"
    cell = text.cell(value, column=field)
    return f"{heading}: {cell.href if cell.form == 'link' else cell.text}"

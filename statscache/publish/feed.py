"""The Atom feed (RFC 4287) of changes by snapshots. It lists snapshots, so it is published beside them, not within.

It is about those that brought the slow documents up to date, so it is written as rarely as these: an entry for each
minute would be noise.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape, quoteattr

from statscache import layout
from statscache.snapshot.snapshot import Snapshot
from statscache.wording import counted

MOST_ENTRIES = 20

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def has_entry(snapshot: Snapshot) -> bool:
    """Return whether a snapshot has an entry: it does if it brought the slow documents up to date."""
    return bool(snapshot.summary["slow_through"] == snapshot.through)


def changes(retained: Sequence[Snapshot], installation: str, title: str, base_url: str | None) -> bytes:
    """Return the feed of what snapshots changed.

    Args:
        retained: Snapshots, newest first.
        installation: Id of the installation that publishes; ids of entries follow from it.
        title: The title of the site.
        base_url: The address of the site's root; None makes links relative to the feed.
    """
    root = "../" if base_url is None else base_url.rstrip("/") + "/"
    told = [snapshot for snapshot in retained if has_entry(snapshot)][:MOST_ENTRIES]
    name = _text(title)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">',
        f"<id>urn:uuid:{uuid5(NAMESPACE_URL, installation)}</id>",
        f"<title>What changed · {name}</title>",
        f"<updated>{_moment(told[0].created_at if told else 0)}</updated>",
        f"<author><name>{name}</name></author>",
        f'<link rel="self" type="application/atom+xml" href={quoteattr(root + layout.CHANGES_FEED)}/>',
        f'<link rel="alternate" type="text/html" href={quoteattr(root + layout.STATUS_PAGE)}/>',
        *(line for snapshot in told for line in _entry(snapshot, installation, root)),
        "</feed>",
        "",
    ]
    return "\n".join(lines).encode()


def _entry(snapshot: Snapshot, installation: str, root: str) -> list[str]:
    changed = snapshot.summary["changes"]
    kinds = ("added", "changed", "removed")
    plugins = sorted({plugin for kind in kinds for path in changed[kind] if (plugin := layout.plugin_of(path))})
    said = (
        "only pages and plots" if not changed["documents"] else "documents of " + (", ".join(plugins) or "no statistic")
    )
    more = ", and of others that are not named" if changed["truncated"] else ""
    through = "before the first message" if snapshot.through is None else f"data through {_moment(snapshot.through)}"
    return [
        "<entry>",
        f"<id>urn:uuid:{uuid5(NAMESPACE_URL, f'{installation} {snapshot.generation} {snapshot.id}')}</id>",
        f"<title>Generation {snapshot.generation}: {counted(changed['documents'], 'document')}, {through}</title>",
        f"<updated>{_moment(snapshot.created_at)}</updated>",
        f'<link rel="alternate" type="application/json" href={quoteattr(root + layout.manifest(snapshot.id))}/>',
        f'<content type="text">{_text(f"Changed: {said}{more}.")}</content>',
        "</entry>",
    ]


def _moment(timestamp: int) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))

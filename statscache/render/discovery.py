"""What search engines read: which pages there are, what they may read, and what a statistic holds as a data set."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from statscache import layout
from statscache.render import text
from statscache.render.page_model import PluginView

_TYPES = {"json": "application/json", "csv": "text/csv"}


def sitemap(addresses: Iterable[str]) -> bytes:
    """Return the list of pages in the form of https://www.sitemaps.org/protocol.html."""
    listed = "".join(f"<url><loc>{escape(address)}</loc></url>\n" for address in addresses)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{listed}</urlset>\n".encode()


def robots(base_url: str, hidden: Iterable[str], *, sitemap: bool) -> bytes:
    """Return what robots may read, in the form of RFC 9309.

    Args:
        base_url: The address of the site's root, which ends with a slash.
        hidden: Directories, relative to that, which robots must leave alone.
        sitemap: True if there is a list of pages.
    """
    root = urlsplit(base_url).path
    lines = ["User-agent: *", *(f"Disallow: {root}{directory}/" for directory in hidden)]
    # A group needs a rule.
    lines += ["Allow: /"] if len(lines) == 1 else []
    lines += ["", f"Sitemap: {base_url}{layout.SITEMAP}"] if sitemap else []
    return "\n".join([*lines, ""]).encode()


def dataset(view: PluginView, base_url: str) -> dict[str, Any]:
    """Return a statistic in the terms of https://schema.org/Dataset, as search engines for data sets read it."""
    info = view.info
    address = base_url + layout.page(info.name)
    wanted = (layout.document(info.name, "latest", form) for form in _TYPES)
    files = [link for path in wanted for link in view.links if link.path == path]
    described = " ".join(text.clean(part, 2_000) for part in (info.summary, info.definition) if part)
    found: dict[str, Any] = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": address,
        "name": text.clean(info.title),
        "description": described,
        "url": address,
        "isAccessibleForFree": True,
        "variableMeasured": text.clean(info.unit),
        "distribution": [
            {
                "@type": "DataDownload",
                "encodingFormat": _TYPES[link.path.rpartition(".")[2]],
                "contentUrl": base_url + link.path,
            }
            for link in files
        ],
    }
    if view.last_event is not None:
        found["dateModified"] = text.machine_time(view.last_event)
    if view.since is not None:
        found["temporalCoverage"] = f"{text.machine_time(view.since)[:10]}/.."
    return found

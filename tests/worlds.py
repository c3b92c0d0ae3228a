"""Published sites to look at: one without a message, one of a busy project, one of an attacker's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samples import KINDS, NOON, TOPIC, Site, line
from statscache.plugins import Latest, Message, registry
from statscache.simulator import Traffic, simulate
from statscache.store import coverage
from statscache_plugins.volume import PLUGINS as VOLUME

DAY = 86400
TITLE = "Fedora in numbers"

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</script></style></svg><svg onload=alert(1)>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "https://example.org/\"onmouseover='alert(1)'",
    "\u202eright-to-left \u2066isolate \u200f\u061cmarks",
    "{{ 7*7 }} {% raw %} ${7*7} `x`",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "x" * 10_000,
    "many words " * 1_000,
    "👩‍👩‍👧‍👦 😀 \ufffd \ufeff e\u0301\u0301\u0301\u0301\u0301",
    "\x01\x1b[31m\x7f\x85\u2028\u2029",
    "]]> <!-- --> &lt; &#60; &amp;",
    "../../../../etc/passwd",
    "",
)


class Links(Latest):
    """What the bus says that can be followed, and fields whose names are the bus's too."""

    name = "links"
    title = "Links"
    dimensions = ("thing",)
    topics = ("shop.#",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Keep the whole body as the value."""
        text = str(message.body.get("thing"))
        field = "".join(letter for letter in text if letter.isprintable())[:200] or "empty"
        short = text[:900]
        yield (text,), {"url": short, "nested": {"list": [short, None]}, field: short, "number": -5, "none": None}


def empty(directory: Path) -> Path:
    """Publish a site to which nothing was ever said, and return its root."""
    return _published(_site(directory))


def demo(directory: Path, **publish: Any) -> Path:
    """Publish what all bundled plugins make of a few days of simulated traffic with a gap, and return the root."""
    plugins = [type(plugin) for plugin in registry.load()]
    site = _site(directory, plugins, examples=True, **publish)
    start = NOON - DAY // 2
    site.feed(simulate(Traffic(start=start, end=start + 3 * DAY, per_day=1_000)))
    with site.database.writing() as connection:
        coverage.record(connection, start + DAY, start + DAY + 5 * 3600, complete=False)
    return _published(site)


def hostile(directory: Path) -> Path:
    """Publish pages made of hostile text in every field that the bus controls, and return the root."""
    site = _site(directory, (*KINDS, *VOLUME, Links))
    lines = []
    for number, text in enumerate(HOSTILE):
        body = {"buyer": text, "thing": text, "amount": number + 1}
        lines.append(line(f"{number}{text}", NOON + 60 * number, TOPIC, body, users=[text], packages=[text]))
        category = text.replace(".", "·")[:2_000]
        lines.append(line(f"topic {number}", NOON + number, f"org.fedoraproject.prod.{category}.{text}", body))
    site.feed(lines)
    return _published(site)


def _site(directory: Path, plugins: Any = VOLUME, **publish: Any) -> Site:
    return Site(f"sqlite:///{directory / 'statscache.db'}", directory, plugins, publish={"title": TITLE, **publish})


def _published(site: Site) -> Path:
    site.publish()
    site.close()
    return site.public

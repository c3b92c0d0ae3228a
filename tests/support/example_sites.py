"""Published sites to look at: without a message, of a busy project, of 13 months, of an attacker."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samples import KINDS, NOON, TOPIC, Site, line
from small_site import whole_site
from statscache.plugins import Latest, Message, registry
from statscache.simulator import Traffic, simulate
from statscache.store import coverage
from statscache_plugins.dashboard import ReleaseDashboard
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


def shared(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return the root of a site that all files of a test run look at, and none changes; the first to ask makes it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    directory = base / f"example-site-{name}"
    with (base / f"example-site-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = directory / "made"
        if not made.exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            made.write_text(str(globals()[name](directory)))
        return Path(made.read_text())


def empty(directory: Path) -> Path:
    """Publish a site that received no message, and return its root."""
    return _published(_site(directory))


def demo(directory: Path) -> Path:
    """Publish what all bundled plugins make of a few days of simulated traffic with a gap, and return the root."""
    plugins = [type(plugin) for plugin in registry.load()]
    site = _site(directory, plugins, examples=True, base_url="https://stats.example.org/")
    start = NOON - DAY // 2
    site.feed(simulate(Traffic(start=start, end=start + 3 * DAY, per_day=1_000)))
    with site.database.writing() as connection:
        coverage.record(connection, start, start + DAY, complete=True)
        coverage.record(connection, start + DAY, start + DAY + 5 * 3600, complete=False)
    return _published(site)


def year(directory: Path) -> Path:
    """Publish what all bundled plugins make of 13 months, of which one day a week is simulated, and return the root."""
    site = _site(directory, [type(plugin) for plugin in registry.load()])
    for week in range(56, -1, -1):
        # Another day of each week, so that calendars and weekdays are alive.
        start = NOON - DAY // 2 - week * 7 * DAY - week % 5 * DAY
        traffic = Traffic(start=start, end=start + DAY, per_day=100, people=100, packages=200)
        site.feed(line for line in simulate(traffic) if b".fedimg." not in line or not week)
    return _published(site)


def hostile(directory: Path) -> Path:
    """Publish pages made of hostile text in every field that the bus controls, and return the root."""
    site = _site(directory, (*KINDS, *VOLUME, Links, ReleaseDashboard))
    lines = []
    for number, text in enumerate(HOSTILE):
        body = {"buyer": text, "thing": text, "amount": number + 1}
        lines.append(line(f"{number}{text}", NOON + 60 * number, TOPIC, body, users=[text], packages=[text]))
        category = text.replace(".", "·")[:2_000]
        lines.append(line(f"topic {number}", NOON + number, f"org.fedoraproject.prod.{category}.{text}", body))
        lines += _of_releng(number, text)
    site.feed(lines)
    return _published(site)


def _of_releng(number: int, text: str) -> Iterator[bytes]:
    """Yield what release engineering would be shown of a text in all fields of composes, updates and images."""
    prod, time = "org.fedoraproject.prod.", NOON + 60 * number
    compose = {"compose_id": text, "location": text, "status": "DOOMED"}
    yield line(f"compose {number}", time, f"{prod}pungi.compose.status.change", compose)
    yield line(f"push {number}", time, f"{prod}bodhi.compose.complete", {"repo": text, "success": False})
    image = {
        "architecture": text,
        "compose_id": f"Fedora-Cloud-41-20240912.{number}",
        "release": 41,
        "subvariant": text,
        "image_name": text,
        "regions": {text: text, "us-east-1": text},
    }
    yield line(
        f"image {number}", time, f"{prod}fedora_image_uploader.published.v1.aws.nightly.Cloud_Base.x86_64", image
    )


def _site(directory: Path, plugins: Any = VOLUME, **publish: Any) -> Site:
    return Site(f"sqlite:///{directory / 'statscache.db'}", directory, plugins, publish={"title": TITLE, **publish})


def _published(site: Site) -> Path:
    with whole_site():
        site.publish()
    site.close()
    return site.public

"""A small published site of every kind of statistic, for tests of who reads it: it can publish again and again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from statscache import testing
from statscache.config import Config, DatabaseSection, DirectoryTarget, PublishSection
from statscache.ingest import Delivery
from statscache.installation import Installation
from statscache.message import Message
from statscache.plugins import Counter, Latest, Log, State
from statscache.plugins.registry import Problem, Registry
from statscache.service.publishing import Publishing

EDIT = "org.fedoraproject.prod.wiki.article.edit"
BUILD = "org.fedoraproject.prod.copr.build.end"


class Edits(Counter):
    """Edits of the wiki, by page."""

    name = "edits"
    title = "Edits"
    dimensions = ("page",)
    entities: ClassVar[dict[str, str]] = {"page": "topic"}
    topics = ("wiki.#",)

    def observe(self, message: Message) -> Iterator[tuple[str]]:
        """Count the edit for its page."""
        yield (message.body["title"],)

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish how the edits are to be drawn, besides."""
        yield from super().documents(state)
        yield "drawing", {"colours": {"Main": "blue"}}


class Builds(Counter):
    """Builds, by owner and chroot."""

    name = "builds"
    title = "Builds"
    dimensions = ("owner", "chroot")
    topics = ("copr.build.end",)
    unbounded = True

    def observe(self, message: Message) -> Iterator[tuple[str, str | None]]:
        """Count the build for its owner."""
        yield message.body["owner"], message.body.get("chroot")


class NewestBuild(Latest):
    """The newest build of each owner."""

    name = "newest-build"
    title = "Newest builds"
    dimensions = ("owner",)
    topics = ("copr.build.end",)

    def observe(self, message: Message) -> Iterator[tuple[tuple[str], dict[str, Any]]]:
        """Keep the number of the build."""
        if "number" in message.body:
            yield (message.body["owner"],), {"number": message.body["number"]}


class RecentBuilds(Log):
    """The newest builds."""

    name = "recent-builds"
    title = "Recent builds"
    topics = ("copr.build.end",)

    def observe(self, message: Message) -> Iterator[tuple[tuple[()], dict[str, Any]]]:
        """Keep the number of the build."""
        if "number" in message.body:
            yield (), {"number": message.body["number"]}


def line(topic: str, body: Mapping[str, Any], seconds: int) -> bytes:
    """Return a message, sent that many seconds after noon."""
    return orjson.dumps({"topic": topic, "msg": body, "timestamp": testing.NOON + seconds})


class PublishedSite:
    """A site that publishes into a directory.

    Args:
        directory: Where the site, `public`, and its database are to be.
        publish: Settings of `[publish]` besides the target.
    """

    def __init__(self, directory: Path, **publish: Any) -> None:
        """Make the site; nothing is published yet."""
        self.root = directory / "public"
        config = Config(
            database=DatabaseSection(url=f"sqlite:///{directory / 'statscache.db'}"),
            publish=PublishSection(targets=(DirectoryTarget(name="web", path=self.root),), **publish),
        )
        active = Registry([Builds(), Edits(), NewestBuild(), RecentBuilds()], [Problem("broken", "ImportError: no")])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("statscache.installation.load", lambda *_, **__: active)
            self.installation = Installation(config)
        self._publishing = Publishing(self.installation)

    def take(self, *lines: bytes) -> None:
        """Accept messages, as if the bus were connected again at the time of the newest."""
        newest = max(orjson.loads(line)["timestamp"] for line in lines if line.startswith(b"{"))
        self.installation.ingest.take(Delivery("fedmsg", list(lines), connected=newest))

    def publish(self) -> str:
        """Publish, and return the id of the snapshot that is current then."""
        snapshot, _ = self._publishing.publish()
        return snapshot.id

    def publish_fast(self) -> None:
        """Publish; slow documents are only updated if `slow_interval` is over."""
        self._publishing.publish(slow=False)

    def start(self, owners: int = 3) -> None:
        """Publish twice: a first day of few messages, then a second with builds of that many owners, and an old one."""
        self.take(line(EDIT, {"title": "Main"}, 0), line(BUILD, {"owner": "Ralph.B", "number": 1}, 1), b"no message")
        self.publish()
        builds = (
            line(BUILD, {"owner": f"owner-{number}", "chroot": "f42"}, 86400 + number) for number in range(owners)
        )
        old = line(BUILD, {"owner": "Ralph.B"}, -3 * 366 * 86400)
        self.take(old, line(EDIT, {"title": "=Main"}, 90000), line(EDIT, {"title": "Main"}, 90001), *builds)
        self.publish()

    def json(self, path: str) -> Any:
        """Return the content of a published document."""
        return orjson.loads((self.root / path).read_bytes())

    def close(self) -> None:
        """Close the database."""
        self.installation.close()

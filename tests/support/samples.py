"""Samples for tests: messages, plugins of every kind, installations, and a reader of a published tree."""

import gzip
import pickle
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import orjson
from sqlalchemy import delete, event, insert

from statscache import canonical, resources
from statscache.config import Config
from statscache.ingest import Delivery, Outcome
from statscache.ingest.prepare import Batch, Preparer
from statscache.installation import Installation
from statscache.plugins import Counter, Distinct, Latest, Log, Message, Plugin, Span, State
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.publish.report import Report
from statscache.render.pages import Pages
from statscache.render.render import Renderer
from statscache.service.publishing import Publishing
from statscache.snapshot import manifest, snapshots
from statscache.snapshot.build import build
from statscache.snapshot.snapshot import Snapshot
from statscache.store import Database, copying, positions, published, schema
from statscache.store import journal as journals
from statscache_plugins.volume import PLUGINS as VOLUME

NOON = 1439035200
"""2015-08-08T12:00:00Z, a Saturday, in seconds since 1970 UTC."""

TOPIC = "org.fedoraproject.prod.shop.sale"

Line = bytes
"""One message as a source delivers it."""


def line(
    id: str,
    timestamp: float = NOON,
    topic: str = TOPIC,
    body: Any = None,
    users: Iterable[str] = (),
    packages: Iterable[str] = (),
) -> Line:
    """Return a message in fedora-messaging's envelope."""
    headers = {f"fedora_messaging_user_{name}": True for name in users}
    headers |= {f"fedora_messaging_rpm_{name}": True for name in packages}
    content = {} if body is None else body
    return orjson.dumps({"id": id, "topic": topic, "timestamp": timestamp, "body": content, "headers": headers})


class Sales(Counter):
    """Things sold, by buyer and thing."""

    name = "sales"
    title = "Sales"
    unit = "things"
    dimensions = ("buyer", "thing")
    topics: ClassVar[tuple[str, ...]] = ("shop.sale",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count the amount in the body."""
        yield (message.body.get("buyer"), message.body.get("thing")), message.body.get("amount", 1)


class Buyers(Counter):
    """Sales by buyer, of whom there are many, and the last three of each."""

    name = "buyers"
    title = "Buyers"
    unit = "sales"
    dimensions = ("buyer",)
    topics = ("shop.sale",)
    unbounded = True
    entries = 3

    def observe(self, message: Message) -> Iterator[Any]:
        """Count one for the buyer, with what was sold."""
        yield (message.body.get("buyer"),), {"thing": message.body.get("thing"), "amount": message.body.get("amount")}


class Prices(Latest):
    """The newest price of each thing."""

    name = "prices"
    title = "Prices"
    dimensions = ("thing",)
    topics = ("shop.#",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield twice for one message, so that the index of the yield decides."""
        price = message.body.get("amount", 1)
        yield (message.body.get("thing"),), {"price": price, "asked": True}
        yield (message.body.get("thing"),), {"price": price, "asked": False}


class Customers(Distinct):
    """Different buyers, by thing."""

    name = "customers"
    title = "Customers"
    unit = "people"
    dimensions = ("thing",)
    topics = ("shop.#",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield the buyer, and whoever is involved."""
        for buyer in (message.body.get("buyer"), *message.usernames):
            if buyer is not None:
                yield (message.body.get("thing"),), buyer


class Deliveries(Span):
    """When things were on their way to a buyer."""

    name = "deliveries"
    title = "Deliveries"
    unit = "deliveries"
    dimensions = ("buyer", "thing")
    topics = ("shop.#",)
    shown = 5

    def observe(self, message: Message) -> Iterator[Any]:
        """Start or stop depending on the amount, and keep fields of some."""
        name = message.body.get("buyer"), message.body.get("thing")
        amount = message.body.get("amount", 1)
        yield (name, "start", {"amount": amount}) if amount % 3 else (name, "start")
        if amount % 2:
            yield name, "stop", {"amount": -amount}


class Baskets(Counter):
    """Sales by buyer, divided by thing."""

    name = "baskets"
    title = "Baskets"
    dimensions = ("buyer",)
    breakdown = "thing"
    unbounded = True
    topics = ("shop.#",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count the amount for the buyer and the thing."""
        yield (message.body.get("buyer"), message.body.get("thing")), message.body.get("amount", 1)

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish what the queries of a counter find, besides."""
        yield from super().documents(state)
        yield "leaders", {"rows": self.leaders(state, days=7, limit=3), "hats": self.leaders(state, part="hat")}
        yield "newcomers", {"days": self.newcomers(state), "none": self.newcomers(state, part=None)}


class Receipts(Log):
    """The last three sales of each buyer."""

    name = "receipts"
    title = "Receipts"
    dimensions = ("buyer",)
    entries = 3

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield what was sold."""
        yield (message.body.get("buyer"),), {"thing": message.body.get("thing"), "amount": message.body.get("amount")}


class Acts(Counter):
    """What people were involved in, by category, asked once for all messages that agree in both."""

    name = "acts"
    title = "Acts"
    dimensions = ("user",)
    breakdown = "category"
    depends_on = ("usernames", "category")
    people = True
    unbounded = True

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield what is counted."""
        for name in message.usernames:
            yield (name, message.category), 2


class Actors(Distinct):
    """Who was involved in anything, asked once for all messages of the same people."""

    name = "actors"
    title = "Actors"
    depends_on = ("usernames",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield what is counted."""
        for name in message.usernames:
            yield (), name


class Wall(Log):
    """The newest three messages that say so, of which older ones are not even looked at."""

    name = "wall"
    title = "Wall"
    entries = 3

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield what is counted."""
        if message.body.get("amount") != 7:
            yield (), {"id": message.id, "amount": message.body.get("amount")}


KINDS: tuple[type[Plugin], ...] = (Sales, Buyers, Prices, Receipts, Customers, Deliveries, Baskets)
COLUMNAR: tuple[type[Plugin], ...] = (*VOLUME, Acts, Actors)
ALL: tuple[type[Plugin], ...] = (*KINDS, *COLUMNAR, Wall)


@cache
def _pages() -> Pages:
    # Templates are compiled once for all sites.
    return Pages(resources.sources(), title="statscache", base_url=None)


class Site:
    """One database with plugins, and the directory that is published from it.

    Args:
        url: The database, empty or not.
        directory: Where the published tree goes, in `public`.
        plugins: The active plugins.
        sections: More configuration, by section.
    """

    def __init__(
        self,
        url: str,
        directory: Path,
        plugins: Sequence[type[Plugin]] = ALL,
        **sections: Any,
    ) -> None:
        self._arguments = url, directory
        self._plugins = plugins
        self._sections = sections
        directory.mkdir(parents=True, exist_ok=True)
        self.public = directory / "public"
        publish = {"targets": ({"name": "public", "path": self.public},), **sections.get("publish", {})}
        hang = {"hang_note": directory / "hang"}
        given: dict[str, Any] = {**sections, "database": {"url": url}, "publish": publish, "plugins": hang}
        registry = Registry([cls() for cls in plugins])
        # The plugins are given, instead of looked for among what is installed.
        with patch("statscache.installation.load", return_value=registry):
            self.installation = Installation(Config(**given))
        self.ingest = self.installation.ingest

    @cached_property
    def publishing(self) -> Publishing:
        """The job that publishes into the directory."""
        return Publishing(self.installation)

    @cached_property
    def renderer(self) -> Renderer:
        """What renders its documents and pages."""
        return Renderer(self.installation.registry, _pages())

    def build(self, *, force: bool = False, slow: bool = True) -> Snapshot:
        """Build the snapshot that is due, without publishing it; without `slow`, of fast documents only."""
        slow_interval = 0.0 if slow else NEVER
        return build(self.database, self.renderer, force=force, slow_interval=slow_interval)[0]

    def tree(self) -> dict[str, bytes]:
        """Return the bytes of each file of the current snapshot, by path, as the database holds them."""
        with self.database.reading() as connection:
            current = snapshots.current(connection)
            assert current is not None
            load = partial(published.load_all, connection)
            files = manifest.files(load, current.manifest)
            data = load({entry.object for entry in files.values()})
            return {path: data[entry.object] for path, entry in files.items()}

    @property
    def database(self) -> Database:
        """The database of the site."""
        return self.installation.database

    def feed(self, lines: Iterable[Line], source: str = "test", *, connected: int | None = None) -> Outcome:
        """Accept lines as one delivery."""
        return self.ingest.take(Delivery(source, [*lines], connected=connected))

    def feed_prepared(self, lines: Iterable[Line], source: str = "test") -> Outcome:
        """Accept lines as one delivery of which other processes prepared a third each, without the database."""
        lines = [*lines]
        third = len(lines) // 3
        parts = lines[:third], lines[third : 2 * third], lines[2 * third :]
        deliveries = [Delivery(source, part) for part in parts]
        preparer = Preparer(self.installation.registry, ("prod",), Watch())
        context = self.ingest.worker_context()
        preparer.forget(context.suppression)
        preparer.identify_with(context.identity_key)
        batches = [pickle.loads(pickle.dumps(preparer.prepare(delivery))) for delivery in deliveries]
        return self.ingest.take(Delivery.joined(deliveries), Batch.joined(batches))

    def catch_up(self) -> None:
        """Fold the journal into every plugin that is behind."""
        while self.ingest.catch_up():
            pass

    def publish(self, *, force: bool = False, take_over: bool = False) -> Snapshot:
        """Publish, and return the snapshot that is current then."""
        return self.publishing.publish(force=force, take_over=take_over)[0]

    def report(self, *, force: bool = False) -> tuple[Snapshot, Report]:
        """Publish, and return the snapshot and what it took."""
        snapshot, reports = self.publishing.publish(force=force)
        return snapshot, reports[0]

    def reopened(self, plugins: Sequence[type[Plugin]] | None = None) -> "Site":
        """Close the database, and open it as a new process would, perhaps with other plugins."""
        self.close()
        return Site(*self._arguments, self._plugins if plugins is None else plugins, **self._sections)

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return what is stored of each plugin, by name."""
        with self.database.reading() as connection:
            rows = positions.load(connection)
            through = journals.head(connection).through
            return {
                plugin.name: [*plugin.kind.dump(connection, rows[plugin.name].id, through)]
                for plugin in self.installation.registry
            }

    def aliases(self) -> dict[str, bytes]:
        """Return the published files at readable paths that belong to the snapshot."""
        return published_files(self.public)

    def document(self, path: str) -> Any:
        """Return the published JSON at `path`."""
        return orjson.loads((self.public / path).read_bytes())

    def close(self) -> None:
        """Close the database."""
        self.installation.close()


NEVER = 1e9
"""Seconds after which slow documents are due that no test waits for."""

OUTSIDE = ("v1/index.json", "v1/status.json", "v1/changes.json", "feeds/changes.xml", "v1/pending.json")
"""What is published beside the snapshot."""


def published_files(public: Path) -> dict[str, bytes]:
    """Return the files at readable paths that belong to the snapshot, by path.

    Raises:
        AssertionError: A precompressed sibling holds other bytes than its file.
    """
    files = {}
    for path in sorted(public.rglob("*")):
        name = path.relative_to(public).as_posix()
        if not path.is_file() or name.startswith(("v1/objects/", "v1/snapshots/", ".statscache/")):
            continue
        if name.endswith(".gz"):
            assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes(), name
        elif name not in OUTSIDE:
            files[name] = path.read_bytes()
    return files


def follow(public: Path, pointer: bytes | None = None) -> dict[str, bytes]:
    """Follow the pointer as a reader does, and return each file of its snapshot by readable path.

    Args:
        public: The published tree.
        pointer: The pointer that a reader still holds; None reads that of the tree.

    Raises:
        AssertionError: A reference does not resolve, or bytes differ from their digest or size. The document of a key
            may be that of a snapshot that is being published, or was since the reader's; then it may be gone, too.
    """
    index = orjson.loads(pointer or (public / "v1/index.json").read_bytes())
    root = (public / index["manifest"]).read_bytes()
    assert canonical.digest(root) == index["snapshot"], "the root manifest is not the snapshot that the index names"
    files: dict[str, bytes] = {}
    keys: dict[str, Any] = {}
    _follow(public, orjson.loads(root), "", files, keys)
    files |= _documents_of_keys(public, keys, is_current=pointer is None)
    for plugin in index["plugins"]:
        for document in plugin["documents"]:
            assert _object(public, document) == files[document["path"]], document
    for path, data in files.items():
        if path.endswith("/index.json") and "/series/" in path:
            for period in orjson.loads(data)["periods"]:
                for reference in (period, period["csv"]):
                    assert _object(public, reference) == files[reference["path"]], reference
    return files


def _follow(
    public: Path, manifest: Mapping[str, Any], directory: str, files: dict[str, bytes], keys: dict[str, Any]
) -> None:
    for name, entry in manifest["entries"].items():
        if entry["type"] == "path":
            keys[f"{directory}{name}"] = entry
            continue
        data = _object(public, entry)
        if entry["type"] == "file":
            files[f"{directory}{name}"] = data
        else:
            inside = f"{directory}{name}/" if entry["type"] == "tree" else directory
            _follow(public, orjson.loads(data), inside, files, keys)


def _documents_of_keys(public: Path, keys: Mapping[str, Any], *, is_current: bool) -> dict[str, bytes]:
    found, others = {}, None
    for path, entry in keys.items():
        try:
            data = (public / path).read_bytes()
        except FileNotFoundError:
            assert not is_current, f"{path} is not there"
            continue
        if (canonical.digest(data), len(data)) != (entry["digest"], entry["size"]):
            others = others or _others(public)
            assert any(canonical.digest(data) == other[path]["digest"] for other in others if path in other), path
        found[path] = data
    return found


def _others(public: Path) -> list[dict[str, Any]]:
    """Return the documents of keys of the snapshots that readable paths may be of, as their manifests have them."""
    names = [orjson.loads((public / "v1/index.json").read_bytes())["snapshot"]]
    with suppress(FileNotFoundError):
        names += orjson.loads((public / "v1/pending.json").read_bytes())["snapshots"]
    listed = []
    for name in names:
        root = public / "v1/snapshots" / f"{name}.json"
        if root.exists():
            listed.append(dict[str, Any]())
            with suppress(FileNotFoundError):
                _follow(public, orjson.loads(root.read_bytes()), "", {}, listed[-1])
    return listed


def _object(public: Path, reference: Mapping[str, Any]) -> bytes:
    name = reference["object"]
    data: bytes = (public / "v1/objects" / name[:2] / name).read_bytes()
    assert len(data) == reference["size"], reference
    assert canonical.digest(data) == name.partition(".")[0], reference
    return data


def steps_of(database: Database, work: Callable[[], object]) -> int:
    """Return how many steps of its virtual machine, in thousands, SQLite takes for some work."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    def watch(connection: Any, *_: object) -> None:
        connection.set_progress_handler(count, 1_000)

    event.listen(database.engine, "checkout", watch)
    try:
        work()
    finally:
        event.remove(database.engine, "checkout", watch)
    return taken


def id_digest(site: Site, id: str) -> int:
    """Return the digest by which a site's database knows the id of a message."""
    with site.database.reading() as connection:
        digest = journals.digest_with(journals.identity_key(connection))
    return int.from_bytes(digest(id.encode()), "big", signed=True)


def make_empty(url: str) -> None:
    """Empty a database, which is quicker than to make another."""
    database = Database(url)
    database.prepare()
    empty(database)
    database.close()


def empty(database: Database) -> None:
    """Empty a prepared database that is open."""
    with database.writing() as connection:
        for table in schema.metadata.sorted_tables:
            connection.execute(delete(table))
            # PostgreSQL would number new rows on from those deleted, and checksums of rows cover their numbers.
            copying.go_on_counting(connection, table)
        row = {"head": 0, "known": 0, "conflicts": 0, "foreign_messages": 0, "identity_key": secrets.token_bytes(32)}
        row |= {"installation": secrets.token_hex(16)}
        connection.execute(insert(schema.journal).values(id=1, **row))


def fresh_site(url: str, directory: Path, plugins: Sequence[type[Plugin]] = ALL, **sections: Any) -> Site:
    """Return a site on a database and a directory that are emptied first."""
    make_empty(url)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return Site(url, directory, plugins, **sections)

"""The Python reader over real HTTP, against a site that publishes meanwhile, a cache, signatures and damage."""

import gzip
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from conftest import ROOT
from keypairs import write_key
from loopback import serving
from published import BUILD, EDIT, PublishedSite, line
from statscache import canonical, testing
from statscache.client import (
    BadSignature,
    Client,
    Damaged,
    Late,
    Missing,
    NotPublished,
    OtherGeneration,
    Outdated,
    Replaced,
    Span,
    Unreachable,
    caches,
    fetcher,
    unknown_days,
)
from statscache.client import reader as reader_module
from statscache.client.caches import DirectoryCache, MemoryCache
from statscache.service import preview

DAY = 86400
INDEX = "v1/index.json"


class Server:
    """A server of a tree that counts what it is asked.

    Attributes:
        asked: Path and status of each request.
    """

    def __init__(self, root: Path) -> None:
        """Bind to a port."""
        self.asked: list[tuple[str, int]] = []
        asked = self.asked
        server = preview.server(root, 0)
        base: Any = server.RequestHandlerClass
        handler = base.func

        class Counting(handler):  # type: ignore[misc, valid-type]
            def send_response(self, code: int, message: str | None = None) -> None:
                asked.append((self.path.lstrip("/"), code))
                super().send_response(code, message)

        server.RequestHandlerClass = partial(Counting, directory=str(root))
        self._serving = serving(server)

    def __enter__(self) -> Self:
        self.url = self._serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublishedSite]:
    """A site that no one changes, with a split directory of keys."""
    site = PublishedSite(tmp_path_factory.mktemp("client"), interval=DAY)
    site.start(owners=1_100)
    # A file that may change again within the second cannot be asked for by its time.
    os.utime(site.root / INDEX, (testing.NOON, testing.NOON))
    yield site
    site.close()


@pytest.fixture(scope="module")
def server(original: PublishedSite) -> Iterator[Server]:
    """A server of the site that no one changes."""
    with Server(original.root) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PublishedSite]:
    """A site that publishes."""
    site = PublishedSite(tmp_path, interval=DAY)
    site.start()
    yield site
    site.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # What waits before it tries again waits no longer than the tests need.
    monkeypatch.setattr(reader_module, "_PAUSE", 0.01)
    monkeypatch.setattr(fetcher, "_PAUSE", 0.01)


def test_documents_are_those_that_are_published(original: PublishedSite, server: Server) -> None:
    """Index, latest, a plugin's own document and a key are read as they were published."""
    client = Client(server.url)
    assert client.discover() == original.json(INDEX)
    assert client.latest("edits") == original.json("v1/plugins/edits/latest.json")
    assert client.document("edits", "drawing") == original.json("v1/plugins/edits/drawing.json")
    assert client.key("builds", "owner-7", "f42") == original.json("v1/plugins/builds/by/owner-7.f42.json")
    assert client.key("builds", "Ralph.B", None) == original.json("v1/plugins/builds/by/_52alph_2e_42.__.json")
    assert client.key("builds", "nobody", None) is None
    older = client.key_year("builds", 2012, "Ralph.B", None)
    assert older == original.json("v1/plugins/builds/by/_52alph_2e_42.__/2012.json")
    assert cast(dict[str, Any], older)["days"] == {
        "2012": [[original.json("v1/plugins/builds/by/_52alph_2e_42.__.json")["first"] // DAY * DAY, 1]]
    }
    assert client.key_year("builds", 2013, "Ralph.B", None) is None
    assert client.key_year("builds", 2012, "nobody", None) is None


def test_a_tree_on_this_machine_is_read(original: PublishedSite) -> None:
    """A file URL reads a directory, without a server."""
    assert Client(original.root.as_uri()).latest("edits") == original.json("v1/plugins/edits/latest.json")


def test_what_is_not_published_is_reported(server: Server) -> None:
    """The error for a plugin, document, resolution or key that is not there says what is."""
    client = Client(server.url)
    with pytest.raises(NotPublished, match="there are: builds, edits, newest-build, recent-builds"):
        client.latest("nothing")
    with pytest.raises(NotPublished, match=r"edits has: .*v1/plugins/edits/latest\.json"):
        client.document("edits", "nothing")
    with pytest.raises(NotPublished, match="series/1s"):
        client.series("edits", "1s", 0, 1)
    with pytest.raises(NotPublished, match="no documents of keys"):
        client.key("edits", "Main")
    with pytest.raises(NotPublished, match="owner"):
        client.key("builds", "owner-7")


# Series.


def test_a_series_is_cut_to_whole_buckets(original: PublishedSite, server: Server) -> None:
    """A series between two times has the rows, gaps and completeness of the buckets that they touch."""
    client = Client(server.url)
    noon, second = testing.NOON, testing.NOON + 90000
    through = original.json(INDEX)["through"]
    assert client.series("edits", "1h", noon + 1800, second + 1) == Span(
        columns=("timestamp", "page", "value"),
        rows=[[noon, "Main", 1], [second, "=Main", 1], [second, "Main", 1]],
        start=noon,
        end=second + 3600,
        width=3600,
        complete_through=through - through % 3600,
        gaps=[(noon, second + 3600)],
    )
    assert client.series("edits", "1h", noon + 3600, second).rows == []
    days = client.series("edits", "1d", datetime(2015, 8, 8, tzinfo=UTC), datetime(2015, 8, 9, tzinfo=UTC))
    assert days.rows == [[noon - noon % DAY, "Main", 1]]
    assert days.complete_through == days.end


def test_hours_are_known_through_when_slow_documents_are(tmp_path: Path) -> None:
    """After a publication of fast documents, minutes are newer than hours, which claim no zeros for what they lack."""
    site = PublishedSite(tmp_path, slow_interval=10**9)
    site.start()
    before = site.json(INDEX)["through"]
    site.take(line(EDIT, {"title": "Main"}, 100000))
    site.publish_fast()
    through = site.json(INDEX)["through"]
    with Server(site.root) as server:
        client = Client(server.url)
        hours = client.series("edits", "1h", testing.NOON, through + 3600)
        minutes = client.series("edits", "1m", testing.NOON, through + 3600)
    assert hours.complete_through == before - before % 3600
    assert minutes.complete_through == through - through % 60
    site.close()


def test_only_the_periods_that_are_needed_are_fetched(server: Server) -> None:
    """One hour of minutes costs the index, the list of periods and one period."""
    client = Client(server.url)
    server.asked.clear()
    assert len(client.series("edits", "1m", testing.NOON, testing.NOON + 3600).rows) == 1
    assert len(server.asked) == 3


def test_a_gap_across_periods_is_one(server: Server) -> None:
    """An interval that is known to be missing is one gap, in however many files it is, cut to what was asked."""
    start, end = testing.NOON + 7200, testing.NOON + 6 * 3600
    assert Client(server.url).series("edits", "1m", start, end).gaps == [(start, end)]


def test_the_time_before_the_first_data_is_a_gap(server: Server) -> None:
    """So is what is older than all that is kept; of a key, what is before `since` and in gaps of the plugin."""
    client = Client(server.url)
    edits = next(plugin for plugin in client.discover()["plugins"] if plugin["name"] == "edits")
    noon, year = testing.NOON, 365 * DAY
    days = client.series("edits", "1d", noon - 2 * year, noon + DAY)
    assert days.gaps[0][0] == days.start
    assert days.gaps[0][1] >= noon - noon % DAY
    assert client.series("edits", "1m", noon - year, noon - year + 600).gaps == [(noon - year, noon - year + 600)]
    assert unknown_days({**edits, "since": None, "gaps": []}, 0, DAY) == [(0, DAY)]
    assert unknown_days({**edits, "since": 0, "gaps": [(5 * DAY, 7 * DAY)]}, 0, 6 * DAY) == [(5 * DAY, 6 * DAY)]


def test_a_time_without_zone_is_refused(server: Server) -> None:
    """A datetime that does not say where it is meant is an error, not a guess."""
    with pytest.raises(ValueError, match="no time zone"):
        Client(server.url).series("edits", "1d", datetime(2015, 8, 8), datetime(2015, 8, 9))  # noqa: DTZ001


# Caches and conditional requests.


def test_what_did_not_change_is_not_sent_again(original: PublishedSite, server: Server, tmp_path: Path) -> None:
    """The second reading of a page, by another process even, costs one request that is answered by 304."""
    Client(server.url, tmp_path / "cache").latest("edits")
    server.asked.clear()
    assert Client(server.url, tmp_path / "cache").latest("edits") == original.json("v1/plugins/edits/latest.json")
    assert server.asked == [(INDEX, 304)]


def test_memory_serves_without_a_directory(server: Server) -> None:
    """Without a directory, one client still asks for no object twice."""
    client = Client(server.url)
    client.latest("edits")
    server.asked.clear()
    client.latest("edits")
    assert server.asked == [(INDEX, 304)]


def test_a_damaged_cache_is_fetched_again(original: PublishedSite, server: Server, tmp_path: Path) -> None:
    """Bytes of the cache that are not what they were are not used."""
    Client(server.url, tmp_path).latest("edits")
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-3] + b"]}\n")
    assert Client(server.url, tmp_path).latest("edits") == original.json("v1/plugins/edits/latest.json")
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    assert Client(server.url, tmp_path).discover() == original.json(INDEX)


def test_caches_are_bounded(tmp_path: Path) -> None:
    """A cache lets go of what was used least recently, and of nothing that it need not."""
    for cache in (MemoryCache(largest=1_000), DirectoryCache(tmp_path / "cache", largest=1_000)):
        for number in range(30):
            cache.put(f"file-{number}", bytes(90))
        kept = [number for number in range(30) if cache.get(f"file-{number}") is not None]
        assert 29 in kept
        assert 4 <= len(kept) <= 11


def test_a_cache_that_cannot_be_written_is_no_hindrance(
    original: PublishedSite, server: Server, tmp_path: Path
) -> None:
    """Where the directory has vanished, everything is fetched each time."""
    client = Client(server.url, tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    assert client.latest("edits") == original.json("v1/plugins/edits/latest.json")


def test_a_change_within_the_same_second_is_seen(site: PublishedSite) -> None:
    """A server that tells versions apart by whole seconds hides no change from a client."""
    with Server(site.root) as server:
        client = Client(server.url)
        before = client.discover()
        times = (site.root / INDEX).stat().st_mtime
        rewrite(site, lambda index: index.update(generated_at=index["generated_at"] + 1))
        os.utime(site.root / INDEX, (times, times))
        assert client.discover()["generated_at"] == before["generated_at"] + 1


# A site that publishes meanwhile.


def test_a_pinned_reader_stays_with_its_snapshot(site: PublishedSite) -> None:
    """What is published after `pin` is not seen, in no document; the client itself sees it.

    The document of a key is published without history: the pinned reader has it where it has read it before, or it is
    the same still. Else it says that it was replaced.
    """
    with Server(site.root) as server:
        client, other = Client(server.url), Client(server.url).pin()
        pinned = client.pin()
        before = site.json("v1/plugins/edits/latest.json"), site.json("v1/plugins/builds/by/owner-1.f42.json")
        assert pinned.key("builds", "owner-1", "f42") == before[1]
        site.take(line(EDIT, {"title": "Main"}, 90_100), line(BUILD, {"owner": "owner-1", "chroot": "f42"}, 90_101))
        site.publish()
        assert (pinned.latest("edits"), pinned.key("builds", "owner-1", "f42")) == before
        assert pinned.index["generation"] == 2
        assert client.latest("edits") == site.json("v1/plugins/edits/latest.json") != before[0]
        assert client.key("builds", "owner-1", "f42") == site.json("v1/plugins/builds/by/owner-1.f42.json") != before[1]
        assert not pinned.is_late
        assert other.latest("edits") == before[0]
        assert other.key("builds", "owner-2", "f42") == site.json("v1/plugins/builds/by/owner-2.f42.json")
        with pytest.raises(Replaced, match="pin again"):
            other.key("builds", "owner-1", "f42")


def _half_published(site: PublishedSite) -> Any:
    """Publish a newer document of a key, but leave the index as it was; return the document."""
    index = (site.root / INDEX).read_bytes()
    site.take(line(BUILD, {"owner": "owner-1", "chroot": "f42"}, 90_101))
    site.publish()
    replace(site, index)
    return site.json("v1/plugins/builds/by/owner-1.f42.json")


def test_while_a_publication_is_under_way_a_newer_document_of_a_key_is_reported(site: PublishedSite) -> None:
    """Documents of keys change before the index does: they are returned with a warning; a pinned reader refuses."""
    with Server(site.root) as server:
        newer = _half_published(site)
        with pytest.warns(OtherGeneration, match="under way"):
            assert Client(server.url).key("builds", "owner-1", "f42") == newer
        with pytest.raises(Replaced):
            Client(server.url).pin().key("builds", "owner-1", "f42")
        (site.root / "v1/plugins/builds/by/owner-1.f42.json").unlink()
        with pytest.warns(OtherGeneration):
            assert Client(server.url).key("builds", "owner-1", "f42") is None
        shutil.copy(
            site.root / "v1/plugins/builds/by/owner-2.f42.json", site.root / "v1/plugins/builds/by/owner-1.f42.json"
        )
        with pytest.warns(OtherGeneration), pytest.raises(Damaged, match="has the key"):
            Client(server.url).key("builds", "owner-1", "f42")


def test_no_reading_mixes_two_generations(site: PublishedSite) -> None:
    """While a publisher works, totals of two statistics that count the same messages agree in every pinned reading."""
    stop = threading.Event()
    failures: list[str] = []
    readings = 0

    def read(url: str) -> None:
        nonlocal readings
        client = Client(url)
        while not stop.is_set():
            pinned = client.pin()
            builds = sum(row["total"] for row in pinned.latest("builds")["rows"])
            edits = sum(row["total"] for row in pinned.latest("edits")["rows"])
            readings += 1
            # Each publication brings one of each, and there were five builds and three edits before.
            if builds - 5 != edits - 3:
                failures.append(f"{builds} builds, {edits} edits")

    with Server(site.root) as server:
        thread = threading.Thread(target=read, args=(server.url,))
        thread.start()
        for number in range(8):
            at = 90_200 + number
            site.take(line(EDIT, {"title": "Main"}, at), line(BUILD, {"owner": "owner-1", "chroot": "f42"}, at))
            site.publish()
        stop.set()
        thread.join()
    assert readings > 0
    assert failures == []


def test_an_index_from_a_cache_that_is_behind_is_asked_for_again(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an object is gone because the index was old, the client asks for a new index past the caches."""
    old = (site.root / INDEX).read_bytes()
    site.take(line(EDIT, {"title": "Main"}, 90_100))
    site.publish()
    name = next(
        document["object"]
        for plugin in orjson.loads(old)["plugins"]
        for document in plugin["documents"]
        if document["path"] == "v1/plugins/edits/latest.json"
    )
    for path in site.root.glob(f"v1/objects/{name[:2]}/{name}*"):
        path.unlink()
    client = Client(site.root.as_uri())
    changing = fetcher.Fetcher.changing
    monkeypatch.setattr(
        fetcher.Fetcher,
        "changing",
        lambda self, path, *, fresh: changing(self, path, fresh=fresh) if fresh else old,
    )
    assert client.latest("edits") == site.json("v1/plugins/edits/latest.json")
    with pytest.raises(Missing, match="is missing, but referred to"):
        Client(site.root.as_uri()).pin().latest("edits")


def test_the_index_never_goes_back(site: PublishedSite) -> None:
    """An index that is older than the one already known, as a slow edge of a CDN has it, is not used."""
    client = Client(site.root.as_uri())
    known = client.discover()
    older = known | {"generation": 1, "generated_at": known["generated_at"] - 60}
    (site.root / INDEX).unlink()
    (site.root / INDEX).write_bytes(canonical.dumps(older))
    assert client.discover() == known


def test_a_newer_generation_counts_whatever_its_times(site: PublishedSite) -> None:
    """A publisher whose clock ran ahead, and was set right, is not ignored until the clock is there again."""
    client = Client(site.root.as_uri())
    ahead = site.json(INDEX)["generated_at"] + 7200
    rewrite(site, lambda index: index.update(generated_at=ahead, expires_at=ahead + DAY))
    known = client.discover()
    rewrite(site, lambda index: index.update(generated_at=ahead - 7200))
    assert client.discover() == known, "of one generation, the index that was written last"
    rewrite(site, lambda index: index.update(generation=known["generation"] + 1))
    assert client.discover()["generation"] == known["generation"] + 1


def test_an_index_that_has_expired_is_said(site: PublishedSite) -> None:
    """Every reading by it warns, as does the pinned reader's `is_late`; one that is in time is silent."""
    client = Client(site.root.as_uri())
    client.latest("edits")
    rewrite(site, lambda index: index.update(expires_at=int(time.time()) - 90))
    readings: list[Callable[[], object]] = [
        lambda: client.latest("edits"),
        lambda: client.document("edits", "drawing"),
        lambda: client.series("edits", "1h", testing.NOON, testing.NOON + DAY),
        lambda: client.key("builds", "owner-1", "f42"),
    ]
    for read in readings:
        with pytest.warns(Late, match=r"v1/index\.json expired \d+ s ago: the numbers may be old") as caught:
            read()
        assert caught[0].filename == __file__
    assert client.pin().is_late


# Signatures.


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[tuple[PublishedSite, Path]]:
    """A site whose index is signed, and the file of the public key."""
    key = write_key(tmp_path / "key.pem", Ed25519PrivateKey.generate())
    site = PublishedSite(tmp_path, interval=DAY, signing_keys=(key,))
    site.start()
    yield site, key.with_suffix(".pub")
    site.close()


def rewrite(site: PublishedSite, change: Callable[[Any], object]) -> None:
    """Change the index in its place."""
    index = site.json(INDEX)
    change(index)
    replace(site, canonical.dumps(index))


def replace(site: PublishedSite, index: bytes) -> None:
    """Put another index in its place."""
    (site.root / INDEX).unlink()
    # The server would send its compressed copy.
    (site.root / f"{INDEX}.gz").unlink(missing_ok=True)
    (site.root / INDEX).write_bytes(index)


def test_a_signed_site_is_read(signed: tuple[PublishedSite, Path]) -> None:
    """With a key, what an index names is read by its objects, and a document of a key by the manifests."""
    site, key = signed
    client = Client(site.root.as_uri(), keys=[key])
    assert client.latest("edits") == site.json("v1/plugins/edits/latest.json")
    assert client.key("builds", "owner-1", "f42") == site.json("v1/plugins/builds/by/owner-1.f42.json")


def test_with_keys_an_older_generation_is_refused(signed: tuple[PublishedSite, Path], tmp_path: Path) -> None:
    """A genuine index of yesterday is not used: by the same client, nor by a new process with the same cache."""
    site, key = signed
    old = (site.root / INDEX).read_bytes()
    site.take(line(EDIT, {"title": "Main"}, 100_000))
    site.publish()
    client = Client(site.root.as_uri(), tmp_path / "cache", keys=[key])
    current = client.discover()
    replace(site, old)
    assert client.discover() == current
    for _ in range(2):
        with pytest.raises(Outdated, match=r"has the generation 2, but 3 was read before: .* remove the cache"):
            Client(site.root.as_uri(), tmp_path / "cache", keys=[key]).latest("edits")
    assert Client(site.root.as_uri(), tmp_path / "other", keys=[key]).discover()["generation"] == 2
    assert Client(site.root.as_uri(), tmp_path / "cache").discover()["generation"] == 2


def test_the_newest_generation_is_remembered_whatever_else_the_cache_lets_go_of(tmp_path: Path) -> None:
    """What cannot be fetched again does not make room for what can, and does not take its room."""
    cache = DirectoryCache(tmp_path, largest=100)
    cache.put(f"a{caches.LASTING}", b"7")
    for number in range(20):
        cache.put(f"{number}.json", bytes(60))
    assert cache.get(f"a{caches.LASTING}") == b"7"


def test_an_older_index_of_a_cache_on_the_way_is_asked_for_again(
    signed: tuple[PublishedSite, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One edge of a CDN that is behind does not keep a new process from reading, if it can be told to look again."""
    site, key = signed
    old = (site.root / INDEX).read_bytes()
    site.take(line(EDIT, {"title": "Main"}, 100_000))
    site.publish()
    current = Client(site.root.as_uri(), tmp_path / "cache", keys=[key]).discover()
    changing = fetcher.Fetcher.changing
    monkeypatch.setattr(
        fetcher.Fetcher,
        "changing",
        lambda self, path, *, fresh: changing(self, path, fresh=fresh) if fresh else old,
    )
    assert Client(site.root.as_uri(), tmp_path / "cache", keys=[key]).discover() == current


def test_with_keys_an_expired_index_is_refused(
    signed: tuple[PublishedSite, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps back all newer ones is found out, unless the reader wants old numbers rather than none."""
    site, key = signed
    client = Client(site.root.as_uri(), keys=[key])
    pinned = client.pin()
    now = time.time() + 4 * DAY
    monkeypatch.setattr(time, "time", lambda: now)
    readings: list[Callable[[], object]] = [client.discover, client.pin, lambda: client.latest("edits")]
    for read in readings:
        with pytest.raises(Outdated, match=r"expired [\d,]+ s ago: .* `accept_expired=True`"):
            read()
    assert pinned.is_late
    patient = Client(site.root.as_uri(), keys=[key], accept_expired=True)
    assert patient.pin().is_late
    assert patient.discover() == pinned.index
    with pytest.warns(Late):
        patient.latest("edits")


def test_a_signed_reader_takes_no_document_of_a_key_that_the_index_does_not_cover(
    signed: tuple[PublishedSite, Path],
) -> None:
    """What is published before the signed index is refused until that follows."""
    site, key = signed
    client = Client(site.root.as_uri(), keys=[key])
    assert client.key("builds", "owner-1", "f42") == site.json("v1/plugins/builds/by/owner-1.f42.json")
    _half_published(site)
    with pytest.raises(Replaced):
        Client(site.root.as_uri(), keys=[key]).key("builds", "owner-1", "f42")


def test_an_altered_index_is_refused(signed: tuple[PublishedSite, Path]) -> None:
    """With a key, an index that is not as it was signed is an error, and so is one without signature."""
    site, key = signed
    client = Client(site.root.as_uri(), keys=[key])
    client.discover()
    for field, value in {"generation": 9, "through": 0, "slow_through": 0, "expires_at": 2**40, "plugins": []}.items():
        original = site.json(INDEX)
        replace(site, canonical.dumps(original | {field: value}))
        with pytest.raises(BadSignature):
            client.latest("edits")
        replace(site, canonical.dumps(original))
    forged = next(site.root.glob("v1/objects/*/*.json")).name
    rewrite(site, lambda index: index["plugins"][0]["documents"][0].update(object=forged))
    with pytest.raises(BadSignature):
        client.discover()
    rewrite(site, lambda index: index.update(signatures=[]))
    with pytest.raises(BadSignature):
        client.pin()


# Damage and hostile answers.


def replace_object(site: PublishedSite, path: str, data: bytes) -> None:
    """Put other bytes in the place of the object of a file."""
    name = f"{hashlib.sha256((site.root / path).read_bytes()).hexdigest()}.json"
    target = site.root / "v1/objects" / name[:2] / name
    target.unlink()
    target.write_bytes(data)


@pytest.mark.parametrize("data", [b"{}", b"x" * 100_000])
def test_other_bytes_than_announced_are_refused(site: PublishedSite, data: bytes) -> None:
    """An object whose bytes are not those of its name is an error, and is not read beyond its size."""
    replace_object(site, "v1/plugins/edits/latest.json", data)
    with pytest.raises(Damaged, match=r"do not match its name|more than"):
        Client(site.root.as_uri()).latest("edits")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"schema":"statscache/index/2"}', b'{"schema":"statscache/index/1"}', b"[" * 100_000]
)
def test_what_is_no_index_is_refused(site: PublishedSite, data: bytes) -> None:
    """An index that is none is an error of its own."""
    (site.root / INDEX).unlink()
    (site.root / INDEX).write_bytes(data)
    with pytest.raises(Damaged):
        Client(site.root.as_uri()).discover()


def broken(document: Any) -> Iterator[Any]:
    """Yield the document again and again, with each of its fields left out once, and of another type once."""
    for where in (document, *(value[0] for value in document.values() if isinstance(value, list) and value)):
        for field in list(where) if isinstance(where, dict) else []:
            kept = where.pop(field)
            yield document
            for other in (None, [1], {"a": 1}, "x", -1):
                where[field] = other
                yield document
            where[field] = kept
        for at in range(len(where)) if isinstance(where, list) else []:
            kept = where[at]
            where[at] = {}
            yield document
            where[at] = kept


@pytest.mark.filterwarnings("ignore::statscache.client.Late")
@pytest.mark.parametrize("name", ["index", "reference", "series/1d/index", "series/1d/2015"])
def test_what_breaks_the_format_is_damaged(site: PublishedSite, name: str) -> None:
    """A field that is missing or of another type is an error of the client's own, or is not needed."""
    index = site.json(INDEX)
    edits = next(plugin for plugin in index["plugins"] if plugin["name"] == "edits")
    index["plugins"] = [edits]
    listed = site.json("v1/plugins/edits/series/1d/index.json")
    client = partial(Client, site.root.as_uri())
    reference = next(one for one in edits["documents"] if one["path"] == "v1/plugins/edits/series/1d/index.json")

    def publish(value: Any, data: bytes) -> None:
        name = f"{canonical.digest(data)}.json"
        path = site.root / "v1/objects" / name[:2] / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        value.update(object=name, size=len(data))

    wrong = 0
    document = {
        "index": index, "reference": edits,
        "series/1d/index": listed, "series/1d/2015": site.json("v1/plugins/edits/series/1d/2015.json"),
    }[name]  # fmt: skip
    for _ in broken(document):
        if name == "series/1d/2015":
            publish(listed["periods"][0], canonical.dumps(document))
        if name.startswith("series"):
            publish(reference, canonical.dumps(listed))
        (site.root / INDEX).write_bytes(canonical.dumps(index))
        try:
            client().series("edits", "1d", testing.NOON, testing.NOON + DAY)
            client().latest("edits")
        except (Damaged, NotPublished):
            wrong += 1
    assert wrong > 5


@pytest.mark.parametrize("name", ["../../../etc/passwd", "a" * 64 + ".json/../../..", "A" * 64 + ".json"])
def test_names_that_lead_elsewhere_are_refused(site: PublishedSite, name: str) -> None:
    """The name of an object that is none is not asked for."""
    rewrite(site, lambda index: index["plugins"][0]["documents"].append(
        {"path": "v1/plugins/builds/x.json", "object": name, "size": 1}
    ))  # fmt: skip
    with pytest.raises(Damaged, match="does not name an object"):
        Client(site.root.as_uri()).document("builds", "x")


def test_no_site_is_distinguished_from_an_empty_one(tmp_path: Path) -> None:
    """Where nothing is published, and where no one listens, the error says so."""
    with pytest.raises(Missing, match="is this the root"):
        Client(tmp_path.as_uri()).discover()
    with pytest.raises(Unreachable):
        Client("http://127.0.0.1:9/", timeout=1).discover()
    with pytest.raises(ValueError, match="not the address"):
        Client("ftp://127.0.0.1/")


class Answers(http.server.BaseHTTPRequestHandler):
    """A server that answers from a list, one after the other."""

    answers: list[tuple[int, dict[str, str], bytes]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the next answer."""
        status, headers, body = self.answers.pop(0)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[str]:
    """Serve a list of answers."""
    handler = type("Listed", (Answers,), {"answers": list(answers)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with serving(server) as url:
        yield url


def test_what_fails_for_a_moment_is_tried_again(original: PublishedSite) -> None:
    """A server error, and an incomplete answer, are followed by another attempt."""
    index = (original.root / INDEX).read_bytes()
    short = 200, {"Content-Length": str(len(index))}, index[:100]
    packed = {"Content-Encoding": "gzip"}
    with answering((503, {}, b""), short, (200, packed, gzip.compress(index))) as url:
        assert Client(url).discover() == original.json(INDEX)
    torn = gzip.compress(index)[:-20]
    with answering((200, packed, torn), (200, packed, torn), (500, {}, b"")) as url, pytest.raises(Unreachable):
        Client(url).discover()


def test_bombs_are_not_unpacked(original: PublishedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that unpacks to more than any file may have is given up."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
    with answering((200, {"Content-Encoding": "gzip"}, bomb)) as url, pytest.raises(Damaged, match="more than"):
        Client(url).discover()
    with answering((200, {"Content-Encoding": "br"}, b"")) as url, pytest.raises(Damaged, match="encoding br"):
        Client(url).discover()


def test_refusals_are_not_repeated() -> None:
    """What a server forbids is not asked for again."""
    with answering((403, {}, b"")) as url, pytest.raises(Unreachable, match="403"):
        Client(url).discover()


def test_the_standard_library_is_enough(original: PublishedSite) -> None:
    """The client imports nothing that Python does not bring."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from statscache.client import Client\n"
        f"print(Client({original.root.as_uri()!r}).latest('edits')['plugin'])"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("edits", "")

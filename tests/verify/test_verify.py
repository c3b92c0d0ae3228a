"""`statscache verify`: a sound tree is found sound, each fault is found and named, and no tree leads it astray."""

import gzip
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from commands import Home
from conftest import ROOT
from kills import STRIDE, Killed, Steps, target_operations
from loopback import serving
from published import BUILD, EDIT, PublishedSite, line
from statscache import canonical, layout
from statscache.cli import cli
from statscache.publish.headers import cache_control, content_type
from statscache.service import preview
from statscache.service.publishing import Publishing
from statscache.verify import Directory, Report, Unreachable, Website, Weight, verify
from statscache.verify import tree as tree_module
from statscache.verify.reader import FINISHED
from web_servers import Nginx

INDEX = "v1/index.json"

INTERVAL = 86_400
"""Seconds between publications, as the index says: it must not expire while others of these tests take their time."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublishedSite]:
    """A sound site of two snapshots, that no one changes."""
    site = PublishedSite(tmp_path_factory.mktemp("verify"), interval=INTERVAL)
    site.start()
    yield site
    site.close()


@pytest.fixture
def root(original: PublishedSite, tmp_path: Path) -> Path:
    """A copy of the sound tree, to be damaged."""
    return Path(shutil.copytree(original.root, tmp_path / "public", copy_function=os.link))


def check(root: Path) -> Report:
    """Verify a directory."""
    return verify(Directory(root))


def faults(root: Path) -> list[tuple[str, str, str]]:
    """Return weight, path and problem of each fault of a directory."""
    return [(finding.weight.name, finding.path, finding.problem) for finding in check(root).faults]


def load(root: Path, path: str) -> Any:
    """Return the content of a JSON file."""
    return orjson.loads((root / path).read_bytes())


def write(root: Path, path: str, data: bytes) -> None:
    """Write a file in the place of one, and of its compressed sibling; others that share its bytes keep them."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).unlink(missing_ok=True)
    (root / path).write_bytes(data)
    (root / f"{path}.gz").unlink(missing_ok=True)


def rewrite(root: Path, path: str, change: Callable[[Any], object]) -> None:
    """Change the content of a JSON file outside the snapshot."""
    value = load(root, path)
    change(value)
    write(root, path, canonical.dumps(value))


def put(root: Path, data: bytes, extension: str = "json") -> dict[str, Any]:
    """Write an object, and return what a manifest says of it."""
    name = f"{canonical.digest(data)}.{extension}"
    write(root, f"v1/objects/{name[:2]}/{name}", data)
    return {"object": name, "size": len(data)}


def put_manifest(root: Path, kind: str, entries: Mapping[str, Any], *, split: bool = False) -> dict[str, Any]:
    """Write a manifest, and return what another manifest says of it."""
    data = canonical.dumps({"schema": "statscache/manifest/1", "split": split, "entries": entries})
    return {"type": kind, **put(root, data)}


def point_to(root: Path, entries: Mapping[str, Any]) -> None:
    """Make a forged tree with these entries in its root the current snapshot."""
    name = put_manifest(root, "tree", entries)["object"]
    identity = name.partition(".")[0]
    shutil.copy(root / f"v1/objects/{name[:2]}/{name}", root / f"v1/snapshots/{identity}.json")
    rewrite(
        root,
        INDEX,
        lambda index: index.update(snapshot=identity, manifest=f"v1/snapshots/{identity}.json", plugins=[]),
    )


def object_of(root: Path, path: str) -> str:
    """Return the path of the object with the bytes of a file."""
    name = f"{canonical.digest((root / path).read_bytes())}.{path.rpartition('.')[2]}"
    return f"v1/objects/{name[:2]}/{name}"


# Sound trees.


def test_a_sound_directory_is_found_sound(original: PublishedSite) -> None:
    """Nothing is wrong with what a publisher made, and everything of it was seen."""
    report = check(original.root)
    assert report.findings == []
    assert report.snapshot == original.json(INDEX)["snapshot"]
    assert (report.generation, report.snapshots) == (2, 2)
    outside = (
        "v1/objects/",
        "v1/snapshots/",
        INDEX,
        "v1/status.json",
        "v1/changes.json",
        "feeds/changes.xml",
        ".statscache/",
    )
    files = [path.relative_to(original.root).as_posix() for path in original.root.rglob("*") if path.is_file()]
    plain = [path for path in files if not path.endswith(".gz")]
    assert report.files == len([path for path in plain if not path.startswith(outside)])
    assert report.objects == len([path for path in plain if path.startswith("v1/objects/")])


def test_a_publication_that_was_killed_is_no_fault(tmp_path: Path) -> None:
    """At any operation: what it had brought is noted, with what finishes it; true faults are still found."""
    site = PublishedSite(tmp_path, interval=INTERVAL)
    site.start()
    at, mixed = 0, 0
    while True:
        at += 3 * STRIDE
        site.take(line(EDIT, {"title": f"Page {at}"}, 90_002 + at), line(BUILD, {"owner": f"new-{at}"}, 90_003 + at))
        try:
            with target_operations(Steps(at)):
                site.publish()
        except Killed:
            site.installation.database.engine.dispose()
        else:
            break
        report = check(site.root)
        assert report.faults == [], at
        noted = [finding for finding in report.findings if finding.problem.endswith(FINISHED)]
        assert (layout.PENDING in {finding.path for finding in noted}) == (site.root / layout.PENDING).exists()
        for finding in noted:
            if finding.problem.startswith("it belongs to a publication") and not finding.path.endswith(".gz"):
                mixed = max(mixed, finding.others)
                write(site.root, finding.path, b"{}")
                assert ("BROKEN", finding.path) in {fault[:2] for fault in faults(site.root)}
                Publishing(site.installation).publish(force=True)
        if at % 2:
            Publishing(site.installation).publish(force=True)
            report = check(site.root)
            assert not [finding for finding in report.findings if finding.weight < Weight.NOTE or finding in noted]
    site.close()
    assert at > 60, "hardly anything was interrupted"
    assert mixed > 3


@contextmanager
def served(root: Path, handler: type[SimpleHTTPRequestHandler] | None = None) -> Iterator[str]:
    """Serve a directory; give its address."""
    if handler is None:
        server = preview.server(root, 0)
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root)))
    with serving(server) as url:
        yield url


def test_a_sound_website_is_found_sound(original: PublishedSite) -> None:
    """Nothing is wrong with a sound tree behind a server that follows the rules."""
    with served(original.root) as url:
        report = verify(Website(url))
    assert report.faults == []
    assert report.objects == check(original.root).objects


def test_a_site_may_lie_below_a_path(original: PublishedSite, tmp_path: Path) -> None:
    """A site is verified as well below a path of its server; the caching rules are those of the site's root."""
    (tmp_path / "stats").symlink_to(original.root)
    with served(tmp_path, type("Below", (Strict,), {"below": "/stats/"})) as url:
        assert verify(Website(f"{url}stats")).faults == []


def test_a_site_behind_the_documented_nginx_is_found_sound(original: PublishedSite) -> None:
    """Nothing is wrong with a tree that nginx serves as the documentation tells it to, compressed siblings and all."""
    if Nginx.path() is None:
        pytest.skip(f"no nginx is installed (Debian: {Nginx.package})")
    with Nginx(ROOT / "docs/nginx.conf") as server:
        shutil.copytree(original.root, server.root, dirs_exist_ok=True)
        assert verify(Website(f"http://127.0.0.1:{server.port}/")).findings == []


# Damage, one by one.


def test_a_changed_byte_of_an_object_is_found(root: Path) -> None:
    """An object with other bytes than its name says is broken, and so is its readable path."""
    path = object_of(root, "v1/plugins/edits/latest.json")
    write(root, path, (root / path).read_bytes().replace(b"Main", b"Niam"))
    assert [("BROKEN", path, "its bytes do not match the digest in its name")] == faults(root)


def test_a_missing_object_is_found(root: Path) -> None:
    """An object that is not there is broken."""
    path = object_of(root, "v1/plugins/edits/latest.json")
    (root / path).unlink()
    (root / f"{path}.gz").unlink(missing_ok=True)
    assert ("BROKEN", path, "the file is missing, but referred to") in faults(root)


def test_a_stale_alias_is_found(root: Path) -> None:
    """A readable path with other bytes than its object is broken, also if they are sound by themselves."""
    older = (root / "v1/plugins/builds/latest.json").read_bytes()
    write(root, "v1/plugins/edits/latest.json", older)
    (found,) = faults(root)
    assert found[:2] == ("BROKEN", "v1/plugins/edits/latest.json")


def test_a_missing_manifest_of_an_older_snapshot_is_found(root: Path) -> None:
    """Each snapshot that changes.json lists has its root manifest."""
    parent = load(root, INDEX)["parent"]
    (root / f"v1/snapshots/{parent}.json").unlink()
    assert ("BROKEN", f"v1/snapshots/{parent}.json", "the file is missing, but referred to") in faults(root)


def test_a_missing_object_of_an_older_snapshot_is_found(root: Path) -> None:
    """An object that only an older snapshot refers to must still be there."""
    before = {path.name for path in (root / "v1/objects").rglob("*.csv")}
    current = {
        object_of(root, str(path.relative_to(root))).rpartition("/")[2] for path in root.rglob("v1/plugins/**/*.csv")
    }
    (name, *_) = sorted(before - current)
    for path in root.glob(f"v1/objects/{name[:2]}/{name}*"):
        path.unlink()
    assert [("BROKEN", f"v1/objects/{name[:2]}/{name}", "the file is missing, but referred to")] == faults(root)


def test_a_wrong_root_manifest_is_found(root: Path) -> None:
    """A root manifest whose digest is not the snapshot's id is not followed."""
    index = load(root, INDEX)
    write(root, index["manifest"], (root / f"v1/snapshots/{index['parent']}.json").read_bytes())
    report = check(root)
    assert report.files == 0
    assert ("BROKEN", index["manifest"], "its digest is not the id of the snapshot") in faults(root)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda index: index.pop("through"), "schema index: through"),
        (lambda index: index.update(generation="2"), "schema index: generation"),
        (lambda index: index.update(manifest="v1/snapshots/../index.json"), "not that of its snapshot"),
        (lambda index: index.update(expires_at=index["expires_at"] + 1), "3 intervals"),
        (lambda index: index["plugins"][0]["documents"].pop(), "it does not list v1/plugins/builds/"),
        (lambda index: index["plugins"].pop(0), "none of its plugins has the file v1/plugins/builds/"),
        (lambda index: index["plugins"].reverse(), "not sorted by name"),
        (lambda index: index["plugins"][0]["documents"][0].update(size=1), "refers to bytes of"),
        (lambda index: index["plugins"][0]["documents"][0].update(path="../../etc/passwd"), "not in the snapshot"),
        (lambda index: index.update(through=1), "is later than that of the pointer"),
        (lambda index: index.update(generated_at=1 << 40, expires_at=(1 << 40) + 180), "s in the future"),
    ],
)
def test_faults_of_the_pointer_are_found(root: Path, change: Callable[[Any], object], said: str) -> None:
    """The pointer satisfies its schema, and what it says agrees with the snapshot."""
    rewrite(root, INDEX, change)
    assert any(said in problem for _, _, problem in faults(root))


@pytest.mark.parametrize("path", ["v1/status.json", "v1/changes.json"])
def test_faults_beside_the_snapshot_are_found(root: Path, path: str) -> None:
    """Status and changes are there, and satisfy their schemas."""
    rewrite(root, path, lambda document: document.update(schema="statscache/other/1"))
    assert [(weight, where) for weight, where, _ in faults(root)][:1] == [("WRONG", path)]
    (root / path).unlink()
    assert ("BROKEN", path, "the file is missing, but referred to") in faults(root)


def test_json_that_is_not_canonical_is_found(root: Path) -> None:
    """A pointer with a needless space is not canonical JSON."""
    write(root, INDEX, (root / INDEX).read_bytes().replace(b":", b": ", 1))
    assert faults(root) == [("WRONG", INDEX, "it is not canonical JSON")]


def test_a_late_publisher_is_found(root: Path) -> None:
    """A pointer that expired tells that the publisher is late."""
    rewrite(root, INDEX, lambda index: index.update(generated_at=1_000_000, expires_at=1_000_180, interval=60))
    ((weight, path, problem),) = faults(root)
    assert (weight, path) == ("LATE", INDEX)
    assert problem.startswith("it expired 1,7")


def test_orphans_are_found(root: Path) -> None:
    """A file that no one refers to is reported; what a publisher notes to itself is none."""
    write(root, "v1/plugins/gone/latest.json", b"{}\n")
    write(root, "v1/objects/00/left.json", b"{}\n")
    write(root, ".statscache/note", b"")
    write(root, "v1/pending.json", b"{}\n")
    assert faults(root) == [
        ("ORPHAN", "v1/objects/00/left.json", "nothing refers to it, and its bytes do not match its name"),
        ("ORPHAN", "v1/plugins/gone/latest.json", "nothing refers to it"),
    ]


@pytest.mark.parametrize(("age", "weight"), [(0, "NOTE"), (10 * 86400, "ORPHAN"), (40 * 86400, "NOTE")])
def test_an_object_may_wait_for_its_referrer_or_its_end(root: Path, age: int, weight: str) -> None:
    """An object may be on its way to a snapshot, or outlive one that is older than all others; not lie in between."""
    name = put(root, b"{}\n")["object"]
    now = time.time()
    os.utime(root / f"v1/objects/{name[:2]}/{name}", (now, now - age))
    for path in root.glob("v1/snapshots/*.json"):
        os.utime(path, (now, now - 30 * 86400))
    (found,) = check(root).findings
    assert (found.weight.name, found.path) == (weight, f"v1/objects/{name[:2]}/{name}")


def test_a_root_manifest_may_outlive_the_list(root: Path) -> None:
    """A snapshot that is retained no longer stays for its grace; a manifest of another name is an orphan."""
    name = put(root, b"{}\n")["object"]
    write(root, f"v1/snapshots/{name}", b"{}\n")
    write(root, f"v1/snapshots/{'0' * 64}.json", b"{}\n")
    assert {(found.weight.name, found.path) for found in check(root).findings} == {
        ("NOTE", f"v1/objects/{name[:2]}/{name}"),
        ("ORPHAN", f"v1/snapshots/{'0' * 64}.json"),
    }


def test_compressed_siblings_are_read(root: Path) -> None:
    """A compressed sibling that says something else, cannot be unpacked or has no original is broken."""
    index = (root / INDEX).read_bytes()
    write(root, f"{INDEX}.gz", gzip.compress(index + b" "))
    write(root, "v1/status.json.gz", b"no gzip")
    write(root, "v1/changes.json.zst", b"\x28\xb5\x2f\xfd")
    write(root, "v1/absent.json.gz", gzip.compress(b""))
    found = {(weight, path) for weight, path, _ in faults(root)}
    assert found >= {("BROKEN", f"{INDEX}.gz"), ("BROKEN", "v1/status.json.gz"), ("ORPHAN", "v1/absent.json.gz")}
    write(root, f"{INDEX}.gz", gzip.compress(index))
    assert f"{INDEX}.gz" not in {path for _, path, _ in faults(root)}


def test_faults_stand_in_order_of_weight(root: Path) -> None:
    """The gravest fault comes first."""
    write(root, "orphan.txt", b"")
    rewrite(root, INDEX, lambda index: index.update(generated_at=1_000_000, expires_at=1_000_180, interval=61))
    (root / object_of(root, "v1/plugins/edits/latest.json")).unlink()
    assert [weight for weight, *_ in faults(root)] == sorted(
        (weight for weight, *_ in faults(root)), key=[weight.name for weight in Weight].index
    )
    assert {"BROKEN", "WRONG", "LATE", "ORPHAN"} <= {weight for weight, *_ in faults(root)}


# Documents that agree with their digests, but not with the format.


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (
            "v1/plugins/p/latest.json",
            {"schema": "statscache/latest/1", "plugin": "q", "through": 1, "rows": []},
            "plugin 'q'",
        ),
        ("v1/plugins/p/latest.json", {"schema": "statscache/latest/1", "plugin": "p", "rows": []}, "through"),
        (
            "v1/plugins/p/other.json",
            {"schema": "statscache/latest/1", "plugin": "p", "through": 1},
            "statscache/latest/1",
        ),
        ("v1/plugins/p/badge.json", {"schemaVersion": 2, "label": "a", "message": "b"}, "schemaVersion"),
        (
            "v1/plugins/p/by/b.json",
            {
                "schema": "statscache/key/1",
                "plugin": "p",
                "key": ["a"],
                "total": 1,
                "first": 1,
                "last": 1,
                "years": [],
                "days": {},
                "gaps": [],
                "through": 1,
            },
            "belongs at v1/plugins/p/by/a.json",
        ),
        (
            "v1/plugins/p/by/a/2013.json",
            {
                "schema": "statscache/key-year/1",
                "plugin": "p",
                "key": ["a"],
                "year": 2012,
                "total": 1,
                "days": {},
                "gaps": [],
                "through": 1,
            },
            "belong at v1/plugins/p/by/a/2012.json",
        ),
    ],
)
def test_documents_are_read(root: Path, path: str, content: Any, said: str) -> None:
    """A document whose digest is right is held against its schema and its path anyway."""
    data = canonical.dumps(content)
    write(root, path, data)
    point_to(root, {"data": nested(root, path, {"type": "file", **put(root, data)}, "subtree")})
    assert any(where == path and said in problem for _, where, problem in faults(root))


def nested(root: Path, path: str, entry: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Write the manifests that lead to one entry, and return what names the first of them."""
    *above, name = layout.steps(path)
    made = {name: entry}
    for directory in reversed(above):
        made = {directory: put_manifest(root, "tree", made)}
    return put_manifest(root, kind, made)


# Hostile trees.


@pytest.mark.parametrize("name", ["..", ".", "", "../../../etc", "a/b", "a\\b", "a\x00b", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(root: Path, name: str) -> None:
    """A name in a manifest that is not a plain name is reported, and nothing is read there."""
    secret = {"type": "file", **put(root, b"secret\n", "txt")}
    point_to(root, {"site": put_manifest(root, "subtree", {name: secret})})
    assert any("is not the name of a file or directory" in problem for _, _, problem in faults(root))
    assert check(root).files == 0


@pytest.mark.parametrize("name", ["../latest.json", "a/../../latest.json", "a//b.json", "/etc/passwd", "a/./b.json"])
def test_names_of_several_parts_are_looked_at_in_each(root: Path, name: str) -> None:
    """Where documents of keys are, a name may have a slash; no part of it leads elsewhere."""
    entry: dict[str, Any] = {"type": "path", "digest": "0" * 64, "size": 7}
    by = put_manifest(root, "tree", {"a/2013.json": entry, name: entry})
    plugin = put_manifest(root, "tree", {"p": put_manifest(root, "tree", {"by": by})})
    data = put_manifest(root, "subtree", {"v1": put_manifest(root, "tree", {"plugins": plugin})})
    point_to(root, {"data": data})
    found = [problem for _, _, problem in faults(root) if "is not the name of a file or directory" in problem]
    assert found == [f"{name!r} is not the name of a file or directory"]


@pytest.mark.parametrize("name", ["../../secret.json", "/etc/passwd", "0" * 64 + ".json/../x", "A" * 64 + ".json"])
def test_objects_that_lead_elsewhere_are_refused(root: Path, name: str) -> None:
    """What is not the name of an object is not read, whoever refers to it."""
    point_to(root, {"site": put_manifest(root, "subtree", {"a.json": {"type": "file", "object": name, "size": 1}})})
    assert any("it is not a manifest" in problem for _, _, problem in faults(root))


def test_links_that_leave_the_tree_are_refused(root: Path, tmp_path: Path) -> None:
    """A link out of the directory is not followed, whether it stands for a file or for a directory."""
    (tmp_path / "secret.csv").write_bytes((root / "v1/plugins/edits/latest.csv").read_bytes())
    (root / "v1/plugins/edits/latest.csv").unlink()
    (root / "v1/plugins/edits/latest.csv").symlink_to(tmp_path / "secret.csv")
    shutil.move(root / "v1/plugins/builds", tmp_path / "builds")
    (root / "v1/plugins/builds").symlink_to(tmp_path / "builds")
    found = faults(root)
    leading_out = [path for _, path, problem in found if problem == "it is a link that leads out of the tree"]
    assert "v1/plugins/edits/latest.csv" in leading_out
    assert "v1/plugins/builds/latest.json" in leading_out


def test_links_in_a_ring_and_pipes_are_no_trap(root: Path) -> None:
    """A link to itself and a named pipe are told, and no one waits for them."""
    for path in ("v1/status.json", "v1/changes.json"):
        (root / path).unlink()
    (root / "v1/status.json").symlink_to("status.json")
    os.mkfifo(root / "v1/changes.json")
    found = {path: problem for _, path, problem in faults(root)}
    assert found["v1/changes.json"] == "it is not a plain file"
    assert "v1/status.json" in found


def test_a_file_beyond_its_size_is_not_read_on(root: Path) -> None:
    """A file that is larger than announced is given up."""
    path = object_of(root, "v1/plugins/edits/latest.json")
    write(root, path, b"x" * 100_000)
    (found,) = [problem for _, where, problem in faults(root) if where == path]
    assert "has more than" in found


def test_a_size_beyond_measure_is_not_believed(root: Path) -> None:
    """An entry of a petabyte is reported, and nothing is read."""
    entry = {"type": "file", **put(root, b"{}\n", "txt")} | {"size": 1 << 50}
    point_to(root, {"site": put_manifest(root, "subtree", {"a.txt": entry})})
    assert any("1,125,899,906,842,624 bytes; at most" in problem for _, _, problem in faults(root))


def test_a_bomb_of_manifests_is_not_walked_through(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few manifests that name each other a thousand times do not make a million paths that are walked."""
    monkeypatch.setattr(tree_module, "MOST_PATHS", 5_000)
    entry = put_manifest(root, "tree", {"a.txt": {"type": "file", **put(root, b"bomb", "txt")}})
    for _ in range(8):
        entry = put_manifest(root, "tree", {f"d{number}": entry for number in range(100)})
    point_to(root, {"site": {**entry, "type": "subtree"}})
    started = time.monotonic()
    assert any("is not walked further" in problem for _, _, problem in faults(root))
    assert time.monotonic() - started < 30


def test_a_deep_tree_is_not_walked_through(root: Path) -> None:
    """Directories in directories without end are given up."""
    entry = put_manifest(root, "tree", {})
    for _ in range(tree_module.DEEPEST + 5):
        entry = put_manifest(root, "tree", {"d": entry})
    point_to(root, {"site": {**entry, "type": "subtree"}})
    assert any("directories deep" in problem for _, _, problem in faults(root))


def test_manifests_obey_the_rules_of_splitting(root: Path) -> None:
    """A directory that is split without need, not split in need, or split wrongly, is reported."""
    file = {"type": "file", **put(root, b"same", "txt")}
    part = {f"{number}.txt": file for number in range(65)}
    site = put_manifest(root, "subtree", {"large": put_manifest(root, "tree", part)})
    point_to(root, {"site": site})
    assert any("it has 65 entries, but is not split" in problem for _, _, problem in faults(root))
    few = put_manifest(root, "split", {"a.txt": file})
    point_to(root, {"site": put_manifest(root, "subtree", {"0": few}, split=True)})
    found = [problem for _, _, problem in faults(root)]
    assert "it is split at 1 entries; expected over 64" in found
    assert "'a.txt' is listed in the part 0" in found


def test_files_in_the_wrong_place_are_found(root: Path) -> None:
    """A snapshot holds neither its own pointer nor objects, and each file is in its own subtree."""
    file = {"type": "file", **put(root, b"{}\n")}
    v1 = put_manifest(root, "tree", {"index.json": file, "x.json": file})
    point_to(root, {"site": put_manifest(root, "subtree", {"v1": v1, "x.csv": file}), "more": {**v1, "type": "tree"}})
    found = [problem for _, _, problem in faults(root)]
    assert "v1/index.json is in the snapshot, but belongs outside" in found
    assert "v1/x.json belongs in the subtree data" in found
    assert any("has another extension" in problem for problem in found)
    assert "'more' of type tree is not a subtree" in found


# Web servers.


class Strict(SimpleHTTPRequestHandler):
    """A server that follows the rules; the others break one of them each."""

    below = "/"

    def end_headers(self) -> None:
        """Send what the format asks for."""
        path = self.path.removeprefix(self.below)
        for name, value in self.extra(path).items():
            self.send_header(name, value)
        super().end_headers()

    def extra(self, path: str) -> dict[str, str]:
        """Return the headers besides those of the base class."""
        return {"Cache-Control": cache_control(path), "Access-Control-Allow-Origin": "*"}

    def guess_type(self, path: Any) -> str:
        """Return the content type with its charset."""
        return content_type(str(path))

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Uncached(Strict):
    """Sends no rule of caching, no CORS, and content types without charset."""

    def extra(self, path: str) -> dict[str, str]:
        """Return nothing."""
        return {}

    def guess_type(self, path: Any) -> str:
        """Return no content type that says anything."""
        return "text/plain"


class Compressing(Strict):
    """Compresses what it sends."""

    times = 1
    vary = True

    def do_GET(self) -> None:
        """Send the file compressed to clients that accept that."""
        path = Path(self.translate_path(self.path))
        if (
            "gzip" not in self.headers.get("Accept-Encoding", "")
            or "If-Modified-Since" in self.headers
            or not path.is_file()
        ):
            super().do_GET()
            return
        data = path.read_bytes()
        for _ in range(self.times):
            data = gzip.compress(data, 1)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", self.date_time_string(int(path.stat().st_mtime)))
        if self.vary:
            self.send_header("Vary", "Accept-Encoding")
        self.end_headers()
        self.wfile.write(data)


class CompressingTwice(Compressing):
    """Compresses what is compressed."""

    times = 2


class CompressingWithoutVary(Compressing):
    """Does not tell caches that there are two forms."""

    vary = False


class Redirecting(Strict):
    """Leads to another server."""

    def do_GET(self) -> None:
        """Send the reader away."""
        self.send_response(302)
        self.send_header("Location", "http://192.0.2.1/")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_headers_are_checked(root: Path) -> None:
    """Missing rules of caching, CORS and content types are told, each once, with the number of files."""
    with served(root, Uncached) as url:
        report = verify(Website(url))
    found = {finding.problem: finding.others for finding in report.faults if finding.weight is Weight.SERVED}
    assert found["Cache-Control is missing; expected 'public, max-age=31536000, immutable'"] > 50
    assert found["Cache-Control is missing; expected 'public, max-age=60'"] > 50
    assert "Access-Control-Allow-Origin is missing; expected '*'" in found
    assert "Content-Type is 'text/plain'; expected 'application/json; charset=utf-8'" in found


def test_compression_is_understood(root: Path) -> None:
    """A server that compresses once, and tells caches so, is in order."""
    with served(root, Compressing) as url:
        assert verify(Website(url)).findings == []


def test_compression_twice_is_found(root: Path) -> None:
    """A server that compresses twice sends other bytes than were published."""
    with served(root, CompressingTwice) as url:
        found = [finding.problem for finding in verify(Website(url)).faults]
    assert any("compressed twice" in problem for problem in found)


def test_compression_without_vary_is_found(root: Path) -> None:
    """A server whose compressed answers a cache may give to anyone is reported."""
    with served(root, CompressingWithoutVary) as url:
        found = [finding.problem for finding in verify(Website(url)).faults]
    assert found == [
        "it is compressed without Vary: Accept-Encoding; a cache may give it to clients that cannot read it"
    ]


def test_redirections_are_not_followed(root: Path) -> None:
    """A server that leads elsewhere is reported, and nothing is read there."""
    with served(root, Redirecting) as url:
        (found,) = verify(Website(url)).faults
    assert found.problem == "it is redirected to 'http://192.0.2.1/'"


def test_a_site_that_publishes_meanwhile_is_found_sound(tmp_path: Path) -> None:
    """A site that goes on publishing while it is verified is sound, whatever the moment."""
    site = PublishedSite(tmp_path)
    site.start()
    seen: list[str] = []

    def publish_once(what: str, done: int, total: int) -> None:
        if what == "files" and not seen:
            seen.append(what)
            site.take(line(EDIT, {"title": "New"}, 90_100))
            site.publish()

    report = verify(Directory(site.root), tell=publish_once)
    assert seen
    assert report.faults == []
    assert report.generation == 3
    site.close()


# The command.


def run(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit status and standard output."""
    result = CliRunner().invoke(cli, ["verify", *arguments])
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_exits_0_for_a_sound_tree(original: PublishedSite) -> None:
    """A sound tree gives exit status 0, and says what was seen."""
    status, out = run(str(original.root))
    assert status == 0
    assert "no faults" in out


def test_the_command_exits_3_for_a_damaged_tree(root: Path) -> None:
    """A fault gives exit status 3, and the same findings as JSON."""
    (root / "v1/status.json").unlink()
    status, out = run(str(root), "--json")
    result = orjson.loads(out)
    assert (status, result["faults"]) == (3, len(result["findings"]))
    assert result["findings"][0]["path"] == "v1/status.json"


def test_the_command_shows_no_control_characters(root: Path) -> None:
    """A hostile name reaches the terminal as text."""
    write(root, "\x1b[2Jhidden", b"")
    _, out = run(str(root))
    assert "\x1b" not in out
    assert r"\x1b[2Jhidden" in out


@pytest.mark.parametrize("place", ["nowhere", "http://127.0.0.1:9/", "ftp://127.0.0.1/"])
def test_what_cannot_be_reached_is_no_verdict(place: str) -> None:
    """A place that cannot be reached at all is an error of its own, which ends with exit status 1."""
    with pytest.raises(Unreachable):
        run(place)


def test_a_server_that_is_down_is_said_in_one_line(tmp_path: Path) -> None:
    """The tries of the library that fetches are no one's business."""
    done = Home(tmp_path / "home").run("verify", "http://127.0.0.1:9/", status=1)
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert said.startswith("statscache: http://127.0.0.1:9/ cannot be reached: ")


@pytest.mark.parametrize("arguments", [[], ["public", "--journal"]])
def test_one_thing_is_verified(arguments: list[str]) -> None:
    """The command takes a place or --journal, not both and not neither."""
    assert run(*arguments)[0] == 2

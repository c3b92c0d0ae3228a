"""The directory target: what a change costs, what stays, and what two publishers do to each other."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from samples import NOON, Buyers, Line, Prices, Site, follow, line, published_files
from statscache import canonical
from statscache.exceptions import PublisherBusy, PublishError
from statscache.publish.directory import DirectoryTarget
from statscache.publish.target import File
from statscache.store import locks


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of which one snapshot is published."""
    made = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Buyers, Prices))
    made.feed([sale(0, "a"), sale(1, "b")])
    made.publish()
    yield made
    made.close()


def sale(number: int, buyer: str) -> Line:
    """Return a message."""
    return line(f"s{number}", NOON + number, body={"buyer": buyer, "thing": "hat"})


def test_what_did_not_change_is_not_written_again(site: Site) -> None:
    """A publication without news renews pointer and status; one with news leaves other files alone."""
    before = {path: path.stat().st_ino for path in site.public.rglob("*.json")}
    snapshot, report = site.report()
    assert (snapshot.generation, report.objects, report.files) == (1, 0, 2)
    site.feed([sale(2, "b")])
    snapshot, report = site.report()
    assert snapshot.generation == 2
    same = site.public / "v1/plugins/buyers/by/a.json"
    other = site.public / "v1/plugins/buyers/by/b.json"
    assert same.stat().st_ino == before[same]
    assert other.stat().st_ino != before[other]


def test_the_snapshot_of_the_same_content_keeps_its_generation(site: Site) -> None:
    """Copies, restarts and a forced render are not news: same id, same generation, same parent."""
    before = site.document("v1/index.json")
    site.feed([sale(0, "a")])
    reopened = site.reopened()
    reopened.publish(force=True)
    after = site.document("v1/index.json")
    assert [after[name] for name in ("snapshot", "generation", "parent")] == [before["snapshot"], 1, None]
    reopened.close()


def test_parent_and_changes_lead_back(site: Site) -> None:
    """Each snapshot names its parent, and the list of changes names the documents, newest first."""
    first = site.document("v1/index.json")["snapshot"]
    site.feed([sale(2, "c")])
    site.publish()
    index, changes = site.document("v1/index.json"), site.document("v1/changes.json")["snapshots"]
    assert index["parent"] == first
    assert [change["snapshot"] for change in changes] == [index["snapshot"], first]
    assert changes[0]["added"] == ["v1/plugins/buyers/by/c.json"]
    assert "v1/plugins/buyers/latest.json" in changes[0]["changed"]
    assert (site.public / f"v1/snapshots/{first}.json").is_file()


def test_a_snapshot_that_is_retained_resolves(tmp_path: Path) -> None:
    """Objects of retained snapshots stay; of those beyond the count they go, when the grace is over."""
    retention = {"snapshots": 2, "days": 1, "grace_hours": 0}
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Buyers,), publish={"retention": retention})
    for number in range(6):
        site.feed([sale(number, "a")])
        site.publish()
    site.publish()
    kept = sorted(path.stem for path in (site.public / "v1/snapshots").glob("*.json"))
    changes = site.document("v1/changes.json")["snapshots"]
    assert kept == sorted(change["snapshot"] for change in changes)
    assert len(kept) == 2
    for change in changes:
        pointer = site.document("v1/index.json") | {"manifest": f"v1/snapshots/{change['snapshot']}.json"}
        pointer |= {"snapshot": change["snapshot"], "plugins": []}
        copy = tmp_path / f"reader-{change['generation']}"
        copy.mkdir()
        (copy / "v1").mkdir()
        (copy / "v1/index.json").write_bytes(orjson.dumps(pointer))
        for name in ("objects", "snapshots"):
            (copy / "v1" / name).symlink_to(site.public / "v1" / name)
        # Documents of keys are published without history.
        found = follow(copy, orjson.dumps(pointer))
        assert found["v1/plugins/buyers/latest.json"]
        assert "v1/plugins/buyers/by/a.json" not in found
    objects = {path.name.removesuffix(".gz") for path in (site.public / "v1/objects").rglob("*") if path.is_file()}
    assert len(objects) < 2 * len(site.tree()) + 20
    site.close()


def test_a_target_that_was_emptied_is_filled_again(site: Site) -> None:
    """What a target holds is learned from its own pointer: none means nothing."""
    wanted = site.aliases()
    for path in sorted(site.public.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    site.publish()
    assert follow(site.public) == site.aliases() == wanted


def test_documents_of_keys_are_at_their_path_only(site: Site) -> None:
    """They have no object, and one that changes is one file; all others are links to their objects."""
    digests = {path.name.partition(".")[0] for path in (site.public / "v1/objects").rglob("*")}
    keys = [*(site.public / "v1/plugins/buyers/by").iterdir()]
    assert len(keys) == 2
    for path in keys:
        assert canonical.digest(path.read_bytes()) not in digests
        assert path.stat().st_nlink == 1
    assert (site.public / "v1/plugins/buyers/latest.json").stat().st_nlink > 1
    before = published_files(site.public)
    site.feed([sale(6, "b")])
    site.publish()
    after = published_files(site.public)
    changed = {path for path in after if before.get(path) != after[path] and "/by/" in path}
    assert changed == {"v1/plugins/buyers/by/b.json"}


def test_a_target_that_was_restored_from_a_backup_is_brought_up_to_date(tmp_path: Path, site: Site) -> None:
    """Its own pointer tells which snapshot it holds, documents of keys of other generations included."""
    shutil.copytree(site.public, tmp_path / "backup", symlinks=True)
    site.feed([sale(6, "b"), sale(3, "d")])
    site.publish()
    site.feed([sale(4, "a")])
    site.publish()
    shutil.rmtree(site.public)
    shutil.copytree(tmp_path / "backup", site.public, symlinks=True)
    site.feed([sale(5, "e")])
    site.publish()
    assert follow(site.public) == site.aliases() == site.tree()
    assert site.document("v1/plugins/buyers/by/b.json")["total"] == 2


def test_a_rollback_brings_documents_of_keys_back(site: Site) -> None:
    """The database keeps their bytes for each retained snapshot, though no target does."""
    first, before = site.document("v1/index.json")["snapshot"], published_files(site.public)
    site.feed([sale(6, "b"), sale(3, "d")])
    site.publish()
    assert published_files(site.public) != before
    site.publishing.rollback(first)
    assert follow(site.public) == published_files(site.public) == before


def test_a_damaged_pointer_is_replaced(site: Site) -> None:
    """A pointer that is not JSON does not stop publishing."""
    (site.public / "v1/index.json").write_bytes(b"{")
    site.publish()
    assert follow(site.public) == site.aliases()


def test_a_generation_is_above_that_of_any_target(tmp_path: Path, site: Site) -> None:
    """A new database that publishes to a place where another has been goes on from its number."""
    other = Site(f"sqlite:///{tmp_path}/new.db", tmp_path, (Buyers,))
    other.feed([sale(7, "z")])
    assert other.publish(take_over=True).generation == 2
    assert follow(other.public)["v1/plugins/buyers/by/z.json"]
    other.close()


def test_two_publishers_do_not_work_at_once(database_url: str, tmp_path: Path) -> None:
    """The second gets an error, and nothing is lost."""
    site = Site(database_url, tmp_path, (Buyers,))
    site.feed([sale(1, "a")])
    with locks.publishing(site.database), pytest.raises(PublisherBusy, match="another publisher is working"):
        site.publish()
    assert site.publish().generation == 1
    site.close()


def test_a_target_that_fails_is_named(tmp_path: Path) -> None:
    """A target with a file in its way is an error that names it; the next publication carries on."""
    (tmp_path / "public").write_bytes(b"in the way")
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Buyers,))
    site.feed([sale(1, "a")])
    with pytest.raises(PublishError, match="target public: "):
        site.publish()
    (tmp_path / "public").unlink()
    site.publish()
    assert follow(site.public) == site.aliases()
    site.close()


def test_files_are_readable_whatever_the_umask(tmp_path: Path) -> None:
    """A web server of another user can read what is published."""
    target = DirectoryTarget("web", tmp_path / "w")
    before = os.umask(0o077)
    try:
        target.write([File("v1/a.json", b"{}\n")])
        target.barrier()
    finally:
        os.umask(before)
    assert (tmp_path / "w/v1/a.json").stat().st_mode & 0o777 == 0o644


def test_what_readers_have_is_replaced_by_what_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pointer that got its name before its bytes were on the disk could be empty after the loss of power."""
    synced: set[int] = set()
    replaced: dict[str, bool] = {}
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def noted_replace(source: Path, path: Path) -> Path:
        replaced[path.relative_to(tmp_path).as_posix()] = source.stat().st_ino in synced
        return replace(source, path)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    target = DirectoryTarget("web", tmp_path)
    name = "v1/objects/ab/ab.json"
    target.write([File(name, b"1\n")])
    target.barrier()
    target.write([File("v1/a.json", b"1\n", name), File("v1/index.json", b"2\n")])
    target.barrier()
    assert replaced == {name: False, "v1/a.json": True, "v1/index.json": True}


def test_deleting_leaves_no_empty_directories(tmp_path: Path) -> None:
    """And what is not there is no error."""
    target = DirectoryTarget("web", tmp_path)
    target.write([File("v1/a/b/c.json", b"1\n"), File("v1/d.json", b"2\n")])
    target.delete(["v1/a/b/c.json", "v1/none.json", "nowhere/at/all.json"])
    assert not (tmp_path / "v1/a").exists()
    assert target.read("v1/d.json") == b"2\n"
    assert target.read("v1/a/b/c.json") is None
    assert target.read("v1/d.json/x") is None


def test_modification_times_never_go_back(tmp_path: Path) -> None:
    """Bytes that return are new to a mirror that compares times, and to a browser that asks with a date."""
    target = DirectoryTarget("public", tmp_path / "public")
    times = []
    for number, data in enumerate((b"one", b"two", b"one", b"two")):
        name = f"v1/objects/{data.decode()}"
        target.write([File(name, data)] if number < 2 else [])
        target.write([File("latest.json", data, name)])
        path = tmp_path / "public/latest.json"
        assert path.read_bytes() == data
        times.append(path.stat().st_mtime_ns)
        # As if an hour passed.
        for each in (tmp_path / "public").rglob("*"):
            before = each.stat().st_mtime_ns - 3600 * 10**9 * (each.name != "latest.json")
            os.utime(each, ns=(before, before))
    assert times == sorted(times)
    later = times[-1] // 10**9 * 10**9 + 10**12
    os.utime(path, ns=(later, later))
    target.write([File("latest.json", b"one", "v1/objects/one")])
    assert path.stat().st_mtime_ns == later + 10**9, "also if the clock was set back"


@pytest.mark.parametrize("shared", [True, False], ids=["linked", "copied"])
def test_other_bytes_have_another_date(tmp_path: Path, shared: bool) -> None:
    """Dates of HTTP are whole seconds: each write of other bytes gets a later one, and is at most so far ahead."""
    target, path = DirectoryTarget("public", tmp_path), tmp_path / "latest.json"
    objects = [File("v1/objects/one", b"one"), File("v1/objects/two", b"two")]
    dates: list[int] = []
    begin = int(time.time())
    target.write(objects)
    for each in objects * 4:
        target.write([File("latest.json", each.data, each.path if shared else None)])
        target.barrier()
        assert path.read_bytes() == each.data
        dates.append(int(path.stat().st_mtime))
    assert dates == sorted(set(dates))
    assert begin <= dates[0]
    assert dates[-1] <= int(time.time()) + len(dates)
    if shared:
        # The same bytes again are not news, and a file that comes to share them makes none older.
        target.write([File("latest.json", b"two", "v1/objects/two"), File("other.json", b"two", "v1/objects/two")])
        assert int(path.stat().st_mtime) == dates[-1]

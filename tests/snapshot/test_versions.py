"""Versions of the site: rollback, the hold, dry runs, forced publications, invalidation."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from samples import NOON, Buyers, Customers, Prices, Sales, Site, follow, line
from statscache import canonical, resources
from statscache.exceptions import PublisherBusy, PublishError, UnknownSnapshot
from statscache.layout import INDEX, STATUS
from statscache.publish.directory import DirectoryTarget
from statscache.publish.target import File
from statscache.render import pages
from statscache.render.page_model import PluginView
from statscache.render.pages import Pages
from statscache.snapshot import manifest, tree
from statscache.store import Database, coverage, locks, published, schema
from statscache.store.published import Entry

PLUGINS = Sales, Buyers, Customers
"""With documents, a document for each key, and members of sets."""


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site of which two snapshots are published."""
    yield from twice_published(database_url, tmp_path)


@pytest.fixture
def plain_site(tmp_path: Path) -> Iterator[Site]:
    """The same, where the kind of database does not matter."""
    yield from twice_published(f"sqlite:///{tmp_path}/statscache.db", tmp_path)


def twice_published(url: str, directory: Path) -> Iterator[Site]:
    """Yield a site of which two snapshots are published."""
    made = Site(url, directory, PLUGINS, publish={"retention": {"snapshots": 3, "days": 7, "grace_hours": 1}})
    made.feed([line("a", NOON, body={"buyer": "ann", "thing": "tea"})])
    made.publish()
    made.feed([line("b", NOON + 60, body={"buyer": "bob", "thing": "pie"})])
    made.publish()
    yield made
    made.close()


def _ids(site: Site) -> list[str]:
    return [snapshot["snapshot"] for snapshot in site.document("v1/changes.json")["snapshots"]]


def test_rollback_is_a_new_generation_of_the_old_bytes_until_resumed(site: Site) -> None:
    """What is current goes back and stays back, renewed meanwhile; resuming shows what came since."""
    newest, oldest = _ids(site)
    after = follow(site.public)
    snapshot, _ = site.publishing.rollback(oldest[:10])
    index = site.document("v1/index.json")
    assert (index["snapshot"], index["generation"], index["parent"]) == (oldest, 3, newest)
    assert "v1/plugins/buyers/by/bob.json" not in follow(site.public)
    site.feed([line("c", NOON + 120, body={"buyer": "cat", "thing": "jam"})])
    held = site.publish()
    assert (held.id, held.generation) == (oldest, 3)
    assert site.document("v1/index.json")["generated_at"] >= index["generated_at"]
    assert site.document("v1/status.json")["held"] is True
    resumed, _ = site.publishing.publish(resume=True)
    assert resumed.generation == 4
    assert "v1/plugins/buyers/by/cat.json" in follow(site.public)
    assert follow(site.public).keys() > after.keys()
    changes = site.document("v1/changes.json")["snapshots"]
    assert "v1/plugins/buyers/by/cat.json" in changes[0]["added"]
    assert "v1/plugins/buyers/by/bob.json" in changes[1]["removed"]
    assert site.document("v1/status.json")["held"] is False
    assert snapshot.is_rollback


def test_resuming_without_news_gives_the_same_bytes_as_before(site: Site) -> None:
    """The hold leaves no trace but its generations."""
    newest, oldest = _ids(site)
    before = follow(site.public)
    site.publishing.rollback(oldest)
    resumed, _ = site.publishing.publish(resume=True)
    assert (resumed.id, resumed.generation) == (newest, 4)
    assert follow(site.public) == before


def test_rollback_needs_an_id_that_is_retained_and_not_current(site: Site) -> None:
    """Each refusal says why, and changes nothing."""
    newest, _ = _ids(site)
    for identity, reason in (("zz", "no retained"), ("", "more than one"), (newest, "current already")):
        with pytest.raises(UnknownSnapshot, match=reason):
            site.publishing.rollback(identity)
    assert site.document("v1/index.json")["generation"] == 2


def test_dry_run_tells_what_would_be_sent_and_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of a dry run are those of the publication that follows; database and target are as they were."""
    # Pointers hold the time, by which they compress a few bytes better or worse.
    monkeypatch.setattr(time, "time", lambda: 1_900_000_000.0)
    for number in range(3):
        site.feed([line(f"c{number}", NOON + 120 + number, body={"buyer": "cat", "thing": "jam"})])
        before, rows = _files(site), _rows(site)
        snapshot, (dry,) = site.publishing.dry_run()
        assert (_files(site), _rows(site)) == (before, rows)
        published, (wet,) = site.publishing.publish()
        assert snapshot.id == published.id
        for name in ("generation", "snapshot", "objects", "files", "bytes", "deleted"):
            assert getattr(dry, name) == getattr(wet, name), name
        assert dry.objects > 0
    assert dry.deleted == 0


def _files(site: Site) -> dict[Path, int]:
    return {path: os.stat(path).st_mtime_ns for path in site.public.rglob("*") if path.is_file()}


def _rows(site: Site) -> dict[str, list[Any]]:
    with site.database.reading() as connection:
        return {table.name: sorted(connection.execute(select(table)).all(), key=repr) for table in TABLES}


TABLES = schema.metadata.sorted_tables


def test_parts_of_parts_that_stay_are_no_garbage(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a directory is split twice, one change drops only the manifests that are made otherwise now."""
    monkeypatch.setattr(manifest, "LARGEST", 3)
    database = Database(database_url)
    database.prepare()
    files = {f"v1/plugins/a/by/{number}.json": Entry("file", f"{number}.json", 1) for number in range(2500)}
    with database.writing() as connection:
        first = tree.apply(connection, files.items())
        assert first.root is not None
        changed = tree.apply(connection, [("v1/plugins/a/by/7.json", Entry("file", "new.json", 1))])
        assert changed.root is not None

        def manifests(old: str | None, new: str) -> set[str]:
            found = manifest.difference(partial(published.load_all, connection), [old], new)
            return {change.entry.object for change in found if change.entry and not change.is_file}

        used = manifests(None, changed.root)
        assert not changed.dropped & used
        replaced = manifests(changed.root, first.root)
        assert changed.dropped == {"7.json", *replaced} - {first.root}
    database.close()


def test_forced_publication_removes_what_is_gone(site: Site) -> None:
    """To take nothing for granted is not to leave old documents lying about."""
    year = NOON - 366 * 86400
    with site.database.writing() as connection:
        coverage.record(connection, NOON - 7200, NOON + 60, complete=False)
    site.feed([line("old", year, body={"buyer": "ann", "thing": "tea"})])
    site.publish()
    with site.database.writing() as connection:
        coverage.record(connection, year, NOON + 60, complete=True)
    site.publish(force=True)
    assert follow(site.public) == site.aliases() == site.tree()


def test_caches_are_invalidated_after_upgrade_and_rollback_only(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """News spread by the caches' own rules; pages of another release, and what is taken back, do not wait for them."""
    invalidated: list[int] = []
    made = Site(database_url, tmp_path, PLUGINS)
    monkeypatch.setattr(DirectoryTarget, "invalidate", lambda _: invalidated.append(made.document(INDEX)["generation"]))
    for number in range(2):
        made.feed([line(f"m{number}", NOON + number, body={"buyer": "ann", "thing": "tea"})])
        first = made.publish()
    assert invalidated == []
    made.close()
    made = Site(database_url, tmp_path, PLUGINS, publish={"title": "another release"})
    made.publish()
    made.publish()
    assert invalidated == [3]
    made.publishing.rollback(first.id)
    made.publish()
    assert invalidated == [3, 4]
    made.close()


def test_an_invalidation_is_due_until_it_is_done(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run, a publisher that is killed and a cache that refuses take nothing of it away; readers are served."""
    done: list[int] = []
    made = Site(database_url, tmp_path, PLUGINS)
    made.feed([line("a", NOON, body={"buyer": "ann", "thing": "tea"})])
    made.publish()
    made.close()
    made = Site(database_url, tmp_path, PLUGINS, publish={"title": "another release"})

    def refuse(_: DirectoryTarget) -> None:
        raise PublishError("no")

    monkeypatch.setattr(DirectoryTarget, "invalidate", refuse)
    made.publishing.dry_run()
    with pytest.raises(PublishError, match="target public: no"):
        made.publish()
    assert made.document(INDEX)["generation"] == 2
    assert follow(made.public) == made.aliases()
    (row,) = made.document(STATUS)["targets"]
    assert (row["generation"], row["ok"]) == (1, True), "as of the publication before"
    monkeypatch.setattr(DirectoryTarget, "invalidate", lambda _: done.append(made.document(INDEX)["generation"]))
    made.publish()
    (row,) = made.document(STATUS)["targets"]
    assert (row["generation"], row["ok"]) == (2, False)
    made.publish()
    assert done == [2]
    made.close()


def test_a_page_that_failed_is_no_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made when it can be, and caches are left alone."""
    invalidated: list[int] = []
    made = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, PLUGINS)
    monkeypatch.setattr(DirectoryTarget, "invalidate", lambda _: invalidated.append(1))
    made.feed([line("a", NOON, body={"buyer": "ann", "thing": "tea"})])
    whole = made.publish()
    plugin = Pages.plugin

    def failing(pages: Pages, view: PluginView) -> Iterator[tuple[str, bytes]]:
        assert view.info.name != "sales", "it cannot be drawn"
        yield from plugin(pages, view)

    with monkeypatch.context() as patch:
        patch.setattr(Pages, "plugin", failing)
        made.feed([line("b", NOON + 1, body={"buyer": "ann", "thing": "tea"})])
        assert not made.publish().summary["whole"]
    assert made.publish().summary["whole"]
    assert made.publish().summary["pages"] == whole.summary["pages"]
    assert invalidated == []
    made.close()


def test_pages_are_made_again_when_the_code_that_draws_them_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release under development has the version of the one before, and other pages."""

    def fingerprint() -> str:
        return Pages(resources.sources(), title="", base_url=None).fingerprint

    before = fingerprint()
    copy = tmp_path / "render"
    shutil.copytree(Path(pages.__file__).parent, copy)
    monkeypatch.setattr(pages, "__file__", str(copy / "pages.py"))
    assert fingerprint() == before
    with (copy / "charts.py").open("a") as file:
        file.write("# changed\n")
    assert fingerprint() != before


def test_the_index_tells_the_interval_that_is_kept(plain_site: Site) -> None:
    """`publish --every` may keep another one than the configuration says; it is reported in whole seconds."""
    ended = threading.Event()
    plain_site.publishing.publish_every(90.5, ended, lambda *_: ended.set())
    index = plain_site.document(INDEX)
    assert (index["interval"], index["expires_at"] - index["generated_at"]) == (91, 3 * 91)


def test_status_tells_of_documents_that_broke_their_budget(tmp_path: Path) -> None:
    """Those that are fetched often have a size; beyond it, readers and `status` are warned, and nothing stops."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Prices, Sales))
    site.feed([line(f"{n}", NOON + n, body={"buyer": "ann", "thing": f"thing {n:04}"}) for n in range(2000)])
    site.publish()
    site.publish()
    path = "v1/plugins/prices/latest.json"
    size = (site.public / path).stat().st_size
    oversize = site.document(STATUS)["oversize"]
    assert {"path": path, "size": size, "limit": 100_000} in oversize
    sizes = {row["path"]: (site.public / row["path"]).stat().st_size for row in oversize}
    assert sizes == {row["path"]: row["size"] for row in oversize}
    large = {name for name, data in site.tree().items() if "/latest." in name and len(data) > 100_000}
    assert large == set(sizes)
    site.close()


def test_the_size_of_a_snapshot_is_that_of_its_files(site: Site) -> None:
    """It is counted up from snapshot to snapshot, over a rollback too."""
    _, oldest = _ids(site)
    for resume in (False, True):
        site.feed([line(f"c{resume}", NOON + 120, body={"buyer": "cat", "thing": "jam"})])
        snapshot, _ = site.publishing.publish(resume=resume)
        assert snapshot.size == sum(map(len, site.tree().values()))
        back, _ = site.publishing.rollback(oldest)
        assert back.size == sum(map(len, follow(site.public).values()))


def test_a_publication_that_no_one_repeats_waits_for_another(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once; beyond its patience it leaves, and says that nothing was done."""
    caplog.set_level(logging.INFO)
    _, oldest = _ids(site)
    monkeypatch.setattr("statscache.service.publishing.PATIENCE", 0.3)
    output = r"waited 0\.3 s, nothing was done"
    with locks.publishing(site.database), pytest.raises(PublisherBusy, match=output):
        site.publishing.rollback(oldest)
    for asked in ({"force": True}, {"resume": True}, {"take_over": True}):
        with locks.publishing(site.database), pytest.raises(PublisherBusy, match=output):
            site.publishing.publish(**asked)
    with locks.publishing(site.database), pytest.raises(PublisherBusy, match="on this database; nothing was done"):
        site.publishing.publish()
    assert site.document(INDEX)["generation"] == 2
    monkeypatch.setattr("statscache.service.publishing.PATIENCE", 60.0)
    holding, ending = threading.Event(), threading.Event()

    def hold() -> None:
        with locks.publishing(site.database):
            holding.set()
            ending.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(30)
    caplog.clear()
    monkeypatch.setattr("statscache.store.locks.time.sleep", lambda _: ending.set())
    site.publishing.rollback(oldest)
    holder.join()
    assert site.document(INDEX)["snapshot"] == oldest
    assert [record.message for record in caplog.records if "is working" in record.message] == [
        "another publisher is working on this database; waiting for it, at most 60 s"
    ]


def test_absurd_generation_at_a_target_is_damage(plain_site: Site) -> None:
    """Whoever can write to one target cannot stop the publication to all."""
    for generation in (2**63 - 1, -1, "7", None):
        index = plain_site.document(INDEX) | {"generation": generation}
        (plain_site.public / INDEX).write_bytes(canonical.dumps(index))
        plain_site.publish()
        assert plain_site.document(INDEX)["generation"] == 2
        assert follow(plain_site.public) == plain_site.aliases()


def test_target_that_vanished_in_the_middle_is_filled_by_the_next_publication(tmp_path: Path) -> None:
    """What a failed publication had still to sync is forgotten with it."""
    target = DirectoryTarget("public", tmp_path / "public")
    target.write([File("a.json", b"{}")])
    target.close()
    shutil.rmtree(tmp_path / "public")
    target.write([File("b.json", b"{}")])
    target.barrier()
    assert target.read("b.json") == b"{}"

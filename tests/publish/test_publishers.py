"""Two publishers at one target by mistake, and rollbacks that did not come to their end."""

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from commands import Home
from conftest import Databases
from samples import Sales, Site, follow
from statscache import layout
from statscache.exceptions import PublishError, UnknownSnapshot
from statscache.publish.directory import DirectoryTarget
from statscache.publish.target import File
from statscache.snapshot.snapshot import Snapshot
from statscache.store import Database, journal
from statscache.store.copying import copy
from verify.test_damage import sale


def installation(site: Site) -> str:
    """Return the id of the installation of a site."""
    with site.database.reading() as connection:
        return journal.installation(connection)


def test_the_target_of_another_installation_is_refused_until_it_is_taken_over(
    database_url: str, databases: Databases, tmp_path: Path
) -> None:
    """Readers see no generation go back; who is refused says how to take over, and who was taken over is refused."""
    ours = Site(database_url, tmp_path / "site", (Sales,))
    url = databases.create()
    other = Site(url, tmp_path / "site", (Sales,))
    ours.feed([sale(1)])
    ours.publish()
    other.feed([sale(1), sale(2)])
    before = (ours.public / "v1/index.json").read_bytes()
    assert orjson.loads(before)["installation"] == installation(ours)
    output = rf"another installation, {installation(ours)};.*{installation(other)}.*`statscache publish --take-over"
    with pytest.raises(PublishError, match=output):
        other.publish()
    with pytest.raises(PublishError, match=output):
        other.publishing.dry_run()
    assert (ours.public / "v1/index.json").read_bytes() == before
    taken, _ = other.publishing.publish(take_over=True)
    index = ours.document("v1/index.json")
    assert (index["installation"], index["generation"]) == (installation(other), taken.generation)
    assert taken.generation > orjson.loads(before)["generation"]
    assert follow(ours.public) == other.tree()
    ours.feed([sale(3)])
    with pytest.raises(PublishError, match="another installation"):
        ours.publish()
    other.publish()
    for each in (ours, other):
        each.close()
    databases.drop(url)


def test_a_first_publication_that_failed_is_carried_on(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full leaves objects and no index: they are not another installation's."""
    site = Site(database_url, tmp_path / "site", (Sales,))
    site.feed([sale(1)])
    write = DirectoryTarget._write

    def full(target: DirectoryTarget, files: Sequence[File]) -> None:
        write(target, files)
        if any(file.path.startswith(layout.OBJECTS) for file in files):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(DirectoryTarget, "_write", full)
        with pytest.raises(PublishError, match="No space left"):
            site.publish()
    assert [*site.public.rglob("v1/objects/*/*")]
    assert not (site.public / "v1/index.json").exists()
    site.publish()
    assert follow(site.public) == site.tree()
    site.close()


@pytest.mark.parametrize("index", [None, b"", b"{", b'{"generation":1,"snapshot":"x"}'])
@pytest.mark.parametrize("left", ["all", "objects", "a killed publication"])
def test_a_tree_without_a_readable_index_is_taken_over_only_when_asked(
    index: bytes | None, left: str, tmp_path: Path
) -> None:
    """Another installation's files are not replaced because its index was lost; one's own are carried on with.

    Only files of the target decide, so one kind of database is enough.
    """
    ours = Site(f"sqlite:///{tmp_path}/ours.db", tmp_path / "site", (Sales,))
    other = Site(f"sqlite:///{tmp_path}/other.db", tmp_path / "site", (Sales,))
    ours.feed([sale(1)])
    ours.publish()
    other.feed([sale(2)])
    root = ours.public / "v1"
    if left == "a killed publication":
        note = {"installation": installation(ours), "snapshots": []}
        (root / "pending.json").write_bytes(orjson.dumps(note))
        shutil.rmtree(root / "snapshots")
    for name in ("index.json", *(("changes.json", "status.json") if left != "all" else ())):
        (root / name).unlink()
        (root / f"{name}.gz").unlink(missing_ok=True)
    if index is not None:
        (root / "index.json").write_bytes(index)
    before = sorted(path.as_posix() for path in root.rglob("*"))
    with pytest.raises(PublishError, match=r"not this installation's|another installation"):
        other.publish()
    assert sorted(path.as_posix() for path in root.rglob("*")) == before
    ours.publish()
    assert follow(ours.public) == ours.tree()
    (root / "index.json").unlink()
    other.publishing.publish(take_over=True)
    assert follow(ours.public) == other.tree()
    for each in (ours, other):
        each.close()


def test_a_copy_is_the_same_installation(database_url: str, databases: Databases, tmp_path: Path) -> None:
    """What `db copy` made, and what a backup restored, publishes on."""
    site = Site(database_url, tmp_path / "site", (Sales,))
    site.feed([sale(1)])
    site.publish()
    url = databases.create()
    destination = Database(url)
    list(copy(site.database, destination))
    destination.close()
    moved = Site(url, tmp_path / "site", (Sales,))
    assert installation(moved) == installation(site)
    moved.feed([sale(2)])
    moved.publish()
    for each in (site, moved):
        each.close()
    databases.drop(url)


def test_status_names_the_installation_and_who_is_refused(tmp_path: Path) -> None:
    """`status` exits 3 with the reason; `--take-over` ends that."""
    home = Home(tmp_path / "home")
    home.run("publish")
    mine = home.json("status")["installation"]
    home.environment["STATSCACHE_DATABASE__URL"] = "sqlite:///other.db"
    done = home.run("publish", status=1)
    assert f"target public is published to by another installation, {mine}" in done.stderr
    told = home.json("status", status=3)
    assert told["installation"] != mine
    assert any(f"another installation, {mine}" in concern for concern in told["concerns"])
    assert f"installation {told['installation']}" in home.run("status", status=3).stdout
    home.run("publish", "--take-over", "--target", "public")
    assert home.document("v1/index.json")["installation"] == told["installation"]
    assert home.json("status")["concerns"] == []
    assert "--take-over" in home.run("publish", "--dry-run", "--take-over", status=2).stderr


def test_a_rollback_that_failed_is_repeated_by_the_same_command(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so; no further generation is made, and `publish` finishes it too."""
    site = Site(database_url, tmp_path / "site", (Sales,))
    site.feed([sale(1)])
    old = site.publish()
    site.feed([sale(2)])
    new = site.publish()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def again() -> Snapshot:
        return site.publishing.rollback(old.id[:8])[0]

    for repeat in (again, site.publish):
        with monkeypatch.context() as patch:
            patch.setattr(DirectoryTarget, "_write", refuse)
            with pytest.raises(
                PublishError, match=r"No space left.*remains: `statscache publish`, or the same command"
            ):
                site.publishing.rollback(old.id)
            with pytest.raises(PublishError, match="remains"):
                site.publishing.rollback(old.id)
        assert site.document("v1/index.json")["snapshot"] == new.id
        held = repeat()
        assert (held.id, held.is_rollback) == (old.id, True)
        assert site.document("v1/index.json")["generation"] == held.generation
        assert follow(site.public) == site.aliases()
        assert site.publishing.rollback(old.id)[0].generation == held.generation
        assert site.publishing.publish(resume=True)[0].id == new.id
    with site.database.reading() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM snapshot")).scalar_one() == 6
    with pytest.raises(UnknownSnapshot, match="is current already"):
        site.publishing.rollback(new.id)
    site.close()

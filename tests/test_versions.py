"""Versions of the site: rollback, the hold, retention, the gate, dry runs."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from samples import KINDS, NOON, Site, follow, line
from statscache import canonical
from statscache.exceptions import UnknownSnapshot
from statscache.plugins import Latest, Message, State
from statscache.publish.directory import DirectoryTarget
from statscache.publish.pointer import INDEX
from statscache.publish.target import File
from statscache.snapshot import manifest, tree
from statscache.store import Database, coverage, published, schema
from statscache.store.published import Entry


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site of which two snapshots are published."""
    made = Site(database_url, tmp_path, publish={"retention": {"snapshots": 3, "days": 7, "grace_hours": 1}})
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


def test_objects_go_after_the_snapshots_that_need_them_and_their_grace(site: Site) -> None:
    """Retention removes snapshots beyond its number at once, their objects after the grace, and never more."""
    first = site.public / f"v1/snapshots/{_ids(site)[-1]}.json"
    for number in range(3):
        site.feed([line(f"n{number}", NOON + 200 + number, body={"buyer": "dan", "thing": "tea"})])
        site.publish()
    assert len(_ids(site)) == 3
    assert not first.exists()
    objects = _objects(site)
    site.publish()
    assert _objects(site) == objects
    _age(site, 7200)
    site.publish()
    left = _objects(site)
    assert left < objects
    assert follow(site.public)
    site.publishing.rollback(_ids(site)[-1])
    assert follow(site.public), "a retained snapshot has lost an object"


def test_rollback_keeps_its_objects_however_old_they_are(site: Site) -> None:
    """While an old tree is current, retention takes none of its objects, though its first snapshot has expired."""
    _, oldest = _ids(site)
    site.publishing.rollback(oldest)
    _age(site, 8 * 86400)
    site.publish()
    site.publish()
    assert site.document("v1/index.json")["snapshot"] == oldest
    assert follow(site.public)


def _objects(site: Site) -> set[str]:
    return {path.name for path in (site.public / "v1/objects").rglob("*.json")}


def _age(site: Site, seconds: int) -> None:
    with site.database.writing() as connection:
        for table, column in ((schema.dropped, "dropped_at"), (schema.snapshot, "created_at")):
            connection.execute(update(table).values({column: table.c[column] - seconds}))
        newest = schema.snapshot.c.generation == site.document("v1/index.json")["generation"]
        connection.execute(update(schema.snapshot).where(newest).values(created_at=int(time.time())))


class Fickle(Latest):
    """The newest price of each thing, or nothing, as the test says."""

    name = "fickle"
    title = "Fickle"
    dimensions = ("thing",)
    hidden = 0

    def observe(self, message: Message) -> Iterator[Any]:
        """Tell the thing."""
        yield (message.body["thing"],), {"seen": True}

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish all rows but those that the test hides."""
        for name, content in super().documents(state):
            yield name, {"rows": content["rows"][self.hidden :]}


def test_gate_holds_back_one_plugin_that_loses_most_of_its_rows(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its last good documents, stale and with the reason; the others go on; force lets it pass."""
    site = Site(database_url, tmp_path, (*KINDS, Fickle))
    site.feed([line(f"{n}", NOON + n, body={"buyer": "ann", "thing": f"t{n}"}) for n in range(10)])
    site.publish()
    good = site.document("v1/plugins/fickle/latest.json")
    for hidden in (6, 10):
        monkeypatch.setattr(Fickle, "hidden", hidden)
        site.feed([line(f"x{hidden}", NOON + 100 + hidden, body={"buyer": "ann", "thing": "t1"})])
        site.publish()
        states = {plugin["name"]: plugin["state"] for plugin in site.document("v1/index.json")["plugins"]}
        assert states == {**{cls.name: "ok" for cls in KINDS}, "fickle": "stale"}
        assert site.document("v1/plugins/fickle/latest.json") == good
        assert site.document("v1/plugins/buyers/latest.json")["through"] == NOON + 100 + hidden
        reasons = {row["name"]: row["reason"] for row in site.document("v1/status.json")["plugins"]}
        assert "publish --force" in reasons["fickle"]
    monkeypatch.setattr(Fickle, "hidden", 4)
    site.publish()
    assert len(site.document("v1/plugins/fickle/latest.json")["rows"]) == 6, "a smaller loss passes by itself"
    monkeypatch.setattr(Fickle, "hidden", 10)
    site.publish(force=True)
    assert site.document("v1/plugins/fickle/latest.json")["rows"] == []
    site.close()


def test_gate_lets_a_new_version_pass(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that rose explains why rows vanish."""
    site = Site(database_url, tmp_path, (Fickle,))
    site.feed([line(f"{n}", NOON + n, body={"thing": f"t{n}"}) for n in range(10)])
    site.publish()
    monkeypatch.setattr(Fickle, "version", 2)
    monkeypatch.setattr(Fickle, "hidden", 9)
    site = site.reopened()
    site.catch_up()
    site.publish()
    assert len(site.document("v1/plugins/fickle/latest.json")["rows"]) == 1
    site.close()


def test_dry_run_tells_what_would_be_sent_and_sends_nothing(site: Site) -> None:
    """The numbers of a dry run are those of the publication that follows, pointers aside."""
    site.feed([line("c", NOON + 120, body={"buyer": "cat", "thing": "jam"})])
    before = {path: os.stat(path).st_mtime_ns for path in site.public.rglob("*") if path.is_file()}
    _, (dry,) = site.publishing.publish(dry_run=True)
    assert before == {path: os.stat(path).st_mtime_ns for path in site.public.rglob("*") if path.is_file()}
    _, (wet,) = site.publishing.publish()
    assert (dry.objects, dry.deleted, dry.generation) == (wet.objects, wet.deleted, wet.generation)
    assert dry.objects > 0


def test_objects_of_a_build_that_was_killed_are_collected(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was rendered for a snapshot that never came is garbage after the grace, in the database too."""
    site = Site(database_url, tmp_path, KINDS, publish={"retention": {"grace_hours": 0}})
    site.feed([line("a", NOON, body={"buyer": "ann", "thing": "tea"})])
    site.publish()
    site.feed([line("b", NOON + 1, body={"buyer": "bob", "thing": "tea"})])

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tree, "apply", killed)
        with pytest.raises(KeyboardInterrupt):
            site.publish()
    left = _unreferenced(site)
    assert left
    # The next message makes other documents, so that nothing refers to those of the killed build.
    site.feed([line("c", NOON + 2, body={"buyer": "bob", "thing": "pie"})])
    site.publish()
    site.publish()
    assert not left & _unreferenced(site)
    assert follow(site.public)
    site.close()


def _unreferenced(site: Site) -> set[str]:
    with site.database.reading() as connection:
        used = {*connection.scalars(select(schema.tree.c.object)), *connection.scalars(select(schema.shard.c.object))}
        used |= {*connection.scalars(select(schema.snapshot.c.manifest))}
        real = select(schema.dropped.c.object).where(schema.dropped.c.generation > 0)
        used |= {*connection.scalars(real)}
        return {*connection.scalars(select(schema.object_.c.name))} - used


def test_parts_of_parts_that_stay_are_no_garbage(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a directory is split twice, one change drops only the manifests that are made otherwise now."""
    for module in (tree, manifest):
        monkeypatch.setattr(module, "LARGEST", 3)
    database = Database(database_url)
    database.prepare()
    files = {f"v1/plugins/a/by/{number}.json": Entry("file", f"{number}.json", 1) for number in range(2500)}
    with database.writing() as connection:
        first = tree.apply(connection, files, [])
        assert first.root is not None
        changed = tree.apply(connection, {"v1/plugins/a/by/7.json": Entry("file", "new.json", 1)}, [])
        assert changed.root is not None

        def load(name: str) -> bytes:
            return published.load(connection, name)

        used = manifest.difference(load, None, changed.root).manifests
        assert not changed.dropped & used
        replaced = manifest.difference(load, changed.root, first.root).manifests
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
    made = Site(database_url, tmp_path, KINDS)
    monkeypatch.setattr(DirectoryTarget, "invalidate", lambda _: invalidated.append(made.document(INDEX)["generation"]))
    for number in range(2):
        made.feed([line(f"m{number}", NOON + number, body={"buyer": "ann", "thing": "tea"})])
        first = made.publish()
    assert invalidated == []
    made.close()
    made = Site(database_url, tmp_path, KINDS, publish={"title": "another release"})
    made.publish()
    made.publish()
    assert invalidated == [3]
    made.publishing.rollback(first.id)
    made.publish()
    assert invalidated == [3, 4]
    made.close()


@pytest.mark.parametrize("generation", [2**63 - 1, -1, "7", None])
def test_absurd_generation_at_a_target_is_damage(site: Site, generation: object) -> None:
    """Whoever can write to one target cannot stop the publication to all."""
    index = site.document(INDEX) | {"generation": generation}
    (site.public / INDEX).write_bytes(canonical.dumps(index))
    site.publish()
    assert site.document(INDEX)["generation"] == 2
    assert follow(site.public) == site.aliases()


def test_target_that_vanished_in_the_middle_is_filled_by_the_next_publication(tmp_path: Path) -> None:
    """What a failed publication had still to sync is forgotten with it."""
    target = DirectoryTarget("public", tmp_path / "public")
    target.write([File("a.json", b"{}")])
    target.close()
    shutil.rmtree(tmp_path / "public")
    target.write([File("b.json", b"{}")])
    target.barrier()
    assert target.read("b.json") == b"{}"

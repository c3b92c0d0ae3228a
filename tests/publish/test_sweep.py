"""What lies at a target and belongs to no one, after another database or another configuration; and damage."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import update

from kills import Killed, Steps, target_operations
from samples import NOON, Buyers, Line, Prices, Sales, Site, follow, line, published_files
from statscache import layout
from statscache.snapshot import manifest
from statscache.store import schema
from statscache.store.published import Entry


def sale(number: int, buyer: str = "ann") -> Line:
    """Return a message."""
    return line(f"s{number}", NOON + number, body={"buyer": buyer, "thing": "hat"})


def new_site(directory: Path, name: str = "x", plugins: Any = (Sales, Buyers), **publish: Any) -> Site:
    """Return a site with a database of its own, which publishes to where the others do."""
    return Site(f"sqlite:///{directory}/{name}.db", directory, plugins, publish=publish)


def compressed(site: Site, forms: tuple[str, ...]) -> Site:
    """Return the site, opened again with other forms of compressed siblings."""
    site.close()
    target = {"name": "public", "path": site.public, "precompress": forms}
    return new_site(site.public.parent, targets=(target,))


def siblings(site: Site, form: str) -> set[str]:
    """Return the paths of all siblings of a form."""
    return {path.relative_to(site.public).as_posix() for path in site.public.rglob(f"*.{form}")}


def let_pass(site: Site, seconds: int) -> None:
    """Let time pass."""
    with site.database.writing() as connection:
        for table, column in (
            (schema.dropped, "dropped_at"),
            (schema.unreferenced, "since"),
            (schema.snapshot, "current_until"),
        ):
            connection.execute(update(table).values({column: table.c[column] - seconds}))


def damage(path: Path) -> None:
    """Put other bytes of the same number into a file, and into no other that is linked to it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_siblings_of_a_form_that_is_configured_no_longer_go(tmp_path: Path) -> None:
    """A web server would send them forever; those of unchanged files and of older objects too."""
    site = new_site(tmp_path)
    site = compressed(site, ("gz", "zst"))
    for number in range(2):
        site.feed([sale(number)])
        site.publish()
    assert f"{layout.INDEX}.zst" in siblings(site, "zst")
    site = compressed(site, ("gz",))
    kept = siblings(site, "gz")
    site.publish()
    assert siblings(site, "zst") == set()
    assert siblings(site, "gz") == kept
    assert follow(site.public) == site.aliases()
    site.close()


def test_siblings_go_also_where_a_publisher_is_killed_over_it(tmp_path: Path) -> None:
    """Between any two operations: the next publication tells that the work is not done."""
    site = compressed(new_site(tmp_path), ("gz", "zst"))
    site.feed([sale(0)])
    site.publish()
    shutil.copytree(site.public, tmp_path / "before", symlinks=True)
    for at in range(0, 10_000, 11):
        shutil.rmtree(site.public)
        shutil.copytree(tmp_path / "before", site.public, symlinks=True)
        site = compressed(site, ("gz",))
        try:
            with target_operations(Steps(at)):
                site.publish()
        except Killed:
            site.database.engine.dispose()
            site.publish()
            assert siblings(site, "zst") == set(), f"killed before operation {at}"
        else:
            break
    assert at > 60, "hardly anything was interrupted"
    site.close()


@pytest.mark.parametrize("what", ["object", "sibling", "manifest", "alias", "page"])
def test_force_repairs_damage_of_the_right_size(tmp_path: Path, what: str) -> None:
    """Bytes are compared, not sizes: those of objects, of what is beside them, and of readable paths."""
    site = new_site(tmp_path)
    site.feed([sale(0), sale(1, "bob")])
    site.publish()
    whole = follow(site.public)
    document = next(
        row for row in site.document(layout.INDEX)["plugins"][0]["documents"] if row["path"].endswith("/latest.json")
    )
    root = site.document(layout.INDEX)["snapshot"]
    path = {
        "object": f"v1/objects/{document['object'][:2]}/{document['object']}",
        "sibling": next(iter(sorted(name for name in siblings(site, "gz") if name.startswith("v1/objects/")))),
        "manifest": f"v1/objects/{root[:2]}/{root}.json",
        "alias": document["path"],
        "page": "index.html",
    }[what]
    good = (site.public / path).read_bytes()
    damage(site.public / path)
    site.publish(force=True)
    assert (site.public / path).read_bytes() == good
    assert follow(site.public) == site.aliases() == whole
    site.close()


def test_force_leaves_intact_objects_alone(tmp_path: Path) -> None:
    """Bytes that did not change are not written again, so their files stay the same."""
    site = new_site(tmp_path)
    site.feed([sale(0)])
    site.publish()
    manifests = {site.document(layout.INDEX)["snapshot"]}

    def numbers() -> dict[str, int]:
        files = {path.name: path for path in site.public.glob("v1/objects/*/*.json")}
        return {name: path.stat().st_ino for name, path in files.items() if b'"entries"' not in path.read_bytes()}

    before = numbers()
    site.publish(force=True)
    assert numbers() == before
    assert manifests == {site.document(layout.INDEX)["snapshot"]}
    site.close()


def test_deleted_readable_paths_come_back_when_forced(tmp_path: Path) -> None:
    """Where the pointer is intact, only a forced publication looks behind it."""
    site = new_site(tmp_path)
    site.feed([sale(0)])
    site.publish()
    whole = site.aliases()
    (site.public / "v1/plugins/sales/latest.json").unlink()
    site.publish(force=True)
    assert site.aliases() == whole
    site.close()


def test_what_another_database_published_goes(tmp_path: Path) -> None:
    """Its documents at once, its objects when no one can hold its pointer any more; files of others stay."""
    other = new_site(tmp_path, "other", (Prices, Buyers))
    other.feed([sale(0, "zoe"), sale(1, "old")])
    other.publish()
    pointers = [(other.public / layout.INDEX).read_bytes()]
    other.feed([sale(2, "zoe")])
    other.publish()
    pointers.append((other.public / layout.INDEX).read_bytes())
    other.close()
    strangers = ["humans.txt", "mine/latest.json", "v1/.on-its-way.json", "v2/index.json"]
    for name in strangers:
        (tmp_path / "public" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "public" / name).write_bytes(b"{}\n")
    site = new_site(tmp_path)
    site.feed([sale(3, "ann")])
    site.publish(take_over=True)
    found = published_files(site.public)
    assert {name: found.pop(name) for name in strangers} == dict.fromkeys(strangers, b"{}\n")
    assert found == site.tree() == follow(site.public)
    for old in pointers:
        assert follow(site.public, old)["v1/plugins/buyers/latest.json"]
    let_pass(site, 25 * 3600)
    site.publish()
    for old in pointers:
        with pytest.raises(FileNotFoundError):
            follow(site.public, old)
    lies = {path.name for path in site.public.glob("v1/snapshots/*.json")}
    lies |= {path.name for path in site.public.glob("v1/objects/*/*") if path.suffix != ".gz"}
    with site.database.reading() as connection:
        names = connection.scalars(schema.object_.select().with_only_columns(schema.object_.c.name))
        assert lies == {name for name in names if layout.OBJECT_NAME.fullmatch(name)}
    assert (site.public / strangers[0]).exists()
    site.close()


def test_what_another_database_published_goes_also_where_a_publisher_is_killed_over_it(tmp_path: Path) -> None:
    """Its snapshot stays in the note until all is done, so the next publication knows."""
    other = new_site(tmp_path, "other", (Prices,))
    other.feed([sale(0, "zoe")])
    other.publish()
    other.close()
    shutil.copytree(tmp_path / "public", tmp_path / "before", symlinks=True)
    site = new_site(tmp_path)
    site.feed([sale(1)])
    for at in range(0, 10_000, 29):
        shutil.rmtree(site.public)
        shutil.copytree(tmp_path / "before", site.public, symlinks=True)
        try:
            with target_operations(Steps(at)):
                site.publish(take_over=True)
        except Killed:
            site.database.engine.dispose()
            follow(site.public)
            site.publish(take_over=True)
            assert published_files(site.public) == site.tree(), f"killed before operation {at}"
        else:
            break
    assert at > 100, "hardly anything was interrupted"
    site.close()


def test_siblings_that_stand_alone_go_with_a_sweep(tmp_path: Path) -> None:
    """A compressed form of a file that is not there says something that no one published."""
    site = new_site(tmp_path)
    site.feed([sale(0)])
    site.publish()
    alone = site.public / "v1/plugins/sales/gone.json.gz"
    alone.write_bytes(gzip.compress(b"{}\n"))
    site.publish(force=True)
    assert not alone.exists()
    site.close()


@pytest.mark.parametrize("kind", ["directory", "rsync"])
def test_the_manifests_of_a_target_are_not_believed(tmp_path: Path, kind: str) -> None:
    """Whoever can write there names no file elsewhere that is then deleted, and keeps no publication from its end."""
    place = {"path": tmp_path / "public"} if kind == "directory" else {"destination": str(tmp_path / "public")}
    site = new_site(tmp_path, targets=({"name": "public", "type": kind, **place},))
    site.feed([sale(0)])
    site.publish()
    precious = tmp_path / "precious"
    precious.write_text("of the machine that publishes")

    def planted(entries: dict[str, Entry], name: str | None = None) -> str:
        data = manifest.dumps(entries.items())
        name = name or layout.object_name("manifest.json", data)
        path = site.public / layout.object_path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return name

    names = [f"{'../' * 20}{str(precious)[1:]}", str(precious)]
    elsewhere = planted({name: Entry("file", planted({}), 9) for name in names})
    endless = planted({"x": Entry("tree", f"{'b' * 64}.json", 9)}, f"{'b' * 64}.json")
    for root in (planted({"data": Entry("subtree", elsewhere, 9)}), endless, "../../../etc/passwd"):
        index = {**site.document(layout.INDEX), "snapshot": root.removesuffix(".json")}
        (site.public / layout.INDEX).write_bytes(orjson.dumps(index))
        site.publish()
        assert follow(site.public).items() <= published_files(site.public).items()
        assert precious.exists()
    site.close()

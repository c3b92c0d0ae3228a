"""The tree of a snapshot: one content has one root, however it came about, and a difference leads from tree to tree."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from conftest import Databases
from samples import empty, steps_of
from statscache import layout
from statscache.snapshot import manifest, parts, tree
from statscache.store import Database, published
from statscache.store.published import Entry, shard_of
from statscache.store.schema import directory_part

Files = dict[str, Entry]


@pytest.fixture(scope="module")
def opened(databases: Databases) -> Iterator[Database]:
    """A database that tests and their examples share, one after the other."""
    url = databases.create()
    made = Database(url)
    made.prepare()
    yield made
    made.close()
    databases.drop(url)


@pytest.fixture
def database(opened: Database) -> Database:
    """An empty database."""
    empty(opened)
    return opened


def entry(content: int) -> Entry:
    """Return the entry of some file."""
    return Entry("file", layout.object_name("x.json", b"%d" % content), content)


def apply(database: Database, files: Files, removed: list[str]) -> tree.Changes:
    """Change the tree."""
    with database.writing() as connection:
        return tree.apply(connection, [*files.items(), *((path, None) for path in removed)])


def difference(database: Database, olds: Sequence[str | None], new: str) -> tuple[Files, set[str], set[str]]:
    """Return the files that differ, the paths that are gone, and the names of the manifests; none is reported twice."""
    with database.reading() as connection:
        found = [*manifest.difference(partial(published.load_all, connection), olds, new)]
    files = [change for change in found if change.is_file]
    assert len({change.path for change in files}) == len(files)
    return (
        {change.path: change.entry for change in files if change.entry},
        {change.path for change in files if change.entry is None},
        {change.entry.object for change in found if change.entry and not change.is_file},
    )


def test_manifests_of_a_directory_are_read_at_once(database: Database) -> None:
    """A comparison asks once for all manifests below a directory, or below a part of one, that differ."""
    made = apply(database, {f"v1/plugins/a/by/{number}.json": entry(number) for number in range(2_000)}, [])
    assert made.root is not None
    asked = []

    def load(names: tuple[str, ...]) -> dict[str, bytes]:
        asked.append(names)
        return published.load_all(connection, names)

    with database.reading() as connection:
        assert len(manifest.files(load, made.root)) == 2_000
    names = [name for each in asked for name in each]
    assert len(names) == len({*names}) > 250
    # The root, its subtree, the five directories, and the sixteen parts of the last.
    assert len(asked) <= 1 + 1 + 5 + 1 + 16


def part_rows(database: Database) -> list[tuple[Any, ...]]:
    """Return what the database knows of the parts of directories."""
    with database.reading() as connection:
        return sorted(map(tuple, connection.execute(select(directory_part)).all()))


def bring(database: Database, old: Files, new: Files) -> str | None:
    """Bring the tree from `old` to `new`, and return the root."""
    changed = {path: item for path, item in new.items() if old.get(path) != item}
    return apply(database, changed, sorted(old.keys() - new.keys())).root


def walk(database: Database, root: str) -> list[Entry]:
    """Return all entries of all manifests, and check their form."""
    found = []
    with database.reading() as connection:
        waiting = [root]
        while waiting:
            data = published.load(connection, waiting.pop())
            parsed = orjson.loads(data)
            assert len(parsed["entries"]) <= max(manifest.LARGEST, 16)
            assert parsed["split"] == any(item["type"] == "split" for item in parsed["entries"].values())
            for item in manifest.loads(data).values():
                found.append(item)
                if item.type != "file":
                    waiting.append(item.object)
    return found


NAMES = st.sampled_from([f"v1/plugins/p/by/k{number}.json" for number in range(14)]) | st.sampled_from(
    ["index.html", "v1/plugins/p/latest.json", "v1/plugins/p/chart.svg", "v1/plugins/q/latest.csv", "assets/a.css"]
)
TREES = st.dictionaries(NAMES, st.builds(entry, st.integers(0, 3)), max_size=12)


@pytest.mark.parametrize("at_once", [1, 4096])
@pytest.mark.parametrize("largest", [1, 3])
@given(trees=st.lists(TREES, min_size=2, max_size=3))
def test_a_difference_leads_from_any_tree_to_any_other(
    opened: Database, largest: int, at_once: int, trees: list[Files]
) -> None:
    """Applied to the files of the old tree, it gives those of the new; and a tree's root does not know its past."""
    with pytest.MonkeyPatch.context() as patch:
        # A small limit splits small directories, by several digits.
        patch.setattr(manifest, "LARGEST", largest)
        patch.setattr(parts, "AT_ONCE", max(at_once, largest))
        empty(opened)
        roots: list[str | None] = []
        current: Files = {}
        for files in trees:
            roots.append(bring(opened, current, files))
            current = files
        for old_root, old in zip(roots, trees, strict=True):
            for new_root, new in zip(roots, trees, strict=True):
                if new_root is None:
                    continue
                changed, removed, _ = difference(opened, [old_root], new_root)
                result = {path: item for path, item in old.items() if path not in removed} | changed
                assert result == new
                assert not changed.keys() & removed
                assert all(old.get(path) != item for path, item in changed.items())
        if roots[-1] is not None:
            # From several trees at once, it is what differs from any of them.
            changed, removed, _ = difference(opened, roots[:-1], roots[-1])
            assert changed == {
                path: item for path, item in trees[-1].items() if any(old.get(path) != item for old in trees[:-1])
            }
            assert removed == {path for old in trees[:-1] for path in old} - trees[-1].keys()
        empty(opened)
        assert bring(opened, {}, trees[-1]) == roots[-1]


def test_a_directory_is_split_exactly_where_it_has_over_64_entries(database: Database) -> None:
    """With 64 entries it is one manifest; with 65 it is split by its name's digest; and back."""
    files = {f"v1/plugins/p/by/{number}.json": entry(1) for number in range(64)}
    one = apply(database, files, []).root
    assert one is not None
    assert not [item for item in walk(database, one) if item.type == "split"]
    extra = {"v1/plugins/p/by/more.json": entry(2)}
    two = apply(database, extra, []).root
    assert two is not None
    split = [item for item in walk(database, two) if item.type == "split"]
    assert len(split) == len({shard_of(path.rpartition("/")[2]) >> 56 for path in [*files, *extra]})
    assert difference(database, [None], two)[0] == files | extra
    assert difference(database, [one], two)[0] == extra
    assert difference(database, [two], one)[1] == extra.keys()
    changed = apply(database, {"v1/plugins/p/by/7.json": entry(3)}, [])
    assert changed.root is not None
    files_changed, _, manifests = difference(database, [two], changed.root)
    assert files_changed == {"v1/plugins/p/by/7.json": entry(3)}
    assert len(manifests) == 7, "root, data, v1, plugins, p, by and one part"
    apply(database, {"v1/plugins/p/by/7.json": entry(1)}, [])
    assert apply(database, {}, ["v1/plugins/p/by/more.json"]).root == one
    assert {prefix for _, prefix, *_ in part_rows(database)} == {""}


@given(data=st.data())
def test_a_directory_does_not_know_its_past(opened: Database, data: st.DataObject) -> None:
    """Whatever was added and removed before, the same names give the same manifests, and the same rows of parts."""
    numbers = st.sets(st.integers(0, 300), max_size=200)
    steps = data.draw(st.lists(numbers, min_size=2, max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "LARGEST", 4)
        patch.setattr(parts, "AT_ONCE", data.draw(st.sampled_from([4, 16, 4096])))
        empty(opened)
        current: Files = {}
        for step in steps:
            files = {f"v1/plugins/p/by/{number}.json": entry(number % 3) for number in step}
            root = bring(opened, current, files)
            current = files
        rows = part_rows(opened)
        empty(opened)
        assert bring(opened, {}, current) == (root if current else None)
        assert part_rows(opened) == rows


def test_one_change_among_many_costs_few_small_manifests(tmp_path: Path) -> None:
    """Among 100 to 100,000 files, a changed one makes one manifest more for each sixteenfold, each of a few kB."""
    costs = []
    for number in (100, 1_000, 10_000, 100_000):
        database = Database(f"sqlite:///{tmp_path / f'{number}.db'}")
        database.prepare()
        before = apply(database, {f"v1/plugins/p/by/{at}.json": entry(1) for at in range(number)}, []).root
        after = apply(database, {"v1/plugins/p/by/7.json": entry(2)}, []).root
        assert after is not None
        manifests = difference(database, [before], after)[2]
        with database.reading() as connection:
            sizes = [len(published.load(connection, name)) for name in manifests]
        costs.append(len(manifests))
        assert max(sizes) < 10_000
        database.close()
    # Root, data, v1, plugins, p and by; and below it, one for each digit by which it is split.
    assert costs == [7, 8, 8, 9]


def test_a_change_of_many_files_costs_in_proportion(tmp_path: Path) -> None:
    """Of 10,000 files in one directory, twice as many that change, go or come cost twice as many steps at most."""
    database = Database(f"sqlite:///{tmp_path / 'statscache.db'}")
    database.prepare()
    names = [f"v1/plugins/p/by/{number}.json" for number in range(10_000)]
    apply(database, {path: entry(0) for path in names}, [])
    counts: dict[str, list[int]] = {"change": [], "go": [], "come": [], "look": []}
    for turn, number in enumerate((2_500, 5_000, 10_000), start=1):
        some = names[:number]
        works: dict[str, Callable[[], object]] = {
            "change": partial(apply, database, {path: entry(turn) for path in some}, []),
            "look": partial(look, database, some),
            "go": partial(apply, database, {}, some),
            "come": partial(apply, database, {path: entry(0) for path in some}, []),
        }
        for kind, work in works.items():
            counts[kind].append(steps_of(database, work))
    database.close()
    for kind, (few, more, most) in counts.items():
        assert few > 0, kind
        assert more < 2.5 * few, (kind, few, more, most)
        assert most < 2.5 * more, (kind, few, more, most)


def look(database: Database, paths: list[str]) -> None:
    """Look up files of one directory by their names."""
    with database.reading() as connection:
        names = [path.rpartition("/")[2] for path in paths]
        assert len(published.entries(connection, "v1/plugins/p/by", names, "data")) == len(paths)


def test_what_a_change_drops_is_what_the_new_tree_no_longer_refers_to(database: Database) -> None:
    """Every object of the old tree that is not in the new is among the dropped, so that retention finds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "LARGEST", 2)
        files = {f"v1/plugins/p/by/{number}.json": entry(number) for number in range(40)}
        old = apply(database, files, []).root
        assert old is not None
        changes = apply(database, {"v1/plugins/p/by/3.json": entry(99)}, ["v1/plugins/p/by/4.json"])
        assert changes.root is not None
        gone = {item.object for item in walk(database, old)} - {item.object for item in walk(database, changes.root)}
    assert gone
    assert gone <= changes.dropped


def test_changes_are_distinguished(database: Database) -> None:
    """New, changed and removed paths are listed as such, and what stays the same is not."""
    apply(database, {"a.html": entry(1), "v1/b.json": entry(2), "v1/c.json": entry(3)}, [])
    changes = apply(
        database, {"a.html": entry(1), "v1/b.json": entry(5), "v1/d.json": entry(4)}, ["v1/c.json", "v1/none.json"]
    )
    assert (changes.added.named, changes.changed.named, changes.removed.named) == (
        ["v1/d.json"],
        ["v1/b.json"],
        ["v1/c.json"],
    )
    assert changes.growth == 4 + 5 - 2 - 3


def test_of_many_changes_the_first_are_named(database: Database) -> None:
    """All are counted, pages too; 200 documents are named, in order."""
    names = [f"v1/plugins/p/by/{number:03}.json" for number in range(300)]
    changes = apply(database, {path: entry(1) for path in [*reversed(names), "a.html"]}, [])
    assert (changes.added.files, changes.added.documents, changes.added.named) == (301, 300, names[:200])

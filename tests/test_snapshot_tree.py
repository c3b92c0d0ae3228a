"""The tree of a snapshot: one content has one root, however it came about, and a difference leads from tree to tree."""

from collections.abc import Iterator
from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Databases
from samples import make_empty
from statscache import layout
from statscache.snapshot import manifest, tree
from statscache.store import Database, published
from statscache.store.published import Entry, shard_of

Files = dict[str, Entry]


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    """A database that the examples share, one after the other."""
    made = databases.create()
    make_empty(made)
    yield made
    databases.drop(made)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """An empty database."""
    make_empty(url)
    opened = Database(url)
    yield opened
    opened.close()


def entry(content: int) -> Entry:
    """Return the entry of some file."""
    return Entry("file", layout.object_name("x.json", b"%d" % content), content)


def apply(database: Database, files: Files, removed: list[str]) -> tree.Changes:
    """Change the tree."""
    with database.writing() as connection:
        return tree.apply(connection, files, removed)


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
            assert len(parsed["entries"]) <= max(manifest.LARGEST, 256)
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


@pytest.mark.parametrize("largest", [1, 3])
@given(trees=st.lists(TREES, min_size=2, max_size=3))
def test_a_difference_leads_from_any_tree_to_any_other(url: str, largest: int, trees: list[Files]) -> None:
    """Applied to the files of the old tree, it gives those of the new; and a tree's root does not know its past."""
    with pytest.MonkeyPatch.context() as patch:
        # A small limit splits small directories, once and twice.
        patch.setattr(manifest, "LARGEST", largest)
        patch.setattr(tree, "LARGEST", largest)
        make_empty(url)
        database = Database(url)
        roots: list[str | None] = []
        current: Files = {}
        for files in trees:
            roots.append(bring(database, current, files))
            current = files
        with database.reading() as connection:
            load = partial(published.load, connection)
            for old_root, old in zip(roots, trees, strict=True):
                for new_root, new in zip(roots, trees, strict=True):
                    if new_root is None:
                        continue
                    found = manifest.difference(load, old_root, new_root)
                    result = {path: item for path, item in old.items() if path not in found.removed} | found.changed
                    assert result == new
                    assert not found.changed.keys() & found.removed
                    assert all(old.get(path) != item for path, item in found.changed.items())
        make_empty(url)
        assert bring(database, {}, trees[-1]) == roots[-1]
        database.close()


def test_a_directory_is_split_exactly_where_it_has_over_1000_entries(database: Database) -> None:
    """With 1,000 entries it is one manifest; with 1,001 it is split by its name's digest; and back."""
    files = {f"v1/plugins/p/by/{number}.json": entry(1) for number in range(1000)}
    one = apply(database, files, []).root
    assert one is not None
    assert not [item for item in walk(database, one) if item.type == "split"]
    extra = {"v1/plugins/p/by/more.json": entry(2)}
    two = apply(database, extra, []).root
    assert two is not None
    split = [item for item in walk(database, two) if item.type == "split"]
    assert len(split) == len({shard_of(path.rpartition("/")[2]) >> 8 for path in [*files, *extra]})
    with database.reading() as connection:
        load = partial(published.load, connection)
        assert manifest.files(load, two) == files | extra
        assert manifest.difference(load, one, two).changed == extra
        assert manifest.difference(load, two, one).removed == extra.keys()
    changed = apply(database, {"v1/plugins/p/by/7.json": entry(3)}, [])
    assert changed.root is not None
    with database.reading() as connection:
        difference = manifest.difference(partial(published.load, connection), two, changed.root)
    assert difference.changed == {"v1/plugins/p/by/7.json": entry(3)}
    assert len(difference.manifests) == 7, "root, data, v1, plugins, p, by and one part"
    apply(database, {"v1/plugins/p/by/7.json": entry(1)}, [])
    assert apply(database, {}, ["v1/plugins/p/by/more.json"]).root == one


def test_what_a_change_drops_is_what_the_new_tree_no_longer_refers_to(database: Database) -> None:
    """Every object of the old tree that is not in the new is among the dropped, so that retention finds it."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (manifest, tree):
            patch.setattr(module, "LARGEST", 2)
        files = {f"v1/plugins/p/by/{number}.json": entry(number) for number in range(40)}
        old = apply(database, files, []).root
        assert old is not None
        changes = apply(database, {"v1/plugins/p/by/3.json": entry(99)}, ["v1/plugins/p/by/4.json"])
        assert changes.root is not None
        gone = {item.object for item in walk(database, old)} - {item.object for item in walk(database, changes.root)}
    assert gone
    assert gone <= changes.dropped


def test_changes_are_told_apart(database: Database) -> None:
    """New, changed and removed paths are listed as such, and what stays the same is not."""
    apply(database, {"a.html": entry(1), "v1/b.json": entry(2), "v1/c.json": entry(3)}, [])
    changes = apply(
        database, {"a.html": entry(1), "v1/b.json": entry(5), "v1/d.json": entry(4)}, ["v1/c.json", "v1/none.json"]
    )
    assert (changes.added, changes.changed, changes.removed) == (["v1/d.json"], ["v1/b.json"], ["v1/c.json"])

"""Retention: what is kept of the past, and for how long a reader may still hold an index of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from samples import NOON, Buyers, Customers, Sales, Site, follow, line
from statscache import layout
from statscache.snapshot import retention, tree
from statscache.store import schema

HOUR, DAY = 3600, 86400

PLUGINS = Sales, Buyers, Customers
"""With documents, a document for each key, and members of sets."""


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site of which two snapshots are published; it keeps three, a week at most, and a day of grace."""
    made = Site(database_url, tmp_path, PLUGINS, publish={"retention": {"snapshots": 3, "days": 7, "grace_hours": 24}})
    for number in range(2):
        publish(made, number)
    yield made
    made.close()


def publish(site: Site, number: int) -> bytes:
    """Publish a snapshot in which documents changed, came and went out of the list, and return its pointer."""
    site.feed([line(f"m{number}", NOON + 60 * number, body={"buyer": f"b{number}", "thing": "tea"})])
    site.publish()
    return held(site)


def held(site: Site) -> bytes:
    """Return the pointer as a reader holds it."""
    return (site.public / layout.INDEX).read_bytes()


def listed(site: Site) -> list[str]:
    """Return the ids of the snapshots that are said to be retained, newest first."""
    return [snapshot["snapshot"] for snapshot in site.document(layout.CHANGES)["snapshots"]]


def age(site: Site, seconds: int) -> None:
    """Let time pass."""
    with site.database.writing() as connection:
        for table, column in (
            (schema.dropped, "dropped_at"),
            (schema.unreferenced, "since"),
            (schema.snapshot, "current_until"),
        ):
            connection.execute(update(table).values({column: table.c[column] - seconds}))


def published_objects(site: Site) -> set[str]:
    """Return the names of all objects that lie there, root manifests at their second path too."""
    names = ("v1/objects", "v1/snapshots")
    paths = (path for name in names for path in (site.public / name).rglob("*") if path.is_file())
    return {path.name for path in paths if path.suffix != ".gz"}


def needed_objects(site: Site) -> set[str]:
    """Return the names of the objects that the current snapshot is made of, as the database has them.

    Names of the bytes of documents of keys, which are not objects, are their digests alone.
    """
    with site.database.reading() as connection:
        columns = schema.tree.c.object, schema.directory_part.c.object
        used = {name for column in columns for name in connection.scalars(select(column))}
        return used | {f"{listed(site)[0]}.json"}


def objects(names: set[str]) -> set[str]:
    """Return those names that are of objects, without the bytes of documents of keys."""
    return {name for name in names if "." in name}


def test_a_snapshot_beyond_the_count_leaves_the_list_and_stays_whole_for_its_grace(site: Site) -> None:
    """However quickly publications follow each other, an index that a reader still holds resolves; then all goes."""
    pointers = [publish(site, number) for number in range(2, 8)]
    assert len(listed(site)) == 3
    for old in pointers:
        assert follow(site.public, old)
    age(site, 23 * HOUR)
    site.publish()
    assert follow(site.public, pointers[0])
    age(site, 2 * HOUR)
    site.publish()
    assert len(listed(site)) == 3, "the snapshots that are retained by their number have no less than that"
    for identity in listed(site):
        assert (site.public / layout.manifest(identity)).exists()
    with pytest.raises(FileNotFoundError):
        follow(site.public, pointers[0])
    age(site, 8 * DAY)
    site.publish()
    assert len(listed(site)) == 1
    assert published_objects(site) == objects(needed_objects(site))


def test_age_and_grace_count_from_the_successor(site: Site) -> None:
    """A snapshot that was current for longer than anything is kept is retained when it is replaced."""
    old, identity = held(site), listed(site)[0]
    age(site, 30 * DAY)
    publish(site, 2)
    assert listed(site)[1:] == [identity]
    assert follow(site.public, old)
    age(site, 8 * DAY)
    publish(site, 3)
    with pytest.raises(FileNotFoundError):
        follow(site.public, old)


def test_a_rollback_that_was_held_for_long_resolves_after_it_is_resumed(site: Site) -> None:
    """A generation that went back is one like any other; and what was taken back leaves nothing behind in the end."""
    bad, good = listed(site)
    site.publishing.rollback(good)
    age(site, 30 * DAY)
    for _ in range(2):
        site.publish()
        assert listed(site)[0] == good
        assert follow(site.public)
    old = held(site)
    site.feed([line("c", NOON + 120, body={"buyer": "cat", "thing": "jam"})])
    site.publishing.publish(resume=True)
    for _ in range(2):
        site.publish()
        assert follow(site.public, old)
    age(site, 8 * DAY)
    site.publish()
    assert bad not in listed(site)
    assert published_objects(site) == objects(needed_objects(site))
    with site.database.reading() as connection:
        assert {*connection.scalars(select(schema.object_.c.name))} == needed_objects(site)


def test_a_snapshot_that_a_target_still_serves_is_kept_for_its_readers(site: Site) -> None:
    """Where a target was away for longer than the grace, its readers still get what its index named until now."""
    old = held(site)
    for number in range(2, 7):
        site.feed([line(f"m{number}", NOON + 60 * number, body={"buyer": f"b{number}", "thing": "tea"})])
        site.build()
    age(site, 8 * DAY)
    site.publish()
    site.publish()
    assert follow(site.public, old)


def test_deciding_what_goes_reads_no_summary(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be thousands of snapshots in their grace, whose summaries are large."""
    monkeypatch.setattr("statscache.snapshot.snapshot.orjson.loads", lambda _: pytest.fail("a summary was read"))
    with site.database.reading() as connection:
        assert not retention.find(connection, site.installation.config.publish.retention).generations


def test_objects_of_a_build_that_was_killed_are_collected(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was rendered for a snapshot that never came is garbage after the grace, in the database too."""
    site = Site(database_url, tmp_path, PLUGINS, publish={"retention": {"grace_hours": 0}})
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
        columns = schema.tree.c.object, schema.directory_part.c.object
        used = {name for column in columns for name in connection.scalars(select(column))}
        used |= {*connection.scalars(select(schema.snapshot.c.manifest))}
        real = select(schema.dropped.c.object).where(schema.dropped.c.generation > 0)
        used |= {*connection.scalars(real)}
        return {*connection.scalars(select(schema.object_.c.name))} - used

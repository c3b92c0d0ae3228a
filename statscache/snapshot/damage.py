"""Damage at rest: decayed objects of the published tree are found, deleted, and rendered again from the statistics.

Objects and manifests are named by their digests, so an intact one proves itself, and one that is rendered again
proves that it equals the published one. The rows of the tree follow from these. Statistics have no digests. But nothing
published depends on the clock: where nothing was counted since, other bytes than before mean that statistics decayed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, groupby

from sqlalchemy import Connection, Text, delete, select

from statscache import layout
from statscache.exceptions import Damaged, DamagedSnapshot, DamagedStatistics
from statscache.render.result import RenderedPlugin, RenderResult
from statscache.snapshot import manifest, parts, snapshots
from statscache.snapshot.snapshot import Snapshot
from statscache.store import positions, published
from statscache.store.bulk import among, batches
from statscache.store.positions import Position
from statscache.store.published import FILES, Entry
from statscache.store.schema import directory_part, object_, snapshot, tree, unneeded

_BATCH = 1_000

_RENDER = "`statscache publish --force` renders it again"


def find(connection: Connection, *, digests: bool) -> Iterator[str]:
    """Yield a line for each thing that is damaged in the published tree of the database: what it is, and what to do.

    Args:
        connection: A reading connection.
        digests: True to compare the digests of all objects, which reads all of them.
    """
    for generation in snapshots.damaged(connection):
        yield f"the row of snapshot {generation} is damaged; `statscache publish --force` forgets that snapshot"
    if digests:
        for name, data in published.every(connection):
            if data is None:
                used = ", ".join(paths(connection, name)) or "no file of the current tree"
                yield f"object {name} is damaged ({used}); {_RENDER}"
    for place in sorted(_differing(connection)):
        yield f"rows of the published directory {place.partition('/')[2] or place or '/'} are damaged; {_RENDER}"


def paths(connection: Connection, name: str) -> list[str]:
    """Return the paths of the tree in the database that have the bytes of an object, at most three."""
    rows = connection.execute(select(tree.c.directory, tree.c.name).where(tree.c.object == name).limit(3))
    return [_path(row.directory, row.name) for row in rows]


def _differing(connection: Connection) -> set[str]:
    """Return the locations of directories whose rows contradict each other or the snapshot."""
    known: dict[str, dict[str, parts.Part]] = {}
    for row in connection.execute(select(directory_part)):
        known.setdefault(row.directory, {})[row.prefix] = parts.Part(*row[2:])
    manifests = {place: below[""].object for place, below in known.items() if "" in below}
    found, named = set[str](), dict[str, str]()
    query = select(tree).order_by(tree.c.directory, tree.c.shard, tree.c.name)
    rows = connection.execute(query.execution_options(yield_per=_BATCH))
    for place, group in groupby(rows, lambda row: str(row.directory)):
        listed = [(row.shard, row.name, Entry(row.type, row.object, row.size)) for row in group]
        if parts.made_of(place, listed) != known.pop(place, {}):
            found.add(place)
        for _, name, entry in listed:
            if entry.type not in FILES:
                named[f"{place}/{name}" if place else name] = entry.object
    found |= known.keys()
    newest = connection.execute(select(snapshot).order_by(snapshot.c.generation.desc()).limit(1)).one_or_none()
    if newest is not None and newest.origin == newest.generation:
        named[""] = newest.manifest
    else:
        manifests.pop("", None)
    return found | {place for place in manifests.keys() | named.keys() if manifests.get(place) != named.get(place)}


def throw_away(connection: Connection, *, resume: bool) -> list[str]:
    """Remove damaged objects and rows of snapshots, and return their names.

    Args:
        connection: A writing connection.
        resume: True to end a rollback, if there is one.

    Raises:
        DamagedSnapshot: The row that holds publishing after a rollback is damaged; the generation to hold is unknown.
    """
    if connection.dialect.name == "sqlite":
        _make_readable(connection)
    generations = snapshots.damaged(connection)
    newest = connection.execute(select(snapshot).order_by(snapshot.c.generation.desc()).limit(1)).one_or_none()
    if newest is not None and newest.generation in generations and snapshots.may_hold(newest) and not resume:
        raise DamagedSnapshot(
            f"the row of snapshot {newest.generation}, where a rollback held publishing, is damaged in the database:"
            " `statscache publish --resume` ends the hold, and then the rollback can be repeated"
        )
    objects = [name for name, data in published.every(connection) if data is None]
    snapshots.drop(connection, generations)
    for names in batches(objects, _BATCH):
        connection.execute(delete(object_).where(among(object_.c.name, names)))
    return [*(f"the row of snapshot {number}" for number in generations), *(f"object {name}" for name in objects)]


def _make_readable(connection: Connection) -> None:
    """Make indexes again, and remove rows whose names are not text, which could not even be read."""
    connection.exec_driver_sql("REINDEX")
    for column in (
        object_.c.name,
        *(table.c.object for table in unneeded),
        snapshot.c.id,
        snapshot.c.parent,
        snapshot.c.manifest,
    ):
        connection.execute(delete(column.table).where(column.op("GLOB")("*[^0-9a-z.]*")))
    for column in (*tree.columns, *directory_part.columns):
        if isinstance(column.type, Text):
            connection.execute(delete(column.table).where(column.op("GLOB")("*[^ -~]*")))


def forget_lost(connection: Connection) -> list[int]:
    """Forget the snapshots of which a manifest is lost, and return their generations."""
    whole: dict[str, bool] = {}

    def is_whole(name: str) -> bool:
        if name not in whole:
            try:
                entries = manifest.loads(published.load(connection, name)).values()
            except Damaged:
                whole[name] = False
            else:
                whole[name] = all(is_whole(entry.object) for entry in entries if entry.type not in FILES)
        return whole[name]

    rows = connection.execute(select(snapshot.c.generation, snapshot.c.manifest)).all()
    lost = [row.generation for row in rows if not is_whole(row.manifest)]
    snapshots.drop(connection, lost)
    return lost


def kept(connection: Connection, result: RenderResult, before: Snapshot | None) -> dict[str, Entry]:
    """Return the files that were not rendered and stay: those of plugins that are not up to date.

    They are taken from the manifests of the snapshot before, or where these are lost, from the rows of the tree.
    """
    fine = [each.info.name for each in result.plugins if each.state == "ok"]
    stale = [each.info.name for each in result.plugins if each.state != "ok"] + result.unloadable
    if not stale and result.whole:
        return {}
    theirs, others = _roots(stale), _roots([*fine, *(row.name for row in result.uninstalled)])

    def stays(path: str) -> bool:
        if path.startswith(theirs):
            return True
        # Which pages could not be rendered is unknown.
        is_page = layout.subtree(path) == "site" and not path.startswith(others)
        return is_page and not result.whole and path not in result.pages

    files = _rows(connection) if before is None or before.is_rollback else _files(connection, before)
    try:
        return {path: entry for path, entry in files if stays(path)}
    except Damaged:
        return {path: entry for path, entry in _rows(connection) if stays(path)}


def refuse_other_numbers(connection: Connection, result: RenderResult) -> None:
    """Compare documents with those before, of plugins that counted nothing since.

    What was before is taken from directories whose rows agree with their checksum.

    Raises:
        DamagedStatistics: Some differ; the text names the plugins.
    """
    pending = positions.pending(connection)
    damaged = [
        each.info.name
        for each in result.plugins
        if is_settled(each.row, result.through, pending)
        and each.state == "ok"
        and each.row.rendered_with == each.rendered_with
        and each.repeatable
        and differs(connection, each)
    ]
    if damaged:
        raise DamagedStatistics(
            f"the statistics of {', '.join(damaged)} are damaged in the database, or the code of the plugin was changed"
            " without a higher `version`: other documents follow from them than were published, though nothing was"
            f" counted since; raise `version`, or run `statscache rebuild {' '.join(damaged)}`: both count again"
        )


def is_settled(row: Position, through: int | None, pending: Mapping[int, int]) -> bool:
    """Return whether a plugin counted nothing since all its documents were rendered last.

    Args:
        row: Its row.
        through: The journal's clock.
        pending: The number of documents that wait, by the number of the plugin.
    """
    times = {row.fast_through, row.slow_through}
    return not pending.get(row.id) and {row.fast_revision, row.slow_revision} == {row.revision} and times == {through}


def differs(connection: Connection, made: RenderedPlugin) -> bool:
    """Return whether documents of a plugin, all of which were rendered, are other than those that are published.

    What is published is taken from directories whose rows agree with their checksum.
    """
    known, places = _known(connection, layout.plugin_root(made.info.name))
    rendered = ((path, entry) for path, entry in chain(made.changed.items(), made.keys) if _place(path) in places)
    others = [path for path, entry in rendered if known.pop(hash(path), None) != hash(entry)]
    return bool(others or known)


def _known(connection: Connection, root: str) -> tuple[dict[int, int], set[str]]:
    """Return the entries of the files below a directory by path, both hashed, and the locations that they are in."""
    here = published.location("data", root)
    below = (tree.c.directory > f"{here}/") & (tree.c.directory < f"{here}0")
    query = select(tree).where((tree.c.directory == here) | below).order_by(tree.c.directory)
    known, places = dict[int, int](), set[str]()
    for place, group in groupby(
        connection.execute(query.execution_options(yield_per=_BATCH)), lambda row: row.directory
    ):
        entries = [(row.shard, row.name, Entry(row.type, row.object, row.size)) for row in group]
        try:
            published.check(connection, place, (published.checksum(place, *row) for row in entries))
        except Damaged:
            continue
        places.add(place)
        # Of keys there may be a hundred thousand, so no strings are kept.
        known |= {hash(_path(place, name)): hash(entry) for _, name, entry in entries if entry.type in FILES}
    return known, places


def lost_files(connection: Connection) -> list[str]:
    """Return the paths of files in the tree whose bytes are lost."""
    query = (
        select(tree.c.directory, tree.c.name)
        .outerjoin(object_, object_.c.name == tree.c.object)
        .where(tree.c.type.in_(FILES), object_.c.name.is_(None))
    )
    return sorted(_path(row.directory, row.name) for row in connection.execute(query))


def named(what: Collection[object], most: int = 3) -> str:
    """Return the first few of some things in one line, and how many more there are."""
    more = f" and {len(what) - most:,} more" if len(what) > most else ""
    return ", ".join(map(str, list(what)[:most])) + more


def _files(connection: Connection, before: Snapshot) -> Iterator[tuple[str, Entry]]:
    """Yield path and entry of each file of a snapshot, as its manifests have them."""
    for change in manifest.difference(partial(published.load_all, connection), [None], before.manifest):
        if change.is_file and change.entry is not None:
            yield change.path, change.entry


def _rows(connection: Connection) -> Iterator[tuple[str, Entry]]:
    """Yield path and entry of each file, as the rows of the tree have them."""
    for row in connection.execute(select(tree).where(tree.c.type.in_(FILES)).execution_options(yield_per=_BATCH)):
        yield _path(row.directory, row.name), Entry(row.type, row.object, row.size)


def _path(place: str, name: str) -> str:
    directory = place.partition("/")[2]
    return f"{directory}/{name}" if directory else name


def _place(path: str) -> str:
    return published.location(layout.subtree(path), "/".join(layout.steps(path)[:-1]))


def _roots(plugins: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        root
        for name in plugins
        for root in (f"{layout.plugin_root(name)}/", f"{layout.page_root(name)}/", layout.feed(name))
    )

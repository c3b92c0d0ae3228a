"""A kind alone knows what it is: no other module compares kinds, and a new one touches nothing else."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, func, select

from samples import NOON, Site, line
from statscache import kinds, schemas, windows
from statscache.kinds import Kind, keys
from statscache.kinds.consistency import KEY_HAS_PLUGIN
from statscache.kinds.presentation import Column
from statscache.kinds.state import Dirty, State
from statscache.kinds.tables import KEY, key, key_quarter, member, member_set, part
from statscache.kinds.yields import Yields
from statscache.plugins import Message, Plugin
from statscache.privacy.export import export
from statscache.privacy.forget import forget
from statscache.store.bulk import Upsert

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = {name: kind for name, kind in kinds.kinds().items() if kind.__module__.startswith("statscache.kinds.")}
NAMES = {*BUNDLED, *(kind.__name__ for kind in BUNDLED.values()), "CounterByKeyKind"}
"""Names of kinds, and of their classes; authors' bases are named like kinds."""


def comparisons(source: str) -> Iterator[int]:
    """Yield the line of each comparison with a kind, by name or by class, or look-up by its name."""
    for node in ast.walk(ast.parse(source)):
        suspects: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            suspects = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CHECKS:
            suspects = node.args[1:]
        elif isinstance(node, ast.Dict):
            suspects = [name for name in node.keys if name is not None]
        elif isinstance(node, ast.MatchValue):
            suspects = [node.value]
        elif isinstance(node, ast.MatchClass):
            suspects = [node.cls]
        for each in (one for suspect in suspects for one in getattr(suspect, "elts", [suspect])):
            named = each.value if isinstance(each, ast.Constant) else getattr(each, "id", getattr(each, "attr", None))
            if named in NAMES:
                yield each.lineno


_CHECKS = {"isinstance", "issubclass"}


@pytest.mark.parametrize(
    "source",
    [
        'view.kind == "Counter"',
        'view.kind in ("Counter", "Distinct")',
        "isinstance(plugin, Counter)",
        "issubclass(cls, (plugins.Table, int))",
        "plugin.kind_class is LatestKind",
        'WORDS = {"Log": "the newest"}',
        'match kind:\n    case "Span":\n        pass',
    ],
)
def test_a_comparison_is_found(source: str) -> None:
    """The search below sees every way in which kinds used to be compared."""
    assert [*comparisons(source)]


def test_no_module_outside_kinds_compares_kinds() -> None:
    """What differs between kinds is asked of the kind."""
    files = [path for root in ("statscache", "plugins") for path in sorted((ROOT / root).rglob("*.py"))]
    outside = [path for path in files if "kinds" not in path.relative_to(ROOT).parts]
    assert len(outside) > 150
    found = [f"{path.relative_to(ROOT)}:{at}" for path in outside for at in comparisons(path.read_text())]
    assert found == []


def test_no_template_or_script_compares_kinds() -> None:
    """Nor does a page, before and after it is loaded."""
    quoted = re.compile("|".join(f"[\"']{name}[\"']" for name in BUNDLED))
    files = [*(ROOT / "templates").iterdir(), *(ROOT / "site").glob("*.js")]
    assert len(files) > 40
    assert [path.name for path in files if quoted.search(path.read_text())] == []


def test_scripts_show_columns_as_pages_do() -> None:
    """A script knows by name alone which fields are times and durations, because documents do not say it."""
    script = (ROOT / "site" / "parts.js").read_text()
    times, durations = (
        set(re.findall(r'"(\w+)"', re.findall(rf"{name} = \(field\) => (.*)", script)[0]))
        for name in ("isTime", "isDuration")
    )
    for column in kinds.columns():
        assert (column.name in times) is not column.is_number, f"{column.name}: isTime in parts.js is wrong"
        assert (column.name in durations) is column.is_duration, f"{column.name}: isDuration in parts.js is wrong"


@pytest.mark.parametrize("kind", BUNDLED.values(), ids=lambda kind: kind.name)
def test_every_kind_declares_everything(kind: type[Kind]) -> None:
    """Each table is searched for names or has none, and has an invariant; each column can be shown."""
    assert kind.description.endswith(".")
    assert {*kind.card_columns} <= {*kind.columns}
    assert kind.ordered_by is None or kind.ordered_by in kind.column_names()
    # An invariant is a query, or a function that decodes compact rows and says so in its text.
    decoded = {key_quarter, part, member, member_set}
    checked = " ".join(each.find for each in kind.invariants if isinstance(each.find, str))
    searched = {each.table for each in kind.searched}
    numbers_only = {"bucket", "key_quarter", "member", "member_set"}
    for table in kind.tables:
        assert "plugin" in table.c
        assert table in decoded or re.search(rf"\b{table.name}\b", checked), f"no invariant is about {table.name}"
        assert table is key or table in searched or table.name in numbers_only, (
            f"`searched` has no column of {table.name}: forgetting does not look there; where it holds no text, add it"
            " to `numbers_only`"
        )
    assert bool(kind.tables) == kind.follows_from_yields


def test_every_column_is_in_the_schema() -> None:
    """The published schema of a row has the columns of the kinds, and no others."""
    provided = {name for kind in BUNDLED.values() for name in kind.column_names()}
    assert schemas.statistics.Row.__annotations__.keys() == provided


def test_widgets_say_windows_as_pages_do() -> None:
    """The script that others embed has a copy of the words, because the index does not carry them."""
    script = (ROOT / "site" / "widgets.js").read_text()
    for window in vars(windows).values():
        if isinstance(window, windows.Window):
            assert f'{window.name}: "{window.words}"' in script
    for name, heading in re.findall(r'(\w+): "([^"]+)"', re.findall(r"HEADS = (.*)", script)[0]):
        column = kinds.column(name)
        assert column is not None
        assert column.heading == heading


# A kind of one's own, as an author of kinds would write it.


def _sum(state: State, digest: int, total: int) -> int:
    """Return the checksum of a new key."""
    checksum: int = KEY.of(state.plugin, digest, total, 0, 0)
    return checksum


def _greater(total: Any) -> dict[str, Any]:
    """Return the columns of a key that was stored, with another total."""
    return {"total": total, "checksum": KEY.merged({"total": total})}


class PeakKind(Kind):
    """The greatest number of each key, in the total of the table of keys."""

    name = "Peak"
    description = "Peak: the greatest number of each key."
    columns = (Column("peak", "Peak", words="at most"),)
    ordered_by = "peak"
    tables = (key,)
    invariants = (KEY_HAS_PLUGIN,)

    def check(self, item: Any) -> Any:
        """Return a key and a number."""
        name, value = item
        return keys.check(self.plugin.dimensions, name), int(value)

    def reduce(self, yields: Yields) -> dict[Any, int]:
        """Return the greatest number of each key."""
        peaks: dict[Any, int] = {}
        for *_, (name, value) in yields.one_by_one():
            peaks[name] = max(value, peaks.get(name, value))
        return peaks

    def merge(self, state: State, reduced: dict[Any, int]) -> set[Dirty]:
        """Keep the greatest."""
        rows = [
            (
                state.plugin,
                keys.digest(name),
                keys.stored(name),
                value,
                0,
                0,
                None,
                None,
                None,
                KEY.of(state.plugin, keys.digest(name), value, 0, 0),
            )
            for name, value in reduced.items()
        ]
        greatest = func.max if state.connection.dialect.name == "sqlite" else func.greatest
        Upsert(key, lambda table, new: _greater(greatest(table.c.total, new.total)))(state.connection, rows)
        return {Dirty("latest")}

    def _rows(self, connection: Connection, plugin: int) -> Any:
        return connection.execute(select(key).where(key.c.plugin == plugin).order_by(key.c.dimensions))

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        """Yield the keys."""
        return ((keys.load(row.dimensions), row.total) for row in self._rows(connection, plugin))

    def latest(self, state: State) -> list[dict[str, Any]]:
        """Return the keys."""
        rows = self._rows(state.connection, state.plugin)
        return [{**self.record(row.dimensions), "peak": row.total} for row in rows]

    def main_column(self, rows: Any, partial: Any) -> Column:
        """Return the peak."""
        return self.columns[0]

    @property
    def adds_up(self) -> bool:
        """Peaks do not."""
        return False


class Peak(Plugin):
    """What authors derive from."""

    kind_class = PeakKind


class Dearest(Peak):
    """The highest price that each buyer paid."""

    name = "dearest"
    title = "Dearest"
    unit = "coins"
    dimensions = ("buyer",)
    people = True

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield the buyer and the amount."""
        yield (message.body["buyer"],), message.body["amount"]


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site with the plugin of the new kind."""
    site = Site(database_url, tmp_path, (Dearest,))
    yield site
    site.close()


def test_a_new_kind_works_by_itself(site: Site) -> None:
    """It counts, publishes documents and a page, is exported and forgotten, and nothing else was told of it."""
    sales = [("ralph", 3), ("ann", 9), ("ralph", 7), ("ralph", 5)]
    site.feed(
        line(f"m{at}", NOON + at, body={"buyer": buyer, "amount": amount}, users=[buyer])
        for at, (buyer, amount) in enumerate(sales)
    )
    site.publish()
    root = "v1/plugins/dearest"
    assert site.document(f"{root}/latest.json")["rows"] == [{"buyer": "ann", "peak": 9}, {"buyer": "ralph", "peak": 7}]
    assert (site.public / root / "latest.csv").read_bytes() == b"buyer,peak\r\nann,9\r\nralph,7\r\n"
    (listed,) = site.document("v1/index.json")["plugins"]
    assert listed["kind"] == "Peak"
    page = (site.public / "plugins/dearest/index.html").read_text()
    assert "Peak: the greatest number of each key." in page
    assert "ann, the most of any buyer" in page
    assert '<th scope="col" class="number" aria-sort="descending"><bdi>Peak</bdi></th>' in page
    held = orjson.loads(b"".join(export(site.installation, "ralph")))
    assert held["state"] == {"dearest": [[["ralph"], 7]]}
    forget(site.installation, "ralph", lambda *_: None)
    site.catch_up()
    site.publish(force=True)
    assert site.document(f"{root}/latest.json")["rows"] == [{"buyer": "_", "peak": 7}, {"buyer": "ann", "peak": 9}]
    assert orjson.loads(b"".join(export(site.installation, "ralph")))["state"] == {}


def test_two_kinds_of_one_name_are_refused() -> None:
    """The error names both sides."""
    make: Callable[[], type] = lambda: type("Other", (PeakKind,), {"name": "Counter"})  # noqa: E731
    with pytest.raises(Exception, match=r"kind Counter: statscache\.kinds\.counter has it already"):
        make()


def test_a_column_of_another_kind_is_refused_unless_it_is_the_same() -> None:
    """A page looks up by name alone how a field is shown, so the first of two would decide for both."""
    columns = Column("duration", "How long"), *PeakKind.columns
    make: Callable[[], type] = lambda: type("Slow", (PeakKind,), {"name": "Slow", "columns": columns})  # noqa: E731
    with pytest.raises(Exception, match="kind Slow: another kind has a column duration, with other attributes"):
        make()
    assert "Slow" not in kinds.kinds()


def test_bases_import_kinds_of_the_package() -> None:
    """So one that is not registered there is an ImportError, instead of a kind that some commands do not see."""
    files = [path.read_text() for path in (ROOT / "statscache" / "plugins").glob("*.py")]
    assert any("CounterKind" in source for source in files)
    modules = re.compile(r"^from statscache\.kinds\.\w+ import .*\w+Kind\b", re.MULTILINE)
    assert [found for source in files for found in modules.findall(source)] == []

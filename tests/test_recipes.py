"""docs/recipes.md lists all files of each recipe: those that an existing one touches, and those that a trial needs."""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import inspect

from samples import Site, line
from statscache import layout
from statscache.publish.target import File, Target
from statscache.store import Database, migrations

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (A new \w+|A migration)$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def listed(recipe: str) -> list[str]:
    """Return the paths in the tables of a recipe."""
    return re.findall(r"^\|(?: [^|`]*\|)? `([\w./-]+)` \|", RECIPES[recipe], re.MULTILINE)


def test_every_recipe_has_files() -> None:
    """The headings and tables are found."""
    assert list(RECIPES) == ["A new statistic", "A new kind", "A new source", "A new target", "A migration"]
    assert all(listed(recipe) for recipe in RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_listed_file_exists(recipe: str) -> None:
    """A path is that of a file; one with NAME, of several."""
    for path in listed(recipe):
        assert list(ROOT.glob(path.replace("NAME", "*"))), f"{recipe}: there is no {path}"


# A model for each recipe, what gives it away, where else that is allowed to stand, and why.
MODELS = [
    (
        "A new statistic",
        "badges",
        r"statscache_plugins\.badges|badges-by-user|class BadgesByUser",
        ("tests/kinds/test_known.py", "tests/simulator/test_simulator.py"),
    ),
    (
        "A new kind",
        "span",
        r"\bSpanKind\b|`Span`|class \w+\(Span\)|plugins\.bases import .*\bSpan\b",
        ("plugins/composes.py", "tests/kinds/test_kinds.py"),
    ),
    (
        "A new source",
        "spool",
        r"\bSpoolSection\b|sources\.spool\b|\bspooling\b",
        ("statscache/privacy/forget.py", "tests/config/test_preflight.py", "tests/publish/test_slow_targets.py"),
    ),
    ("A new target", "rsync", r"\bRsync(Target|Section)\b|targets\[rsync\]", ()),
]
SEARCHED = ("statscache/**/*.py", "plugins/*.py", "site/*.js", "setup.py", "docs/*.md", "tests/**/*.py")


@pytest.mark.parametrize(("recipe", "name", "pattern", "uses"), MODELS, ids=[model[0] for model in MODELS])
def test_a_recipe_lists_what_its_model_touches(recipe: str, name: str, pattern: str, uses: Sequence[str]) -> None:
    """The files that name the model are in the recipe, or only use it; and each of the recipe's names the model."""
    paths = [path for glob in SEARCHED for path in ROOT.glob(glob) if path != Path(__file__)]
    found = {
        path.relative_to(ROOT).as_posix() for path in paths if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    files = {path.replace("NAME", name) for path in listed(recipe)}
    about = {"docs/recipes.md", *uses}
    assert found - files - about == set(), f"add to {recipe} in docs/recipes.md"
    conditional = set(re.findall(r"^\|(?: [^|`]*\|) `([\w./-]+)` \|", RECIPES[recipe], re.MULTILINE))
    assert {path for path in files - found - conditional if (ROOT / path).suffix == ".py"} == set(), (
        "the recipe lists what its model does not touch"
    )


class MemoryTarget(Target):
    """A trial: nothing but what a target must have."""

    name = "public"

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def _read(self, path: str) -> bytes | None:
        """Return the bytes, if they are held."""
        return self.held.get(path)

    def _holds(self, path: str, size: int) -> bool:
        """Return whether as many bytes are held."""
        return len(self.held.get(path, b"")) == size

    def _files(self, directories: Sequence[str]) -> Iterator[str]:
        """Yield the paths below these directories."""
        yield from [path for path in self.held if path.startswith(tuple(f"{name}/" for name in directories))]

    def _write(self, files: Sequence[File]) -> None:
        """Hold the files."""
        self.held |= {file.path: file.data for file in files}

    def _delete(self, paths: Sequence[str]) -> None:
        """Hold the files no more."""
        for path in paths:
            self.held.pop(path, None)

    def _barrier(self) -> None:
        """Return at once: there is nothing to wait for."""


def test_a_new_target_needs_its_abstract_methods_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication to such a target has the files of one to a directory, but for the times in three of them."""
    target = MemoryTarget()
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path)
    site.feed([line("a"), line("b")])
    site.publishing.publish()
    published = {path.relative_to(site.public).as_posix() for path in site.public.rglob("*") if path.is_file()}
    monkeypatch.setattr("statscache.publish.targets.make_target", lambda _: target)
    del site.publishing
    site.publishing.publish()
    assert target.held.keys() == {path for path in published if not path.endswith(".gz")}
    assert layout.INDEX in target.held
    for path in target.held.keys() - {layout.INDEX, layout.STATUS, layout.CHANGES}:
        assert target.held[path] == (site.public / path).read_bytes()


def test_the_migration_of_the_recipe_runs(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one file more in the directory of versions, a database that has data is brought to the new revision."""
    database = Database(database_url)
    database.prepare()
    copy = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, copy)
    (block,) = re.findall(r"^```python\n(.*?)^```$", RECIPES["A migration"], re.MULTILINE | re.DOTALL)
    (copy / "versions" / "0002_colour.py").write_text(block, encoding="utf-8")
    monkeypatch.setattr(migrations, "__file__", str(copy / "__init__.py"))
    database.upgrade()
    assert database.revision() == "0002"
    assert "colour" in {column["name"] for column in inspect(database.engine).get_columns("held")}
    database.close()

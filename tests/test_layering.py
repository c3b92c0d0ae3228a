"""Imports follow the data (DESIGN.md 1): the contracts in pyproject.toml hold, and catch what breaks them."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {"statscache": ROOT / "statscache", "statscache_plugins": ROOT / "plugins"}

# Which stages each stage (and the simulator, which is apart) may import: from DESIGN.md 1, repeated here so that no
# contract is forgotten.
MAY_IMPORT: dict[str, set[str]] = {
    "sources": set(),
    "simulator": set(),
    "store": set(),
    "kinds": {"store"},
    "plugins": {"kinds", "store"},
    "ingest": {"sources", "kinds", "plugins", "store"},
    "render": {"kinds", "plugins", "store"},
    "snapshot": {"render", "store"},
    "publish": {"snapshot", "store"},
}
PAIRS = list(itertools.permutations(MAY_IMPORT, 2))
ALLOWED = [(stage, other) for stage, other in PAIRS if other in MAY_IMPORT[stage]]
FORBIDDEN = [(stage, other) for stage, other in PAIRS if other not in MAY_IMPORT[stage]]


def check(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages in a directory."""
    linter = Path(sys.executable).with_name("lint-imports")
    # It wraps lines at the terminal's width.
    wide = {"COLUMNS": "500"}
    return subprocess.run([linter, "--no-cache"], cwd=directory, env=wide, capture_output=True, text=True, check=False)


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A directory with the real contracts, and the names of the real modules with nothing in them."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package, source in SOURCES.items():
        for module in source.rglob("*.py"):
            copy = tmp_path / package / module.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()
    (tmp_path / "statscache" / "testing.py").touch()
    return tmp_path


def test_every_contract_holds() -> None:
    """No module of statscache or of the bundled plugins imports against the flow of data."""
    result = check(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert ", 0 broken" in result.stdout


def test_contracts_allow_what_the_design_allows(skeleton: Path) -> None:
    """Imports of upstream stages, and of the public face by bundled plugins, break no contract."""
    for stage, other in ALLOWED:
        (skeleton / "statscache" / stage / f"uses_{other}.py").write_text(f"import statscache.{other}\n")
    (skeleton / "statscache_plugins" / "uses_face.py").write_text(
        "import statscache.plugins\nimport statscache.testing\n"
    )
    result = check(skeleton)
    assert result.returncode == 0, result.stdout + result.stderr


def test_contracts_catch_every_import_against_the_flow(skeleton: Path) -> None:
    """Each stage's import of each stage that it must not know is reported by name and line."""
    for stage, other in FORBIDDEN:
        (skeleton / "statscache" / stage / f"breaks_{other}.py").write_text(f"import statscache.{other}\n")
    result = check(skeleton)
    assert result.returncode == 1, result.stdout + result.stderr
    for stage, other in FORBIDDEN:
        assert f"statscache.{stage}.breaks_{other} -> statscache.{other} (l.1)" in result.stdout


@pytest.mark.parametrize("inner", ["statscache", "statscache.store", "statscache.message"])
def test_contracts_keep_bundled_plugins_outside(skeleton: Path, inner: str) -> None:
    """A bundled plugin that imports anything but the public face is reported."""
    (skeleton / "statscache_plugins" / "breaks.py").write_text(f"import {inner}\n")
    result = check(skeleton)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"statscache_plugins.breaks -> {inner} (l.1)" in result.stdout


def test_contracts_catch_a_detour(skeleton: Path) -> None:
    """A stage that reaches a later stage by way of a module that is not a stage is reported."""
    (skeleton / "statscache" / "detour.py").write_text("import statscache.publish\n")
    (skeleton / "statscache" / "store" / "breaks.py").write_text("import statscache.detour\n")
    result = check(skeleton)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "statscache.store.breaks -> statscache.detour (l.1)" in result.stdout

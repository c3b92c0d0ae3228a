"""No module or class binds a constant twice: the second value would silently replace the first one."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path for name in ("statscache", "plugins", "benchmarks") for path in (ROOT / name).rglob("*.py"))


def repeated(source: str) -> list[str]:
    """Return the constants that one scope of a module binds more than once."""
    scopes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Module | ast.ClassDef)]
    return [name for scope in scopes for name, times in Counter(_constants(scope)).items() if times > 1]


def _constants(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    for statement in scope.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                names = (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
                yield from (name for name in names if name.isupper())


def test_a_constant_that_is_bound_twice_is_found() -> None:
    """Alone, annotated or as one of several; a scope of its own may use the same name."""
    source = "_A, B = 5, 1\nclass C:\n    B = 2\n    D: int = 3\n    D = 4\n_A = 8\n"
    assert repeated(source) == ["_A", "D"]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_constant_is_bound_once(module: Path) -> None:
    """Renaming a constant to the name of another one is refused."""
    assert repeated(module.read_text(encoding="utf-8")) == []

"""`layout` is the only module that spells published paths, and docs/format.md has the same table."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statscache import layout

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "statscache").rglob("*.py"))
SPELLED = re.compile(
    r"^v1/|\bv1/(plugins|objects|snapshots|schema)|^(plugins|docs|assets|status)/.|(?<!statscache)/(by|series)/"
)
"""What a text has in it that spells a published path."""


def literals(module: Path) -> Iterator[tuple[int, str]]:
    """Yield line and value of the texts in the code of a module, without docstrings; the parts of an f-string too."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def test_one_module_spells_the_paths() -> None:
    """No module but `layout` has a published path in its texts."""
    found = [
        f"{module.relative_to(ROOT)}:{line}: {text}"
        for module in MODULES
        if module.name != "layout.py"
        for line, text in literals(module)
        if SPELLED.search(text)
    ]
    assert found == []


def test_the_client_can_import_it() -> None:
    """Nothing but the standard library is imported by it."""
    script = (
        "import sys, statscache.layout; print(*(set(sys.modules) & {'pydantic', 'sqlalchemy', 'orjson', 'jinja2'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


KEY = ("Ralph", None)
BUILT = [
    (layout.document("volume", "leaders"), "document", {"name": "volume", "document": "leaders"}),
    (layout.document("volume", "leaders", "csv"), "document-csv", {"name": "volume", "document": "leaders"}),
    (layout.latest("volume"), "document", {"name": "volume", "document": "latest"}),
    (layout.badge("volume"), "document", {"name": "volume", "document": "badge"}),
    (layout.plugin_layout("volume"), "layout", {"name": "volume"}),
    (layout.chart("volume"), "chart", {"name": "volume", "plot": "chart"}),
    (layout.chart("volume", "1h"), "chart", {"name": "volume", "plot": "chart-1h"}),
    (layout.series_index("volume", "1h"), "series-index", {"name": "volume", "resolution": "1h"}),
    (layout.series("volume", "1d", "2015"), "series", {"name": "volume", "resolution": "1d", "period": "2015"}),
    (
        layout.series("volume", "1d", "2015", "csv"),
        "series-csv",
        {"name": "volume", "resolution": "1d", "period": "2015"},
    ),
    (layout.key_document("edits", KEY), "key", {"name": "edits", "key": "_52alph.__"}),
    (layout.key_year("edits", KEY, 2013), "key-year", {"name": "edits", "key": "_52alph.__", "year": "2013"}),
    (layout.calendar("edits", KEY), "calendar", {"name": "edits", "key": "_52alph.__"}),
    (layout.page("volume"), "page", {"name": "volume"}),
    (layout.doc_page("adr/0001-libraries"), "documentation", {"page": "adr/0001-libraries/index.html"}),
    (layout.manifest("ab" * 32), "manifest", {"snapshot": "ab" * 32}),
    (layout.object_path("cd" * 32 + ".json"), "object", {"xx": "cd", "object": "cd" * 32 + ".json"}),
]


@pytest.mark.parametrize(("path", "kind", "parts"), BUILT, ids=[path[:40] for path, _, _ in BUILT])
def test_a_path_is_recognised(path: str, kind: str, parts: dict[str, str]) -> None:
    """What a path was made of is read from it again."""
    assert layout.match(path) == (kind, parts)


@pytest.mark.parametrize("path", ["", "v1/", "v1/plugins/volume", "v1/plugins/volume/by/a/b/c.json", "v2/index.json"])
def test_other_paths_are_not_recognised(path: str) -> None:
    """A path that the format does not have is not taken for one that it has."""
    assert layout.match(path) is None


def test_documents_of_keys_are_in_one_directory_of_manifests() -> None:
    """Also those of older years, whose directory has no manifest of its own."""
    assert layout.steps("v1/plugins/edits/latest.json") == ["v1", "plugins", "edits", "latest.json"]
    for name in ("ralph.json", "ralph.svg", "ralph/2013.json"):
        assert layout.steps(f"v1/plugins/edits/by/{name}") == ["v1", "plugins", "edits", "by", name]


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=60), min_size=1, max_size=3))
def test_a_key_has_a_safe_name(key: list[str | None]) -> None:
    """Whatever is in a key, its name has few characters, of few kinds, and leads nowhere else."""
    name = layout.key_name(key)
    assert re.fullmatch(r"[a-z0-9._~-]{1,120}", name)
    found = layout.match(layout.key_document("edits", key))
    assert found == ("key", {"name": "edits", "key": name})

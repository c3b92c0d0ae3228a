"""The schemas: they are those of v1, every published document satisfies its own, and none has a field too many."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from jsonschema import Draft202012Validator

from golden.regenerate import GOLDEN, current, losses
from published import PublishedSite
from small_site import whole_site
from statscache import schemas
from statscache.store import published as tree


@pytest.fixture(scope="module", autouse=True)
def _whole_site() -> Iterator[None]:
    with whole_site():
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublishedSite]:
    """A site with a document of every kind, in directories and lists of names large enough to be split."""
    site = PublishedSite(tmp_path_factory.mktemp("schemas"))
    with patch("statscache.render.entities.MOST_IN_INDEX", 1):
        site.start(owners=1_200)
        yield site
    site.close()


def published(site: PublishedSite) -> Iterator[tuple[str, str, bytes]]:
    """Yield path, name of the schema and bytes of each JSON document, manifests included."""
    for path in sorted(site.root.rglob("*.json")):
        name = path.relative_to(site.root).as_posix()
        data = path.read_bytes()
        schema = schemas.name_of(name)
        if schema is None and b'"schema":"statscache/manifest/1"' in data:
            schema = "manifest"
        if schema is not None:
            yield name, schema, data


def closed(schema: Any) -> Any:
    """Return a schema that allows no field which it does not name, but where that is by design."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: closed(part) for name, part in schema.items()}
    if "properties" in strict and isinstance(strict.get("type"), str):
        strict.setdefault("additionalProperties", False)
    return strict


def test_schemas_are_those_of_v1() -> None:
    """The published schemas are, byte by byte, the copies that are kept here."""
    copies = {path.name: path.read_bytes() for path in GOLDEN.glob("*.json")}
    assert copies == current(), "if fields were only added: python tests/golden/regenerate.py"


@pytest.mark.parametrize("name", schemas.TYPES)
def test_schemas_are_json_schema(name: str) -> None:
    """Each schema is valid JSON Schema 2020-12."""
    schema = schemas.generate(name)
    assert schema["$schema"] == schemas.DIALECT
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", schemas.TYPES)
def test_every_field_is_described(name: str) -> None:
    """Each field of each schema says what it means."""
    schema = schemas.generate(name)
    for part in (schema, *schema.get("$defs", {}).values()):
        assert part["description"]
        for field, described in part["properties"].items():
            assert "description" in described or "$ref" in described, f"{name}: {field}"


def test_every_schema_is_published(site: PublishedSite) -> None:
    """The schemas lie at the paths that the format gives them, and the manifests know them."""
    for name, data in current().items():
        assert (site.root / "v1/schema" / name).read_bytes() == data
    with site.installation.database.reading() as connection:
        assert "v1/schema/index.json" in tree.entries(connection, "v1/schema", None, "data")


def test_every_document_satisfies_its_schema(site: PublishedSite) -> None:
    """Each published document satisfies its schema, has no field that it does not name, and every kind occurs."""
    validators = {name: Draft202012Validator(closed(schemas.generate(name))) for name in schemas.TYPES}
    seen = set()
    for path, name, data in published(site):
        seen.add(name)
        for error in validators[name].iter_errors(orjson.loads(data)):
            pytest.fail(f"{path}: {error.json_path}: {error.message}")
        assert schemas.problem(name, data) is None, path
    assert seen == schemas.TYPES.keys()


def test_a_badge_satisfies_its_schema() -> None:
    """A badge in the form of shields.io is accepted, and one without a message is not."""
    assert schemas.problem("badge", b'{"schemaVersion":1,"label":"messages","message":"12"}') is None
    assert "message" in str(schemas.problem("badge", b'{"schemaVersion":1,"label":"messages"}'))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("key", b"[]", "the document"),
        ("latest", b'{"schema":"statscache/latest/1","plugin":"p","through":1.5,"rows":[]}', "through"),
        ("latest", b'{"schema":"statscache/latest/1","plugin":"p","through":"1","rows":[]}', "through"),
        ("latest", b'{"schema":"statscache/latest/2","plugin":"p","through":1,"rows":[]}', "schema"),
        ("latest", b'{"schema":"statscache/latest/1","plugin":"p","through":1,"rows":[NaN]}', "rows"),
        ("document", b'{"schema":"statscache/x/1","plugin":"p","through":1,"more":NaN}', "strict JSON"),
        ("index", b"{", "JSON"),
    ],
)
def test_problems_are_named(name: str, data: bytes, said: str) -> None:
    """What breaks a schema is reported, with its place."""
    assert said in str(schemas.problem(name, data))


def test_added_fields_are_no_loss() -> None:
    """A schema with one more field, and with other words, loses nothing."""
    old = schemas.generate("series-index")
    new = schemas.generate("series-index")
    new["properties"]["more"] = {"type": "integer"}
    new["$defs"]["Period"]["required"] = [*new["$defs"]["Period"]["required"], "more"]
    new["$defs"]["Period"]["description"] = "Other words."
    assert losses(old, new) == []


def test_losses_are_found() -> None:
    """A field that vanishes, changes its type or becomes optional is reported, at any depth."""
    old, new = schemas.generate("series-index"), schemas.generate("series-index")
    del new["properties"]["keep"]
    new["properties"]["resolution"] = {"type": "integer"}
    new["required"].remove("periods")
    new["$defs"]["Reference"]["properties"]["size"] = {"type": "number"}
    found = losses(old, new)
    assert "document.keep is gone" in found
    assert "document.resolution has another type: string became integer" in found
    assert "document.periods is no longer always there" in found
    assert any(loss.startswith("document.periods[].csv.size has another type") for loss in found)


def test_regenerating_refuses_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that writes the copies again refuses a release that loses a field, and leaves them as they are."""
    from golden import regenerate

    copy = schemas.generate("key")
    copy["properties"]["vanished"] = {"type": "integer"}
    (tmp_path / "key.json").write_bytes(orjson.dumps(copy))
    before = (tmp_path / "key.json").read_bytes()
    monkeypatch.setattr(regenerate, "GOLDEN", tmp_path)
    with pytest.raises(SystemExit, match=r"document\.vanished is gone"):
        regenerate.main()
    assert (tmp_path / "key.json").read_bytes() == before

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import click
import orjson
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from bundled import BUNDLED
from small_site import whole_site
from statscache import layout, plugins, testing, timeline
from statscache.cli import cli
from statscache.cli.lazy import Deferred
from statscache.config import Config, DatabaseSection, DirectoryTarget, PublishSection
from statscache.ingest import Delivery
from statscache.installation import Installation
from statscache.message import Message
from statscache.plugins import Counter, Distinct, Latest, Log, Plugin, Span, registry
from statscache.plugins.registry import Problem, Registry
from statscache.publish import headers
from statscache.render import assets
from statscache.render.docs import Docs
from statscache.schemas import Row
from statscache.service.publishing import Publishing
from statscache.store import consumers, positions
from statscache.store.rows import ConsumerRow
from statscache_plugins.volume import Volume, VolumeByTopic

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/**/*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
COPR = "org.fedoraproject.prod.copr.build.end"


def text(name: str) -> str:
    """Return a page of the documentation."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(source: str, language: str) -> Iterator[tuple[int, str]]:
    """Yield the fenced blocks in a language, each with the number of lines before it."""
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", source, re.MULTILINE | re.DOTALL):
        yield source[: match.start(1)].count("\n"), match[1]


def rows(source: str, header: str) -> Iterator[list[str]]:
    """Yield the cells of the rows of each table whose header begins so."""
    for table in re.findall(r"(?:^\|.*\n)+", source, re.MULTILINE):
        lines = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|\n"))] for line in table.strip().split("\n")
        ]
        if lines[0][0] == header:
            yield from lines[2:]


def code(cell: str) -> str:
    """Return what is in backticks in a cell, or the cell."""
    match = re.fullmatch(r"`([^`]+)`", cell)
    return match[1] if match else cell


# A small site, with everything in it that the format knows.


class Builds(Counter):
    """Builds, by owner and chroot."""

    name = "builds"
    title = "Builds"
    dimensions = ("owner", "chroot")
    headline: ClassVar[dict[str, str]] = {"chroot": "rawhide"}
    topics = ("copr.build.end",)
    people = True
    unbounded = True
    calendars = True

    def observe(self, message: Message) -> Iterator[tuple[str, str | None]]:
        """Count the build for its owner."""
        yield message.body["owner"], message.body.get("chroot")


class NewestBuild(Latest):
    """The newest build of each owner."""

    name = "newest-build"
    title = "Newest builds"
    dimensions = ("owner",)
    topics = ("copr.build.end",)

    def observe(self, message: Message) -> Iterator[tuple[tuple[str], dict[str, Any]]]:
        """Keep the number of the build."""
        yield (message.body["owner"],), {"number": message.body.get("number")}


class RecentBuilds(Log):
    """The newest builds."""

    name = "recent-builds"
    title = "Recent builds"
    topics = ("copr.build.end",)

    def observe(self, message: Message) -> Iterator[tuple[tuple[()], dict[str, Any]]]:
        """Keep the number of the build."""
        yield (), {"number": message.body.get("number")}


class Edits(Counter):
    """Edits of the wiki, by page."""

    name = "edits"
    title = "Edits"
    dimensions = ("page",)
    entities: ClassVar[dict[str, str]] = {"page": "release"}
    topics = ("wiki.#",)
    layout: ClassVar[Any] = {
        "groups": [{"id": "main", "title": "Main", "area": "wiki", "pages": ["Main"]}],
        "statuses": {},
        "stuck": {"class": "bad", "text": "stuck"},
    }
    board = "latest"

    def observe(self, message: Message) -> Iterator[tuple[str]]:
        """Count the edit for its page."""
        yield (message.body["title"],)


class Owners(Distinct):
    """Different owners of builds."""

    name = "owners"
    title = "Owners"
    topics = ("copr.build.end",)

    def observe(self, message: Message) -> Iterator[tuple[tuple[()], str]]:
        """Meet the owner."""
        yield (), message.body["owner"]


class Builders(Span):
    """From when to when an owner built."""

    name = "builders"
    title = "Builders"
    dimensions = ("owner",)
    topics = ("copr.build.end",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Start, and stop, with the build."""
        yield (message.body["owner"],), "start", {"number": message.body.get("number")}
        yield (message.body["owner"],), "stop"


class Divided(Counter):
    """Builds by owner, divided by chroot."""

    name = "divided"
    title = "Builds by owner"
    dimensions = ("owner",)
    entities: ClassVar[dict[str, str]] = {"owner": "person"}
    people = True
    breakdown = "chroot"
    topics = ("copr.build.end",)
    unbounded = True

    def observe(self, message: Message) -> Iterator[tuple[str, str | None]]:
        """Count the build for its owner and chroot."""
        yield message.body["owner"], message.body.get("chroot")


class Packages(Counter):
    """Builds, by a name as packages have it, and the newest of each."""

    name = "packages"
    title = "Packages"
    dimensions = ("package",)
    entities: ClassVar[dict[str, str]] = {"package": "package"}
    topics = ("copr.build.end",)
    unbounded = True
    entries = 2

    def observe(self, message: Message) -> Iterator[tuple[tuple[str], dict[str, str | None]]]:
        """Count the build, and tell of it."""
        yield (message.body["owner"],), {"chroot": message.body.get("chroot")}


SITE = (Volume, VolumeByTopic, Packages, Builds, NewestBuild, RecentBuilds, Edits, Owners, Builders, Divided)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published tree of a few messages, with a gap, a quarantine and a plugin that cannot be loaded."""
    directory = tmp_path_factory.mktemp("docs")
    config = Config(
        database=DatabaseSection(url=f"sqlite:///{directory / 'statscache.db'}"),
        publish=PublishSection(
            targets=(DirectoryTarget(name="web", path=directory / "public"),),
            base_url="https://stats.example.org/",
            examples=True,
        ),
    )
    active = Registry([cls() for cls in SITE], [Problem("broken", "ImportError: no")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("statscache.installation.load", lambda *_, **__: active)
        installation = Installation(config)
    for hours in (0, 30):
        bodies: list[dict[str, Any]] = [
            {"owner": "ralph", "number": hours},
            {"owner": "toshio", "chroot": "rawhide"},
        ]
        lines = [envelope(COPR, body, hours * 3600 + second) for second, body in enumerate(bodies)]
        lines += [envelope("org.fedoraproject.prod.wiki.article.edit", {"title": "Main"}, hours * 3600 + 5), b"no"]
        installation.ingest.take(Delivery("fedmsg", lines, connected=testing.NOON + hours * 3600))
    years_ago = envelope(COPR, {"owner": "toshio", "chroot": "rawhide"}, -3 * 366 * 86400)
    installation.ingest.take(Delivery("archive", [years_ago]))
    with installation.database.writing() as connection:
        # As if these had been added after old messages were removed.
        rows = [*positions.load(connection).values()]
        for row in rows:
            row.complete_from = testing.NOON
        positions.save(connection, rows)
        consumers.add(connection, ConsumerRow("fedmsg", testing.NOON))
    with pytest.MonkeyPatch.context() as patch:
        # So that the status has something to say of every kind.
        patch.setattr("statscache.store.published.BUDGETS", {"latest": 10, "series": 10})
        with whole_site():
            Publishing(installation).publish()
    installation.close()
    return directory / "public"


def envelope(topic: str, body: Mapping[str, Any], seconds: int) -> bytes:
    """Return the line of a message, sent that many seconds after noon."""
    return orjson.dumps({"topic": topic, "msg": body, "timestamp": testing.NOON + seconds})


def published(site: Path) -> list[str]:
    """Return the paths of all files of a site, without what is compressed beside them."""
    paths = (path.relative_to(site) for path in site.rglob("*") if path.is_file() and path.suffix != ".gz")
    return sorted(path.as_posix() for path in paths if path.parts[0] != ".statscache")


def documents(site: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield schema and content of all JSON of a site that says what it is, manifests included."""
    for path in published(site):
        document = orjson.loads((site / path).read_bytes()) if path.endswith(".json") else {}
        if "schema" in document:
            yield document["schema"], document
        elif re.fullmatch(r"v1/plugins/[^/]+/badge\.json", path):
            yield "badge", document


# The examples.


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_python_in_the_docs_runs(page: Path, site: Path) -> None:
    """The Python blocks of a page run, one after the other, against a site that is really published."""
    names: dict[str, Any] = {"__name__": "documentation"}
    for line, block in blocks(page.read_text(encoding="utf-8"), "python"):
        block = block.replace('"http://localhost:8080/"', repr(f"{site.as_uri()}/"))
        exec(compile("\n" * line + block, str(page), "exec"), names)
    if page == DOCS / "format-snapshots.md":
        assert names["files"] == {path: (site / path).read_bytes() for path in in_the_snapshot(site)}


def in_the_snapshot(site: Path) -> list[str]:
    """Return the paths of the files that a manifest must name."""
    outside = (*layout.OUTSIDE, "v1/objects/", "v1/snapshots/")
    return [path for path in published(site) if not path.startswith(outside)]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_toml_in_the_docs_is_accepted(page: Path) -> None:
    """A TOML block is a configuration that is in order, or names an entry point of the group that is looked for."""
    for _, block in blocks(page.read_text(encoding="utf-8"), "toml"):
        values = tomllib.loads(block)
        if "project" in values:
            assert list(values["project"]["entry-points"]) == [registry.GROUP]
        else:
            Config(**values)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_json_in_the_docs_is_json(page: Path) -> None:
    """A JSON block can be parsed."""
    for _, block in blocks(page.read_text(encoding="utf-8"), "json"):
        json.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_in_the_docs_resolve(page: Path) -> None:
    """A relative link leads to a file of the project, and its fragment to a heading of that file."""
    source = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", source):
        if link.startswith(("http://", "https://")):
            continue
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page}: {link} leads nowhere"
        if fragment:
            assert fragment in anchors(target.read_text(encoding="utf-8")), f"{page}: {link} leads to no heading"


def anchors(source: str) -> set[str]:
    """Return the fragments under which the headings of a page are found."""
    headings = re.findall(r"^#+ (.*)$", source, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_tests_that_the_docs_name_exist(page: Path) -> None:
    """A file of the tests that is named is there, and so is a test in it."""
    for name, test in re.findall(
        r"\b(tests/(?:[a-z]+/)?test_[a-z0-9_]+\.py)\b(?:::(\w+))?", page.read_text(encoding="utf-8")
    ):
        assert (ROOT / name).is_file(), f"{page} names {name}"
        assert not test or f"\ndef {test}(" in (ROOT / name).read_text(encoding="utf-8"), f"{page} names {name}::{test}"


# Settings.


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and the default of each setting."""
    for attribute, field in model.model_fields.items():
        name = field.serialization_alias or attribute
        inner = dict.fromkeys(part for part in parts(field.annotation) if is_section(part))
        default = field.get_default()
        if not inner or default is None:
            shown = getattr(default, "as_posix", lambda value=default: value)()
            yield f"{prefix}{name}", "required" if default is PydanticUndefined else json.dumps(shown)
        for section in inner:
            kind = f"[{get_args(section.model_fields['type'].annotation)[0]}]" if isinstance(default, tuple) else ""
            yield from settings(section, f"{prefix}{name}{kind}.")


def parts(annotation: Any) -> Iterator[Any]:
    """Yield a type and those that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from parts(part)


def is_section(annotation: Any) -> bool:
    """Return whether a type is a table of the configuration."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_every_setting_is_documented_with_its_default() -> None:
    """The table of settings and the configuration agree on names and defaults, in both directions."""
    documented = {code(name): code(default) for name, default, _ in rows(text("settings.md"), "setting")}
    assert documented == dict(settings(Config))


# Commands.


def commands(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its name, without the groups."""
    for name, listed in group.commands.items():
        command = listed.load() if isinstance(listed, Deferred) else listed
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def options(command: click.Command) -> set[str]:
    """Return the long options of a command."""
    found = (name for parameter in command.params if isinstance(parameter, click.Option) for name in parameter.opts)
    return {name for name in found if name.startswith("--")}


def test_every_command_is_documented_with_its_options() -> None:
    """The table of commands and the command line agree, in both directions."""
    documented = {
        code(command): set(re.findall(r"--[a-z-]+", listed))
        for command, listed, _ in rows(text("commands.md"), "command")
    }
    assert documented == {name: options(command) for name, command in commands()}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_command_lines_in_the_docs_are_understood(page: Path) -> None:
    """A command line of statscache names a command that there is, and options that it takes."""
    for line in command_lines(page.read_text(encoding="utf-8"), "statscache"):
        words = line.split()
        command: click.Command = cli
        taken = {"--config", "--verbose", "--version", "--help"}
        while words and isinstance(command, click.Group):
            word = words.pop(0)
            if word.startswith("-"):
                assert word in taken, f"{page}: {line}: no option {word}"
            elif word in command.commands:
                found = command.commands[word]
                command = found.load() if isinstance(found, Deferred) else found
                taken = options(command) | {"--help"}
            else:
                is_placeholder = word.isupper() or word.startswith("[")
                assert is_placeholder, f"{page}: {line}: no command {word}"
                break
        else:
            assert {word for word in words if word.startswith("--")} <= taken, f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_make_targets_in_the_docs_exist(page: Path) -> None:
    """`make X` in the docs is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in command_lines(page.read_text(encoding="utf-8"), "make"):
        named = {word for word in line.split() if re.fullmatch(r"[a-z][a-z-]+", word)}
        assert named <= targets, f"{page}: make {line}"


def command_lines(source: str, program: str) -> Iterator[str]:
    """Yield what follows the name of a program in code spans and in indented or fenced blocks."""
    fenced = "\n".join(re.findall(r"^```(?:sh|console)?\n(.*?)^```$", source, re.MULTILINE | re.DOTALL))
    indented = "\n".join(re.findall(r"^    (.*)$", source, re.MULTILINE))
    for line in f"{fenced}\n{indented}".splitlines():
        for part in re.split(r"&&|\|", line.partition(" #")[0]):
            if part.strip().startswith(f"{program} "):
                yield part.strip().removeprefix(program).strip()
    prose = re.sub(r"^```.*?^```$", "", source, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", prose):
        line = re.sub(r"\s+", " ", span)
        if line.startswith(f"{program} "):
            yield line.removeprefix(program).strip()


# The format.

PATTERNS = {
    "<entity>": "[a-z]+",
    "<prefix>": "(?!index\\.json)[^/]+",
    "<name>": r"[a-z][a-z0-9-]*",
    "<document>": r"[a-z0-9-]+",
    "<resolution>": r"1(m|h|d|w|mo)",
    "<period>": r"[0-9T-]+",
    "<key>": r"[^/]+",
    "<year>": r"[0-9]{4}",
    "<plot>": r"chart(-1[mhdw])?",
    "<schema>": r"[a-z-]+",
    "<snapshot>": r"[0-9a-f]{64}",
    "<xx>": r"[0-9a-f]{2}",
    "<object>": r"[0-9a-f]{64}\.[a-z]+",
    "<asset>": r"[^/]+",
    "<page>": r".+",
}


def test_every_path_is_documented() -> None:
    """A placeholder in the table of paths is one that the test of paths can read."""
    used = {name for path, *_ in rows(text("format.md"), "path") for name in re.findall(r"<\w+>", code(path))}
    assert used == PATTERNS.keys()


def test_the_table_of_paths_is_that_of_the_code() -> None:
    """The table has each path that `statscache.layout` can make, in the same form, and no other."""
    listed = {code(path) for path, *more in rows(text("format.md"), "path") if len(more) == 2}
    modules = {layout.asset(name) for name in assets.MODULES}
    assert modules <= listed
    # The note of a publication under way is described below the table, for it is not a part of the format.
    assert listed - modules == {*layout.PATHS.values()} - {layout.PENDING}
    assert f"`{layout.PENDING}`" in text("format.md")


def test_paths_are_those_of_the_table(site: Path) -> None:
    """Every published file has a row in the table of paths, and every row has a file."""
    listed = [code(path) for path, *more in rows(text("format.md"), "path") if len(more) == 2]
    unused = set(listed)
    for path in published(site):
        fitting = {row for row in listed if re.fullmatch(pattern(row), path)}
        assert fitting, f"{path} is not documented"
        unused -= fitting
    assert not unused


def pattern(path: str) -> str:
    """Return the expression that a path of the table stands for."""
    split = re.split(r"(<\w+>)", path)
    return "".join(PATTERNS.get(part) or re.escape(part) for part in split)


TYPES: dict[str, type] = {
    "text": str,
    "number": int,
    "time": int,
    "boolean": bool,
    "array": list,
    "null": type(None),
    "any": object,
}


def documented_fields() -> dict[str, dict[str, str]]:
    """Return name and type of the fields of each schema, as the pages of the format have them."""
    pages = map(text, ("format-statistics.md", "format-site.md", "format-snapshots.md"))
    sections = re.split(r"^## ", "\n".join(pages), flags=re.MULTILINE)
    named = ((re.match(r"`(statscache/[a-z-]+/1|badge)`", section), section) for section in sections)
    return {
        match[1]: {code(name): kind for name, kind, _ in rows(section, "field")} for match, section in named if match
    }


ROW_FIELDS = Row.__optional_keys__
"""Fields of records that the format names; others are a plugin's own."""


def fields(value: Mapping[str, Any], prefix: str, plugin: type[Plugin]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of the fields of a document, in the notation of those pages."""
    for name, item in value.items():
        path = f"{prefix}{name}"
        if prefix == "rows[]." and name in plugin.dimensions:
            path = "rows[].<dimension>"
        elif prefix == "rows[]." and name not in ROW_FIELDS:
            path = "rows[].<field>"
        elif prefix == "parts[]." and name == getattr(plugin, "breakdown", None):
            path = "parts[].<breakdown>"
        elif prefix == "entries[]." and name != "timestamp":
            path = "entries[].<field>"
        elif prefix == "shards.":
            path = "shards.<prefix>"
        elif prefix.endswith(("partial.", "headline.", "entities.")):
            path = f"{prefix}{'<window>' if prefix == 'partial.' else '<dimension>'}"
        elif prefix.endswith(("entries.", "days.", "weeks.")):
            path = f"{prefix}{'<entry>' if prefix == 'entries.' else '<year>'}"
        if isinstance(item, dict):
            yield from fields(item, f"{path}.", plugin)
        elif isinstance(item, list) and item and all(isinstance(part, dict) for part in item):
            yield f"{path}[]", item
            for part in item:
                yield from fields(part, f"{path}[].", plugin)
        else:
            yield path, item


def test_fields_are_those_of_the_tables(site: Path) -> None:
    """The fields of the documents that are published are those that the docs describe, in both directions."""
    found: dict[str, set[str]] = {}
    for schema, document in documents(site):
        names = {name for name, _ in fields(document, "", of_plugin(document))}
        found.setdefault(schema, set()).update(names)
    assert found == {schema: set(described) for schema, described in documented_fields().items()}


def test_fields_have_the_types_of_the_tables(site: Path) -> None:
    """Each value that is published is of a type that the docs give its field."""
    described = documented_fields()
    for schema, document in documents(site):
        for name, value in fields(document, "", of_plugin(document)):
            types = tuple(TYPES[kind.split()[0]] for kind in described[schema][name].split(", "))
            fits = isinstance(value, types) and (type(value) is not bool or bool in types or object in types)
            assert fits, f"{name} of {schema} is {value!r}, and documented as {described[schema][name]}"


def of_plugin(document: Mapping[str, Any]) -> type[Plugin]:
    """Return the plugin of a document; any, if it has none."""
    return next((cls for cls in SITE if cls.name == document.get("plugin")), Builds)


def test_the_kinds_of_entries_are_documented() -> None:
    """The table of types names those that a manifest can have."""
    assert {code(name) for name, *_ in rows(text("format-snapshots.md"), "type")} == {
        *("file", "path", "tree", "subtree", "split")
    }


def test_keys_are_encoded_as_the_examples_say() -> None:
    """Each example of a key in a path is what the code makes of it."""
    examples = [(code(key), code(path)) for key, path in rows(text("format.md"), "key")]
    assert examples
    for key, path in examples:
        assert f"by/{layout.key_name(tuple(json.loads(key)))}.json" == path


def test_resolutions_are_those_of_the_table() -> None:
    """Width, label and retention of each resolution are as the docs say."""
    listed = {
        code(name): (width, code(label), kept)
        for name, width, _, label, kept in rows(text("format-statistics.md"), "resolution")
    }
    moment = timeline.parse_time("2015-08-08T13:37:00")
    for resolution in timeline.RESOLUTIONS.values():
        width = "a month" if resolution.fixed_width is None else f"{resolution.width} s"
        kept = "forever" if resolution.keep is None else f"{resolution.keep // timeline.DAY} days"
        assert listed.pop(resolution.name) == (width, resolution.period(moment).label, kept)
    assert not listed


def test_caching_is_that_of_the_preview() -> None:
    """The rules of caching are those by which `statscache serve` sends."""
    documented = [code(more[0]) for _, *more in rows(text("format.md"), "path") if len(more) == 1]
    assert documented == [headers.cache_control(path) for path in (layout.OBJECTS, "index.html")]


# The contract of plugins.


def test_every_attribute_of_a_plugin_is_documented() -> None:
    """The table of what a class declares, with its defaults, is that of the contract."""
    documented = {
        code(name): code(more[1]) for name, *more in rows(text("plugin-class.md"), "attribute") if len(more) == 2
    }
    declared = {"docstring": "required"}
    for name in Plugin.__annotations__.keys() - {"kind_class"}:
        declared[name] = str(getattr(Plugin, name, "required")) or "empty"
    assert {name: default.partition(":")[0].strip("`") for name, default in documented.items()} == declared


def test_every_type_of_setting_is_documented() -> None:
    """The table of types is that of the code."""
    documented = {code(name).partition("(")[0] for name, *_ in rows(text("plugin-class.md"), "type")}
    assert documented == {cls.__name__ for cls in plugins.Setting.__subclasses__()} <= {*plugins.__all__}


def test_every_attribute_of_a_message_is_documented() -> None:
    """The table of what a message has names all that a plugin may read."""
    documented = {code(name) for name, *more in rows(text("plugins.md"), "attribute") if len(more) == 1}
    public = {name for name in vars(Message) if not name.startswith("_")}
    assert documented == public - {"content", "derived", "record", "from_record"}


def test_every_kind_is_documented() -> None:
    """The kinds that an author can import have a section each."""
    public = (getattr(plugins, name) for name in plugins.__all__)
    kinds = {cls.__name__ for cls in public if isinstance(cls, type) and "kind_class" in vars(cls)}
    assert set(re.findall(r"^## (\w+)$", text("plugin-kinds.md"), re.MULTILINE)) == kinds


def test_every_bundled_plugin_is_described() -> None:
    """The page of statistics names each plugin that comes with statscache, and its tables list no other."""
    page = text("statistics.md")
    names = {plugin.name for plugin in BUNDLED}
    assert names <= set(re.findall(r"`([a-z0-9-]+)`", page))
    listed = {name for cell, *_ in rows(page, "plugin") for name in re.findall(r"`([a-z0-9-]+)`", cell)}
    assert listed <= names


def test_each_page_has_its_place_in_the_site() -> None:
    """No page is in the last section, which has those that no section names."""
    sections = {section.title: [page.name for page in section.pages] for section in Docs(DOCS).sections}
    assert sections["How it works"] == ["architecture", "recipes", "state", "benchmarks"]


def test_pages_of_the_docs_call_each_other_by_title() -> None:
    """A reader of the site sees no name of a file where a link leads to a page of the site."""
    pages = Docs(DOCS)
    named = [
        link for page in pages for link in re.findall(r'<a href="[^":]*index\.html[^"]*">[a-z-]+\.md</a>', page.html)
    ]
    assert named == []
    assert any("The published format, v1</a>" in page.html for page in pages)
    assert "format.md" not in next(page for page in pages if page.name == "statistics").summary


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == DOCS], ids=lambda page: page.name)
def test_a_page_takes_ten_minutes_to_read(page: Path) -> None:
    """At 220 words a minute; code is skimmed. Divide a longer one; `statscache/render/docs.py` has the list."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"[\w`/.-]+", prose)) <= 2_200


def test_the_readme_is_one_screen() -> None:
    """It says what this is, how to see it, and where to read on; the rest is in the pages that it links to."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 50

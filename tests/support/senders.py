"""Records what the schema classes of Fedora's applications say of messages: `senders.py OUTPUT TESTS...`.

It runs with the schema packages on the path. The messages are those that the packages' own tests make, and one for
each class, made up after its JSON schema, for many packages ship no tests. Each line of OUTPUT has `origin` (`tests` or
`schema`), `schema`, `topic`, `body`, and the class's `agent_name`, `usernames` and `packages`, the last by kind.
"""

import json
import os
import sys
import unittest.mock
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fedora_messaging import message as messaging

KINDS = ("packages", "containers", "modules", "flatpaks")
# Modules of tests, by package, that need what the package's archive leaves out. Messages of others must not be missed.
KNOWN = {"fedora_planet_messages": "tests/test_schema.py"}
# The name under which Debian and old tests have the standard library's module.
sys.modules["mock"] = unittest.mock


def answers(message: messaging.Message, origin: str) -> str | None:
    """Return the line for one message; None if it has no schema, or is not valid by it."""
    if type(message) is messaging.Message:
        return None
    try:
        message.validate()
        shown = {
            "origin": origin,
            "schema": message._headers["fedora_messaging_schema"],
            "topic": message.topic,
            "body": message.body,
            "agent_name": message.agent_name,
            "usernames": [who for who in message.usernames or () if who],
            "packages": {kind: [name for name in getattr(message, kind) if name] for kind in KINDS},
        }
        return json.dumps(shown, sort_keys=True)
    except Exception as error:  # a class may raise anything on what its schema allows, and tests are there to make it
        print(f"left out: {type(message).__name__}: {error!r:.200}")
        return None


class Collection:
    """A plugin of pytest that remembers which modules of tests could not be collected."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a module."""
        if report.failed:
            self.failed.append(report.nodeid)


def of_tests(directory: str, collection: Collection) -> Iterable[str | None]:
    """Run the tests in `directory`, and yield a line for each message that they made."""
    made: list[messaging.Message] = []
    make = messaging.Message.__init__

    def keep(self: messaging.Message, *args: Any, **settings: Any) -> None:
        make(self, *args, **settings)
        made.append(self)

    os.chdir(Path(directory).parent)
    sys.path.insert(0, os.getcwd())
    with unittest.mock.patch.object(messaging.Message, "__init__", keep):
        options = ["-q", "--import-mode=importlib", "--assert=plain", "--rootdir=.", "-c", os.devnull]
        plugins = ["-p", "no:cacheprovider", "-p", "no:xdist"]
        arguments = [*options, *plugins, "--continue-on-collection-errors", directory]
        ended = pytest.main(arguments, [collection])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not collection.failed:
        # A `conftest.py` that cannot be imported is not a module of tests.
        collection.failed.append("tests")
    yield from (answers(message, "tests") for message in made)


def of_schemas() -> Iterable[str | None]:
    """Yield a line for each class, of a message with every field that its schema names."""
    messaging.load_message_classes()
    for kind in messaging._class_to_schema_name:
        try:
            schema = kind().body_schema
            yield answers(kind(body=sample(schema, schema, ())), "schema")
        except Exception as error:
            print(f"left out: {kind.__name__}: {error!r:.200}")


def sample(schema: dict[str, Any], root: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Return a value that `schema` allows, in which each text names its own place."""
    while "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].lstrip("#/").split("/"):
            found = found[part]
        schema = found
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return sample(next(each for each in schema[choice] if each.get("type") != "null"), root, path)
    if "enum" in schema:
        return next(value for value in schema["enum"] if value is not None)
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if kind == "object":
        fields = schema.get("properties", {})
        return {key: sample(field, root, (*path, key)) for key, field in fields.items()}
    if kind == "array":
        return [sample(schema.get("items", {"type": "string"}), root, path)]
    if kind == "string":
        return text(schema.get("format"), path)
    return {"integer": 1, "number": 1, "boolean": True}.get(kind)


def text(form: str | None, path: tuple[str, ...]) -> str:
    """Return a text of a format of JSON Schema, else one that names the end of `path`."""
    formats = {"date-time": "2025-06-08T00:00:00+00:00", "uri": "https://example.org/", "email": "ann@example.org"}
    named = {"nvr": "hello-1-1.fc42"}.get(path[-1] if path else "")
    return formats.get(form or "") or named or "-".join(part.replace("_", "") for part in path[-2:])


def main() -> None:
    """Write a line for each distinct message; fail where a module of tests could not be collected."""
    output, *directories = (os.path.abspath(argument) for argument in sys.argv[1:])
    Path(output).write_text("".join(f"{line}\n" for line in of_schemas() if line))
    failed = [directory for directory in directories if not is_recorded(directory, output)]
    if failed:
        print(f"not all tests were seen: {', '.join(failed)}")
        sys.exit(1)


def is_recorded(directory: str, output: str) -> bool:
    """Add a line for each message of the tests in a directory; return False where a module could not be collected.

    Each package calls its tests `tests`, so each is run by a process of its own.
    """
    if (child := os.fork()) == 0:
        status = 1
        try:
            collection = Collection()
            lines = dict.fromkeys(line for line in of_tests(directory, collection) if line)
            with open(output, "a") as file:
                file.writelines(f"{line}\n" for line in lines)
            package = Path(directory).parent.name.rpartition("-")[0]
            missed = [module for module in collection.failed if module != KNOWN.get(package)]
            for module in missed:
                print(f"cannot be collected: {Path(directory).parent / module}")
            status = bool(missed)
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main()

"""Show the effective configuration without secrets; as TOML, with the origin of each value."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import make_url

from statscache.config.environment import PREFIX
from statscache.config.model import Config
from statscache.permissions import is_secret

_HIDDEN = "***"

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def shown(config: Config) -> dict[str, Any]:
    """Return the values of a configuration, as types of JSON, without passwords and without what may hold one."""
    values = config.model_dump(mode="json", by_alias=True)
    values["database"]["url"] = make_url(config.database.url).render_as_string(hide_password=True)
    for target in values["publish"]["targets"]:
        if "rsh" in target:
            target["rsh"] = _command(target["rsh"])
    plugins = values["plugins"]
    for table in (plugins["shared"], *plugins["settings"].values()):
        table |= {name: _HIDDEN for name in table if is_secret(name)}
    return values


def _command(command: str) -> str:
    """Return a command that logs in: whole if it is ssh alone, whose options hold no password; else its program."""
    program, _, arguments = command.partition(" ")
    is_open = os.path.basename(program) == "ssh" and "command" not in arguments.lower()
    return command if is_open or not arguments else f"{program} {_HIDDEN}"


def as_toml(config: Config, file: Path | None) -> str:
    """Return a configuration as a TOML file, each value with a comment that says where it is from.

    Args:
        config: The configuration.
        file: The file that it was read from; None if there is none.
    """
    values = shown(config)
    given = tomllib.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    return "\n".join(_table(values, given, (), str(file))).strip() + "\n"


def _table(values: Mapping[str, Any], given: Any, path: tuple[str, ...], file: str) -> Iterator[str]:
    """Yield the lines of a table: its values, then the tables in it."""
    tables = {name: value for name, value in values.items() if _is_table(value)}
    for name, value in values.items():
        if name in tables:
            continue
        origin = _origin((*path, name), given, file)
        # TOML has no null: an unset value becomes a comment.
        line = f"# {_key(name)} is not set" if value is None else f"{_key(name)} = {orjson.dumps(value).decode()}"
        yield f"{line}  # {origin}"
    for name, value in tables.items():
        inner = given.get(name) if isinstance(given, Mapping) else None
        heading = ".".join(_key(part) for part in (*path, name))
        if isinstance(value, Mapping):
            yield from ("", f"[{heading}]")
            yield from _table(value, inner, (*path, name), file)
            continue
        for number, each in enumerate(value):
            part = inner[number] if isinstance(inner, Sequence) and number < len(inner) else None
            yield from ("", f"[[{heading}]]")
            yield from _table(each, part, (*path, name), file)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and value != [] and isinstance(value[0], Mapping))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else orjson.dumps(name).decode()


def _origin(path: tuple[str, ...], given: Any, file: str) -> str:
    variables = {PREFIX + "__".join(path[:length]).upper() for length in range(1, len(path) + 1)}
    for name in os.environ:
        if name.upper() in variables:
            return name
    return file if isinstance(given, Mapping) and path[-1] in given else "default"

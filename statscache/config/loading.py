"""Finds, reads and checks the configuration; reports all errors at once, with their fixes."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from statscache.config.environment import OTHERS, PREFIX, overridden, sections
from statscache.config.model import Config
from statscache.exceptions import ConfigurationError
from statscache.permissions import require_private

PATHS = (Path("statscache.toml"), Path("/etc/statscache/statscache.toml"))
"""Where the configuration is searched for when neither `--config` nor `STATSCACHE_CONFIG` names it."""


def find(path: Path | None = None) -> Path | None:
    """Return the configuration's file: `path`, `STATSCACHE_CONFIG`, or the first of the usual places that exists."""
    if path is not None:
        return path
    if named := os.environ.get("STATSCACHE_CONFIG"):
        return Path(named)
    return next((candidate for candidate in PATHS if candidate.is_file()), None)


def load(path: Path | None = None) -> Config:
    """Return the configuration.

    Args:
        path: The file; else the one that `find` finds, else defaults.

    Raises:
        ConfigurationError: The file cannot be read or is wrong; the text lists all its errors at once. Or it holds a
            password, and is world-readable.
    """
    _check_variables()
    file = find(path)
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"cannot read the configuration {file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file} is not TOML: {error}") from error
    try:
        config = Config(**overridden(values, Config))
    except ValidationError as error:
        raise ConfigurationError(_explain(error, file)) from error
    if file is not None and _has_password(values):
        require_private(file, "a password")
    return config


def _has_password(values: Mapping[str, Any]) -> bool:
    """Return whether the file itself, and not the environment, has the password of the database."""
    url = urlsplit(values.get("database", {}).get("url", ""))
    return url.password is not None


def _check_variables() -> None:
    """Refuse variables with our prefix that name no section: a misspelt one would be ignored silently."""
    names = [name for name in sorted(os.environ) if name.startswith(PREFIX) and name not in OTHERS]
    unknown = [name for name in names if name.removeprefix(PREFIX).split("__")[0].lower() not in Config.model_fields]
    if unknown:
        message = (
            f"the environment sets {', '.join(unknown)}, which is not a setting: join a section and its key by two"
            f" underscores, such as {PREFIX}PUBLISH__INTERVAL"
        )
        raise ConfigurationError(message)


def _explain(error: ValidationError, file: Path | None) -> str:
    number = "an error" if error.error_count() == 1 else f"{error.error_count()} errors"
    lines = [f"the configuration {file or 'from the environment'} has {number}:"]
    for problem in error.errors():
        *tables, name = [str(part) for part in problem["loc"]]
        where = f"[{'.'.join(tables)}] {name}" if tables else f"[{name}]"
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            known = ", ".join(sorted(_known(Config, problem["loc"][:-1])))
            reason = f"is unknown; known here are: {known}"
        lines.append(f"  {where}: {reason}")
    return "\n".join(lines)


def _known(model: Any, location: tuple[int | str, ...]) -> Mapping[str, Any]:
    choices = [model]
    for part in location:
        if isinstance(part, int):
            continue
        # Among several sections, the next part of the location is the `type` of the one that was chosen.
        chosen = [choice for choice in choices if len(choices) > 1 and part == _type_of(choice)]
        choices = chosen or [*sections(_fields(choices[0])[part].annotation)]
    return _fields(choices[0])


def _fields(model: Any) -> Mapping[str, Any]:
    return {field.serialization_alias or name: field for name, field in model.model_fields.items()}


def _type_of(section: Any) -> str:
    return str(get_args(section.model_fields["type"].annotation)[0])

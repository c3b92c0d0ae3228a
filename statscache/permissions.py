"""Files with secrets, or with people's data, may be readable by their owner and a group, but not by everyone."""

import re
import stat
from pathlib import Path

from statscache.exceptions import ConfigurationError

CLOSED = 0o640
"""The most permissions of a file that holds messages: the database, and archives of the journal."""

_SECRET = re.compile("passw|secret|token|credential", re.IGNORECASE)


def is_secret(setting: str) -> bool:
    """Return whether a setting of a plugin, by its name, holds a secret, which is not shown."""
    return _SECRET.search(setting) is not None


def secret_of(path: Path, secret: str) -> str:
    """Return the content of a file with a secret, without white space around it.

    Args:
        path: The file.
        secret: What it holds, such as `a password`.

    Raises:
        ConfigurationError: It cannot be read, is not text, or is world-readable.
    """
    try:
        held = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(f"cannot read {path}: {reason}") from error
    require_private(path, secret)
    return held


def require_private(path: Path, secret: str) -> None:
    """Refuse a file that is world-readable.

    Args:
        path: The file.
        secret: What it holds, such as `a password`.

    Raises:
        ConfigurationError: The file is world-readable; the text has the fix.
    """
    if path.stat().st_mode & stat.S_IROTH:
        raise ConfigurationError(
            f"{path} holds {secret} and is world-readable: run `chmod o= {path}`; others may have read it, so change it"
        )

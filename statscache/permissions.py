"""Files with secrets are for their owner, and perhaps a group; whoever may log in must not read them."""

import stat
from pathlib import Path

from statscache.exceptions import ConfigurationError


def secret_of(path: Path, secret: str) -> str:
    """Return what a file with a secret holds, without white space around it.

    Args:
        path: The file.
        secret: What it holds, such as `a password`.

    Raises:
        ConfigurationError: It cannot be read, is no text, or is open to everybody on this machine.
    """
    try:
        held = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"cannot read {path}: {reason}") from error
    refuse_open(path, secret)
    return held


def refuse_open(path: Path, secret: str) -> None:
    """Refuse a file that everybody on this machine may read.

    Args:
        path: The file.
        secret: What it holds, such as `a password`.

    Raises:
        ConfigurationError: It is open to everybody; the text has the mend.
    """
    if path.stat().st_mode & stat.S_IROTH:
        raise ConfigurationError(
            f"{path} holds {secret}, and everybody on this machine may read it: `chmod o= {path}`, and change what may"
            " have been read"
        )

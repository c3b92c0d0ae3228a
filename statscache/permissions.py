"""Files with secrets are for their owner, and perhaps a group; whoever may log in must not read them."""

import stat
from pathlib import Path

from statscache.exceptions import ConfigurationError


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

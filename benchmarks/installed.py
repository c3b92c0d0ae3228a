"""An installation as it comes out of the box, in a directory of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from statscache.config import Config
from statscache.installation import Installation


def install(
    directory: Path, targets: Sequence[Mapping[str, Any]] = (), *, url: str | None = None, **publish: Any
) -> Installation:
    """Return an installation with every registered plugin whose database and notes lie in `directory`.

    Args:
        directory: Where to.
        targets: Where to publish; a directory beside the database if none is given.
        url: SQLAlchemy URL of the database; a file of SQLite in the directory if none is given.
        publish: More settings of `[publish]`.
    """
    public = {"name": "public", "type": "directory", "path": directory / "public"}
    return Installation(
        Config.model_validate(
            {
                "database": {"url": url or f"sqlite:///{directory}/statscache.db"},
                "plugins": {"hang_note": directory / "statscache.hang"},
                "publish": {"targets": list(targets) or [public], **publish},
            }
        )
    )

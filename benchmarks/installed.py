"""An installation as it comes out of the box, in a directory of its own."""

from pathlib import Path

from statscache.config import Config
from statscache.service.installation import Installation


def install(directory: Path) -> Installation:
    """Return an installation with every registered plugin whose database, notes and site lie in `directory`."""
    return Installation(
        Config.model_validate(
            {
                "database": {"url": f"sqlite:///{directory}/statscache.db"},
                "plugins": {"hang_note": directory / "statscache.hang"},
                "publish": {"targets": [{"name": "public", "type": "directory", "path": directory / "public"}]},
            }
        )
    )

"""The gate: what a plugin would publish must be plausible beside what it published before.

A statistic that loses most of its rows from one snapshot to the next is more likely broken than true. It keeps its
last documents then, for a person to look at; the other plugins do not wait for that.
"""

import orjson
from sqlalchemy import Connection

from statscache.exceptions import Implausible
from statscache.render.rendering import Rendered
from statscache.store import published


def check(connection: Connection, rendered: Rendered, share: float) -> None:
    """Compare the rows of the fixed documents with those that were published before.

    Args:
        connection: The render's database snapshot.
        rendered: What was rendered.
        share: The greatest part of the rows that may vanish, from 0 to 1.

    Raises:
        Implausible: A document lost more than that, or all of its rows, and neither a new version of the plugin nor
            time explains it.
    """
    before, _, _ = (rendered.row.rendered_with or "").partition("|")
    if before != rendered.row.version:
        return
    for path, data in rendered.fresh.items():
        if not path.endswith(".json") or "/series/" in path:
            continue
        # A window that moved explains what a plugin's own document lost; `latest` keeps its keys.
        if rendered.crossed and not path.endswith("/latest.json"):
            continue
        entry = published.entry(connection, path)
        if entry is None:
            continue
        old, new = _rows(published.load(connection, entry.object)), _rows(data)
        if old and (new == 0 or new < old * (1 - share)):
            name = path.rpartition("/")[2]
            message = (
                f"{name} would go from {old} rows to {new}, and at most {share:.0%} may vanish ([publish] gate_share);"
                " if that is right, run `statscache publish --force`"
            )
            raise Implausible(message)


def _rows(data: bytes) -> int:
    rows = orjson.loads(data).get("rows")
    return len(rows) if isinstance(rows, list) else 0

"""The schema's revision: which one this release works with, and what is said of another."""

REVISION = "0001"
"""The newest migration, which this release works with."""


def is_ours(revision: str | None) -> bool:
    """Return whether this release works with a database of this revision, or with an empty one (None)."""
    return revision in (None, REVISION)


def explain(revision: str) -> str:
    """Return what is said of a database of another revision."""
    fix = "install the release that made it" if revision > REVISION else "run `statscache db upgrade`"
    return f"the database has schema {revision}, this release works with {REVISION}: {fix}"


def cannot_open(where: str, reason: str) -> str:
    """Return what is said of a database that cannot be opened: its URL without a password, and why."""
    return f"cannot open the database {where}: {reason.strip()}; check [database] url and its permissions"

"""Where the files that are no code lie: the templates of the pages, and the site's own files.

A wheel carries both inside the package. In a checkout, also one installed with ``pip install -e``, they are
directories beside it, so that an edit shows at once.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def templates() -> Path:
    """The directory of the Jinja2 templates.

    Raises:
        FileNotFoundError: The installation is incomplete; install statscache again.
    """
    return _directory("templates")


def site() -> Path:
    """The directory of what is published as it is: styles, scripts, widgets.

    Raises:
        FileNotFoundError: The installation is incomplete; install statscache again.
    """
    return _directory("site")


def _directory(name: str) -> Path:
    candidates = (PACKAGE / name, PACKAGE.parent / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"the directory {name!r} of statscache is missing: expected {candidates[0]} (in a wheel) or "
        f"{candidates[1]} (in a checkout); install statscache again"
    )

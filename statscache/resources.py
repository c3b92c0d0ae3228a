"""The directories of files other than code: templates, the site's own files, the documentation, examples.

A wheel has them inside the package. In a checkout, also one installed with ``pip install -e``, they are directories
next to it, so that an edit takes effect at once.
"""

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Sources:
    """The source directories of the site.

    Attributes:
        templates: Jinja2 templates of the pages and plots.
        site: Files published unchanged: styles, scripts, widgets.
        docs: The documentation, in Markdown.
        examples: Example pages that use the statistics.
    """

    templates: Path
    site: Path
    docs: Path
    examples: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """All four directories."""
        return self.templates, self.site, self.docs, self.examples


def sources() -> Sources:
    """Return the directories of this installation.

    Raises:
        FileNotFoundError: The installation is incomplete; install statscache again.
    """
    return Sources(
        templates=_directory("templates", "templates"),
        site=_directory("site", "site"),
        docs=_directory("docs", "docs"),
        examples=_directory("examples", "examples/site"),
    )


def _directory(name: str, beside: str) -> Path:
    candidates = (PACKAGE / name, PACKAGE.parent / beside)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"the directory {name!r} of statscache is missing: expected {candidates[0]} (in a wheel) or "
        f"{candidates[1]} (in a checkout); install statscache again"
    )

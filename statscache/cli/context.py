"""What every command shares: the configuration; the database and the plugins, opened on demand."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from statscache import config
from statscache.config import Config
from statscache.exceptions import Damaged, StatscacheError
from statscache.store import plain

if TYPE_CHECKING:
    from rich.console import Console

    from statscache.cli.progress import Bar
    from statscache.installation import Installation
    from statscache.plugins.registry import Registry

EXIT_FINDINGS = 3
"""Exit status of a command that is refused, or that finds faults."""


class Context:
    """The configuration of this call.

    Args:
        file: The file named on the command line; None if none is.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file

    @cached_property
    def errors(self) -> "Console":
        """Standard error."""
        from rich.console import Console

        return Console(stderr=True)

    @cached_property
    def config(self) -> Config:
        """The configuration."""
        return self.load()

    def load(self) -> Config:
        """Read the configuration.

        Raises:
            ConfigurationError: It is wrong; the text lists all its errors.
        """
        return config.load(self.file)

    @contextmanager
    def installation(self) -> Iterator["Installation"]:
        """Yield the installation, and close it at the end."""
        from statscache.installation import Installation

        with self._explaining(), closing(Installation(self.config)) as installation:
            self.warn(installation.registry)
            yield installation

    @contextmanager
    def query(self) -> Iterator[plain.Query]:
        """Yield a query of one state of the database, without importing any plugin."""
        url = self.config.database.url
        with self._explaining():
            with plain.reading(url) as query:
                if query is not None:
                    yield query
                    return
            # Like every command, this one creates a missing database.
            with self.installation():
                pass
            with plain.reading(url) as query:
                assert query is not None
                yield query

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (StatscacheError, OSError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            # Damage can cause any error. Without damage, the error is a bug.
            if database_failed(error) is None:
                _raise_if_damaged(self.config.database.url, error)
            raise

    def warn(self, registry: "Registry") -> None:
        """Print the plugins that are not active because of a fault, with the reason."""
        for problem in registry.problems:
            self.errors.print(f"[yellow]plugin {problem.name} is not active:[/] {problem.reason}", highlight=False)

    def progress(self, *, lines: bool = False) -> "AbstractContextManager[Bar]":
        """Return a progress display: a bar on a terminal; elsewhere nothing, or log lines if requested."""
        from statscache.cli.progress import bar

        return bar(lines=lines)


pass_context = click.make_pass_decorator(Context)


def _raise_if_damaged(url: str, error: Exception) -> None:
    """Raise `Damaged` if the database is damaged: then that caused the error."""
    from statscache.snapshot import damage
    from statscache.store import Database, integrity

    database = Database(url)
    with closing(database), database.reading() as connection:
        for found in chain(integrity.broken(connection), damage.find(connection, digests=False)):
            raise Damaged(f"the database is damaged: {found} ({type(error).__name__}: {error})") from error


def database_failed(error: Exception) -> str | None:
    """Return the message for an error of the database; None for any other error."""
    # Imported on errors only: the import takes longer than many commands.
    from sqlalchemy.exc import SQLAlchemyError

    return (
        f"the database failed: {getattr(error, 'orig', None) or error}" if isinstance(error, SQLAlchemyError) else None
    )

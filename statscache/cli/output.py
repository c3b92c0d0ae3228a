"""Standard output: results as JSON and as tables; one clear error if it cannot be written to."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from statscache.exceptions import OutputError

if TYPE_CHECKING:
    from typing_extensions import Buffer


@contextmanager
def guarded() -> Iterator[None]:
    """Distinguish failures of standard output from those of other files, and flush it at the end.

    Raises:
        BrokenPipeError: The reader closed the pipe.
        OutputError: It cannot be written to.
    """
    plain = sys.__stdout__
    if plain is None or plain is not sys.stdout:
        yield
        return
    buffered = io.BufferedWriter(_Output(plain.fileno(), "w", closefd=False))
    out = io.TextIOWrapper(buffered, plain.encoding, plain.errors, line_buffering=plain.line_buffering)
    with redirect_stdout(out):
        try:
            yield
        finally:
            out.flush()


class _Output(io.FileIO):
    _failed = False

    def write(self, data: "Buffer") -> int:
        # After a failure, data left in buffers cannot be written, and closing them must not fail again.
        if self._failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self._failed = True
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error


WIDTH = 80
"""Maximum number of columns of a table."""


def clipped(text: str, width: int) -> str:
    """Return a text cut to a number of columns, with an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def show_json(value: Any) -> None:
    """Print a result as JSON, indented."""
    # Imported here: `--help` does not need it.
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())


def show_table(columns: list[str], rows: list[list[str]], numbers: frozenset[str] = frozenset()) -> None:
    """Print a table to standard output; the columns `numbers` are flush right."""
    if not sys.stdout.isatty():
        _plain(columns, rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, highlight=False, markup=False)


def _plain(columns: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    for row in [columns, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

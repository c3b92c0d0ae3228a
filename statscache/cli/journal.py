"""Commands about the journal: `journal export`."""

import sys
from pathlib import Path

import click

from statscache.cli.context import Context, passed
from statscache.service.export import export, refuse_others, replacing
from statscache.wording import counted


@click.group("journal")
def journal_group() -> None:
    """Look after the messages that were accepted."""


@journal_group.command("export")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@passed
def export_command(context: Context, file: Path | None) -> None:
    """Write the journal as an archive to FILE, or without it, or with -, to standard output.

    FILE is compressed if its name ends in .gz or .zst. An archive that was there stays until the new
    one is whole; another file is not replaced.
    """
    if file == Path("-"):
        file = None
    if file is not None and file.exists() and not file.is_file():
        raise click.UsageError(f"{file} is no file; leave it out to write to standard output")
    with context.installation() as installation, context.progress() as bar:

        def progress(written: int, total: int) -> None:
            bar("writing the journal", written, total, f"{written:,} messages")

        if file is None:
            export(installation, sys.stdout.buffer, progress)
            return
        refuse_others(installation, file)
        with replacing(file) as out:
            number = export(installation, out, progress)
    click.echo(f"{counted(number, 'message')} in {file}")

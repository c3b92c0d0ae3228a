"""Commands about the journal: `journal export`, `journal postpone`."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from statscache.cli.backfill import catch_up
from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json
from statscache.ingest.postpone import postpone
from statscache.service.export import export, refuse_others, replacing
from statscache.service.publishing import PATIENCE
from statscache.store import locks
from statscache.wording import counted


@click.group("journal")
def command() -> None:
    """Manage the accepted messages."""


@command.command("export")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@pass_context
def export_command(context: Context, file: Path | None) -> None:
    """Write the journal as an archive to FILE, or without it, or with -, to standard output.

    FILE is compressed if its name ends in .gz or .zst. An existing archive is replaced once the new one is
    complete; a file that is not an archive is never replaced.
    """
    if file == Path("-"):
        file = None
    if file is not None and file.exists() and not file.is_file():
        raise click.UsageError(f"{file} is not a file; leave it out to write to standard output")
    with context.installation() as installation, context.progress() as bar:

        def progress(written: int, total: int) -> None:
            bar("writing the journal", written, total, f"{written:,} messages")

        if file is None:
            export(installation, sys.stdout.buffer, progress)
            return
        refuse_others(file, installation.database.files)
        with replacing(file) as out:
            number = export(installation, out, progress)
    click.echo(f"{counted(number, 'message')} in {file}")


@command.command("postpone")
@click.option("--lose-history", is_flag=True, help="Fold again even if the journal no longer has all messages.")
@as_json
@pass_context
def postpone_command(context: Context, lose_history: bool, json_: bool) -> None:
    """Move messages of the future from the journal to the held ones, until their time.

    They exist if the clock of this machine was ahead for a while. Statistics that counted one of them fold the
    journal again. Set the clock first: every message later than it is moved.
    """
    with context.installation() as installation:
        # A concurrent publication would record documents as rendered that must be rendered again.
        with locks.publishing(installation.database, PATIENCE):
            done = postpone(installation.database, installation.registry, lose_history=lose_history)
        catch_up(context, installation)
    if json_:
        show_json(asdict(done))
        return
    click.echo(f"{counted(done.messages, 'message')} moved from the journal to the held ones, until their time")
    if done.messages:
        click.echo(f"folded again: {', '.join(done.folded_again) or 'none'}; the next publication shows it")

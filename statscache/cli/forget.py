"""The command `forget`: remove a person from everything."""

import os

import click

from statscache.cli.context import EXIT_FINDINGS, Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json
from statscache.privacy.forget import Forgotten, forget
from statscache.wording import counted

VARIABLE = "GDPR_DELETE_USERNAME"
"""The variable in which Fedora's removal procedure names the person to forget."""


@click.command("forget")
@click.argument("name", required=False)
@click.option("--from-environment", is_flag=True, help=f"Take the name from {VARIABLE}.")
@click.option("--where-involved", is_flag=True, help="Keep the word in messages that do not involve the person.")
@as_json
@pass_context
def command(context: Context, name: str | None, from_environment: bool, where_involved: bool, json_: bool) -> None:
    """Permanently remove the person NAME from all stored and published data.

    It can be run again at any time; after an interruption, run it again. Exit status 1: steps remain, with the fix
    for each; 3: the name is refused, or places removed from the configuration may hold it.
    """
    if from_environment == (name is not None):
        raise click.UsageError("give NAME, or --from-environment")
    wanted = os.environ.get(VARIABLE, "") if name is None else name
    with context.installation() as installation, context.progress(lines=True) as tell:
        done = forget(installation, wanted, tell, where_involved=where_involved)
    if json_:
        show_json({field: getattr(done, field) for field in done.__slots__})
    else:
        _show(done)
    if done.unfinished:
        raise click.exceptions.Exit(1)
    if done.unreachable:
        raise click.exceptions.Exit(EXIT_FINDINGS)


def _show(done: Forgotten) -> None:
    # The name is never printed, because output may be kept.
    click.echo(f"journal     {counted(done.messages, 'message')} changed")
    click.echo(f"waiting     {done.held:,} held and {done.quarantined:,} quarantined lines changed")
    click.echo(f"spool       {counted(done.files, 'file')} changed")
    click.echo(f"statistics  taken out of {_listed(done.taken_out)}; folded again: {_listed(done.folded_again)}")
    click.echo(f"published   {counted(done.snapshots, 'snapshot')} and {counted(done.objects, 'object')} removed")
    if done.found_nothing:
        click.echo("that name was not found; it is removed from all future messages")
    for path in done.left:
        click.echo(f"left        {path} has the word; it is not made from messages")
    for place in done.unreachable:
        click.echo(f"unreachable {place} is no longer configured and may hold the name: delete its files there, then")
        click.echo(f"            statscache places --drop '{place.rpartition(' (target ')[0]}'")
    for step in done.unfinished:
        click.echo(f"unfinished  {step}")


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"

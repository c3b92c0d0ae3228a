"""The command `rollback`: make an older snapshot current."""

import click

from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.publication import show_publication
from statscache.service.publishing import Publishing


@click.command("rollback")
@click.argument("identity", metavar="ID")
@as_json
@pass_context
def command(context: Context, identity: str, json_: bool) -> None:
    """Make the retained snapshot ID current, and hold publishing there until `publish --resume`.

    A prefix of an id is enough if only one id begins with it.
    """
    with context.installation() as installation, context.progress() as bar:
        snapshot, reports = Publishing(installation, tell=bar).rollback(identity)
    show_publication(snapshot, reports, json_)

"""The command `rebuild`: fold the journal into plugins again."""

import click

from statscache.cli.backfill import catch_up
from statscache.cli.context import Context, pass_context
from statscache.cli.options import jobs, scheduler
from statscache.cli.signals import end_as_interrupted
from statscache.service.parallel import working


@click.command("rebuild")
@click.argument("plugins", nargs=-1, required=True)
@jobs
@scheduler
@pass_context
def command(context: Context, plugins: tuple[str, ...], jobs: int, scheduler: str | None) -> None:
    """Fold the journal again into PLUGINS; their published documents stay until they have caught up."""
    end_as_interrupted()
    with context.installation() as installation, working(installation, jobs, scheduler) as workers:
        installation.ingest.plugins.rebuild(plugins)
        catch_up(context, installation, workers)
    click.echo(f"rebuilt {', '.join(plugins)}")

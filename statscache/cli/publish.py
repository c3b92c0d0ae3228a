"""The command `publish`: bring every target up to date, once or repeatedly."""

import click

from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.publication import log_publication, show_publication
from statscache.cli.signals import stop_on_signals
from statscache.service import preflight
from statscache.service.publishing import Publishing


@click.command("publish")
@click.option(
    "--every", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Repeat at this interval until SIGTERM."
)
@click.option("--force", is_flag=True, help="Render and compare everything again, and accept implausible documents.")
@click.option("--dry-run", is_flag=True, help="Only report what would be sent.")
@click.option("--resume", is_flag=True, help="End the hold of a rollback.")
@click.option("--take-over", is_flag=True, help="Also take over targets of another installation.")
@click.option("--target", "targets", multiple=True, metavar="NAME", help="Only to this target; may be repeated.")
@as_json
@pass_context
def command(
    context: Context,
    every: float | None,
    force: bool,
    dry_run: bool,
    resume: bool,
    take_over: bool,
    targets: tuple[str, ...],
    json_: bool,
) -> None:
    """Render changed files, and update the targets."""
    if dry_run and (force or resume or take_over):
        raise click.UsageError("--dry-run cannot be combined with --force, --resume or --take-over")
    if every is not None and (force or dry_run or resume or take_over):
        raise click.UsageError(
            "--every cannot be combined with --force, --dry-run, --resume or --take-over, which are for one publication"
        )
    preflight.refuse(preflight.database(context.config), preflight.targets(context.config.publish, targets))
    with context.installation() as installation, context.progress() as bar:
        publishing = Publishing(installation, targets, bar)
        if dry_run:
            show_publication(*publishing.dry_run(), json_, dry_run=True)
            return
        if every is not None:
            publishing.publish_every(every, stop_on_signals(), bar.until(log_publication))
            return
        while installation.ingest.catch_up():
            pass
        snapshot, reports = publishing.publish(force=force, resume=resume, take_over=take_over)
    show_publication(snapshot, reports, json_)

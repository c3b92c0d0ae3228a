"""The command `demo`: the whole job on this machine."""

from urllib.parse import quote

import click

from statscache import layout
from statscache.cli.context import Context, pass_context
from statscache.simulator import demo
from statscache.timeline import iso

ADDRESS = "http://localhost:8080/"


@click.command("demo")
@pass_context
def command(context: Context) -> None:
    """Run everything here: a year of simulated history, then a day over a real bus, into public/."""
    logged = 0
    with context.progress() as bar:

        def tell_history(done: int, months: int) -> None:
            bar("a history", done, months)
            if done == months and not bar.is_drawn:
                click.echo(f"{months} months of history are simulated; reading them now", err=True)

        def tell_progress(progress: demo.Progress) -> None:
            nonlocal logged
            through = iso(progress.through)[11:16] if progress.through is not None else "-"
            note = f"generation {progress.generation}: {progress.counted:,} messages, through {through} UTC"
            bar("a day on the bus", progress.sent, progress.expected, note)
            if not bar.is_drawn and progress.generation > logged:
                logged = progress.generation
                click.echo(f"{progress.sent:,} of {progress.expected:,} sent; {note}", err=True)

        result = demo.demo(tell_history, tell_progress)
    click.echo(f"{result.history:,} messages of history since {iso(result.since)[:10]} were read from an archive;")
    click.echo(f"{result.sent:,} of {iso(result.day)[:10]} went over a fedmsg bus on loopback.")
    click.echo(f"{result.plugins} statistics count all {result.counted:,}, in {demo.SITE}/.")
    click.echo("Run `statscache serve`, and look at:")
    for what, path in (
        ("the front page", ""),
        ("a statistic", layout.page("volume-by-category")),
        ("a person", f"{layout.entity_page('person')}?{quote(result.person)}"),
        ("a package", f"{layout.entity_page('package')}?{quote(result.package)}"),
        ("release engineering", layout.BOARD_PAGE),
        ("the status", layout.STATUS_PAGE),
    ):
        click.echo(f"  {what:<20} {ADDRESS}{path}")

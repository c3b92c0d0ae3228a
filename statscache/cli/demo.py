"""The command `demo`: the whole job on this machine."""

import click

from statscache.cli.context import Context, passed
from statscache.simulator import demo
from statscache.timeline import iso


@click.command("demo")
@passed
def demo_command(context: Context) -> None:
    """Run everything here: a simulated day over a real bus, published into public/."""
    spoken = 0
    with context.progress() as bar:

        def tell_progress(progress: demo.Progress) -> None:
            nonlocal spoken
            through = iso(progress.through)[11:16] if progress.through is not None else "-"
            note = f"generation {progress.generation}: {progress.counted:,} messages, through {through} UTC"
            bar("a day on the bus", progress.sent, progress.expected, note)
            if not bar.is_drawn and progress.generation > spoken:
                spoken = progress.generation
                click.echo(f"{progress.sent:,} of {progress.expected:,} sent; {note}", err=True)

        result = demo.demo(tell_progress)
    click.echo(f"{result.sent:,} messages of {iso(result.day)[:10]} went over a fedmsg bus on loopback;")
    click.echo(f"{result.counted:,} were counted by {result.plugins} statistics, published {result.generations} times")
    click.echo(f"as {result.documents:,} files in {demo.SITE}/, all in {result.seconds:.0f} s.")
    click.echo("Look at it: `statscache serve` and http://localhost:8080/, or open public/index.html")

"""Benchmark: what a message and a publish cost, as ratios that hold on any machine.

    python -m benchmarks [--messages N] [--quick] [SECTION]...

It simulates the messages, and works in a temporary directory that goes in the end. Exit status: 0 if everything could
be measured, whether or not each promise is kept.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks import (
    amqp,
    folding,
    history,
    jobs,
    latency,
    live,
    page,
    plugins,
    publishing,
    replay,
    targets,
    traffic,
)
from benchmarks.result import Result, table

QUICK = 100_000
"""Messages of a quick run."""


SECTIONS: dict[str, Callable[[Path, Path], list[Result]]] = {
    "backfill": history.measure,
    "jobs": jobs.measure,
    "plugins": plugins.measure,
    "rebuild": lambda _, directory: folding.measure(directory),
    "replay": replay.measure,
    "live": live.measure,
    "amqp": amqp.measure,
    "latency": latency.measure,
    "page": page.measure,
    "publish": lambda _, directory: publishing.measure(directory),
    "targets": lambda _, directory: targets.measure(directory),
}
"""What can be measured, in this order; each is given the archive, and the directory to work in."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("chosen", metavar="[SECTION]...", nargs=-1, type=click.Choice([*SECTIONS]))
@click.option("--messages", default=1_000_000, show_default=True, type=click.IntRange(1), help="Messages of history.")
@click.option("--quick", is_flag=True, help=f"Take only {QUICK:,} messages: no word on steadiness and flat memory.")
def main(chosen: tuple[str, ...], messages: int, quick: bool) -> None:
    """Measure speed and memory, and print them beside what is promised; all of it, or some sections."""
    number = QUICK if quick else messages
    wanted = {*(chosen or SECTIONS)}
    if "rebuild" in wanted:
        # It takes the installation that the backfill has filled.
        wanted.add("backfill")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="statscache-benchmark-") as name:
        directory = Path(name)
        archive = directory / "messages.ndjson"
        click.echo(f"simulating {number:,} messages ...")
        traffic.write(archive, number)
        click.echo(f"mean size {archive.stat().st_size / number:.0f} bytes")
        results: list[Result] = []
        for title, measure in SECTIONS.items():
            if title in wanted:
                click.echo(f"{title} ...")
                results += measure(archive, directory)
    click.echo(f"\n{table(results)}\n\nin {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()

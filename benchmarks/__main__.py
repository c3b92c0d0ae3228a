"""Benchmark: what a message and a publish cost, as ratios that hold on any machine.

    python -m benchmarks [--messages N] [--quick]

It simulates the messages, and works in a temporary directory that goes in the end. Exit status: 0 if everything could
be measured, whether or not each promise is kept.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks import folding, history, page, plugins, publishing, targets, traffic
from benchmarks.result import Result, table

QUICK = 100_000
"""Messages of a quick run."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", default=1_000_000, show_default=True, type=click.IntRange(1), help="Messages of history.")
@click.option("--quick", is_flag=True, help=f"Take only {QUICK:,} messages: no word on steadiness and flat memory.")
def main(messages: int, quick: bool) -> None:
    """Measure speed and memory, and print them beside what is promised."""
    number = QUICK if quick else messages
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="statscache-benchmark-") as name:
        directory = Path(name)
        archive = directory / "messages.ndjson"
        click.echo(f"simulating {number:,} messages ...")
        traffic.write(archive, number)
        click.echo(f"mean size {archive.stat().st_size / number:.0f} bytes")
        sections: list[tuple[str, Callable[[], list[Result]]]] = [
            ("backfill", lambda: history.measure(archive, directory)),
            ("plugins", lambda: plugins.measure(archive, directory)),
            ("rebuild", lambda: folding.measure(directory)),
            ("page", lambda: page.measure(archive, directory)),
            ("publish", lambda: publishing.measure(directory)),
            ("targets", lambda: targets.measure(directory)),
        ]
        results: list[Result] = []
        for title, measure in sections:
            click.echo(f"{title} ...")
            results += measure()
    click.echo(f"\n{table(results)}\n\nin {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()

"""Benchmark: what a message and a publish cost, as ratios that hold on any machine.

    python -m benchmarks [--messages N] [--small] [SECTION]...

It simulates the messages, and works in a temporary directory that is removed in the end. Exit status: 0 if everything
could be measured, whether or not each promise is kept.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from benchmarks import amqp, history, latency, live, page, plugins, publishing, replay, scale, start, targets, traffic
from benchmarks.result import Result, table

SMALL = 0.1
"""Which part of the messages a small run takes."""


@dataclass
class Bench:
    """What a section works with.

    Attributes:
        directory: Where to work.
        messages: Messages of the archive.
        part: Which part of the reference history to take.
    """

    directory: Path
    messages: int
    part: float

    @cached_property
    def archive(self) -> Path:
        """Messages of the old traffic, written when a section first asks for them."""
        path = self.directory / "messages.ndjson"
        click.echo(f"simulating {self.messages:,} messages ...")
        traffic.write(path, traffic.old(self.messages))
        click.echo(f"mean size {path.stat().st_size / self.messages:.0f} bytes")
        return path


SECTIONS: dict[str, Callable[[Bench], list[Result]]] = {
    "history": lambda bench: history.measure(bench.directory, bench.part),
    "scale": lambda bench: scale.measure(bench.directory, bench.part),
    "plugins": lambda bench: plugins.measure(bench.archive, bench.directory),
    "replay": lambda bench: replay.measure(bench.archive, bench.directory),
    "live": lambda bench: live.measure(bench.archive, bench.directory),
    "amqp": lambda bench: amqp.measure(bench.archive, bench.directory),
    "latency": lambda bench: latency.measure(bench.archive, bench.directory),
    "page": lambda bench: page.measure(bench.archive, bench.directory),
    "publish": lambda bench: publishing.measure(bench.directory),
    "targets": lambda bench: targets.measure(bench.directory),
    "start": lambda bench: start.measure(bench.directory),
}
"""What can be measured, in this order."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("chosen", metavar="[SECTION]...", nargs=-1, type=click.Choice([*SECTIONS]))
@click.option(
    "--messages",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(1),
    help="Messages of the archive that the sections other than `history` read.",
)
@click.option("--small", is_flag=True, help="Take a tenth of the messages; steadiness is not measured.")
def main(chosen: tuple[str, ...], messages: int, small: bool) -> None:
    """Measure speed and memory, and print them beside what is promised; all of it, or some sections."""
    part = SMALL if small else 1.0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="statscache-benchmark-") as name:
        bench = Bench(Path(name), int(messages * part), part)
        results: list[Result] = []
        for title, measure in SECTIONS.items():
            if not chosen or title in chosen:
                click.echo(f"{title} ...")
                results += measure(bench)
    click.echo(f"\n{table(results)}\n\nin {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()

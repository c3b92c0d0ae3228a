"""The command `sample`: simulated messages to try everything with."""

import time
from pathlib import Path

import click

from statscache.cli.context import Context, pass_context
from statscache.service.export import refuse_others, replacing
from statscache.simulator import Traffic, simulate
from statscache.timeline import DAY, floor, iso
from statscache.wording import counted

_PER_DAY = 5_000
_PEOPLE, _PACKAGES = 300, 1_000
_MESSAGES_BETWEEN_UPDATES = 1_000


@click.command("sample")
@click.option("--days", type=click.IntRange(1, 3660), default=7, show_default=True, help="Number of days.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_context
def command(context: Context, days: int, file: Path) -> None:
    """Write simulated messages of the last whole days (UTC) to FILE, an archive that `backfill` takes.

    FILE is compressed if its name ends in .gz or .zst. There are 5,000 messages on an average day, fewer at
    weekends. The same days give the same bytes.
    """
    refuse_others(file)
    end = floor(int(time.time()), DAY)
    traffic = Traffic(start=end - days * DAY, end=end, per_day=_PER_DAY, people=_PEOPLE, packages=_PACKAGES)
    written = 0
    with context.progress() as bar, replacing(file) as out:
        for line in simulate(traffic):
            out.write(line + b"\n")
            written += 1
            if written % _MESSAGES_BETWEEN_UPDATES == 0:
                bar("simulating", written, days * _PER_DAY, f"{written:,} messages")
    click.echo(f"{counted(written, 'message')} of {iso(traffic.start)} to {iso(traffic.end)} in {file}")

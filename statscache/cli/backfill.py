"""The command `backfill`: import history."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from statscache.cli.context import EXIT_FINDINGS, Context, pass_context
from statscache.cli.options import Moment, as_json, scheduler
from statscache.cli.output import show_json
from statscache.cli.signals import end_as_interrupted
from statscache.exceptions import DamagedArchive, SourceError
from statscache.ingest import Outcome
from statscache.installation import Installation
from statscache.service import backfill, history
from statscache.service.parallel import Workers, working
from statscache.store.intervals import Interval
from statscache.timeline import iso
from statscache.wording import counted

_WINDOWS = 16


@click.command("backfill")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--complete",
    nargs=2,
    type=Moment(),
    metavar="START END",
    help="The files hold all messages of this time: close its gaps.",
)
@click.option("--start", type=Moment(), help="Start of the history; the configured one if not given.")
@click.option("--end", type=Moment(), help="End of the history; now if not given.")
@click.option("--gaps", is_flag=True, help="Fetch only known gaps.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that parse and count FILES, 1 if not given; or windows of history to fetch at a time, 2.",
)
@scheduler
@as_json
@pass_context
def command(
    context: Context,
    files: tuple[Path, ...],
    complete: tuple[int, int] | None,
    start: int | None,
    end: int | None,
    gaps: bool,
    jobs: int | None,
    scheduler: str | None,
    json_: bool,
) -> None:
    """Import history: from archives (NDJSON files, plain, gzip or zstd), or without FILES from datagrepper.

    Messages that are known already are not counted again. After an interruption, the same command continues.
    """
    if complete and complete[0] >= complete[1]:
        raise click.UsageError("--complete START END: the start must be before the end")
    if files and (gaps or start is not None or end is not None):
        raise click.UsageError("--start, --end and --gaps are for history from datagrepper: give no FILES")
    if complete and not files:
        raise click.UsageError("--complete needs FILES; datagrepper reports its own coverage")
    if not files and (scheduler or (jobs or 1) > _WINDOWS):
        raise click.UsageError(f"history from datagrepper is fetched here, and at most {_WINDOWS} windows at a time")
    if start is not None and end is not None and start >= end:
        raise click.UsageError("--start must be before --end")
    end_as_interrupted()
    total = Outcome()
    with context.installation() as installation:
        if files:
            with working(installation, jobs or 1, scheduler) as workers:
                failure, has_findings = _read(context, installation, files, complete, total, workers)
                catch_up(context, installation, workers)
        else:
            wanted = history.wanted(installation, start, end, only_gaps=gaps)
            failure, has_findings = _walk(context, installation, wanted, jobs or 2, total), False
            catch_up(context, installation)
        _show(installation, total, json_)
    if failure:
        raise SourceError(failure)
    if has_findings:
        raise click.exceptions.Exit(EXIT_FINDINGS)


def _read(
    context: Context,
    installation: Installation,
    files: Sequence[Path],
    complete: Interval | None,
    total: Outcome,
    workers: Workers | None,
) -> tuple[str, bool]:
    """Import archives.

    Returns:
        The failure, empty if none; and True if too many lines were quarantined: all, or any with `complete`.
    """
    unread, failure, quarantined = 0, "", 0
    for path in files:
        quarantined += backfill.quarantined_before(installation, path)
        size = path.stat().st_size if path.is_file() else 0
        try:
            with _reporting(context, path.name, size) as update:
                for consumed, outcome in backfill.backfill(installation, path, workers):
                    total += outcome
                    update(consumed, outcome.read)
        except SourceError as error:
            failure = str(error)
            if isinstance(error, DamagedArchive):
                failure += ". Fetch it again and run the same command"
            if len(files) > 1:
                click.echo(f"statscache: {failure}", err=True)
            unread += 1
    quarantined += total.quarantined
    has_findings = (quarantined > 0 or not total.read) if complete else total.quarantined == total.read > 0
    if not unread:
        if complete and not total.read:
            # A failed download leaves an empty file.
            click.echo("statscache: the files are empty; --complete was not recorded", err=True)
        elif complete and not quarantined:
            backfill.complete(installation, *complete)
        elif complete:
            click.echo(f"statscache: {counted(quarantined, 'line')} quarantined; --complete was not recorded", err=True)
        elif has_findings:
            click.echo("statscache: no line is a message; every line was quarantined", err=True)
        return "", has_findings
    if len(files) > 1:
        failure = f"{unread:,} of {counted(len(files), 'file')} could not be read to the end"
    return failure + ("; --complete was not recorded" if complete else ""), has_findings


def _walk(context: Context, installation: Installation, wanted: Sequence[Interval], jobs: int, total: Outcome) -> str:
    """Import the history of the wanted intervals, and return the failure; empty if none."""
    lost = 0
    seconds = sum(high - low for low, high in wanted)
    try:
        with _reporting(context, "history", seconds) as update:
            for step in history.walk(installation, wanted, jobs=jobs, stopping=threading.Event()):
                total += step.outcome
                for part in step.lost:
                    click.echo(f"statscache: {iso(part.start)} to {iso(part.end)} is missing: {part.error}", err=True)
                lost += len(step.lost)
                update(sum(min(high, step.at) - low for low, high in wanted if low < step.at), step.outcome.read)
    except SourceError as error:
        return str(error)
    return f"parts that are missing: {lost:,}; `statscache backfill --gaps` asks for them again" if lost else ""


@contextmanager
def _reporting(context: Context, name: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes how much of the total is done, and the messages read since the last call."""
    started = time.monotonic()
    read = 0
    with context.progress(lines=True) as bar:

        def update(done: int, more: int) -> None:
            nonlocal read
            read += more
            speed = read / max(time.monotonic() - started, 1e-9)
            bar(name, done, total, f"{counted(read, 'message')}, {speed:,.0f} a second")

        yield update


def catch_up(context: Context, installation: Installation, workers: Workers | None = None) -> None:
    """Fold the journal into every plugin that is behind, and show the progress."""
    total = sum(number for _, number in installation.ingest.plugins.behind())
    with context.progress(lines=True) as bar:

        def tell_behind(behind: Sequence[tuple[str, int]]) -> None:
            left = sum(number for _, number in behind)
            names = ", ".join(name for name, _ in behind)
            bar("folding the journal", total - left, total, f"{counted(left, 'message')} left for {names}")

        backfill.catch_up(installation, tell_behind, workers)


def _show(installation: Installation, outcome: Outcome, json_: bool) -> None:
    if json_:
        show_json({name: getattr(outcome, name) for name in outcome.__slots__})
        return
    click.echo(outcome)
    if outcome.foreign:
        environments = ", ".join(installation.config.bus.environments)
        click.echo(f"foreign: of other environments than {environments} ([bus] environments)")
    if outcome.failures:
        times = counted(outcome.failures, "time")
        click.echo(f"{times} a plugin raised on a message: see `statscache quarantine list`")
    if outcome.quarantined:
        click.echo("quarantined lines and reasons: `statscache quarantine list`")

"""Commands that take messages in: `run`, `consume`, `backfill`, `rebuild`, `try`."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from statscache import __version__, testing
from statscache.cli.context import WANTING, Context, as_json, passed, show_json
from statscache.config import find
from statscache.exceptions import DamagedArchive, SourceError
from statscache.ingest import Outcome
from statscache.publish import Report
from statscache.service import Installation, backfill, history, run
from statscache.service.installation import load_plugins
from statscache.service.parallel import Workers, working
from statscache.snapshot import Snapshot
from statscache.sources import archive
from statscache.store.coverage import Interval
from statscache.timeline import iso, parse_time
from statscache.wording import counted

_WINDOWS = 16

_log = logging.getLogger("statscache")


class Moment(click.ParamType[int]):
    """A point in time: ISO 8601 (no zone means UTC), or seconds since 1970."""

    name = "time"

    def convert(self, value: str | int, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return seconds since 1970 UTC."""
        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


_jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that parse and count.",
)
_scheduler = click.option(
    "--scheduler", metavar="ADDR", help="Have the workers of this Dask cluster parse and count; needs statscache[dask]."
)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on, so that an early one is heeded too."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def end_as_interrupted() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that it ends its workers first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def tell(snapshot: Snapshot, reports: Sequence[Report]) -> None:
    """Log one line for a publication."""
    through = iso(snapshot.through) if snapshot.through is not None else "no message yet"
    sent = "; ".join(
        f"{report.target}: {report.objects} objects, {report.files} files, {report.bytes:,} bytes" for report in reports
    )
    _log.info("published generation %d %s, through %s (%s)", snapshot.generation, snapshot.id[:12], through, sent)


@click.command("run")
@passed
def run_command(context: Context) -> None:
    """Consume the live sources and publish every interval, until SIGTERM."""
    file = find(context.file)
    _log.info("statscache %s, configuration: %s", __version__, file or "built in, as there is no file")
    with context.progress() as bar:
        run.run(context.config, stop_on_signals(), bar.until(tell), bar)


@click.command()
@passed
def consume(context: Context) -> None:
    """Consume the live sources until SIGTERM; `publish --every` is the other half of `run`."""
    run.consume(context.config, stop_on_signals())


@click.command("backfill")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--complete",
    nargs=2,
    type=Moment(),
    metavar="START END",
    help="The files hold all messages of this time: close its gaps.",
)
@click.option("--start", type=Moment(), help="Where history begins, if not where the configuration says.")
@click.option("--end", type=Moment(), help="Where history ends, if not now.")
@click.option("--gaps", is_flag=True, help="Ask only for what is known to be missing.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that parse and count FILES, 1 if not given; or windows of history to fetch at a time, 2.",
)
@_scheduler
@as_json
@passed
def backfill_command(
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
    """Take in history: from archives (NDJSON files, plain, gzip or zstd), or without FILES from datagrepper.

    Messages that are known already count nothing twice. An interrupted run carries on where it was.
    """
    if complete and complete[0] >= complete[1]:
        raise click.UsageError("--complete START END: the start must be before the end")
    if files and (gaps or start is not None or end is not None):
        raise click.UsageError("--start, --end and --gaps go with history from datagrepper, so without FILES")
    if complete and not files:
        raise click.UsageError("--complete says what FILES hold; history from datagrepper tells by itself")
    if not files and (scheduler or (jobs or 1) > _WINDOWS):
        raise click.UsageError(f"history from datagrepper is fetched here, and at most {_WINDOWS} windows at a time")
    if start is not None and end is not None and start >= end:
        raise click.UsageError("--start must be before --end")
    end_as_interrupted()
    whole = Outcome()
    with context.installation() as installation:
        if files:
            with working(installation, jobs or 1, scheduler) as workers:
                failure, wanting = _read(context, installation, files, complete, whole, workers)
                catch_up(context, installation, workers)
        else:
            wanted = history.wanted(installation, start, end, only_gaps=gaps)
            failure, wanting = _walk(context, installation, wanted, jobs or 2, whole), False
            catch_up(context, installation)
        _show(installation, whole, json_)
    if failure:
        raise SourceError(failure)
    if wanting:
        raise click.exceptions.Exit(WANTING)


def _read(
    context: Context,
    installation: Installation,
    files: Sequence[Path],
    complete: Interval | None,
    whole: Outcome,
    workers: Workers | None,
) -> tuple[str, bool]:
    """Take in archives.

    Returns:
        What failed, empty if nothing did; and whether lines are set aside that matter: all, or any with `complete`.
    """
    unread, failure, set_aside = 0, "", 0
    for path in files:
        set_aside += backfill.set_aside_before(installation, path)
        size = path.stat().st_size if path.is_file() else 0
        try:
            with _telling(context, path.name, size) as told:
                for consumed, outcome in backfill.backfill(installation, path, workers):
                    whole += outcome
                    told(consumed, outcome.read)
        except SourceError as error:
            failure = str(error)
            if isinstance(error, DamagedArchive):
                failure += ". Get it anew and run again"
            if len(files) > 1:
                click.echo(f"statscache: {failure}", err=True)
            unread += 1
    set_aside += whole.set_aside
    wanting = set_aside > 0 if complete else whole.set_aside == whole.read > 0
    if not unread:
        if complete and not set_aside:
            backfill.complete(installation, *complete)
        elif complete:
            click.echo(f"statscache: {counted(set_aside, 'line')} set aside; --complete was not recorded", err=True)
        elif wanting:
            click.echo("statscache: no line is a message; every line was set aside", err=True)
        return "", wanting
    if len(files) > 1:
        failure = f"{unread:,} of {counted(len(files), 'file')} could not be read to the end"
    return failure + ("; --complete was not recorded" if complete else ""), wanting


def _walk(context: Context, installation: Installation, wanted: Sequence[Interval], jobs: int, whole: Outcome) -> str:
    """Take in the history of these intervals, and return what went wrong; empty if nothing did."""
    lost = 0
    seconds = sum(high - low for low, high in wanted)
    try:
        with _telling(context, "history", seconds) as told:
            for step in history.walk(installation, wanted, jobs=jobs, stopping=threading.Event()):
                whole += step.outcome
                for part in step.lost:
                    click.echo(f"statscache: {iso(part.start)} to {iso(part.end)} is missing: {part.error}", err=True)
                lost += len(step.lost)
                told(sum(min(high, step.at) - low for low, high in wanted if low < step.at), step.outcome.read)
    except SourceError as error:
        return str(error)
    return f"parts that are missing: {lost:,}; `statscache backfill --gaps` asks for them again" if lost else ""


@contextmanager
def _telling(context: Context, name: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how much of the total is done, and how many messages were read since last time."""
    started = time.monotonic()
    read = 0
    with context.progress(lines=True) as bar:

        def told(done: int, more: int) -> None:
            nonlocal read
            read += more
            speed = read / max(time.monotonic() - started, 1e-9)
            bar(name, done, total, f"{counted(read, 'message')}, {speed:,.0f} a second")

        yield told


def catch_up(context: Context, installation: Installation, workers: Workers | None = None) -> None:
    """Fold the journal into every plugin that is behind, and show how that goes."""
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
    if outcome.set_aside:
        click.echo("what was set aside, and why: `statscache quarantine list`")


@click.command()
@click.argument("plugins", nargs=-1, required=True)
@_jobs
@_scheduler
@passed
def rebuild(context: Context, plugins: tuple[str, ...], jobs: int, scheduler: str | None) -> None:
    """Fold the journal anew into PLUGINS; what they published stays up until they have caught up."""
    end_as_interrupted()
    with context.installation() as installation, working(installation, jobs, scheduler) as workers:
        installation.ingest.plugins.rebuild(plugins)
        catch_up(context, installation, workers)
    click.echo(f"rebuilt {', '.join(plugins)}")


@click.command("try")
@click.argument("plugin")
@click.argument("file", type=click.Path(path_type=Path))
@passed
def try_command(context: Context, plugin: str, file: Path) -> None:
    """Run PLUGIN on the messages in FILE, without a database, and print the documents that it makes."""
    config = context.config
    every = (
        config.plugins.model_copy(update={"enabled": ("*",), "disabled": ()}),
        config.privacy.model_copy(update={"people": True}),
    )
    found = load_plugins(*every).get(plugin)
    limits = {"max_line": config.bus.max_line, "max_lines": backfill.BATCH, "max_bytes": backfill.BATCH_BYTES}
    wrong: list[str] = []

    def lines() -> Iterator[bytes]:
        for chunk in archive.read(file, offset=0, **limits):
            wrong.extend(reason for _, reason in chunk.oversize)
            yield from chunk.lines

    trial = testing.try_plugin(found, lines(), environments=config.bus.environments, budget=config.plugins.time_budget)
    show_json(trial.documents)
    wrong += [str(failure) for failure in trial.failures]
    if trial.suspended:
        wrong.append(f"{found.name} would be suspended: {trial.suspended}")
    for reason in wrong:
        click.echo(f"statscache: {reason}", err=True)
    if wrong:
        raise click.exceptions.Exit(1)


COMMANDS = (run_command, consume, backfill_command, rebuild, try_command)

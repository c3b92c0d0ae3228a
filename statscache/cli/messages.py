"""Commands that take messages in: `run`, `consume`, `backfill`, `rebuild`, `try`."""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from statscache import testing
from statscache.cli.context import Context, as_json, passed, show_json
from statscache.exceptions import SourceError
from statscache.ingest import Outcome
from statscache.plugins.registry import load
from statscache.publish import Report
from statscache.service import Installation, backfill, run
from statscache.snapshot import Snapshot
from statscache.sources import archive
from statscache.timeline import iso, parse_time

_SECONDS_BETWEEN_LINES = 5.0

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


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on, so that an early one is heeded too."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


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
    run.run(context.config, stop_on_signals(), tell)


@click.command()
@passed
def consume(context: Context) -> None:
    """Consume the live sources until SIGTERM; `publish --every` is the other half of `run`."""
    run.consume(context.config, stop_on_signals())


@click.command("backfill")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--complete",
    nargs=2,
    type=Moment(),
    metavar="START END",
    help="The files hold all messages of this time: close its gaps.",
)
@as_json
@passed
def backfill_command(context: Context, files: tuple[Path, ...], complete: tuple[int, int] | None, json_: bool) -> None:
    """Take in history from archives: NDJSON files, plain, gzip or zstd.

    Messages that are known already count nothing twice. An interrupted run carries on where it was.
    """
    if complete and complete[0] >= complete[1]:
        raise click.UsageError("--complete START END: the start must be before the end")
    whole = Outcome()
    errors: list[SourceError] = []
    with context.installation() as installation:
        for path in files:
            try:
                whole += _backfill_one(context, installation, path)
            except SourceError as error:
                click.echo(f"statscache: {error}", err=True)
                errors.append(error)
        if complete and not errors:
            backfill.complete(installation, *complete)
        _catch_up(context, installation)
        _show(installation, whole, json_)
    if errors:
        unread = f"{len(errors)} of {len(files)} files could not be read to the end"
        raise SourceError(unread + ("; --complete was not recorded" if complete else ""))


def _backfill_one(context: Context, installation: Installation, path: Path) -> Outcome:
    size = path.stat().st_size if path.is_file() else 0
    started = spoken = time.monotonic()
    with context.progress() as bar:
        task = bar.add_task(path.name, total=size or None, note="")

        def progress(consumed: int, outcome: Outcome) -> None:
            nonlocal spoken
            now = time.monotonic()
            note = f"{outcome.read:,} messages, {outcome.read / max(now - started, 1e-9):,.0f} a second"
            bar.update(task, completed=consumed, note=note)
            if bar.disable and now - spoken >= _SECONDS_BETWEEN_LINES:
                spoken = now
                _log.info("%s: %.0f %%, %s", path.name, 100 * consumed / max(size, 1), note)

        return backfill.backfill(installation, path, progress)


def _catch_up(context: Context, installation: Installation) -> None:
    waiting = installation.ingest.behind()
    if not waiting:
        return
    total = sum(number for _, number in waiting)
    spoken = time.monotonic()
    with context.progress() as bar:
        task = bar.add_task("folding the journal", total=total, note="")

        def tell_behind(behind: Sequence[tuple[str, int]]) -> None:
            nonlocal spoken
            left = sum(number for _, number in behind)
            note = ", ".join(name for name, _ in behind)
            bar.update(task, completed=total - left, note=note)
            if bar.disable and time.monotonic() - spoken >= _SECONDS_BETWEEN_LINES:
                spoken = time.monotonic()
                _log.info("folding the journal: %d messages left for %s", left, note)

        backfill.catch_up(installation, tell_behind)


def _show(installation: Installation, outcome: Outcome, json_: bool) -> None:
    if json_:
        show_json({name: getattr(outcome, name) for name in outcome.__slots__})
        return
    parts = [
        f"{outcome.read:,} read",
        f"{outcome.accepted:,} accepted",
        f"{outcome.known:,} known" + (f" ({outcome.conflicts:,} of them differ)" if outcome.conflicts else ""),
        f"{outcome.foreign:,} foreign",
        f"{outcome.held:,} held",
        f"{outcome.set_aside:,} set aside",
    ]
    click.echo(", ".join(parts))
    if outcome.foreign:
        environments = ", ".join(installation.config.bus.environments)
        click.echo(f"foreign: of other environments than {environments} ([bus] environments)")
    if outcome.failures:
        click.echo(f"{outcome.failures:,} times a plugin raised on a message: see `statscache quarantine list`")
    if outcome.set_aside:
        click.echo("what was set aside, and why: `statscache quarantine list`")


@click.command()
@click.argument("plugins", nargs=-1, required=True)
@passed
def rebuild(context: Context, plugins: tuple[str, ...]) -> None:
    """Fold the journal anew into PLUGINS; what they published stays up until they have caught up."""
    with context.installation() as installation:
        installation.ingest.rebuild(plugins)
        _catch_up(context, installation)
    click.echo(f"rebuilt {', '.join(plugins)}")


@click.command("try")
@click.argument("plugin")
@click.argument("file", type=click.Path(path_type=Path))
@passed
def try_command(context: Context, plugin: str, file: Path) -> None:
    """Run PLUGIN on the messages in FILE, without a database, and print the documents that it makes."""
    config = context.config
    found = load(("*",), config.plugins.settings, shared=config.plugins.shared).get(plugin)
    limits = {"max_line": config.bus.max_line, "max_lines": backfill.BATCH, "max_bytes": backfill.BATCH_BYTES}
    wrong: list[str] = []

    def lines() -> Iterator[bytes]:
        for chunk in archive.read(file, offset=0, **limits):
            wrong.extend(reason for _, reason in chunk.oversize)
            yield from chunk.lines

    trial = testing.try_plugin(
        found, lines(), environments=config.bus.environments, budget=config.plugins.time_budget
    )
    show_json(trial.documents)
    wrong += [str(failure) for failure in trial.failures]
    if trial.suspended:
        wrong.append(f"{found.name} would be suspended: {trial.suspended}")
    for reason in wrong:
        click.echo(f"statscache: {reason}", err=True)
    if wrong:
        raise click.exceptions.Exit(1)


COMMANDS = (run_command, consume, backfill_command, rebuild, try_command)

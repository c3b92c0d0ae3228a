"""Commands about the published site: `publish`, `serve`, `demo`."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from statscache import layout, resources
from statscache.cli.context import Context, as_json, passed, show_json, show_table
from statscache.cli.messages import stop_on_signals, tell
from statscache.config import DirectoryTarget
from statscache.publish import Report
from statscache.service import preflight, preview
from statscache.service.publishing import Publishing
from statscache.service.watching import Attempts, Watcher
from statscache.simulator import demo
from statscache.snapshot import Snapshot, retention
from statscache.store import places
from statscache.timeline import iso
from statscache.wording import counted


@click.command()
@click.option("--every", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Go on, until SIGTERM.")
@click.option("--force", is_flag=True, help="Render and compare everything anew, and let pass what is implausible.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be sent.")
@click.option("--resume", is_flag=True, help="End the hold of a rollback.")
@click.option("--take-over", is_flag=True, help="Publish to targets of another installation too: they are ours then.")
@click.option("--target", "targets", multiple=True, metavar="NAME", help="Only to this target; may be repeated.")
@as_json
@passed
def publish(
    context: Context,
    every: float | None,
    force: bool,
    dry_run: bool,
    resume: bool,
    take_over: bool,
    targets: tuple[str, ...],
    json_: bool,
) -> None:
    """Render what changed, and bring the targets up to date."""
    if dry_run and (force or resume or take_over):
        raise click.UsageError("--dry-run leaves all as it is: it goes with none of --force, --resume, --take-over")
    if every is not None and (force or dry_run or resume or take_over):
        raise click.UsageError(
            "--every goes on by itself: --force, --dry-run, --resume and --take-over are for one publication"
        )
    preflight.refuse(preflight.database(context.config), preflight.targets(context.config.publish, targets))
    with context.installation() as installation, context.progress() as bar:
        publishing = Publishing(installation, targets, bar)
        if dry_run:
            _show(*publishing.rehearse(), json_, rehearsed=True)
            return
        if every is not None:
            publishing.publish_every(every, stop_on_signals(), bar.until(tell))
            return
        while installation.ingest.catch_up():
            pass
        snapshot, reports = publishing.publish(force=force, resume=resume, take_over=take_over)
    _show(snapshot, reports, json_)


def _show(snapshot: Snapshot, reports: Sequence[Report], json_: bool, *, rehearsed: bool = False) -> None:
    if json_:
        fields = {name: getattr(snapshot, name) for name in ("generation", "id", "parent", "through")}
        show_json({**fields, "targets": [{name: getattr(row, name) for name in row.__slots__} for row in reports]})
        return
    through = iso(snapshot.through) if snapshot.through is not None else "no message yet"
    click.echo(f"generation {snapshot.generation}, snapshot {snapshot.id}, through {through}")
    if snapshot.is_rollback:
        click.echo(f"publishing is held at the tree of generation {snapshot.origin}: `statscache publish --resume`")
    written = "would be written" if rehearsed else "written"
    for report in reports:
        # What is not written costs nothing.
        cost = "" if rehearsed else f", {counted(report.requests, 'request')}, {report.seconds:.2f} s"
        click.echo(
            f"{report.target}: {counted(report.files, 'file')} {written}, {report.objects:,} of them objects,"
            f" {report.deleted:,} deleted, {counted(report.bytes, 'byte')}{cost}"
        )


@click.command()
@as_json
@passed
def snapshots(context: Context, json_: bool) -> None:
    """List the snapshots that are retained, newest first."""
    with context.installation() as installation, installation.database.reading() as connection:
        rows = [
            {
                "generation": row.generation,
                "id": row.id,
                "through": row.through,
                "created_at": row.created_at,
                "size": row.size,
                "changed": row.summary["changes"]["documents"],
                "origin": row.origin,
            }
            for row in retention.retained(connection, context.config.publish.retention)
        ]
    if json_:
        show_json(rows)
        return
    if not rows:
        click.echo("there is no snapshot yet: run `statscache publish`")
        return
    columns = ["gen", "snapshot", "through", "created", "bytes", "changed"]
    table = [
        [
            f"{row['generation']:,}",
            row["id"][:12],
            "-" if row["through"] is None else _minute(row["through"]),
            _minute(row["created_at"]),
            f"{row['size']:,}",
            f"{row['changed']:,}" if row["origin"] == row["generation"] else f"back to {row['origin']}",
        ]
        for row in rows
    ]
    show_table(columns, table, frozenset({"gen", "bytes", "changed"}))


def _minute(timestamp: int) -> str:
    """Return a timestamp to the minute, in UTC."""
    return iso(timestamp)[:16].replace("T", " ")


@click.command("places")
@click.option("--drop", metavar="PLACE", help="The files of this place, which left the configuration, were deleted.")
@as_json
@passed
def places_command(context: Context, drop: str | None, json_: bool) -> None:
    """List the places that were published to, also those that left the configuration."""
    configured = {target.place for target in context.config.publish.targets}
    with context.installation() as installation:
        if drop is not None:
            if drop in configured:
                raise click.UsageError(f"{drop} is configured: take its target out of the configuration first")
            with installation.database.writing() as connection:
                if not places.drop(connection, drop):
                    raise click.UsageError(f"{drop} was never published to: see `statscache places`")
        with installation.database.reading() as connection:
            rows = places.listed(connection)
    if json_:
        show_json([{**asdict(row), "configured": row.place in configured} for row in rows])
        return
    table = [[row.target, iso(row.reached_at), "yes" if row.place in configured else "no", row.place] for row in rows]
    show_table(["target", "reached", "configured", "place"], table)


@click.command("rollback")
@click.argument("identity", metavar="ID")
@as_json
@passed
def rollback_command(context: Context, identity: str, json_: bool) -> None:
    """Make the retained snapshot ID current, and hold publishing there until `publish --resume`.

    The beginning of an id will do, if no other begins so.
    """
    with context.installation() as installation, context.progress() as bar:
        snapshot, reports = Publishing(installation, tell=bar).rollback(identity)
    _show(snapshot, reports, json_)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes any free one.")
@click.option("--directory", type=click.Path(path_type=Path), help="Serve this tree; else the first directory target.")
@click.option("--watch", is_flag=True, help="When a template, page or plugin changes, publish anew.")
@passed
def serve(context: Context, port: int, directory: Path | None, watch: bool) -> None:
    """Preview the published tree on loopback, until SIGINT or SIGTERM."""
    if watch and directory is not None:
        raise click.UsageError("--watch publishes as configured, so it goes without --directory")
    if directory is None:
        found = [target.path for target in context.config.publish.targets if isinstance(target, DirectoryTarget)]
        if not found:
            raise click.UsageError("no target is a directory of this machine: name one with --directory")
        directory = found[0]
    if watch:
        with _watching(context, lambda line: click.echo(line, err=True)) as watcher:
            _serve(directory, port, watcher.attempts)
    elif not (directory / layout.FRONT_PAGE).is_file():
        raise click.UsageError(f"there is nothing in {directory}/ yet: run `statscache publish` first")
    else:
        _serve(directory, port, None)


@contextmanager
def _watching(context: Context, tell_line: Callable[[str], None]) -> Iterator[Watcher]:
    """Publish, and again whenever something changes that the site is made of."""

    def publish_anew() -> None:
        # The plugins may be other ones than before.
        with context.installation() as installation:
            while installation.ingest.catch_up():
                pass
            Publishing(installation).publish()

    publish_anew()
    with context.installation() as installation:
        modules = [sys.modules[type(plugin).__module__].__file__ for plugin in installation.registry]
    made_of = [*resources.sources().all, *(Path(file).resolve().parent for file in modules if file)]
    with Watcher(publish_anew, made_of, tell_line) as watcher:
        yield watcher


def _serve(directory: Path, port: int, attempts: Attempts | None) -> None:
    try:
        server = preview.server(directory, port, attempts)
    except OSError as error:
        raise click.UsageError(f"cannot listen on port {port}: {error.strerror}; choose another with --port") from error
    # Both ask the server to end: a KeyboardInterrupt could come before anybody is there to catch it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    watched = ", and publishing what changes" if attempts else ""
    click.echo(f"serving {directory}/ at http://localhost:{server.server_port}/{watched} (stop with Ctrl-C)")
    with server:
        server.serve_forever()


@click.command("demo")
@passed
def demo_command(context: Context) -> None:
    """Do the whole job here: a simulated day over a real bus, published into public/."""
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


COMMANDS = (publish, snapshots, places_command, rollback_command, serve, demo_command)

"""Commands about the published site: `publish`, `snapshots`, `places`, `rollback`."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from statscache.cli.context import Context, as_json, passed, show_json, show_table
from statscache.cli.jobs import stop_on_signals, tell
from statscache.publish.report import Report
from statscache.service import preflight
from statscache.service.publishing import Publishing
from statscache.snapshot import retention
from statscache.snapshot.snapshots import Snapshot
from statscache.store import places
from statscache.timeline import iso
from statscache.wording import counted


@click.command()
@click.option(
    "--every", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Repeat at this interval until SIGTERM."
)
@click.option("--force", is_flag=True, help="Render and compare everything again, and accept implausible documents.")
@click.option("--dry-run", is_flag=True, help="Only report what would be sent.")
@click.option("--resume", is_flag=True, help="End the hold of a rollback.")
@click.option("--take-over", is_flag=True, help="Also take over targets of another installation.")
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
    """Render changed files, and update the targets."""
    if dry_run and (force or resume or take_over):
        raise click.UsageError("--dry-run cannot be combined with --force, --resume or --take-over")
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
    """List the retained snapshots, newest first."""
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
@click.option("--drop", metavar="PLACE", help="Forget this unconfigured place: its files were deleted.")
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

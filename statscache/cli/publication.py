"""How a publication is shown: as a result, or as a line of the log."""

import logging
from collections.abc import Sequence

import click

from statscache.cli.output import show_json
from statscache.publish.report import Report
from statscache.snapshot.snapshot import Snapshot
from statscache.timeline import iso
from statscache.wording import counted

_log = logging.getLogger("statscache")


def show_publication(snapshot: Snapshot, reports: Sequence[Report], json_: bool, *, dry_run: bool = False) -> None:
    """Print the result of a publication."""
    if json_:
        fields = {name: getattr(snapshot, name) for name in ("generation", "id", "parent", "through")}
        show_json({**fields, "targets": [{name: getattr(row, name) for name in row.__slots__} for row in reports]})
        return
    through = iso(snapshot.through) if snapshot.through is not None else "no message yet"
    click.echo(f"generation {snapshot.generation}, snapshot {snapshot.id}, through {through}")
    if snapshot.is_rollback:
        click.echo(f"publishing is held at the tree of generation {snapshot.origin}: `statscache publish --resume`")
    written = "would be written" if dry_run else "written"
    for report in reports:
        # A dry run has no cost to show.
        cost = "" if dry_run else f", {counted(report.requests, 'request')}, {report.seconds:.2f} s"
        click.echo(
            f"{report.target}: {counted(report.files, 'file')} {written}, {report.objects:,} of them objects,"
            f" {report.deleted:,} deleted, {counted(report.bytes, 'byte')}{cost}"
        )


def log_publication(snapshot: Snapshot, reports: Sequence[Report]) -> None:
    """Log one line for a publication."""
    through = iso(snapshot.through) if snapshot.through is not None else "no message yet"
    sent = "; ".join(
        f"{report.target}: {report.objects} objects, {report.files} files, {report.bytes:,} bytes" for report in reports
    )
    _log.info("published generation %d %s, through %s (%s)", snapshot.generation, snapshot.id[:12], through, sent)

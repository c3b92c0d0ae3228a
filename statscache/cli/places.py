"""The command `places`: list every place that was published to."""

from dataclasses import asdict

import click

from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json, show_table
from statscache.store import places
from statscache.timeline import iso


@click.command("places")
@click.option("--drop", metavar="PLACE", help="Forget this unconfigured place: its files were deleted.")
@as_json
@pass_context
def command(context: Context, drop: str | None, json_: bool) -> None:
    """List the places that were published to, including those no longer configured."""
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

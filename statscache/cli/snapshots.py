"""The command `snapshots`: list the retained snapshots."""

import click

from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json, show_table
from statscache.snapshot import retention
from statscache.timeline import iso


@click.command("snapshots")
@as_json
@pass_context
def command(context: Context, json_: bool) -> None:
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

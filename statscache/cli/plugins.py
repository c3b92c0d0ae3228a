"""The command `plugins`: what is installed, and whether it is active."""

from typing import Any

import click

from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import WIDTH, clipped, show_json, show_table
from statscache.monitoring.health import health
from statscache.plugins import Plugin
from statscache.store import plain

_LISTED = "name", "title", "kind", "unit", "dimensions", "topics", "unbounded"
"""What is listed of the metadata of a plugin."""


@click.command("plugins")
@click.option("--resume", metavar="NAME", help="Resume this suspended plugin where it stopped.")
@as_json
@pass_context
def command(context: Context, resume: str | None, json_: bool) -> None:
    """List the plugins that are installed: those that are active, and those that are turned off, with the setting."""
    with context.installation() as installation:
        ingest = installation.ingest
        if resume:
            ingest.resume(resume)
            while ingest.catch_up():
                pass
        with installation.database.reading() as connection:
            state = health(plain.over(connection), ())
        states = {row["name"]: row for row in state["plugins"]}
        listed = [_about(plugin, states[plugin.name]["state"]) for plugin in installation.registry]
        listed += [_about(cls, f"off ({setting})") for cls, setting in installation.registry.turned_off.items()]
        problems = state["problems"]
    if json_:
        show_json({"plugins": listed, "problems": problems})
        return
    rows = [[row["name"], row["kind"], row["state"].partition(" ")[0]] for row in listed]
    left = WIDTH - sum(max(map(len, column)) + 2 for column in zip(*rows, ("name", "kind", "state"), strict=True))
    for row, about in zip(rows, listed, strict=True):
        row.append(clipped(", ".join(about["dimensions"]) or "-", left))
    show_table(["name", "kind", "state", "dimensions"], rows)
    by_setting: dict[str, list[str]] = {}
    for cls, setting in installation.registry.turned_off.items():
        by_setting.setdefault(setting, []).append(cls.name)
    for setting, names in by_setting.items():
        click.echo(f"off by {setting}: {', '.join(names)}")


def _about(plugin: Plugin | type[Plugin], state: str) -> dict[str, Any]:
    info = plugin.info().to_dict()
    return {**{field: info[field] for field in _LISTED}, "version": plugin.version, "state": state}

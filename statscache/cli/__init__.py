"""The command `statscache`: results go to standard output, logs and progress to standard error.

Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 refused or faults found.
"""

import sys
from pathlib import Path

import click

from statscache import __version__
from statscache.cli.lazy import Deferred, LazyGroup
from statscache.cli.output import guarded
from statscache.exceptions import (
    ConfigurationError,
    CopyRefused,
    ExportRefused,
    HistoryGone,
    NameRefused,
    PublisherBusy,
    StatscacheError,
    UnknownPlugin,
    UnknownSnapshot,
)

FAILED, MISUSED, REFUSED = 1, 2, 3


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", "file", type=click.Path(path_type=Path), help="The configuration, a TOML file.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens in detail.")
@click.option("--log-json", is_flag=True, help="Log each event as a JSON object.")
@click.version_option(__version__, message="statscache %(version)s")
@click.pass_context
def cli(context: click.Context, file: Path | None, verbose: bool, log_json: bool) -> None:
    """Keep statistics of a message bus up to date, and publish them as static files.

    Without a configuration, everything works on statscache.db and public/ in the current directory.
    """
    from statscache.cli import logs
    from statscache.cli.context import Context

    logs.set_up(verbose=verbose, json=log_json)
    context.obj = Context(file)


_COMMANDS = {
    "run": ("run:run_command", "Consume the live sources and publish every interval, until SIGTERM."),
    "consume": (
        "run:consume",
        "Consume the live sources until SIGTERM; `publish --every` is the other half of `run`.",
    ),
    "backfill": (
        "messages:backfill_command",
        "Take in history: from archives (NDJSON files, plain, gzip or zstd), or without FILES from datagrepper.",
    ),
    "rebuild": (
        "messages:rebuild",
        "Fold the journal again into PLUGINS; what they published stays up until they have caught up.",
    ),
    "try": (
        "trial:try_command",
        "Run PLUGIN on the messages in FILE, without a database, and print the documents that it makes.",
    ),
    "publish": ("site:publish", "Render changed files, and update the targets."),
    "snapshots": ("site:snapshots", "List the retained snapshots, newest first."),
    "places": (
        "site:places_command",
        "List the places that were published to, also those that left the configuration.",
    ),
    "rollback": (
        "site:rollback_command",
        "Make the retained snapshot ID current, and hold publishing there until `publish --resume`.",
    ),
    "serve": ("serve:serve", "Preview the published tree on loopback, until SIGINT or SIGTERM."),
    "demo": (
        "demo:demo_command",
        "Run everything here: a year of simulated history, then a day over a real bus, into public/.",
    ),
    "status": ("status:status", "Show the state of journal, sources, plugins, targets; exit 3 if there are concerns."),
    "metrics": ("status:metrics", "Print the numbers of `status` in the text format of Prometheus."),
    "plugins": (
        "care:plugins",
        "List the plugins that are installed: those that are active, and those that are turned off, with the setting.",
    ),
    "verify": (
        "verify:verify",
        "Check a published tree, or the state against a recount of the journal; exit 3 if something is wrong.",
    ),
    "config": ("care:config_group", "Show or check the configuration."),
    "keys": ("care:keys_group", "List the keys of plugins, and drop those that an attack made up."),
    "db": ("care:db_group", "Manage the database."),
    "quarantine": (
        "quarantine:quarantine_group",
        "Inspect and retry quarantined items: malformed lines, and messages on which a plugin raised.",
    ),
    "forget": ("people:forget_command", "Permanently remove the person NAME from all stored and published data."),
    "export-person": ("people:export_command", "Print all data about the person NAME, as JSON."),
    "journal": ("journal:journal_group", "Manage the accepted messages."),
    "sample": (
        "sample:sample",
        "Write simulated messages of the last whole days (UTC) to FILE, an archive that `backfill` takes.",
    ),
}
"""Where each command is defined in `statscache.cli`, and the first sentence of its help."""

for name, (place, sentence) in _COMMANDS.items():
    cli.add_command(Deferred(name, f"statscache.cli.{place}", sentence))


def main() -> None:
    """Run the command line and exit."""
    try:
        with guarded():
            # It returns the status of `click.exceptions.Exit` instead of raising it.
            status = cli.main(prog_name="statscache", standalone_mode=False)
        sys.exit(status)
    except click.exceptions.Abort:
        _complain("interrupted", FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(MISUSED)
    except (ConfigurationError, UnknownPlugin, UnknownSnapshot) as error:
        _complain(error, MISUSED)
    except (CopyRefused, ExportRefused, HistoryGone, NameRefused, PublisherBusy) as error:
        _complain(error, REFUSED)
    except StatscacheError as error:
        _complain(error, FAILED)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.exit(FAILED)
    except Exception as error:
        # Only a command that had to do with a database has imported what these are made of.
        from statscache.cli.context import database_failed
        from statscache.store import integrity

        if (said := database_failed(error)) is None:
            raise
        _complain(integrity.explain(error) or said, FAILED)


def _complain(reason: object, status: int) -> None:
    click.echo(f"statscache: {reason}", err=True)
    sys.exit(status)

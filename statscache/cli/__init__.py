"""The command `statscache`: results go to standard output, logs and progress to standard error.

Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 refused or faults found.
"""

import gc
import sys
from keyword import iskeyword
from pathlib import Path
from types import ModuleType

import click

from statscache import __version__
from statscache.cli.lazy import Deferred, LazyGroup
from statscache.cli.output import guarded
from statscache.exceptions import StatscacheError

FAILED, MISUSED = 1, 2


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
    "run": "Consume the live sources and publish every interval, until SIGTERM.",
    "consume": "Consume the live sources until SIGTERM; `publish --every` is the other half of `run`.",
    "backfill": "Import history: from archives (NDJSON files, plain, gzip or zstd), or without FILES from datagrepper.",
    "rebuild": "Fold the journal again into PLUGINS; their published documents stay until they have caught up.",
    "try": "Run PLUGIN on the messages in FILE, without a database, and print the documents that it makes.",
    "publish": "Render changed files, and update the targets.",
    "snapshots": "List the retained snapshots, newest first.",
    "places": "List the places that were published to, including those no longer configured.",
    "rollback": "Make the retained snapshot ID current, and hold publishing there until `publish --resume`.",
    "serve": "Preview the published tree on loopback, until SIGINT or SIGTERM.",
    "demo": "Run everything here: a year of simulated history, then a day over a real bus, into public/.",
    "status": "Show the state of journal, sources, plugins, targets; exit 3 if there are concerns.",
    "metrics": "Print the numbers of `status` in the text format of Prometheus.",
    "plugins": (
        "List the plugins that are installed: those that are active, and those that are turned off, with the setting."
    ),
    "verify": "Check a published tree, or the state against a recount of the journal; exit 3 if something is wrong.",
    "config": "Show or check the configuration.",
    "keys": "List the keys of plugins, and drop those that an attack made up.",
    "db": "Manage the database.",
    "quarantine": "Inspect and retry quarantined items: malformed lines, and messages on which a plugin raised.",
    "forget": "Permanently remove the person NAME from all stored and published data.",
    "export-person": "Print all data about the person NAME, as JSON.",
    "journal": "Manage the accepted messages.",
    "sample": "Write simulated messages of the last whole days (UTC) to FILE, an archive that `backfill` takes.",
}
"""The commands, and the first sentence of their help. Each is `command` in a module of its name."""

for name, sentence in _COMMANDS.items():
    module = name.replace("-", "_") + "_" * iskeyword(name)
    cli.add_command(Deferred(name, f"statscache.cli.{module}", sentence))


def main() -> None:
    """Run the command line and exit."""
    _skip_plugin_search()
    try:
        with guarded():
            # It returns the status of `click.exceptions.Exit` instead of raising it.
            status = cli.main(prog_name="statscache", standalone_mode=False)
        sys.exit(status)
    except click.exceptions.Abort:
        _fail("interrupted", FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(MISUSED)
    except StatscacheError as error:
        _fail(error, error.exit_status)
    except BrokenPipeError:
        # The reader of our output closed the pipe.
        sys.exit(FAILED)
    except Exception as error:
        # Imported on errors only: most commands need neither.
        from statscache.cli.context import database_failed
        from statscache.store import integrity

        if (message := database_failed(error)) is None:
            raise
        _fail(integrity.explain(error) or message, FAILED)
    finally:
        # The process ends, so memory need not be freed: freeing all modules takes a sixth of the time of `status`.
        gc.disable()
        gc.freeze()


def _skip_plugin_search() -> None:
    """Keep pydantic from searching for its own plugins by importlib.metadata: a tenth of the time of `status`.

    PYDANTIC_DISABLE_PLUGINS skips the search, but still imports importlib.metadata.
    """
    loader = ModuleType("pydantic.plugin._loader")
    vars(loader)["get_plugins"] = lambda: ()
    sys.modules.setdefault(loader.__name__, loader)


def _fail(reason: object, status: int) -> None:
    click.echo(f"statscache: {reason}", err=True)
    sys.exit(status)

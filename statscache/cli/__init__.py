"""The command `statscache`: results go to standard output, logs and progress to standard error.

Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 refused or found wanting.
"""

import sys
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from statscache import __version__
from statscache.cli import care, journal, logs, messages, people, quarantine, site, status
from statscache.cli.context import Context, database_failed
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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", "file", type=click.Path(path_type=Path), help="The configuration, a TOML file.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens in detail.")
@click.option("--log-json", is_flag=True, help="Log each event as a JSON object.")
@click.version_option(__version__, message="statscache %(version)s")
@click.pass_context
def cli(context: click.Context, file: Path | None, verbose: bool, log_json: bool) -> None:
    """Keep statistics of a message bus up to date, and publish them as static files.

    Without a configuration, everything works on statscache.db and public/ in the current directory.
    """
    logs.set_up(verbose=verbose, json=log_json)
    context.obj = Context(file)


_COMMANDS = (
    *messages.COMMANDS,
    *site.COMMANDS,
    *status.COMMANDS,
    *care.COMMANDS,
    *quarantine.COMMANDS,
    *people.COMMANDS,
    *journal.COMMANDS,
)
for command in _COMMANDS:
    cli.add_command(command)


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
    except SQLAlchemyError as error:
        _complain(database_failed(error), FAILED)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.exit(FAILED)


def _complain(reason: object, status: int) -> None:
    click.echo(f"statscache: {reason}", err=True)
    sys.exit(status)

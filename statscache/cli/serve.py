"""The command `serve`: a preview of the published tree."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from statscache import layout, resources
from statscache.cli.context import Context, pass_context
from statscache.config import DirectoryTarget
from statscache.service import preview
from statscache.service.livereload import Attempts, Watcher
from statscache.service.publishing import Publishing


@click.command("serve")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 takes any free one."
)
@click.option("--directory", type=click.Path(path_type=Path), help="Serve this tree; else the first directory target.")
@click.option("--watch", is_flag=True, help="When a template, page or plugin changes, publish again.")
@pass_context
def command(context: Context, port: int, directory: Path | None, watch: bool) -> None:
    """Preview the published tree on loopback, until SIGINT or SIGTERM."""
    if watch and directory is not None:
        raise click.UsageError("--watch publishes as configured, so it cannot be combined with --directory")
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
    """Publish, and publish again whenever a source of the site changes."""

    def publish_again() -> None:
        # Opened again for each publication: the set of plugins may have changed.
        with context.installation() as installation:
            while installation.ingest.catch_up():
                pass
            Publishing(installation).publish()

    publish_again()
    with context.installation() as installation:
        modules = [sys.modules[type(plugin).__module__].__file__ for plugin in installation.registry]
    made_of = [*resources.sources().all, *(Path(file).resolve().parent for file in modules if file)]
    with Watcher(publish_again, made_of, tell_line) as watcher:
        yield watcher


def _serve(directory: Path, port: int, attempts: Attempts | None) -> None:
    try:
        server = preview.server(directory, port, attempts)
    except OSError as error:
        raise click.UsageError(f"cannot listen on port {port}: {error.strerror}; choose another with --port") from error
    # SIGINT too, because a KeyboardInterrupt could be raised before `serve_forever` can handle it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    watched = ", and publishing what changes" if attempts else ""
    click.echo(f"serving {directory}/ at http://localhost:{server.server_port}/{watched} (stop with Ctrl-C)")
    with server:
        server.serve_forever()

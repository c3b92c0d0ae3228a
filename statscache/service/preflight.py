"""What a configuration names and this machine cannot do, found before anything is consumed or published.

`config check` reports all of it; `run`, `consume` and `publish` refuse to start for the same reasons, and then open the
database, which has errors of its own. No server is contacted: one that is down now may be up in a minute, which
`reachable` warns of.
"""

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from sqlalchemy import make_url

from statscache.config import AnyTarget, Config, DirectoryTarget, PublishSection, RsyncTarget, S3Target
from statscache.exceptions import ConfigurationError, SchemaError
from statscache.permissions import secret_of
from statscache.publish import signing
from statscache.publish.rsync import HOST
from statscache.store import Database


def refuse(*problems: Iterable[str]) -> None:
    """Refuse a configuration with problems.

    Raises:
        ConfigurationError: There is at least one; the text lists all of them.
    """
    if found := [*chain(*problems)]:
        raise ConfigurationError("\n  ".join(["the configuration cannot be used on this machine:", *found]))


def database(config: Config) -> Iterator[str]:
    """Yield the faults of files of the database, of metrics, and of the note that a hang leaves."""
    url = make_url(config.database.url)
    if url.get_backend_name() != "sqlite":
        with _collected() as problems:
            Database(config.database.url).close()
        yield from problems
    # A name that begins so is an URI with options, which SQLite alone understands.
    elif url.database and not url.database.startswith("file:"):
        yield from _sqlite(Path(url.database))
    yield from _wanting("[plugins] hang_note", config.plugins.hang_note.parent)
    if config.metrics.textfile is not None:
        yield from _wanting("[metrics] textfile", config.metrics.textfile.parent)


def schema(config: Config) -> Iterator[str]:
    """Yield the faults of an existing SQLite database: any command would fail for it."""
    url = make_url(config.database.url)
    if url.get_backend_name() == "sqlite" and url.database and Path(url.database).exists():
        opened = Database(config.database.url)
        try:
            opened.check()
        except SchemaError as error:
            yield str(error)
        finally:
            opened.close()


def sources(config: Config) -> Iterator[str]:
    """Yield the faults of files and settings of the sources."""
    section = config.sources
    if section.spool is not None:
        yield from _wanting("[sources.spool] path", section.spool.path)
    with _collected() as problems:
        if section.fedora_messaging is not None:
            # Importing it needs an extra.
            from statscache.sources import fedora_messaging as amqp

            amqp.parameters(amqp.configuration(section.fedora_messaging.config))
    yield from problems
    with _collected() as problems:
        if section.fedmsg is not None:
            # fedmsg takes a while to import, which only those who use it should wait for.
            from statscache.sources import fedmsg_config

            fedmsg_config.configuration(section.fedmsg.endpoints, section.fedmsg.validate_signatures)
    yield from problems
    with _collected() as problems:
        if section.datagrepper is not None:
            # It brings a client for HTTP, which a command that only publishes has no use for.
            from statscache.service import history

            history.credentials(section.datagrepper)
    yield from problems


def targets(section: PublishSection, only: Iterable[str] = ()) -> Iterator[str]:
    """Yield the faults of keys, files, programs and credentials that publishing needs.

    Args:
        section: The configuration of publishing.
        only: Names of the targets to look at; none means all.
    """
    for path in section.signing_keys:
        with _collected() as problems:
            signing.load_key(path)
        yield from (f"[publish] signing_keys: {problem}" for problem in problems)
    names = {*only}
    for target in section.targets:
        if not names or target.name in names:
            yield from (f"target {target.name}: {problem}" for problem in _target(target))


def _target(target: AnyTarget) -> Iterator[str]:
    if not isinstance(target, S3Target) and "br" in target.precompress and find_spec("brotli") is None:
        yield "precompress: the form 'br' needs the extra statscache[brotli]"
    if isinstance(target, DirectoryTarget):
        yield from _wanting("path", target.path, makes=True)
    elif isinstance(target, RsyncTarget):
        yield from _rsync(target)
    else:
        yield from _credentials()


def _rsync(target: RsyncTarget) -> Iterator[str]:
    if shutil.which("rsync") is None:
        yield "there is no program rsync: install it, 3.2.4 or newer"
    host = HOST.match(target.destination)
    if host is None:
        yield from _wanting("destination", Path(target.destination), makes=True)
    elif not host["daemon"] and shutil.which(program := shlex.split(target.rsh)[0]) is None:
        yield f"rsh: there is no program {program}"
    if target.password_file is not None:
        with _collected() as problems:
            secret_of(target.password_file, "a password")
        yield from (f"password_file: {problem}" for problem in problems)


def _credentials() -> Iterator[str]:
    # boto3 takes a while to import, which only those who use it should wait for.
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError

    try:
        if Session().get_credentials() is None:
            yield "there are no credentials where boto3 looks for them: AWS_* variables, ~/.aws, a role of the machine"
    except BotoCoreError as error:
        yield f"its credentials cannot be used: {error}"


def _sqlite(file: Path) -> Iterator[str]:
    yield from (problems := [*_wanting("[database] url", file.parent)])
    if not problems and file.exists() and not os.access(file, os.R_OK | os.W_OK):
        yield f"[database] url: {file} cannot be read and written by this user"


def _wanting(setting: str, directory: Path, *, makes: bool = False) -> Iterator[str]:
    """Yield the faults of a directory, which must be writable, and exist or (with `makes`) be creatable."""
    there = directory.absolute()
    while makes and not there.exists():
        there = there.parent
    if not there.exists():
        yield f"{setting}: there is no directory {there}/; make it, writable for this user"
    elif not there.is_dir():
        yield f"{setting}: {there} is not a directory"
    elif not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield f"{setting}: {there}/ cannot be written by this user; change its owner or its mode"


@contextmanager
def _collected() -> Iterator[list[str]]:
    """Give a list to which a refusal in this context is added."""
    problems: list[str] = []
    try:
        yield problems
    except ConfigurationError as error:
        problems.append(str(error))

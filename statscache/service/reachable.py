"""Check that the servers in a configuration answer now, for `config check`: failures are warnings."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from statscache import layout
from statscache.config import AnyTarget, Config, DirectoryTarget
from statscache.exceptions import PublishError
from statscache.publish.targets import make_target

MOST_SECONDS = 10.0
"""Seconds in which a server must answer; a target's own limits are for long transfers."""

_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


def warnings(config: Config) -> Iterator[str]:
    """Yield, for each server that does not answer, the setting that names it, and why."""
    questions, reasons = dict(_questions(config)), dict[str, str]()

    def work(setting: str, ask: _Ask) -> None:
        reasons[setting] = ask()

    # They do not keep the process, which must not wait for a server that accepts and never answers.
    threads = [threading.Thread(target=work, args=each, daemon=True) for each in questions.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + MOST_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    for setting in questions:
        if reason := reasons.get(setting, f"no answer within {MOST_SECONDS:g} s"):
            yield f"{setting}: {reason}"


_Ask = Callable[[], str]
"""Returns why a server does not answer; empty if it does."""


def _questions(config: Config) -> Iterator[tuple[str, _Ask]]:
    if not config.database.url.startswith("sqlite"):
        yield "[database] url", partial(_database, config.database.url)
    sources = config.sources
    for endpoint in (sources.fedmsg and sources.fedmsg.endpoints) or ():
        parts = urlsplit(endpoint)
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            yield f"[sources.fedmsg] endpoints: {endpoint}", partial(_port, parts.hostname, parts.port)
    if sources.fedora_messaging is not None:
        # Importing it needs an extra.
        from statscache.sources import fedora_messaging as amqp

        broker = amqp.parameters(amqp.configuration(sources.fedora_messaging.config))
        setting = f"[sources.fedora-messaging]: the broker at {broker.host}:{broker.port}"
        yield setting, partial(_port, broker.host, broker.port)
    if sources.datagrepper is not None:
        parts = urlsplit(sources.datagrepper.url)
        yield "[sources.datagrepper] url", partial(_port, parts.hostname or "", parts.port or _PORTS[parts.scheme])
    for section in config.publish.targets:
        if not isinstance(section, DirectoryTarget):
            yield f"target {section.name}", partial(_target, section)


def _database(url: str) -> str:
    engine = create_engine(url, connect_args={"connect_timeout": int(_SECONDS)})
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        return " ".join(str(getattr(error, "orig", None) or error).split())
    finally:
        engine.dispose()
    return ""


def _port(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as error:
        return f"{host}:{port} does not answer: {error.strerror or error}"
    return ""


def _target(section: AnyTarget) -> str:
    target = make_target(section)
    try:
        target.read(layout.INDEX)
    except (PublishError, OSError) as error:
        return str(error)
    finally:
        target.close()
    return ""

"""The live AMQP bus: RabbitMQ, with the configuration of the library fedora-messaging.

Delivery is at least once: the broker keeps a message until it is acknowledged, and that happens only when the consumer
says that it is committed. What was not acknowledged when a connection ends is delivered again, which is harmless.

The library's own consumer waits for each message before it takes the next, so it cannot commit many at once. So only
its configuration is used here, and the conversation with the broker is pika's, which the library uses too.
"""

import logging
import os
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from statscache.bounds import KEPT_OF_OVERSIZE
from statscache.exceptions import ConfigurationError, SourceError
from statscache.permissions import require_private

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two attempts to reach the broker; each is twice the one before."""

# Why a broker cannot be talked to, in the words of pika, of the resolver, of TLS, and of this module.
_UNREACHABLE = (pika.exceptions.AMQPError, AMQPConnectorException, OSError, SourceError)
_PASSWORD = re.compile(r"//[^/@]*:([^/@]+)@")
# With it, a broker refuses connections from other machines.
_DEFAULT = "guest"
_SECONDS_BETWEEN_LOOKS = 0.1
_NOT_FOUND = 404

_log = logging.getLogger(__name__)


class _Properties(pika.BasicProperties):  # type: ignore[misc]
    """Properties of a message, which may be unreadable.

    A header may have a value that pika cannot decode, such as an invalid number. It would end the connection, and
    again whenever the broker delivers the message again.
    """

    unreadable: str | None = None

    def decode(self, encoded: bytes, offset: int = 0) -> Any:
        try:
            return super().decode(encoded, offset)
        except Exception as error:
            super().__init__()
            self.unreadable = f"{type(error).__name__}: {error}"
            return self


pika.spec.props[pika.BasicProperties.INDEX] = _Properties


def configuration(path: Path | None) -> dict[str, Any]:
    """Return the configuration of fedora-messaging.

    Args:
        path: Its file; None for `$FEDORA_MESSAGING_CONF`, or else /etc/fedora-messaging/config.toml, or else defaults.

    Raises:
        ConfigurationError: fedora-messaging is not installed, or refuses the file. Or the file is
            world-readable and holds a password, or the private key that it names is world-readable.
    """
    try:
        from fedora_messaging.config import DEFAULTS, LazyConfig
        from fedora_messaging.exceptions import ConfigurationException
    except ImportError as error:
        raise ConfigurationError(f"[sources.fedora-messaging] needs statscache[amqp]: {error}") from error
    if path is not None and not path.is_file():
        raise ConfigurationError(f"[sources.fedora-messaging] config: there is no file {path}")
    try:
        loaded = dict(LazyConfig().load_config(None if path is None else str(path)))
        # The library does not add defaults to a table, and then misses keys that a file omits: TOML has no null.
        loaded["tls"] = {**DEFAULTS["tls"], **loaded["tls"]}
    except (ConfigurationException, OSError, TypeError, UnicodeDecodeError) as error:
        reason = getattr(error, "message", error)
        raise ConfigurationError(f"fedora-messaging's configuration cannot be used: {reason}") from error
    file = path or Path(os.environ.get("FEDORA_MESSAGING_CONF", "/etc/fedora-messaging/config.toml"))
    # An invalid address is found where it is used.
    if file.is_file() and (found := _PASSWORD.search(str(loaded["amqp_url"]))) and found[1] != _DEFAULT:
        require_private(file, "a password")
    for name in ("ca_cert", "certfile", "keyfile"):
        named = loaded["tls"][name]
        if named and str(loaded["amqp_url"]).startswith("amqps:") and not Path(named).is_file():
            raise ConfigurationError(f"fedora-messaging's [tls] {name}: there is no file {named}")
    if (key := loaded["tls"]["keyfile"]) and Path(key).is_file():
        require_private(Path(key), "a private key")
    return loaded


def envelope(topic: str, id: str | None, headers: Mapping[Any, Any] | None, body: bytes, max_line: int) -> bytes:
    """Return a message of AMQP as a line in fedora-messaging's envelope.

    A message that cannot be one is returned as a text with the reason and the message, which the parser quarantines.
    """
    # First, because a parsed body takes many times its length.
    if len(body) > max_line:
        reason = f"its body has {len(body)} bytes; at most {max_line} are taken ([bus] max_line)"
        return _no_message(topic, id, reason, body)
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _no_message(topic, id, f"its body is not JSON: {error}", body)
    named = {name: value for name, value in (headers or {}).items() if isinstance(name, str)}
    try:
        head = orjson.dumps({"topic": topic, "id": id, "headers": named}, default=repr)
    except orjson.JSONEncodeError as error:
        return _no_message(topic, id, f"its headers are not JSON: {error}", body)
    # The body is whole JSON, so it cannot end the object that it is put into.
    return b'%s,"body":%s}' % (head[:-1], body)


def _no_message(topic: str, id: str | None, reason: str, body: bytes) -> bytes:
    note = f"AMQP message {id!r} on {topic!r}: {reason}: "
    return note.encode(errors="backslashreplace") + body[:KEPT_OF_OVERSIZE]


class Subscriber:
    """Takes messages from the broker's queues, in a thread of its own, until it is cancelled.

    Args:
        settings: What `configuration` returned.
        prefetch: Messages that the broker hands over at most before the first of them is acknowledged.
        max_line: Bytes of the longest body that is taken for a message.

    Attributes:
        failure: Why messages are no longer taken: the exception that `offer` raised.

    Raises:
        ConfigurationError: The URL or the certificates in the settings cannot be used.
    """

    def __init__(self, settings: Mapping[str, Any], prefetch: int, max_line: int) -> None:
        self._settings = settings
        self._parameters = parameters(settings)
        self._where = f"{self._parameters.host}:{self._parameters.port}"
        self._prefetch = prefetch
        self._max_line = max_line
        self._cancelling, self._cancelled, self._closing = threading.Event(), threading.Event(), threading.Event()
        # Delivery tags of messages that were offered and is not yet committed, oldest first.
        self._waiting: deque[int] = deque()
        self._lock = threading.Lock()
        self._committed = 0
        self._pause = SHORTEST_PAUSE
        self._connected: Callable[[int, Sequence[str]], None] = lambda endpoints, unconnected: None
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def start(
        self,
        offer: Callable[[bytes], None],
        missed: Callable[[], None],
        on_failure: Callable[[], None],
        connected: Callable[[int, Sequence[str]], None] = lambda endpoints, unconnected: None,
    ) -> None:
        """Start taking messages; retry until the broker answers.

        Args:
            offer: Called, in a thread of its own, with each message as a line.
            missed: Called in that thread when a queue had to be created: it lacks earlier messages.
            on_failure: Called in that thread when `offer` raised; nothing is taken after that.
            connected: Called in that thread with the number of brokers, which is 1, and those that do not answer.
        """
        self._connected = connected
        self._thread = threading.Thread(target=self._run, args=(offer, missed, on_failure), name="fedora-messaging")
        self._thread.start()

    def acknowledge(self, number: int) -> None:
        """Record that the oldest `number` of the offered messages are committed; from any thread."""
        with self._lock:
            self._committed += number

    def cancel(self) -> None:
        """Take no more messages; offered ones can still be acknowledged."""
        self._cancelling.set()
        self._cancelled.wait()

    def close(self) -> None:
        """Acknowledge committed messages, and disconnect; the broker delivers the rest again, to any consumer."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, offer: Callable[[bytes], None], missed: Callable[[], None], on_failure: Callable[[], None]) -> None:
        try:
            while not self._cancelling.is_set():
                try:
                    self._converse(offer, missed)
                except _UNREACHABLE as error:
                    reason = str(error) or repr(error)
                    self._connected(1, [self._where])
                    _log.error("the broker at %s: %s; retrying in %g s", self._where, reason, self._pause)
                    self._await_commits()
                    self._cancelling.wait(self._pause)
                    self._pause = min(2 * self._pause, LONGEST_PAUSE)
        except BaseException as error:
            _log.critical("the broker at %s is left: a message could not be taken", self._where, exc_info=True)
            self.failure = error
            on_failure()
        finally:
            self._cancelled.set()

    def _converse(self, offer: Callable[[bytes], None], missed: Callable[[], None]) -> None:
        """Take messages on one connection, until it is lost or this is closed."""

        def take(_channel: object, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
            self._waiting.append(method.delivery_tag)
            offer(_line(method.routing_key, properties, body, self._max_line))

        with pika.BlockingConnection(self._parameters) as connection:
            queues = _declare(connection, self._settings, missed)
            channel = connection.channel()
            # The broker counts for each consumer of the channel.
            channel.basic_qos(prefetch_count=max(1, self._prefetch // len(queues)))
            for queue in queues:
                channel.basic_consume(queue, take)
            _log.info("connected to the broker at %s, queues: %s", self._where, ", ".join(queues))
            self._pause = SHORTEST_PAUSE
            self._connected(1, [])
            while not self._closing.is_set():
                if self._cancelling.is_set() and not self._cancelled.is_set():
                    for tag in channel.consumer_tags:
                        channel.basic_cancel(tag)
                    self._cancelled.set()
                connection.process_data_events(_SECONDS_BETWEEN_LOOKS)
                self._acknowledge(channel)
                if len(channel.consumer_tags) < len(queues) and not self._cancelled.is_set():
                    raise SourceError("it has closed the channel or deleted a queue")
            self._acknowledge(channel)

    def _acknowledge(self, channel: BlockingChannel | None) -> None:
        """Acknowledge committed messages; not if the channel is lost, then the broker delivers them again."""
        with self._lock:
            number, self._committed = self._committed, 0
        tag = None
        for _ in range(number):
            tag = self._waiting.popleft()
        if tag is not None and channel is not None:
            channel.basic_ack(tag, multiple=True)

    def _await_commits(self) -> None:
        """Return when all messages of a lost connection are committed: while the database is down, take no more."""
        while self._waiting and not self._cancelling.is_set():
            self._acknowledge(None)
            self._cancelling.wait(_SECONDS_BETWEEN_LOOKS)


def _line(topic: str | bytes, properties: pika.BasicProperties, body: bytes, max_line: int) -> bytes:
    id = properties.message_id
    # A short string of AMQP is bytes where it is not UTF-8.
    topic, id = (x.decode(errors="backslashreplace") if isinstance(x, bytes) else x for x in (topic, id))
    if unreadable := getattr(properties, "unreadable", None):
        return _no_message(topic, id, f"its properties cannot be read: {unreadable}", body)
    return envelope(topic, id, properties.headers, body, max_line)


def parameters(settings: Mapping[str, Any]) -> pika.URLParameters:
    """Return how to reach the broker.

    Raises:
        ConfigurationError: The URL or the certificates cannot be used.
    """
    try:
        parsed = pika.URLParameters(settings["amqp_url"])
    except (ValueError, TypeError) as error:
        # The URL may hold a password, and the error quotes what it takes for the port, which may be a part of it.
        raise ConfigurationError(
            "fedora-messaging's amqp_url cannot be used: expected amqps://USER:PASSWORD@HOST:PORT/VHOST, with / in a"
            " password or the virtual host as %2F"
        ) from error
    try:
        if parsed.ssl_options is not None:
            files = settings["tls"]
            context = ssl.create_default_context(cafile=files["ca_cert"])
            if files["certfile"] and files["keyfile"]:
                context.load_cert_chain(files["certfile"], files["keyfile"])
                parsed.credentials = pika.credentials.ExternalCredentials()
            parsed.ssl_options = pika.SSLOptions(context, parsed.host)
    except (ValueError, TypeError, OSError) as error:
        raise ConfigurationError(f"fedora-messaging's tls cannot be used: {error}") from error
    # Attempts are this module's business.
    parsed.connection_attempts = 1
    parsed.client_properties = settings["client_properties"]
    return parsed


def _declare(connection: Any, settings: Mapping[str, Any], missed: Callable[[], None]) -> list[str]:
    """Create the missing queues, bind all, and return their names.

    What was made and cannot be bound is removed again: found next time, it would be taken for one that kept messages.

    Raises:
        SourceError: A queue is not there, and must not be made.
    """
    names: dict[str, str] = {}
    made: list[str] = []
    try:
        for name, arguments in settings["queues"].items():
            names[name] = name
            if name and _exists(connection, name):
                continue
            if settings["passive_declares"]:
                raise SourceError(f"there is no queue {name!r}, and passive_declares forbids creating it")
            with connection.channel() as channel:
                names[name] = channel.queue_declare(name, **arguments).method.queue
            made.append(names[name])
        with connection.channel() as channel:
            for binding in settings["bindings"]:
                for key in binding["routing_keys"]:
                    queue = binding.get("queue", "")
                    channel.queue_bind(names.get(queue, queue), binding["exchange"], key, binding.get("arguments"))
    except BaseException:
        for name in made:
            with suppress(*_UNREACHABLE), connection.channel() as channel:
                channel.queue_delete(name)
        raise
    if made:
        missed()
    return list(names.values())


def _exists(connection: Any, name: str) -> bool:
    # A broker that refuses closes the channel.
    channel = connection.channel()
    try:
        channel.queue_declare(name, passive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code == _NOT_FOUND:
            return False
        raise
    channel.close()
    return True

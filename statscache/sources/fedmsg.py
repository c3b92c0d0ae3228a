"""The live ZeroMQ bus, by a consumer of fedmsg under the moksha hub.

Delivery is at most once: what the publisher drops, or what passes while no one listens, never arrives, and is
repaired from history. What *has* arrived is handed over, each message once and in order, also when the hub
stops.

Nothing here grows without bound. The consumer hands each message over in the reactor's thread instead of
queueing it for moksha's workers, so `offer` blocks the reading when the inbox behind it is full; the ZeroMQ
socket then holds at most its high-water mark of messages (fedmsg's `high_water_mark`, or else 5,000 for each
endpoint), and TCP holds back the publisher.

Importing this module installs Twisted's reactor, so only what runs a hub imports it.
"""

import json
import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from statscache.exceptions import ConfigurationError, SourceError
from statscache.sources.fedmsg_config import ENABLED, configuration
from statscache.sources.subscription import Subscription

_log = logging.getLogger(__name__)
_moksha_log = logging.getLogger("moksha.hub")


@contextmanager
def _without_moksha_warnings() -> Iterator[None]:
    """Silence moksha's warnings about brokers that are not configured, and about the old names that it imports."""
    level = _moksha_log.level
    _moksha_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _moksha_log.setLevel(level)


with _without_moksha_warnings():
    import fedmsg.consumers
    from moksha.hub.hub import CentralMokshaHub
    from moksha.hub.reactor import reactor
    from twisted.internet.error import ReactorNotRunning
    from twisted.internet.task import LoopingCall

HIGH_WATER_MARK = 5_000
"""Messages that one subscription holds while the inbox is full, where fedmsg is not configured otherwise."""

PATIENCE = 5.0
"""Seconds without a connection after which an endpoint is said not to answer."""

_SECONDS_BETWEEN_LOOKS = 0.1


class _Reason(logging.Filter):
    """Keeps the newest reason for which fedmsg refuses a message, and out of the log: it would have a line for each."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is to be written."""
        if record.levelno < logging.WARNING:
            return True
        # It may quote the whole message.
        self.text = record.getMessage()[:300]
        return False


_reason = _Reason()
for _name in ("fedmsg.crypto", "fedmsg.crypto.utils", "fedmsg.crypto.x509_ng"):
    logging.getLogger(_name).addFilter(_reason)


class BusConsumer(fedmsg.consumers.FedmsgConsumer):  # type: ignore[misc]
    """Hands every message of the bus, as the bytes that were sent, to `offer`.

    A subclass gives `offer`, which may block. The bytes are those of the wire and not a parsed and rewritten
    copy, so odd ones (NaN, lone surrogates, invalid JSON) reach the one parser unharmed.

    Signatures are validated if fedmsg is so configured (`validate_signatures`); a message that fails is
    counted, and not handed over. fedmsg's own backlog (`status_directory`) is not used: holes are repaired
    from history.

    Attributes:
        received: Messages that have arrived, whatever happened to them.
        rejected: Of these, those whose signature was required and not valid.
        malformed: Of these, those that were not a pair of topic and UTF-8 text; they are handed over too.
        failure: The exception that `offer` raised. The first error stops the hub, and nothing is handed over after it.
    """

    topic = ""
    config_key = ENABLED
    jsonify = False

    received = 0
    rejected = 0
    malformed = 0
    failure: Exception | None = None
    _told = False

    def __init__(self, hub: CentralMokshaHub) -> None:
        """Subscribe to the hub's endpoints, unless fedmsg's configuration leaves the consumer disabled."""
        extensions = [extension for extension in hub.extensions if hasattr(extension, "connection_cls")]
        if hub.config.get(self.config_key):
            for extension in extensions:
                Subscription.highWaterMark = hub.config.get("high_water_mark") or HIGH_WATER_MARK
                extension.connection_cls = Subscription
        super().__init__(hub)
        self._subscriptions = [
            connection
            for extension in extensions
            for connection in extension.subscriber_factories.values()
            if isinstance(connection, Subscription)
        ]
        for subscription in self._subscriptions:
            subscription.malformed = self._take_malformed
        self._answered = {subscription: time.monotonic() for subscription in self._subscriptions}
        self._unconnected: list[str] = []
        self._looking = LoopingCall(self._look)
        if self._subscriptions:
            self._looking.start(_SECONDS_BETWEEN_LOOKS, now=False)

    def offer(self, raw: bytes) -> None:
        """Take one message; block while there is no room for it.

        Raises:
            NotImplementedError: The subclass forgot it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define offer(raw)")

    def reject(self) -> None:
        """Record a message whose signature was required and not valid; it is not handed over."""

    def connected(self, endpoints: int, unconnected: Sequence[str]) -> None:
        """Record at which endpoints no one answers, when that has changed."""

    def _look(self) -> None:
        """Say at which endpoints no one answers: ZeroMQ tries again forever, and says nothing."""
        now = time.monotonic()
        self._answered |= {each: now for each in self._subscriptions if each.look()}
        unconnected = [each.endpoints[0].address for each, at in self._answered.items() if now - at > PATIENCE]
        for endpoint in unconnected:
            if endpoint not in self._unconnected:
                _log.warning("no one answers at the fedmsg endpoint %s; it is tried again and again", endpoint)
        for endpoint in self._unconnected:
            if endpoint not in unconnected:
                _log.info("the fedmsg endpoint %s answers", endpoint)
        if unconnected != self._unconnected or not self._told:
            self._told, self._unconnected = True, unconnected
            self.connected(len(self._answered), unconnected)

    def consume(self, message: Any) -> None:
        """Hand over moksha's `message`: with the text of the wire (ZeroMQ), or parsed (STOMP)."""
        body = message["body"] if isinstance(message, dict) else message.body
        # The standard library's encoder writes NaN and lone surrogates, which are the parser's to refuse.
        self._hand_over((body if isinstance(body, str) else json.dumps(body)).encode())

    def stop(self) -> None:
        """Hand over all messages that have arrived, and read no more."""
        if self._looking.running:
            self._looking.stop()
        while self._subscriptions:
            self._subscriptions.pop().drain()
        super().stop()

    def _consume(self, message: Any) -> None:
        # moksha would put it on a queue without bound, for a worker.
        self.received += 1
        if self.validate_signatures and not self._is_authentic(message):
            self._reject()
        else:
            self.consume(message)

    def _is_authentic(self, message: Any) -> bool:
        _reason.text = ""
        try:
            if not isinstance(message, dict):
                message = {"topic": message.topic, "body": json.loads(message.body)}
            self.validate(message)
        except Exception as error:  # What cannot be validated, for whatever reason, is not authentic.
            _reason.text = _reason.text or str(error)
            _log.debug("not authentic: %s", _reason.text)
            return False
        return True

    def _take_malformed(self, raw: bytes) -> None:
        self.received += 1
        self.malformed += 1
        if self.validate_signatures:
            _reason.text = "it is not a message of fedmsg"
            self._reject()
        else:
            self._hand_over(raw)

    def _reject(self) -> None:
        self.rejected += 1
        self.reject()
        # A wrong certificate fails every message of a busy bus: say so, but not for each.
        if self.rejected % 1000 == 1:
            text = "messages without a valid signature so far: %d; they are not counted; the last one: %s"
            _log.warning(text, self.rejected, _reason.text)

    def _hand_over(self, raw: bytes) -> None:
        if self.failure is not None:
            return
        try:
            self.offer(raw)
        except Exception as error:
            self.failure = error
            _log.error("disconnecting from the bus: a message could not be accepted: %s", error)
            reactor.callLater(0, _stop_reactor)


def run_hub(
    endpoints: Sequence[str] | None,
    offer: Callable[[bytes], None],
    stopping: threading.Event,
    *,
    validate_signatures: bool = False,
    reject: Callable[[], None] = lambda: None,
    connected: Callable[[int, Sequence[str]], None] = lambda endpoints, unconnected: None,
) -> BusConsumer:
    """Run the hub in the main thread until `stopping` is set, or by SIGTERM or SIGINT, which set it.

    What had arrived by then is handed to `offer` first. The reactor is Twisted's: a process can do this once.

    Args:
        endpoints: ZeroMQ endpoints to connect to, such as `tcp://127.0.0.1:9940`; None takes them,
            and all else, from fedmsg's own configuration (fedmsg.d).
        offer: Takes the bytes of one message; is called in this thread, and may block.
        stopping: Ends the hub within a fraction of a second.
        validate_signatures: Refuse what is not signed as fedmsg.d demands. Where fedmsg.d gives the endpoints, it can
            demand this too.
        reject: Called, in this thread, with each message that is refused for its signature.
        connected: Called, in this thread, with the number of endpoints and those at which no one answers.

    Returns:
        The consumer, for its counts.

    Raises:
        ConfigurationError: No endpoint can be connected to; or fedmsg's configuration cannot be used.
        SourceError: fedmsg's consumer could not be started.
        Exception: What `offer` raised.
    """

    class Consumer(BusConsumer):
        def offer(self, raw: bytes) -> None:
            offer(raw)

        def reject(self) -> None:
            reject()

        def connected(self, endpoints: int, unconnected: Sequence[str]) -> None:
            connected(endpoints, unconnected)

    config = configuration(endpoints, validate_signatures)
    previous = note_signals(stopping)
    try:
        hub = CentralMokshaHub(config, consumers=[Consumer], producers=[])
        if not hub.consumers:
            raise SourceError("fedmsg's consumer could not be started: the log says why")
        consumer: BusConsumer = hub.consumers[0]
        _check_connections(hub)
        stop_when(stopping, hub)
        reactor.run(installSignalHandlers=False)
        hub.close()
        for extension in hub.extensions:
            extension.twisted_zmq_factory.shutdown()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if consumer.failure is not None:
        raise consumer.failure
    return consumer


def stop_when(stopping: threading.Event, hub: CentralMokshaHub) -> None:
    """Arrange that hub and reactor stop, between two messages, soon after `stopping` is set."""

    def look() -> None:
        if stopping.is_set():
            looking.stop()
            try:
                hub.close()
            finally:
                _stop_reactor()

    looking = LoopingCall(look)
    looking.start(_SECONDS_BETWEEN_LOOKS, now=False)


def note_signals(stopping: threading.Event) -> dict[int, Any]:
    """Arrange that SIGTERM and SIGINT set `stopping`, and nothing more.

    A signal's handler may interrupt `offer` anywhere, even while it holds a lock, so it must not stop the hub.

    Returns:
        The handlers that were in place before, by signal; none if this is not the main thread.
    """

    def note(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}


def _stop_reactor() -> None:
    try:
        reactor.stop()
    except ReactorNotRunning:
        _log.debug("the reactor had stopped already")


def _check_connections(hub: CentralMokshaHub) -> None:
    """Warn of endpoints that cannot be connected to.

    Raises:
        ConfigurationError: None can be.
    """
    wanted = [endpoint for extension in hub.extensions for endpoint in extension.sub_endpoints]
    connected = [endpoint for extension in hub.extensions for endpoint in extension.subscriber_factories]
    refused = [endpoint.address for endpoint in wanted if endpoint not in connected]
    expected = "expected the form tcp://HOST:PORT"
    if not connected:
        listed = ", ".join(refused) or "there are none"
        raise ConfigurationError(f"ZeroMQ refuses every fedmsg endpoint ({listed}): {expected}")
    if refused:
        _log.warning("ZeroMQ refuses the fedmsg endpoints %s: %s", ", ".join(refused), expected)

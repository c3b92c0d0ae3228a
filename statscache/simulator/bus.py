"""A publisher on a fedmsg bus, for demos and tests: it waits for a subscriber, keeps a rate, and drops nothing.

A plain PUB socket, such as `fedmsg.publish` uses, drops messages before anyone subscribes and those that a
subscriber is too slow to take. This one is XPUB, which reports when a subscriber arrives, with XPUB_NODROP,
which makes sending wait at the high-water mark; the frames on the wire are the same.
"""

import time
from collections.abc import Iterable

import orjson
import zmq

from statscache.exceptions import SourceError

_HIGH_WATER_MARK = 10_000
_MESSAGES_PER_PAUSE = 50


def publish_on_bus(lines: Iterable[bytes], endpoint: str, rate: float | None = None, *, patience: float = 60.0) -> int:
    """Publish `lines` on `endpoint` once there is a subscriber, and return their number.

    Args:
        lines: Messages in fedmsg's envelope, each a line of JSON.
        endpoint: Where to bind, such as `tcp://127.0.0.1:9940`.
        rate: Maximum number of messages a second; None sends as fast as the slowest subscriber takes them.
        patience: Seconds to wait for the first subscriber, for one that takes no more, and for the
            last messages to leave.

    Raises:
        SourceError: The endpoint cannot be bound; or no one subscribed, or a subscriber took nothing, for
            `patience` seconds.
    """
    milliseconds = int(patience * 1000)
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.set(zmq.XPUB_NODROP, 1)
        socket.set(zmq.SNDHWM, _HIGH_WATER_MARK)
        socket.set(zmq.SNDTIMEO, milliseconds)
        socket.set(zmq.LINGER, milliseconds)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise SourceError(f"cannot publish on {endpoint}: {error}: is it taken?") from error
        if not socket.poll(milliseconds):
            raise SourceError(f"no one subscribed to {endpoint} within {patience:g} s: start the consumer")
        return _send(socket, lines, endpoint, rate)


def _send(socket: "zmq.Socket[bytes]", lines: Iterable[bytes], endpoint: str, rate: float | None) -> int:
    due, sent = time.monotonic(), 0
    for line in lines:
        if rate is not None and sent % _MESSAGES_PER_PAUSE == 0:
            # Lost time is not caught up: that would be a burst above the rate, which slows a slow machine further.
            now = time.monotonic()
            time.sleep(max(0.0, due - now))
            due = max(due, now) + _MESSAGES_PER_PAUSE / rate
        try:
            socket.send_multipart([orjson.loads(line)["topic"].encode(), line])
        except zmq.Again as error:
            raise SourceError(f"a subscriber of {endpoint} stopped taking messages after {sent}") from error
        sent += 1
    return sent

"""A ZeroMQ subscription under Twisted's reactor, as the fedmsg source needs it."""

from collections.abc import Callable
from typing import Any

import txzmq
import zmq
from twisted.python.log import callWithLogger

_READS_PER_TURN = 500
# ZeroMQ's own thread may still be taking from TCP what has arrived.
_QUIET_MILLISECONDS = 100


class Subscription(txzmq.ZmqSubConnection):  # type: ignore[misc]
    """A subscription that does not block the reactor, loses no odd frames, and can be read to its end.

    txzmq's own reads until the socket is empty, which never happens on a bus busier than its consumer, so that the
    hub would not hear that it should stop; and what is not UTF-8 would vanish in Twisted's log.
    """

    malformed: Callable[[bytes], None]
    read_scheduled: Any

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        """Read some messages; the rest in the reactor's next turn."""
        if self.read_scheduled is not None:
            if not self.read_scheduled.called:
                self.read_scheduled.cancel()
            self.read_scheduled = None
        if self._read(_READS_PER_TURN):
            self.read_scheduled = self.factory.reactor.callLater(0, self.doRead)

    def drain(self) -> None:
        """Read the messages that have arrived, and no later ones."""
        # More than twice the mark cannot be what had arrived: it is a publisher that does not pause.
        for _ in range(2 * self.highWaterMark):
            if not self.socket.poll(_QUIET_MILLISECONDS):
                break
            self._read(1)
        self.shutdown()

    def _read(self, limit: int) -> bool:
        """Read up to `limit` messages; return whether there may be more."""
        for _ in range(limit):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            callWithLogger(self, self.messageReceived, frames)  # type: ignore[no-untyped-call]
        return True

    def messageReceived(self, message: list[bytes]) -> None:  # noqa: N802 - txzmq's name
        """Pass topic and text on to moksha, or what is neither to `malformed`."""
        try:
            topic, body = message
            topic.decode(), body.decode()
        except ValueError:
            self.malformed(message[-1])
        else:
            super().messageReceived(message)

"""Announce a new snapshot on the bus, so that readers can fetch it at once."""

from typing import Any

import fedmsg.config
from fedmsg.core import FedMsgContext

from statscache.snapshot.snapshots import Snapshot

MODULE, TOPIC = "statscache", "snapshot.published"

_LINGER = 2_000
"""Maximum milliseconds for sending the message."""

_SETTLE = 0.5
"""Seconds that ZeroMQ takes to connect before it can send."""


def announce(snapshot: Snapshot, relay: str | None, environment: str) -> None:
    """Send `statscache.snapshot.published` with id, generation and changed documents to the fedmsg relay.

    Args:
        snapshot: The snapshot that is current now.
        relay: ZeroMQ endpoint of the relay; None takes everything from fedmsg's own configuration.
        environment: The third part of the topic, where fedmsg's configuration is not asked.

    Raises:
        OSError: The message could not be sent.
    """
    settings: dict[str, Any] = {
        "active": True,
        "name": "relay_inbound",
        "zmq_linger": _LINGER,
        "post_init_sleep": _SETTLE,
    }
    if relay is None:
        settings = {**fedmsg.config.load_config([], None), **settings}
    else:
        settings |= {
            "relay_inbound": [relay],
            "endpoints": {},
            "environment": environment,
            "high_water_mark": 0,
            "io_threads": 1,
            "sign_messages": False,
            "topic_prefix": "org.fedoraproject",
        }
    changes = snapshot.summary["changes"]
    body = {
        "snapshot": snapshot.id,
        "generation": snapshot.generation,
        "through": snapshot.through,
        "changed": [*changes["added"], *changes["changed"]],
        "removed": changes["removed"],
        "truncated": changes["truncated"],
    }
    context = FedMsgContext(**settings)
    try:
        context.publish(topic=TOPIC, modname=MODULE, msg=body)
    finally:
        context.destroy()

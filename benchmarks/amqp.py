"""AMQP: what one process takes from a real RabbitMQ whose queue is full, each message acknowledged after its commit."""

import time
from itertools import islice
from pathlib import Path

import click
import orjson

from benchmarks.result import Result
from benchmarks.service import Service
from broker import PROGRAM, QUEUE, RabbitMQ

MESSAGES = 100_000
"""Messages in the queue, at most."""

CONFIGURATION = """\
amqp_url = "{url}"
[queues.{queue}]
durable = true
auto_delete = false
exclusive = false
arguments = {{}}
[[bindings]]
queue = "{queue}"
exchange = "amq.topic"
routing_keys = ["#"]
"""
"""fedora-messaging's, for a queue that keeps what is sent."""


def measure(archive: Path, directory: Path) -> list[Result]:
    """Fill a queue with the first messages of `archive`, and let a service empty it; nothing without RabbitMQ."""
    if not PROGRAM.exists():
        click.echo("RabbitMQ is not installed, and is left out", err=True)
        return []
    with archive.open("rb") as file:
        lines = [translated(orjson.loads(line)) for line in islice(file, MESSAGES)]
    with RabbitMQ() as server:
        with server.connection() as connection:
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True)
            channel.queue_bind(QUEUE, "amq.topic", "#")
        server.publish(lines)
        with Service(directory / "amqp", '[sources.fedora-messaging]\nconfig = "bus.toml"\n') as service:
            (service.directory / "bus.toml").write_text(CONFIGURATION.format(url=server.url, queue=QUEUE))
            service.await_accepted(1)
            before, began = service.accepted, time.perf_counter()
            service.await_accepted(len(lines))
            seconds = time.perf_counter() - began
        left = server.length()
    note = f"{len(lines):,} messages, none lost, {left:,} left in the queue"
    return [Result("live from RabbitMQ, messages a second", (len(lines) - before) / seconds, "/s", note=note)]


def translated(message: dict[str, object]) -> bytes:
    """Return a message of fedmsg in fedora-messaging's envelope."""
    named = {"id": message["msg_id"], "topic": message["topic"], "timestamp": message["timestamp"]}
    return orjson.dumps({**named, "body": message["msg"], "headers": message.get("headers") or {}})

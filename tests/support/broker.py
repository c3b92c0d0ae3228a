"""A RabbitMQ of the tests' own: a node on loopback that shares nothing with one that the machine may run."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pika
from pika.adapters.blocking_connection import BlockingChannel

from ca import Authority
from loopback import free_ports
from server_process import ServerProcess
from servers import Identity

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Where Debian's package has the server, without the wrapper that insists on the machine's own node."""

QUEUE = "statscache"

_CONFIGURATION = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {authority.certificate}
ssl_options.certfile = {authority.chain}
ssl_options.keyfile = {authority.key}
ssl_options.verify = verify_peer
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
ssl_cert_login_from = common_name
"""


class RabbitMQ(ServerProcess):
    """A broker that can be killed and started again on the same data.

    Attributes:
        url: Where it is reached.
        tls_address: Where it is reached by TLS.
        authority: Vouches for the server, and for a client with the name of the server's first user.
    """

    def __init__(self) -> None:
        # Not pytest's tmp_path: the server's user cannot enter root's.
        self.directory = Path(tempfile.mkdtemp(prefix="statscache-mq-", dir="/tmp"))
        self._identity: Identity = {}
        if os.geteuid() == 0:
            # Root may not run the server. Debian's package brings the user.
            self._identity = {"user": "rabbitmq", "group": "rabbitmq", "extra_groups": []}
            shutil.chown(self.directory, "rabbitmq")
        self.directory.chmod(0o755)
        port, tls_port, distribution, names = free_ports(4)
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/%2F?heartbeat=30"
        self.tls_address = f"127.0.0.1:{tls_port}/%2F"
        self.authority = Authority(self.directory, client="guest")
        if self._identity:
            shutil.chown(self.authority.key, "rabbitmq")
        (self.directory / "plugins").write_text("[rabbitmq_auth_mechanism_ssl].\n")
        (self.directory / "rabbitmq.conf").write_text(_CONFIGURATION.format(port=tls_port, authority=self.authority))
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            # Else the machine's configuration would be read.
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "no-environment"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_NODENAME": "statscache@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        # The server would start a name server that outlives it.
        self._names = subprocess.Popen(
            ["epmd", "-port", str(names), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
            cwd=self.directory,
            start_new_session=True,
            **self.options(),
        )

    def command(self) -> list[str]:
        """Return the command line that runs it."""
        return [str(PROGRAM)]

    def options(self) -> dict[str, Any]:
        """Return as whom and with which settings it runs."""
        return {"env": self._environment, **self._identity}

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            self.connection().close()
        except pika.exceptions.AMQPError:
            return False
        return True

    def clean(self) -> None:
        """End the name server, and remove all files."""
        _end(self._names)
        super().clean()

    def stop(self, number: signal.Signals | None = None) -> None:
        """End the server at once, with the program that its script has started."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def kill(self) -> None:
        """End the server at once, as a power failure would."""
        self.stop()

    def connection(self) -> pika.BlockingConnection:
        """Connect to it; a context."""
        return pika.BlockingConnection(pika.URLParameters(self.url))

    def publish(self, messages: Iterable[bytes]) -> None:
        """Publish lines in fedora-messaging's envelope as its library does, and return when the broker has them."""
        with self._channel() as channel:
            for message in messages:
                envelope = orjson.loads(message)
                sent_at = datetime.fromtimestamp(envelope["timestamp"], UTC).isoformat()
                headers = {**envelope["headers"], "sent-at": sent_at}
                _send(channel, envelope["topic"], orjson.dumps(envelope["body"]), headers, envelope["id"])

    def publish_raw(self, topic: str, body: bytes, headers: dict[str, Any] | None, id: str | None) -> None:
        """Publish whatever it is, and return when the broker has it."""
        with self._channel() as channel:
            _send(channel, topic, body, headers, id)

    def length(self) -> int:
        """Return how many messages wait in the queue, without those that were handed over and not acknowledged."""
        with self.connection() as connection:
            return int(connection.channel().queue_declare(QUEUE, passive=True).method.message_count)

    def drop(self) -> None:
        """Remove the queue."""
        with self.connection() as connection:
            connection.channel().queue_delete(QUEUE)

    @contextlib.contextmanager
    def _channel(self) -> Iterator[BlockingChannel]:
        with self.connection() as connection:
            channel = connection.channel()
            channel.tx_select()
            yield channel
            channel.tx_commit()


def _send(channel: BlockingChannel, topic: str, body: bytes, headers: dict[str, Any] | None, id: str | None) -> None:
    properties = pika.BasicProperties(headers=headers, message_id=id, delivery_mode=2)
    channel.basic_publish("amq.topic", topic, body, properties)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

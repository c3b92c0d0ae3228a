"""Torture by outages: everything that a service depends on fails at random, while messages come on both buses.

The service is killed and started again; PostgreSQL ends or crashes; RabbitMQ is killed; the history server answers with
errors, half answers, wrong totals, or not at all. Of the messages, some come on the ZeroMQ bus, where what no one
receives is lost, some on the AMQP bus, and some on both; the history server has them all. In the end `backfill --gaps`
must bring back all that was lost, and the data that is published must be those of an archive.
"""

import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import click
import orjson
import pika

from benchmarks import amqp
from benchmarks.tortured import Installation, TortureError
from broker import QUEUE, RabbitMQ
from history_server import Answer, HistoryServer, Query
from loopback import free_endpoint
from servers import PostgreSQL
from statscache.simulator import Traffic, simulate
from statscache.simulator.bus import publish_on_bus

RATE = 40.0
"""Messages a second, on both buses together."""

GRACE = 0.02
"""Hours for which a reader may follow what was current, for the service publishes while the tree is checked."""

PATIENCE = 600.0
"""Seconds that a service without faults may take for what is waited for."""

_START = 1439164800
_CONFIGURATION = """\
[sources.fedora-messaging]
config = "bus.toml"

[sources.datagrepper]
url = "{history}"
timeout = 2.0
repair_hours = 1.0
"""
# The server of this torture has at once what was sent, so that no one needs to wait until its rows have settled.
_SETTLED = "from statscache.service import history; history.SETTLED = 0; from statscache.cli import main; main()"


class Buses(threading.Thread):
    """Sends simulated messages, stamped with the time at which they are sent.

    Args:
        broker: Broker of the AMQP bus.
        server: The history server, which gets all of them.
        archive: The file that gets all of them.
        seed: Seed of the traffic.

    Attributes:
        endpoint: Where the ZeroMQ bus is.
        sent: How many messages there were.
    """

    def __init__(self, broker: RabbitMQ, server: HistoryServer, archive: Path, seed: int) -> None:
        super().__init__(name="traffic", daemon=True)
        self.endpoint = free_endpoint()
        self.sent = 0
        self._broker, self._server, self._archive = broker, server, archive
        self._traffic = Traffic(_START, _START + 30 * 86400, seed=seed, people=200, packages=300)
        self._stopping = threading.Event()
        self._zeromq: queue.Queue[bytes | None] = queue.Queue()
        self._amqp: queue.Queue[bytes | None] = queue.Queue()
        self._senders = [
            threading.Thread(
                target=publish_on_bus,
                args=(_until_none(self._zeromq), self.endpoint),
                kwargs={"patience": PATIENCE},
                daemon=True,
            ),
            threading.Thread(target=self._send_to_broker, daemon=True),
        ]

    def run(self) -> None:
        """Send until `stop`."""
        for sender in self._senders:
            sender.start()
        began = time.monotonic()
        with self._archive.open("wb") as file:
            for line in simulate(self._traffic):
                if self._stopping.wait(max(0.0, began + self.sent / RATE - time.monotonic())):
                    break
                message = {**orjson.loads(line), "timestamp": time.time()}
                file.write(orjson.dumps(message) + b"\n")
                self._server.messages.append(message)
                share = self.sent % 10
                if share <= 5:
                    self._zeromq.put(orjson.dumps(message))
                if share >= 5:
                    self._amqp.put(amqp.translated(message))
                self.sent += 1

    def stop(self) -> None:
        """Send no more, and return when all has left."""
        self._stopping.set()
        self.join()
        self._zeromq.put(None)
        self._amqp.put(None)
        for sender in self._senders:
            sender.join()

    def _send_to_broker(self) -> None:
        for line in _until_none(self._amqp):
            lines = [line]
            while len(lines) < 100 and not self._amqp.empty():
                if (another := self._amqp.get()) is None:
                    self._amqp.put(None)
                    break
                lines.append(another)
            # As publishers do, until the broker says that it has them.
            while True:
                with suppress(pika.exceptions.AMQPError, OSError):
                    self._broker.publish(lines)
                    break
                time.sleep(0.5)


def _until_none(waiting: "queue.Queue[bytes | None]") -> Iterator[bytes]:
    while (line := waiting.get()) is not None:
        yield line


class SupervisedService:
    """A `statscache run` that is started again whenever it has ended, as by a supervisor.

    Attributes:
        ends: The statuses with which it ended by itself, as it does where it starts while the database is down.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._log = (installation.directory / "log").open("ab")
        self.ends: list[int] = []
        self.start()

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "statscache", "run"],
            cwd=self._installation.directory,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def supervise(self) -> None:
        """Start it again if it has ended."""
        if (status := self._process.poll()) is not None:
            self.ends.append(status)
            self.start()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the status with which it ends."""
        self._process.send_signal(number)
        return self._process.wait()

    def close(self) -> None:
        """End it at once, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._log.close()


class HistoryFaults:
    """The faults of the history server: from time to time it fails for a while, in one of several ways."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._until = 0.0
        self._fault: Callable[[Answer], None] = _error

    def begin(self, seconds: float) -> None:
        """Fail in a random way for this long."""
        self._fault = self._rng.choice([_error, _half, _wrong_total, _page_for_people, _silent])
        self._until = time.monotonic() + seconds

    def end(self) -> None:
        """Answer correctly again."""
        self._until = 0.0

    def __call__(self, _query: Query, answer: Answer) -> None:
        """Change an answer while the server is to fail."""
        if time.monotonic() < self._until:
            self._fault(answer)


def _error(answer: Answer) -> None:
    answer.status, answer.body = 502, b"<html>Proxy Error</html>"


def _half(answer: Answer) -> None:
    answer.cut = len(answer.body) // 2


def _wrong_total(answer: Answer) -> None:
    body = orjson.loads(answer.body)
    answer.body = orjson.dumps({**body, "total": body["total"] + 7})


def _page_for_people(answer: Answer) -> None:
    answer.body = b"<html>We will be back soon</html>"


def _silent(answer: Answer) -> None:
    answer.delay = 3.0


def torture(directory: Path, seconds: float, seed: int) -> list[str]:
    """Torture an installation for so long, and return a report, line by line.

    Raises:
        TortureError: It does not end where an undisturbed one does, or something that it needs is not installed.
        BrokenTree: A reader would have met a reference that does not resolve.
    """
    programs = PostgreSQL.find()
    if programs is None:
        raise TortureError("outages need PostgreSQL and RabbitMQ (Debian: postgresql, rabbitmq-server)")
    rng = random.Random(seed)
    faults = HistoryFaults(rng)
    with ExitStack() as stack:
        database = stack.enter_context(PostgreSQL(programs))
        database.execute("CREATE DATABASE torture TEMPLATE template0")
        broker = stack.enter_context(RabbitMQ())
        history = stack.enter_context(HistoryServer([], faults))
        buses = Buses(broker, history, directory / "archive.ndjson", seed)
        tortured = Installation(
            directory / "tortured",
            database.url("torture"),
            buses.endpoint,
            _CONFIGURATION.format(history=history.url_of_v2),
            GRACE,
        )
        (tortured.directory / "bus.toml").write_text(amqp.CONFIGURATION.format(url=broker.url, queue=QUEUE))
        service = SupervisedService(tortured)
        stack.callback(service.close)
        _await(lambda: _is_there(broker), "the service made no queue")
        buses.start()
        # What is sent before the first and after the last accepted message leaves no gap.
        _await_both_buses(tortured, service)
        events = _disturb(tortured, service, database, broker, faults, rng, seconds)
        faults.end()
        _await_both_buses(tortured, service)
        buses.stop()
        _await(lambda: broker.length() == 0, "the service does not take what waits in the queue")
        if status := service.end(signal.SIGTERM):
            raise TortureError(f"after SIGTERM the service ended with status {status}:\n{_tail(tortured)}")
        accepted = orjson.loads(tortured.do("status", "--json"))["journal"]["messages"]
        return [
            f"{sum(events.values())} outages in {seconds:.0f} s:",
            *(f"  {number:4} {event}" for event, number in events.most_common()),
            f"the service ended by itself {len(service.ends)} times, with status {sorted({*service.ends})}",
            f"{buses.sent:,} messages were sent, and {accepted:,} of them were accepted before the end",
            _compare(directory, tortured, buses),
        ]


def _disturb(
    tortured: Installation,
    service: SupervisedService,
    database: PostgreSQL,
    broker: RabbitMQ,
    history: HistoryFaults,
    rng: random.Random,
    seconds: float,
) -> Counter[str]:
    """Let one thing after the other fail until the time is over, and return how often each did."""

    def kill() -> None:
        service.end(signal.SIGKILL)
        time.sleep(rng.uniform(0, 5))
        service.start()

    def restart_database(number: signal.Signals) -> None:
        database.stop(number)
        time.sleep(rng.uniform(0, 8))
        database.start()

    def restart_broker() -> None:
        broker.kill()
        time.sleep(rng.uniform(0, 5))
        broker.start()

    outages: dict[str, Callable[[], None]] = {
        "SIGKILL of the service": kill,
        "PostgreSQL restarted": lambda: restart_database(signal.SIGINT),
        "PostgreSQL crashed": lambda: restart_database(signal.SIGQUIT),
        "RabbitMQ killed": restart_broker,
        "history failing": lambda: history.begin(rng.uniform(5, 20)),
    }
    began = time.monotonic()
    happened: Counter[str] = Counter()
    # Each as often as the others, in any order.
    due: list[str] = []
    while (passed := time.monotonic() - began) < seconds:
        due = due or rng.sample([*outages], len(outages))
        event = due.pop()
        click.echo(f"after {passed:.0f} s: {event}", err=True)
        happened[event] += 1
        outages[event]()
        time.sleep(rng.uniform(2, 12))
        service.supervise()
        tortured.tree.check()
    return happened


def _compare(directory: Path, tortured: Installation, buses: Buses) -> str:
    """Fill the gaps, and compare with an archive.

    Raises:
        TortureError: There is a difference.
    """
    done = subprocess.run(
        [sys.executable, "-c", _SETTLED, "backfill", "--gaps"],
        cwd=tortured.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TortureError(f"backfill --gaps ended with status {done.returncode}:\n{done.stderr}")
    _find_missing(directory / "archive.ndjson", tortured)
    undisturbed = Installation(directory / "undisturbed", "sqlite:///statscache.db", buses.endpoint)
    undisturbed.do("backfill", str(directory / "archive.ndjson"))
    for installation in (tortured, undisturbed):
        installation.do("publish")
    differing = [path for path in tortured.tree.differences(undisturbed.tree) if path.endswith((".json", ".csv"))]
    if differing:
        raise TortureError("\n  ".join(["the end is not that of an archive; these differ:", *differing]))
    # No one reads now, and nothing must be left but what retained snapshots need.
    tortured.allow(0)
    tortured.check(tortured.tree.index()["snapshot"], buses.sent)
    return f"after backfill --gaps ({done.stdout.strip()}) the data are those of an archive"


def _find_missing(archive: Path, tortured: Installation) -> None:
    """Compare the journal with the archive.

    Raises:
        TortureError: Messages are missing; the text says when they were sent.
    """
    exported = tortured.directory / "journal.ndjson"
    tortured.do("journal", "export", str(exported))
    with exported.open("rb") as lines:
        accepted = {orjson.loads(line)["id"] for line in lines}
    with archive.open("rb") as lines:
        sent = {row["msg_id"]: row["timestamp"] for row in map(orjson.loads, lines)}
    if missing := sorted(sent[identity] for identity in sent.keys() - accepted):
        raise TortureError(f"{len(missing)} messages are missing, sent from {missing[0]} to {missing[-1]}")


def _is_there(broker: RabbitMQ) -> bool:
    with suppress(pika.exceptions.AMQPError):
        broker.length()
        return True
    return False


def _await_both_buses(tortured: Installation, service: SupervisedService) -> None:
    """Return once messages have come from both buses since the call."""
    now = int(time.time()) + 1

    def have_delivered() -> bool:
        service.supervise()
        seen = {row["name"]: row["seen_at"] for row in orjson.loads(tortured.do("status", "--json"))["sources"]}
        return all(seen.get(name, 0) > now for name in ("fedmsg", "fedora-messaging"))

    _await(have_delivered, "no messages come from one of the buses")


def _await(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TortureError(complaint)
        time.sleep(0.5)


def _tail(installation: Installation) -> str:
    return "\n".join((installation.directory / "log").read_text(errors="replace").splitlines()[-30:])

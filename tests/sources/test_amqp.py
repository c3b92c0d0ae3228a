"""The live AMQP bus: a real RabbitMQ, which is killed and started again, and real processes that consume it."""

import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from struct import pack
from typing import Any

import orjson
import pika
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from broker import PROGRAM, QUEUE, RabbitMQ
from ca import Authority
from commands import BRAKE, PATIENCE, Home, Process, install_plugins, wait_for
from conftest import ROOT
from forks import Forked
from samples import NOON, TOPIC, line
from servers import PostgreSQL
from statscache.exceptions import ConfigurationError, MalformedMessage
from statscache.parsing import parse
from statscache.sources import fedora_messaging

PROGRAM_OF_LIBRARY = Path(sys.executable).with_name("fedora-messaging")
HEADERS = {"fedora_messaging_schema": "base.message", "fedora_messaging_severity": 20}
UNREADABLE = 'amqp_url = "amqps://:secret@127.0.0.1"\n[tls]\nca_cert = "no"\ncertfile = ""\nkeyfile = ""'


def test_secrets_that_everybody_may_read_are_refused(tmp_path: Path) -> None:
    """A password in the address of the broker, and a private key, with the fix; a closed file is taken."""
    key = tmp_path / "key"
    key.touch(0o640)
    certificate = tmp_path / "certificate"
    certificate.touch()
    file = tmp_path / "bus.toml"
    for url in ("amqp://me:hush@127.0.0.1/", "amqps://127.0.0.1/"):
        file.write_text(f'amqp_url = "{url}"\n[tls]\nca_cert = ""\ncertfile = "{certificate}"\nkeyfile = "{key}"\n')
        file.chmod(0o640)
        fedora_messaging.configuration(file)
        refused = file if "hush" in url else key
        refused.chmod(0o644)
        with pytest.raises(ConfigurationError, match=f"{refused} holds a .* `chmod o= {refused}`"):
            fedora_messaging.configuration(file)


def lines(first: int, number: int) -> list[bytes]:
    """Return messages a minute apart, the first of them `first` minutes after noon."""
    return [
        line(f"{minute:x}", NOON + 60 * minute, body={"n": minute}, users=["ralph"])
        for minute in range(first, first + number)
    ]


@pytest.fixture(scope="session")
def server() -> Iterator[RabbitMQ]:
    """A broker of this run's own."""
    if not PROGRAM.exists():
        pytest.skip("no RabbitMQ is installed (Debian: rabbitmq-server)")
    with RabbitMQ() as broker:
        yield broker


@pytest.fixture
def broker(server: RabbitMQ) -> Iterator[RabbitMQ]:
    """The broker, with the queue that the tests share, empty."""
    with server.connection() as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.queue_bind(QUEUE, "amq.topic", "#")
    yield server
    server.drop()


@pytest.fixture
def home(broker: RabbitMQ, tmp_path: Path) -> Home:
    """A home whose service consumes the broker."""
    return installed(broker, tmp_path / "home", f"sqlite:///{tmp_path}/statscache.db")


@pytest.fixture
def shared_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of an empty database on PostgreSQL, named `amqp`."""
    postgresql.execute("CREATE DATABASE amqp TEMPLATE template0")
    yield postgresql.url("amqp")
    postgresql.execute("DROP DATABASE amqp WITH (FORCE)")


def installed(broker: RabbitMQ, directory: Path, database_url: str, *settings: str, queue: str = "durable") -> Home:
    """Return a home whose service consumes the broker and publishes every second."""
    home = Home(directory, STATSCACHE_DATABASE__URL=database_url)
    home.configure(
        "\n".join(['[sources.fedora-messaging]\nconfig = "bus.toml"', *settings, "[publish]\ninterval = 1\n"])
    )
    kept = "true" if queue == "durable" else "false"
    (directory / "bus.toml").write_text(
        f'amqp_url = "{broker.url}"\n'
        f"[queues.{QUEUE}]\ndurable = {kept}\nauto_delete = false\nexclusive = false\narguments = {{}}\n"
        f'[[bindings]]\nqueue = "{QUEUE}"\nexchange = "amq.topic"\nrouting_keys = ["#"]\n'
    )
    return home


def accepted(home: Home) -> int:
    """Return how many messages are in the journal, which may not be there yet."""
    with database(home) as engine:
        return head(engine)


@contextmanager
def database(home: Home) -> Iterator[Engine]:
    """Give an engine on the database of a home."""
    engine = create_engine(home.environment["STATSCACHE_DATABASE__URL"])
    try:
        yield engine
    finally:
        engine.dispose()


def head(engine: Engine) -> int:
    """Return how many messages are in the journal, which may not be there yet."""
    try:
        with engine.connect() as connection:
            return int(connection.scalar(text("SELECT head FROM journal")) or 0)
    except DBAPIError:
        return 0


def await_accepted(home: Home, number: int, service: Process) -> None:
    """Return when so many messages are in the journal."""
    # A connection for each look would take as long as what is waited for.
    with database(home) as engine:
        wait_for(lambda: head(engine) == number, lambda: f"{head(engine)} of {number} accepted\n{service.text}")


def end(service: Process, number: signal.Signals | None = signal.SIGTERM) -> None:
    """End a service, which must have nothing to complain of."""
    status, log = service.end(number)
    assert status == 0, log
    assert "Traceback" not in log


def undisturbed(home: Home, tmp_path: Path, messages: list[bytes]) -> str:
    """Return the id of the snapshot that an archive of the messages gives on SQLite."""
    other = Home(tmp_path / "undisturbed")
    other.configure((home.directory / "statscache.toml").read_text())
    (other.directory / "archive").write_bytes(b"\n".join(messages))
    other.run("backfill", "archive")
    return str(other.json("publish")["id"])


def test_what_fedora_messaging_publishes_is_counted_and_acknowledged(
    broker: RabbitMQ, database_url: str, tmp_path: Path
) -> None:
    """Messages of the library's own publisher come to the snapshot that an archive of them gives, with no gap."""
    home = installed(broker, tmp_path / "home", database_url)
    messages = lines(0, 20)
    envelopes = []
    for message in map(orjson.loads, messages):
        headers = HEADERS | message["headers"] | {"sent-at": f"2015-08-08T12:{message['body']['n']:02}:00+00:00"}
        envelopes.append(orjson.dumps({**message, "headers": headers, "queue": None}))
    (tmp_path / "messages").write_bytes(b"\n".join(envelopes))
    arguments = ["--conf", "bus.toml", "publish", str(tmp_path / "messages")]
    with Forked(arguments, cwd=home.directory, env=home.environment, program=PROGRAM_OF_LIBRARY) as publisher:
        log, _ = publisher.communicate(PATIENCE)
        assert publisher.returncode == 0, log
    with home.start("run") as service:
        await_accepted(home, 20, service)
        # The first publication may be under way, which is a concern.
        assert home.json("status", "--max-age", "60", status=None)["gaps"] == []
        end(service)
    assert broker.length() == 0
    assert home.json("publish")["id"] == undisturbed(home, tmp_path, messages)


@pytest.mark.parametrize(
    ("password", "trusted", "certified", "said"),
    [
        ("guest", True, False, "connected to the broker"),
        ("guest", False, False, "certificate verify failed"),
        ("wrong", True, False, "ACCESS_REFUSED"),
        ("wrong", True, True, "connected to the broker"),
    ],
    ids=["password", "unknown authority", "wrong password", "certificate"],
)
def test_a_broker_is_reached_by_tls(
    home: Home, broker: RabbitMQ, tmp_path: Path, password: str, trusted: bool, certified: bool, said: str
) -> None:
    """It has to show a certificate of the right authority, and the service a password or a certificate of its own."""
    ours = broker.authority
    tls = f'[tls]\nca_cert = "{ours.certificate if trusted else Authority(tmp_path).certificate}"\n'
    if certified:
        tls += f'certfile = "{ours.client_chain}"\nkeyfile = "{ours.client_key}"\n'
    bus = home.directory / "bus.toml"
    bus.chmod(0o640)
    bus.write_text(bus.read_text().replace(broker.url, f"amqps://guest:{password}@{broker.tls_address}") + tls)
    broker.publish(lines(0, 1))
    with home.start("consume") as service:
        service.await_log(said)
        if said == "connected to the broker":
            await_accepted(home, 1, service)
        end(service)
    assert broker.length() == (said != "connected to the broker")


def test_a_broker_that_dies_and_comes_back_is_heard_again(home: Home, broker: RabbitMQ) -> None:
    """What it delivers twice counts once, and what came while it was away from the consumer is not lost."""
    with home.start("consume") as service:
        service.await_log("connected to the broker")
        broker.publish(lines(0, 1_500))
        broker.kill()
        service.await_log("retrying in")
        broker.start()
        broker.publish(lines(1_500, 1_500))
        await_accepted(home, 3_000, service)
        end(service)
    assert broker.length() == 0
    assert home.json("status")["gaps"] == []


@pytest.mark.parametrize("url", ["amqp://{silent}/", "amqps://{silent}/", "amqp://nobody.invalid/"])
def test_a_broker_that_cannot_be_talked_to_is_tried_again(tmp_path: Path, url: str) -> None:
    """Silence, in TLS or without, and a name that no one knows are no reason to end: it may be there in a while."""
    home = Home(tmp_path / "home")
    home.configure('[sources.fedora-messaging]\nconfig = "bus.toml"\n')
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = url.format(silent=f"127.0.0.1:{silent.getsockname()[1]}")
        (home.directory / "bus.toml").write_text(f'amqp_url = "{address}?stack_timeout=1"\n')
        with home.start("consume") as service:
            service.await_log("retrying in", 2)
            end(service)


def test_it_can_be_left_while_neither_broker_nor_database_answers(
    home: Home, broker: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    """What came on a connection that is lost, and cannot be committed, keeps no one from ending."""
    taken: list[bytes] = []
    settings = fedora_messaging.configuration(home.directory / "bus.toml")
    subscriber = fedora_messaging.Subscriber(settings, prefetch=10, max_line=1_000)
    subscriber.start(taken.append, lambda: None, lambda: None)
    try:
        broker.publish(lines(0, 1))
        wait_for(lambda: taken, lambda: caplog.text)
        broker.kill()
        wait_for(lambda: "retrying in" in caplog.text, lambda: caplog.text)
        cancelling = threading.Thread(target=subscriber.cancel, daemon=True)
        cancelling.start()
        cancelling.join(PATIENCE)
        assert not cancelling.is_alive()
    finally:
        subscriber.close()
        broker.start()


def test_a_killed_consumer_acknowledges_nothing_that_is_not_committed(
    home: Home, broker: RabbitMQ, tmp_path: Path
) -> None:
    """Killed in the middle, again and again, it loses nothing and counts nothing twice."""
    messages = lines(0, 5_000)
    broker.publish(messages)
    for _ in range(2):
        with home.start("consume") as service:
            service.await_log("transaction begins")
            service.end(signal.SIGKILL)
        # What was acknowledged is in the journal; the broker may still hold what is.
        wait_for(lambda: accepted(home) + broker.length() >= 5_000, lambda: f"{accepted(home)}, {broker.length()}")
    with home.start("consume") as service:
        await_accepted(home, 5_000, service)
        end(service)
    assert broker.length() == 0
    assert home.json("publish")["id"] == undisturbed(home, tmp_path, messages)


def test_on_sigterm_what_was_taken_is_committed_and_the_rest_stays_in_the_queue(
    broker: RabbitMQ, tmp_path: Path
) -> None:
    """Journal and queue are the whole, without overlap: nothing is left half."""
    home = installed(broker, tmp_path / "home", f"sqlite:///{tmp_path}/statscache.db", "prefetch = 100")
    home.environment["PYTHONPATH"] = str(install_plugins(tmp_path / "extra", BRAKE))
    (brake := home.directory / "brake").touch()
    broker.publish(lines(0, 10_000))
    with home.start("consume") as service:
        service.await_log("transaction begins", 2)
        service.send(signal.SIGTERM)
        brake.unlink()
        end(service, None)
    assert 0 < accepted(home) < 10_000
    assert accepted(home) + broker.length() == 10_000


def nested(depth: int) -> dict[str, Any]:
    """Return a table in a table, and so on."""
    return {"table": nested(depth - 1)} if depth else {}


def test_poison_is_quarantined_and_acknowledged(home: Home, broker: RabbitMQ) -> None:
    """What is not a message, however it is broken, stops nothing: it is in quarantine, with the reason."""
    sent_at = {"sent-at": "2015-08-08T12:00:00"}
    broker.publish(lines(0, 1))
    for body, headers, id in (
        (b"{", sent_at, "cut"),
        (b"\xff\x00\xff", sent_at, "binary"),
        (b'{}, "topic": "org.fedoraproject.prod.other"', sent_at, "breaking out"),
        (b"{}", None, "no headers"),
        (b"{}", {"sent-at": "yesterday"}, "no time"),
        (b"{}", {**sent_at, "nested": nested(300)}, "unreadable headers"),
        (b"[" * 200 + b"]" * 200, sent_at, "deep"),
        (b'"' + b"x" * 5_000_000 + b'"', sent_at, "long"),
    ):
        broker.publish_raw(TOPIC, body, headers, id)
    broker.publish(lines(1, 1))
    with home.start("consume") as service:
        await_accepted(home, 2, service)
        end(service)
    assert broker.length() == 0
    items = home.json("quarantine", "list")
    assert len(items) == 8
    assert {item["source"] for item in items} == {"fedora-messaging"}
    assert all(item["size"] < 100_000 for item in items)


def test_a_database_that_is_away_acknowledges_nothing_and_recovers(
    broker: RabbitMQ, postgresql: PostgreSQL, shared_url: str, tmp_path: Path
) -> None:
    """While nothing can be committed the broker keeps everything; afterwards it is counted once."""
    home = installed(broker, tmp_path / "home", shared_url)
    with home.start("run") as service:
        service.await_log("connected to the broker")
        postgresql.execute("ALTER DATABASE amqp ALLOW_CONNECTIONS false")
        postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'amqp'")
        broker.publish(lines(0, 100))
        service.await_log("the database does not answer")
        # Long enough for several attempts; and the broker must not hand anything to the next connection.
        time.sleep(4)
        wait_for(lambda: broker.length() == 0, lambda: service.text)
        # None of them is acknowledged: all come back when the connection to the broker is lost.
        broker.kill()
        broker.start()
        assert broker.length() == 100
        postgresql.execute("ALTER DATABASE amqp ALLOW_CONNECTIONS true")
        await_accepted(home, 100, service)
        # The copies that came back are acknowledged before a message that was sent after them is accepted.
        broker.publish(lines(100, 1))
        await_accepted(home, 101, service)
        wait_for(lambda: broker.length() == 0, lambda: service.text)
        end(service)
    # One line when it begins and one when it ends, of consumer and publisher together.
    assert service.text.count("the database does not answer") == 1, service.text
    assert len(re.findall(r"the database answers again, after \d+ s; failed attempts: \d+", service.text)) == 1
    assert "Traceback" not in service.text, service.text
    assert broker.length() == 0


def test_consumers_that_share_a_queue_come_to_what_one_does(broker: RabbitMQ, shared_url: str, tmp_path: Path) -> None:
    """Two at a time on one database, each with a part of the messages, give the snapshot of one."""
    messages = lines(0, 1_000)
    homes = [installed(broker, tmp_path / name, shared_url, "prefetch = 100") for name in ("one", "two")]
    homes[0].run("status")
    with homes[0].start("consume") as one, homes[1].start("consume") as two:
        for service in (one, two):
            service.await_log("connected to the broker")
        broker.publish(messages)
        await_accepted(homes[0], 1_000, one)
        for service in (one, two):
            end(service)
            assert "transaction has committed" in service.text
    assert broker.length() == 0
    assert homes[0].json("publish")["id"] == undisturbed(homes[0], tmp_path, messages)


def test_a_queue_that_had_to_be_made_again_leaves_a_gap(broker: RabbitMQ, tmp_path: Path) -> None:
    """Where the broker kept nothing, what was sent meanwhile is missing and said to be; where it did, nothing is."""
    home = installed(broker, tmp_path / "home", f"sqlite:///{tmp_path}/statscache.db", queue="transient")
    broker.drop()
    for first, gaps in ((0, 0), (600, 1)):
        with home.start("consume") as service:
            service.await_log("connected to the broker")
            broker.publish(lines(first, 1))
            await_accepted(home, 1 + (first > 0), service)
            end(service)
        assert len(home.json("status")["gaps"]) == gaps
        broker.drop()


def test_a_queue_that_was_made_and_could_not_be_bound_kept_nothing(broker: RabbitMQ, tmp_path: Path) -> None:
    """What is sent before its bindings are fixed is missing, and said to be, before another message comes."""
    home = installed(broker, tmp_path / "home", f"sqlite:///{tmp_path}/statscache.db")
    with home.start("consume") as service:
        service.await_log("connected to the broker")
        broker.publish(lines(0, 1))
        await_accepted(home, 1, service)
        end(service)
    broker.drop()
    bus = home.directory / "bus.toml"
    right = bus.read_text()
    bus.write_text(f'{right}[[bindings]]\nqueue = "{QUEUE}"\nexchange = "typo"\nrouting_keys = ["#"]\n')
    with home.start("consume") as service:
        service.await_log("no exchange 'typo'")
        end(service)
    bus.write_text(right)
    with home.start("consume") as service:
        service.await_log("connected to the broker")
        # That no one answered is a concern until the consumer notes its progress.
        wait_for(lambda: len(home.json("status", status=None)["gaps"]) == 1, lambda: service.text)
        end(service)


def test_the_callback_accepts_each_message_before_it_is_acknowledged(
    home: Home, broker: RabbitMQ, tmp_path: Path
) -> None:
    """`fedora-messaging consume` with statscache's callback comes to the same snapshot."""
    messages = lines(0, 20)
    broker.publish(messages)
    home.run("status")
    arguments = ["--conf", "bus.toml", "consume", "--callback=statscache.callback:Callback"]
    with Forked(arguments, cwd=home.directory, env=home.environment, program=PROGRAM_OF_LIBRARY) as service:
        wait_for(lambda: accepted(home) == 20 and broker.length() == 0, lambda: "not all were accepted")
        service.send_signal(signal.SIGTERM)
        service.communicate(PATIENCE)
    assert broker.length() == 0
    assert home.json("publish")["id"] == undisturbed(home, tmp_path, messages)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.toml", None, "there is no file missing.toml"),
        ("bus.toml", "amqp_url = 5", "amqp_url cannot be used"),
        ("bus.toml", 'amqp_url = "amqps://me:secret/x@127.0.0.1/y"', "with / in a password or the virtual host as %2F"),
        ("bus.toml", UNREADABLE, "[tls] ca_cert: there is no file no"),
        ("bus.toml", "tls = 5", "configuration cannot be used"),
        ("bus.toml", "nonsense = 1", "Unknown configuration key"),
        ("bus.toml", "= 1", "Failed to parse"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_said(
    tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    """What is wrong with fedora-messaging's file ends `consume` with a reason that shows no password."""
    home = Home(tmp_path / "home")
    home.configure(f'[sources.fedora-messaging]\nconfig = "{name}"\n')
    if content is not None:
        (home.directory / name).write_text(content)
        (home.directory / name).chmod(0o640)
    done = home.run("consume", status=2)
    assert reason in done.stderr
    assert "secret" not in done.stderr


def test_the_configuration_in_the_docs_is_one_that_keeps_messages(tmp_path: Path) -> None:
    """The library takes it, and its queue outlives broker and consumer."""
    told = (ROOT / "docs/fedora-messaging.toml").read_text()
    for name in re.findall('"/etc/fedora-messaging/(.*)"', told):
        (tmp_path / name).touch(0o640)
    file = tmp_path / "config.toml"
    file.touch(0o640)
    file.write_text(told.replace("/etc/fedora-messaging", str(tmp_path)))
    settings = fedora_messaging.configuration(file)
    assert [(queue["durable"], queue["exclusive"]) for queue in settings["queues"].values()] == [(True, False)]
    assert [binding["queue"] for binding in settings["bindings"]] == [*settings["queues"]]


def test_a_body_cannot_change_the_rest_of_its_envelope() -> None:
    """Topic, id and headers are the broker's, whatever the body says; bytes stay readable in what is quarantined."""
    made = fedora_messaging.envelope(TOPIC, "1", {"sent-at": "2015-08-08T12:00:00"}, b'{"topic": "x"}', 1_000)
    message = parse(made)
    assert (message.topic, message.id, message.timestamp, message.body) == (TOPIC, "1", NOON, {"topic": "x"})
    for body in (b'{}, "topic": "x"', b"{}}", b'{"a": NaN}', b"", b"\xff", b"[" * 10_000):
        made = fedora_messaging.envelope(TOPIC, "1", {"sent-at": "2015-08-08T12:00:00"}, body, 100_000)
        with pytest.raises(MalformedMessage):
            parse(made)
        assert made.endswith(body)
        assert TOPIC.encode() in made


def test_properties_that_cannot_be_read_are_those_of_a_message_that_can_be_quarantined() -> None:
    """The connection stays where a header holds what the library can make no value of."""
    encoded = b"".join(pika.BasicProperties(headers={"number": 2**40}, message_id="1").encode())
    encoded = encoded.replace(b"l" + pack(">q", 2**40), b"d" + pack(">d", inf))
    read = pika.spec.props[pika.BasicProperties.INDEX]().decode(encoded)
    assert read.headers is None
    assert "OverflowError" in read.unreadable

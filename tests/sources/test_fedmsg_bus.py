"""The fedmsg source takes what is published on a real ZeroMQ bus, and stops without losing anything."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import zmq

from ca import Sender
from forks import Forked
from loopback import free_endpoint
from statscache.exceptions import SourceError
from statscache.simulator import Traffic, simulate
from statscache.simulator.bus import publish_on_bus

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("fedmsg-hub")
MONDAY = 1784505600

# Twisted's reactor runs once in a process, so each hub has its own, which writes what `offer` is given.
HUB = """
import logging, sys, threading, time
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
from statscache.sources.fedmsg import run_hub
endpoints, path = sys.argv[1].split(",") if sys.argv[1] else None, sys.argv[2]
delay, limit, signed = float(sys.argv[3]), int(sys.argv[4]), len(sys.argv) > 5
taken = 0
with open(path, "wb", buffering=0) as out:
    def offer(raw):
        global taken
        time.sleep(delay)
        if taken == limit:
            raise RuntimeError("the database is gone")
        taken += 1
        out.write(raw + b"\\n")
    consumer = run_hub(endpoints, offer, threading.Event(), validate_signatures=signed)
print(consumer.received, consumer.malformed, consumer.rejected)
"""


def lines_of(number: int) -> list[bytes]:
    """Return the first simulated messages of a day."""
    return list(islice(simulate(Traffic(MONDAY, MONDAY + 86400, people=50, packages=50)), number))


def write_fedmsg_configuration(directory: Path, settings: Mapping[str, object]) -> None:
    """Write fedmsg.d, as fedmsg reads it from the current directory."""
    (directory / "fedmsg.d").mkdir()
    (directory / "fedmsg.d" / "test.py").write_text(f"config = {settings!r}\n")


def wait_for(path: Path, lines: int, seconds: float = 30) -> None:
    """Return when the file has so many lines."""
    end = time.monotonic() + seconds
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < end, f"{path} has too few lines"
        time.sleep(0.02)


class Hub:
    """A hub in a process, which writes what it is given to a file."""

    def __init__(self, path: Path, endpoints: str, delay: float = 0, limit: int = -1, *more: str) -> None:
        """Start it; it sleeps `delay` seconds for each message, and fails after `limit` of them."""
        self.path = path  # In its directory the hub finds fedmsg.d, where there is one.
        program = path.with_name("hub.py")
        program.write_text(HUB)
        self.process = Forked(
            [endpoints, str(path), str(delay), str(limit), *more],
            cwd=path.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            program=program,
        )

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send the signal; return the exit status, the output and the log."""
        self.process.send_signal(number)
        output, log = self.process.communicate(timeout=30)
        return self.process.wait(), output, log

    def taken(self) -> list[bytes]:
        """Return what `offer` was given."""
        return self.path.read_bytes().splitlines()


@pytest.fixture
def hubs() -> Iterator[list[Hub]]:
    """Give a list of hubs that are killed at the end, whatever happened."""
    started: list[Hub] = []
    yield started
    for hub in started:
        hub.process.__exit__()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_arrive_in_order_and_a_signal_ends_the_hub_cleanly(tmp_path: Path, hubs: list[Hub], number: int) -> None:
    """Every message arrives once, in order, byte for byte; the hub ends with status 0 and without a warning."""
    endpoint, lines = free_endpoint(), lines_of(5000)
    hubs.append(Hub(tmp_path / "taken", endpoint))
    assert publish_on_bus(lines, endpoint) == 5000
    wait_for(tmp_path / "taken", 5000)
    status, output, log = hubs[0].end(number)
    assert (status, output) == (0, "5000 0 0\n")
    assert hubs[0].taken() == lines
    assert "traceback" not in log.lower()
    assert "warning" not in log.lower()


def test_what_has_arrived_is_taken_before_a_slow_hub_ends(tmp_path: Path, hubs: list[Hub]) -> None:
    """A hub that is asked to stop in the middle of a backlog hands all of the backlog over first."""
    endpoint, lines = free_endpoint(), lines_of(2000)
    hubs.append(Hub(tmp_path / "taken", endpoint, delay=0.001))
    publish_on_bus(lines, endpoint)
    wait_for(tmp_path / "taken", 1)
    status, output, log = hubs[0].end()
    assert (status, output) == (0, "2000 0 0\n")
    assert hubs[0].taken() == lines
    assert "Traceback" not in log


def test_a_hub_stops_while_the_bus_is_busier_than_it(tmp_path: Path, hubs: list[Hub]) -> None:
    """A publisher that never pauses does not keep the hub from stopping."""
    endpoint, lines, over = free_endpoint(), lines_of(100), threading.Event()

    def endless() -> Iterator[bytes]:
        while not over.is_set():
            yield from lines

    publisher = threading.Thread(target=publish_on_bus, args=(endless(), endpoint))
    publisher.start()
    try:
        hubs.append(Hub(tmp_path / "taken", endpoint, delay=0.0001))
        wait_for(tmp_path / "taken", 1000)
        status, output, _ = hubs[0].end()
    finally:
        over.set()
        publisher.join()
    assert status == 0
    assert int(output.split()[0]) == len(hubs[0].taken())


def test_what_is_no_fedmsg_frame_reaches_the_parser_as_it_is(tmp_path: Path, hubs: list[Hub]) -> None:
    """Bytes that are not UTF-8, single frames, NaN and text that is not JSON are handed over byte for byte."""
    endpoint = free_endpoint()
    odd = [b'{"topic":"a.b.c.d","timestamp":NaN}', b"\xff\xfe", b"no json", b'{"msg":"\\ud800"}', b"[]"]
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.bind(endpoint)
        hubs.append(Hub(tmp_path / "taken", endpoint))
        assert publisher.poll(30_000)
        for raw in odd:
            publisher.send_multipart([b"a.b.c.d", raw])
        publisher.send(b"alone")
        publisher.send_multipart([b"one", b"two", b"three"])
        wait_for(tmp_path / "taken", 7)
    status, output, _ = hubs[0].end()
    assert (status, output) == (0, "7 3 0\n")
    assert hubs[0].taken() == [*odd, b"alone", b"three"]


def test_messages_without_a_valid_signature_are_counted_and_left_out(tmp_path: Path, hubs: list[Hub]) -> None:
    """Where signatures are demanded, unsigned messages and odd bytes are rejected, and the hub says so once."""
    endpoint = free_endpoint()
    sender = Sender(tmp_path)
    write_fedmsg_configuration(tmp_path, {"endpoints": {}, "ca_cert_location": str(sender.authority)})
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.bind(endpoint)
        hubs.append(Hub(tmp_path / "taken", endpoint, 0, -1, "signed"))
        assert publisher.poll(30_000)
        for raw in [*lines_of(20), b"no json", b"\xff"]:
            publisher.send_multipart([b"a.b.c.d", raw])
        time.sleep(0.5)
        status, output, log = hubs[0].end()
    assert (status, output) == (0, "22 1 22\n")
    assert hubs[0].taken() == []
    assert log.count("without a valid signature") == 1
    assert "the last one: Topic envelope mismatch" in log


@pytest.mark.parametrize("revoked", [False, True])
def test_messages_with_a_valid_signature_are_taken(tmp_path: Path, hubs: list[Hub], revoked: bool) -> None:
    """One that was altered, by a sender without the right or of another topic, is not; nor is any of a revoked one."""
    endpoint = free_endpoint()
    sender = Sender(tmp_path)
    if revoked:
        sender.revoke()
    settings = {
        "endpoints": {"bus": [endpoint]},
        "ca_cert_location": str(sender.authority),
        "crl_location": str(sender.revoked),
        "routing_policy": {"a.b.prod.theirs": ["somebody.else"]},
    }
    write_fedmsg_configuration(tmp_path, settings)
    own, other = ({"topic": f"a.b.prod.{name}", "msg": {"n": 1}, "timestamp": 1, "i": 1} for name in ("own", "theirs"))
    good = sender.signed(own)
    sent = [good, {**good, "msg": {"n": 2}}, sender.signed(other), {**good, "topic": "a.b.prod.more"}]
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.bind(endpoint)
        hubs.append(Hub(tmp_path / "taken", "", 0, -1, "signed"))
        assert publisher.poll(30_000)
        for each in sent:
            publisher.send_multipart([each["topic"].encode(), json.dumps(each).encode()])
        time.sleep(0.5)
        status, output, log = hubs[0].end()
    assert (status, output) == (0, f"4 0 {4 if revoked else 3}\n"), log
    assert hubs[0].taken() == ([] if revoked else [json.dumps(good).encode()])
    assert log.count("without a valid signature") == 1
    assert ("revoked" if revoked else "invalid signature") in log
    assert "No routing policy" not in log


def test_several_endpoints_are_one_bus(tmp_path: Path, hubs: list[Hub]) -> None:
    """What is published on either of two endpoints arrives."""
    first, second = free_endpoint(), free_endpoint()
    lines = lines_of(200)
    hubs.append(Hub(tmp_path / "taken", f"{first},{second}"))
    publish_on_bus(lines[:100], first)
    publish_on_bus(lines[100:], second)
    wait_for(tmp_path / "taken", 200)
    assert hubs[0].end()[0] == 0
    assert sorted(hubs[0].taken()) == sorted(lines)


def test_an_error_behind_the_hub_ends_it_and_is_raised(tmp_path: Path, hubs: list[Hub]) -> None:
    """When `offer` raises, the hub stops by itself, takes no more, and the error comes out of `run_hub`."""
    endpoint = free_endpoint()
    hubs.append(Hub(tmp_path / "taken", endpoint, limit=10))
    publish_on_bus(lines_of(50), endpoint)
    _, log = hubs[0].process.communicate(timeout=30)
    assert hubs[0].process.returncode == 1
    assert "RuntimeError: the database is gone" in log
    assert len(hubs[0].taken()) == 10


@pytest.mark.parametrize(
    ("endpoint", "advice"),
    [("tcp://localhost:9940", "write 127.0.0.1"), ("tcp://127.0.0.1", "expected the form tcp://HOST:PORT")],
)
def test_an_endpoint_that_cannot_be_is_refused(tmp_path: Path, hubs: list[Hub], endpoint: str, advice: str) -> None:
    """An endpoint that ZeroMQ refuses ends the hub with an error that says what is expected."""
    hubs.append(Hub(tmp_path / "taken", endpoint))
    _, log = hubs[0].process.communicate(timeout=30)
    assert hubs[0].process.returncode == 1
    assert "ConfigurationError" in log
    assert advice in log


def test_a_publisher_that_no_one_hears_says_so() -> None:
    """Without a subscriber nothing is sent, and the error names the endpoint."""
    endpoint = free_endpoint()
    with pytest.raises(SourceError, match=f"no one subscribed to {endpoint}"):
        publish_on_bus([b'{"topic":"a"}'], endpoint, patience=0.1)


def test_a_publisher_keeps_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 500 messages a second, it sleeps 0.1 seconds after 50 of them, and no more than that where it sends late."""
    endpoint = free_endpoint()
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        now[0] += 0.7 if len(slept) == 2 else seconds

    monkeypatch.setattr("statscache.simulator.bus.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.subscribe(b"")
        subscriber.connect(endpoint)
        publish_on_bus([b'{"topic":"a"}'] * 250, endpoint, rate=500)
        assert slept == [0.0, 0.1, 0.0, 0.1, 0.1]
        assert sum(1 for _ in range(250) if subscriber.recv_multipart() == [b"a", b'{"topic":"a"}']) == 250


def configure_hub(directory: Path, endpoint: str, configuration: str) -> dict[str, str]:
    """Write what `fedmsg-hub` with the consumer enabled reads, and return its environment."""
    write_fedmsg_configuration(
        directory,
        {
            "endpoints": {"demo": [endpoint]},
            "validate_signatures": False,
            "zmq_enabled": True,
            "zmq_publish_endpoints": "inproc://demo",
            "statscache.consumer.enabled": True,
        },
    )
    (directory / "statscache.toml").write_text(configuration)
    return {**os.environ, "STATSCACHE_CONFIG": str(directory / "statscache.toml")}


def test_plain_fedmsg_hub_finds_the_consumer_by_its_entry_point(tmp_path: Path) -> None:
    """`fedmsg-hub` with the consumer enabled commits every message that has arrived when SIGTERM ends it."""
    endpoint, lines, database = free_endpoint(), lines_of(500), tmp_path / "statscache.db"
    environment = configure_hub(tmp_path, endpoint, f'[database]\nurl = "sqlite:///{database}"\n')
    hub = subprocess.Popen(
        [PROGRAM], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        publish_on_bus(lines, endpoint)
        hub.terminate()
        log, _ = hub.communicate(timeout=60)
    finally:
        hub.kill()
    assert hub.returncode == 0, log
    with sqlite3.connect(database) as connection:
        (accepted,) = connection.execute("SELECT count(*) FROM message_id").fetchone()
    assert accepted == len(lines), log


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        ('[database]\nurl = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"\n', "cannot open the database"),
        ('[database]\nurl = "mysql://x"\n', "expected sqlite:///FILE"),
    ],
)
def test_plain_fedmsg_hub_fails_loudly_where_nothing_can_be_accepted(
    tmp_path: Path, configuration: str, reason: str
) -> None:
    """At the start, the hub ends by itself with exit status 1 and says why."""
    environment = configure_hub(tmp_path, free_endpoint(), configuration)
    with Forked([], cwd=tmp_path, env=environment, program=PROGRAM) as hub:
        log, _ = hub.communicate(timeout=60)
        assert hub.returncode == 1, log
    assert reason in log


def test_plain_fedmsg_hub_fails_loudly_with_the_first_message(tmp_path: Path) -> None:
    """Where the first message shows that none can be accepted, it ends by itself with exit status 1 and says why."""
    endpoint = free_endpoint()
    environment = configure_hub(tmp_path, endpoint, '[plugins]\nhang_note = "missing/hang"\n')
    threading.Thread(target=publish_on_bus, args=(lines_of(5), endpoint), daemon=True).start()
    # It is started: the hub silences the loggers that are there before it, as a forked one has them.
    done = subprocess.run(
        [PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert "missing/ cannot be written" in done.stderr


def test_the_endpoints_of_fedmsg_d_are_taken_where_none_are_given(tmp_path: Path, hubs: list[Hub]) -> None:
    """Without endpoints of its own the hub listens where fedmsg's configuration says."""
    endpoint, lines = free_endpoint(), lines_of(50)
    write_fedmsg_configuration(tmp_path, {"endpoints": {"demo": [endpoint]}, "validate_signatures": False})
    hubs.append(Hub(tmp_path / "taken", ""))
    publish_on_bus(lines, endpoint)
    wait_for(tmp_path / "taken", 50)
    assert hubs[0].end()[:2] == (0, "50 0 0\n")
    assert hubs[0].taken() == lines


def test_a_hub_without_any_configuration_says_what_to_write(tmp_path: Path, hubs: list[Hub]) -> None:
    """With neither endpoints nor fedmsg.d, the error says what is missing and where it goes."""
    hubs.append(Hub(tmp_path / "taken", ""))
    _, log = hubs[0].process.communicate(timeout=30)
    assert hubs[0].process.returncode == 1
    assert "ConfigurationError" in log
    assert "fedmsg.d/" in log


def test_a_message_that_the_hub_has_parsed_is_written_again_as_it_was() -> None:
    """What comes over STOMP is parsed by moksha; NaN and lone surrogates survive the way back to bytes."""
    program = """
from statscache.sources.fedmsg import BusConsumer
class Consumer(BusConsumer):
    def __init__(self):
        pass
    def offer(self, raw):
        print(raw.decode())
Consumer().consume({"topic": "a.b", "body": {"topic": "a.b", "msg": [float("nan"), chr(0xD800)]}})
"""
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout == '{"topic": "a.b", "msg": [NaN, "\\ud800"]}\n'

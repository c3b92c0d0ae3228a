"""Announcing a snapshot on a real fedmsg bus."""

import threading
from pathlib import Path

import orjson
import zmq

from samples import NOON, Site, line


def test_new_snapshot_is_announced_once_and_never_counted(tmp_path: Path) -> None:
    """The relay gets id, generation and changed documents; an unchanged publication says nothing."""
    received: list[bytes] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as relay:
        relay.set(zmq.SUBSCRIBE, b"")
        port = relay.bind_to_random_port("tcp://127.0.0.1")
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                if relay.poll(100):
                    received.append(relay.recv_multipart()[1])

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            announce = {"relay": f"tcp://127.0.0.1:{port}"}
            site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, publish={"announce": announce})
            site.feed([line("a", NOON)])
            first = site.publish()
            site.publish()
            site.feed([line("b", NOON + 1)])
            second = site.publish()
            for _ in range(50):
                if len(received) == 2:
                    break
                done.wait(0.1)
        finally:
            done.set()
            listener.join()
    messages = [orjson.loads(raw) for raw in received]
    assert [message["topic"] for message in messages] == ["org.fedoraproject.prod.statscache.snapshot.published"] * 2
    assert [message["msg"]["snapshot"] for message in messages] == [first.id, second.id]
    assert messages[1]["msg"]["generation"] == second.generation
    assert "v1/plugins/volume/latest.json" in messages[1]["msg"]["changed"]
    outcome = site.feed(received)
    assert (outcome.accepted, outcome.foreign) == (0, 2)
    site.close()


def test_relay_that_is_down_does_not_stop_the_publication(tmp_path: Path) -> None:
    """What was published stays published, whoever could be told."""
    announce = {"relay": "tcp://127.0.0.1:1"}
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, publish={"announce": announce})
    site.feed([line("a", NOON)])
    snapshot = site.publish()
    assert site.document("v1/index.json")["snapshot"] == snapshot.id
    site.close()

"""Announcing a snapshot on a real fedmsg bus."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import zmq

from kills import STRIDE, Killed, Steps, target_operations
from samples import NOON, Site, line
from statscache import layout
from statscache.exceptions import PublishError
from statscache.publish.directory import DirectoryTarget
from statscache_plugins.volume import Volume


class Relay:
    """A relay of the bus, which keeps what it is given."""

    def __init__(self) -> None:
        self._received: list[bytes] = []

    @contextmanager
    def listening(self) -> Iterator[dict[str, Any]]:
        """Listen, and give the section of the configuration that announces to it."""
        done = threading.Event()
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.set(zmq.SUBSCRIBE, b"")
            port = socket.bind_to_random_port("tcp://127.0.0.1")

            def listen() -> None:
                while not done.is_set():
                    if socket.poll(50):
                        self._received.append(socket.recv_multipart()[1])

            listener = threading.Thread(target=listen)
            listener.start()
            try:
                yield {"relay": f"tcp://127.0.0.1:{port}"}
            finally:
                done.set()
                listener.join()

    def received(self, number: int) -> list[bytes]:
        """Return what came, as soon as it is that many messages."""
        for _ in range(100):
            if len(self._received) >= number:
                break
            threading.Event().wait(0.05)
        return list(self._received)

    def announced(self, number: int) -> list[int]:
        """Return the generations that were announced, as soon as there are so many."""
        return [orjson.loads(raw)["msg"]["generation"] for raw in self.received(number)]


@pytest.fixture
def relay() -> Relay:
    """A relay."""
    return Relay()


def test_new_snapshot_is_announced_once_and_never_counted(tmp_path: Path, relay: Relay) -> None:
    """The relay gets id, generation and changed documents; an unchanged publication says nothing."""
    with relay.listening() as announce:
        bus = {"environments": ["stg"]}
        site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Volume,), publish={"announce": announce}, bus=bus)
        site.feed([line("a", NOON, "org.fedoraproject.stg.shop.sale")])
        first = site.publish()
        site.publish()
        site.feed([line("b", NOON + 1, "org.fedoraproject.stg.shop.sale")])
        second = site.publish()
        received = relay.received(2)
    messages = [orjson.loads(raw) for raw in received]
    assert [message["topic"] for message in messages] == ["org.fedoraproject.stg.statscache.snapshot.published"] * 2
    assert [message["msg"]["snapshot"] for message in messages] == [first.id, second.id]
    assert messages[1]["msg"]["generation"] == second.generation
    assert "v1/plugins/volume/latest.json" in messages[1]["msg"]["changed"]
    outcome = site.feed(received)
    assert (outcome.accepted, outcome.foreign) == (0, 2)
    site.close()


def test_relay_that_is_down_does_not_stop_the_publication(tmp_path: Path) -> None:
    """What was published stays published, whoever could be told."""
    announce = {"relay": "tcp://127.0.0.1:1"}
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Volume,), publish={"announce": announce})
    site.feed([line("a", NOON)])
    snapshot = site.publish()
    assert site.document("v1/index.json")["snapshot"] == snapshot.id
    site.close()


def test_an_announcement_waits_for_a_target_and_for_no_other(tmp_path: Path, relay: Relay) -> None:
    """Where none serves the snapshot, it is announced when the first does, and never again."""
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.write_bytes(b"in the way")
    with relay.listening() as announce:
        places = ({"name": "one", "path": one}, {"name": "two", "path": two})
        site = Site(
            f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Volume,), publish={"announce": announce, "targets": places}
        )
        site.feed([line("a", NOON)])
        with pytest.raises(PublishError, match=r"target one: .*target two: "):
            site.publish()
        one.unlink()
        with pytest.raises(PublishError, match=r"^target two: "):
            site.publish()
        assert relay.announced(1) == [1]
        two.unlink()
        site.publish()
        site.publish()
        site.feed([line("b", NOON + 1)])
        site.publish()
        assert relay.announced(2) == [1, 2]
    site.close()


def test_a_dry_run_announces_nothing_and_takes_nothing_away(tmp_path: Path, relay: Relay) -> None:
    """The publication after it announces as if there had been none."""
    with relay.listening() as announce:
        site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Volume,), publish={"announce": announce})
        site.feed([line("a", NOON)])
        site.publishing.dry_run()
        site.feed([line("b", NOON + 1)])
        site.publish()
        assert relay.announced(1) == [1]
    site.close()


def test_killed_anywhere_each_snapshot_that_is_served_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading back and deleting; where it is killed between the two, by the next publication."""
    told: list[int] = []
    deleting: list[int] = []
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (), publish={"announce": {"relay": "tcp://127.0.0.1:1"}})
    monkeypatch.setattr("statscache.publish.announce.announce", lambda snapshot, *_: told.append(snapshot.generation))
    delete = DirectoryTarget._delete

    def note(target: DirectoryTarget, paths: Sequence[str]) -> None:
        if layout.PENDING in paths:
            deleting.append(told[-1])
        delete(target, paths)

    monkeypatch.setattr(DirectoryTarget, "_delete", note)
    at = 0
    while True:
        site.feed([line(f"m{at}", NOON + 86_400 * at)])
        try:
            with target_operations(Steps(at)):
                site.publish()
        except Killed:
            site.database.engine.dispose()
            served = (site.public / layout.INDEX).exists() and site.document(layout.INDEX)["generation"]
            site.publish()
            assert told[-1] == site.document(layout.INDEX)["generation"]
            assert told.count(told[-1]) == 1
            assert not served or served in told
        else:
            break
        at += STRIDE
    assert at > 10
    assert deleting
    assert all(generation in told for generation in deleting)
    site.close()

"""What the supervisor receives, over a socket as systemd makes it."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import PATIENCE, Bus, Home, configuration
from loopback import free_endpoint
from statscache.monitoring.heartbeat import Heartbeat


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which the supervisor listens, at `tmp_path / "notify"`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


def test_it_is_reported_when_all_parts_have_gone_round(
    supervisor: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part that goes round often says nothing of another that no longer does."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    heartbeat = Heartbeat(["consume", "publish"])
    supervisor.setblocking(False)
    for _ in range(3):
        heartbeat.beat("consume")
    with pytest.raises(BlockingIOError):
        supervisor.recv(100)
    heartbeat.beat("publish")
    assert supervisor.recv(100) == b"READY=1"
    heartbeat.beat("publish")
    with pytest.raises(BlockingIOError):
        supervisor.recv(100)
    heartbeat.beat("consume")
    assert supervisor.recv(100) == b"WATCHDOG=1"


def test_run_tells_of_its_readiness_its_progress_and_its_end(supervisor: socket.socket, tmp_path: Path) -> None:
    """On a bus where nothing is said, the service is ready, makes progress, and says that it stops."""
    endpoint = free_endpoint()
    home = Home(tmp_path / "home", NOTIFY_SOCKET=str(tmp_path / "notify"))
    home.configure(configuration(endpoint))
    with Bus(endpoint), home.start("run") as service:
        assert supervisor.recv(100) == b"READY=1"
        assert supervisor.recv(100) == b"WATCHDOG=1"
        service.send(signal.SIGTERM)
        told = supervisor.recv(100)
        while told == b"WATCHDOG=1":
            told = supervisor.recv(100)
        assert told == b"STOPPING=1"
        assert service.end(None)[0] == 0

"""One slow or hanging target delays no other: real servers and processes that do not answer, or not soon."""

import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import Home, Process, wait_for
from samples import NOON, Sales, Site, follow, line
from statscache.exceptions import PublisherBusy, PublishError, Stopped
from statscache.publish.halt import Halt
from statscache.publish.worker import Job
from statscache.store import Database, locks, published, targets
from statscache.store.rows import TargetRow

EVERY = "1"


@contextmanager
def silent_server() -> Iterator[int]:
    """Give the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for each in held:
                each.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with some messages and the directory `public` as one of its targets."""
    made = Home(
        tmp_path / "home",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_EC2_METADATA_DISABLED="true",
    )
    take(made, 0)
    return made


def take(home: Home, number: int) -> None:
    """Take in a few messages, different ones for each number."""
    archive = home.directory / "archive"
    messages = [line(f"{number}-{each}", NOON + 3600 * number + each) for each in range(5)]
    archive.write_bytes(b"".join(message + b"\n" for message in messages))
    home.run("backfill", archive)


def configure(home: Home, second: str) -> None:
    """Publish every second to the directory `public`, and to a second target."""
    directory = '[[publish.targets]]\nname = "near"\ntype = "directory"\npath = "public"\n'
    home.configure(f"[publish]\ninterval = {EVERY}\n{directory}[[publish.targets]]\n{second}\n")


def keeps_up(home: Home, service: Process) -> None:
    """Hold that the index in the directory is renewed again and again, and that new messages arrive there."""
    first = home.document("v1/index.json")
    take(home, 1)
    renewed: set[int] = set()

    def enough() -> bool:
        index = home.document("v1/index.json")
        renewed.add(index["generated_at"])
        return len(renewed) > 4 and index["generation"] > first["generation"]

    wait_for(enough, lambda: service.text)


def concerns(home: Home) -> list[str]:
    """Return the concerns of `status` that are about targets."""
    return [text for text in home.json("status", status=3)["concerns"] if text.startswith("target ")]


def health(home: Home) -> dict[str, bool]:
    """Return which targets are in order, as the published status says."""
    return {row["name"]: row["ok"] for row in home.document("v1/status.json")["targets"]}


def test_a_silent_s3_endpoint_delays_no_other_target(home: Home) -> None:
    """The directory is published to every interval; `status`, metrics and log name the other; SIGTERM ends it."""
    with silent_server() as port:
        second = f'name = "far"\ntype = "s3"\nbucket = "b"\nregion = "x"\nendpoint_url = "http://127.0.0.1:{port}"'
        configure(home, second)
        home.run("publish", "--target", "near", timeout=180)
        with home.start("publish", "--every", EVERY) as service:
            keeps_up(home, service)
            service.await_log("target far is behind: publishing takes ")
            # The log tells of it within the interval, `status` once it is over.
            wait_for(lambda: "target far is behind" in concerns(home)[0], lambda: service.text)
            state = home.json("status", status=3)
            assert [(row["name"], row["published_at"] is None) for row in state["targets"]] == [
                ("far", True),
                ("near", False),
            ]
            # On a busy machine, a publication may take three intervals: then the directory is behind until it is done.
            ok = 'statscache_target_ok{target="far"} 0.0', 'statscache_target_ok{target="near"} 1.0'
            wait_for(lambda: {*ok} <= {*home.run("metrics").stdout.splitlines()}, lambda: home.run("metrics").stdout)
            wait_for(lambda: health(home) == {"far": False, "near": True}, lambda: health(home))
            status, log = service.end(signal.SIGTERM)
        assert status == 0, log
        assert re.search(r"stopping waits, at most 8 s, for publications to: .*far \(asking what it serves\)", log)
        assert "target far does not answer, and is abandoned" in log
        assert log.count("target far is behind") == 1
        assert "Read timeout" not in log, "it hung all the time"


def test_a_slow_rsync_delays_no_other_target_and_ends_when_stopped(home: Home, tmp_path: Path) -> None:
    """While files creep to one target, the other gets each generation; stopped, rsync ends and leaves a whole tree."""
    place = tmp_path / "place"
    configure(home, f'name = "far"\ntype = "rsync"\ndestination = "{place}"')
    home.run("publish", timeout=180)
    before = follow(place)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "rsync").write_text("#!/bin/sh\nexec sleep 600\n")
    (bin_ / "rsync").chmod(0o755)
    home.environment["PATH"] = f"{bin_}:{home.environment['PATH']}"
    with home.start("publish", "--every", EVERY) as service:
        keeps_up(home, service)
        service.await_log("target far is behind")
        status, log = service.end()
    assert status == 0, log
    assert "target far: stopped before the end; the next publication carries on" in log
    assert follow(place) == before


def test_a_service_whose_targets_all_failed_ends_with_an_error(home: Home) -> None:
    """With the reason; where one of them keeps up, the end is a good one, and the log names the others."""
    (home.directory / "spool").mkdir()
    source = '[sources.spool]\npath = "spool"\n[publish]\ninterval = 1\n'
    far = '[[publish.targets]]\nname = "far"\ntype = "rsync"\ndestination = "rsync://127.0.0.1:9/site"\n'
    output = "the newest snapshot was not published to far: see `statscache status`; the next start carries on"
    home.configure(source + far)
    with home.start("run") as service:
        service.await_log("target far")
        status, log = service.end()
    assert status == 1, log
    assert log.rstrip().endswith(f"statscache: {output}")
    home.configure(source + far + '[[publish.targets]]\nname = "near"\ntype = "directory"\npath = "public"\n')
    with home.start("run") as service:
        service.await_log("target far")
        service.await_log("published generation")
        status, log = service.end()
    assert status == 0, log
    assert output in log


def test_a_service_waits_for_an_administrator(home: Home) -> None:
    """While another command builds, it says so once, keeps the index fresh, and goes on afterwards."""
    home.configure(f"[publish]\ninterval = {EVERY}\n")
    home.run("publish", timeout=180)
    database = Database(f"sqlite:///{home.directory / 'statscache.db'}")
    with home.start("publish", "--every", EVERY) as service:
        service.await_log("published generation 1")
        with locks.publishing(database, patience=60):
            service.await_log("publishing waits: another publisher is working on this database")
            first = home.document("v1/index.json")
            wait_for(
                lambda: home.document("v1/index.json")["generated_at"] > first["generated_at"], lambda: service.text
            )
        service.await_log("the other publisher is done, and publishing goes on")
        assert service.end()[0] == 0
        assert service.text.count("publishing waits") == 1
        assert " ERROR " not in service.text
    database.close()


def test_a_target_that_missed_generations_gets_the_newest(tmp_path: Path) -> None:
    """It fails for a while; what is between is not sent, what it still needs is kept, and garbage goes at the end."""
    blocked = tmp_path / "far"
    publish = {
        "targets": ({"name": "near", "path": tmp_path / "near"}, {"name": "far", "path": blocked}),
        "retention": {"snapshots": 1, "grace_hours": 0},
    }
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Sales,), publish=publish)
    site.feed([line("a", NOON, body={"buyer": "ann"})])
    site.publish()
    blocked.rename(tmp_path / "away")
    blocked.write_bytes(b"in the way")
    for number in range(3):
        site.feed([line(f"b{number}", NOON + 60 * number, body={"buyer": "bob"})])
        with pytest.raises(PublishError, match="target far: "):
            site.publish()
    near = follow(tmp_path / "near")
    blocked.unlink()
    (tmp_path / "away").rename(blocked)
    site.publish()
    assert follow(blocked) == near
    names = [{path.name for path in (root / "v1/objects").rglob("*.json")} for root in (blocked, tmp_path / "near")]
    assert names[0] == names[1]
    site.close()


def holds(site: Site, name: str) -> bool:
    """Return whether the database has an object."""
    with site.database.reading() as connection:
        return not published.unknown(connection, [name])


def test_a_snapshot_that_a_slow_target_copies_is_kept(tmp_path: Path) -> None:
    """However short the retention, its objects stay until that target has them all."""
    publish = {"retention": {"snapshots": 1, "grace_hours": 0}}
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Sales,), publish=publish)
    site.feed([line("a", NOON, body={"buyer": "ann"})])
    first = site.publish()
    with site.database.writing() as connection:
        targets.begin(connection, "far", int(time.time()), 60)
        targets.send(connection, "far", first.generation)
    for number in range(3):
        site.feed([line(f"b{number}", NOON + 60 * number, body={"buyer": "bob"})])
        site.publish()
    assert holds(site, first.manifest)
    with site.database.writing() as connection:
        targets.fail(connection, "far", "it went away")
    site.publish()
    site.publish()
    assert not holds(site, first.manifest)
    site.close()


def test_two_publishers_do_not_meet_at_a_target(tmp_path: Path) -> None:
    """Each has its own snapshot to bring, and waits for the other; a service that goes on anyway skips a turn."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Sales,))
    site.publish()
    (worker,) = site.publishing.targets.workers
    with locks.target(site.database, "public"), pytest.raises(PublisherBusy, match="on target public"):
        worker.publish(Job(60))
    worker.publish(Job(60))
    assert not list(tmp_path.glob("*.publishing*")), "a lock that no one holds leaves no file"
    site.close()


def test_work_halts_at_once_when_it_must() -> None:
    """Whoever waits between two tries does not wait any more."""
    stopping = threading.Event()
    halt = Halt(stopping=stopping)
    halt.check()
    threading.Timer(0.1, stopping.set).start()
    with pytest.raises(Stopped):
        halt.wait(60)
    with pytest.raises(PublishError, match=r"not done within `time_limit`, 0 s"):
        Halt(0).check()


@pytest.mark.parametrize(
    ("row", "late", "fine"),
    [
        (TargetRow("t"), 0, False),
        (TargetRow("t", trying_since=900, due_at=960), 40, False),
        (TargetRow("t", published_at=500, due_at=600), 0, True),
        (TargetRow("t", published_at=500, due_at=600, trying_since=900), 400, False),
        (TargetRow("t", published_at=990, due_at=1200, error="no"), 0, False),
    ],
)
def test_what_is_behind(row: TargetRow, late: int, fine: bool) -> None:
    """A target is behind if somebody tries in vain; one that was never published to is not in order."""
    assert (row.late(1000), row.is_ok(1000)) == (late, fine)

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from samples import NOON, Sales, Site, follow, line, published_files
from statscache import config, layout
from statscache.exceptions import ConfigurationError, PublishError
from statscache.publish.halt import Halt
from statscache.publish.rsync import RsyncTarget
from statscache.publish.target import File
from web_servers import RsyncDaemon, Sshd

for _server in (RsyncDaemon, Sshd):
    if _server.path() is None:
        pytest.skip(f"no {_server.program} is installed (Debian: {_server.package})", allow_module_level=True)

OBJECT = "v1/objects/ab/abcd.json"


@pytest.fixture(scope="module")
def daemon() -> Iterator[RsyncDaemon]:
    """A running rsync daemon."""
    with RsyncDaemon() as server:
        yield server


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """A running sshd."""
    with Sshd() as server:
        yield server


class Place:
    """A place to publish to, and how the configuration tells of it."""

    def __init__(self, root: Path, **section: Any) -> None:
        self.root = root
        self.section = {"name": "mirror", "type": "rsync", **section}

    def target(self) -> RsyncTarget:
        """Return a target that publishes here."""
        section = self.section
        return RsyncTarget(
            "mirror",
            section["destination"],
            rsh=section.get("rsh", "false"),
            password_file=section.get("password_file"),
        )


@pytest.fixture(params=["local", "ssh", "daemon"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place, once for each way that rsync has of reaching it."""
    if request.param == "ssh":
        sshd: Sshd = request.getfixturevalue("sshd")
        root = tmp_path / "ssh" / "a directory"
        return Place(root, destination=sshd.destination(root), rsh=sshd.rsh)
    if request.param == "daemon":
        daemon: RsyncDaemon = request.getfixturevalue("daemon")
        root = daemon.module("locked") / "site"
        shutil.rmtree(root, ignore_errors=True)
        password = tmp_path / "password"
        password.write_text(daemon.password)
        password.chmod(0o600)
        return Place(root, destination=daemon.url("locked/site", "publisher"), password_file=password)
    return Place(tmp_path / "local" / "site", destination=str(tmp_path / "local" / "site"))


def site_for(directory: Path, *targets: dict[str, Any]) -> Site:
    """Return a site with some sales, which publishes to the targets."""
    site = Site(f"sqlite:///{directory}/statscache.db", directory, [Sales], publish={"targets": targets})
    site.feed(line(f"m{number}", NOON + number, body={"buyer": f"b{number}"}) for number in range(20))
    return site


@pytest.fixture
def site(place: Place, tmp_path: Path) -> Iterator[Site]:
    """A site that publishes to the place, and to a directory."""
    made = site_for(tmp_path, place.section, {"name": "web", "path": tmp_path / "public"})
    yield made
    made.close()


def compressed(root: Path) -> set[str]:
    """Return the paths of the siblings."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*.gz")}


# The target.


def test_files_arrive_with_the_barrier(place: Place) -> None:
    """What is written is there after the barrier, whole, readable to others whatever the mask says, and not before."""
    target = place.target()
    assert target.read("v1/index.json") is None
    mask = os.umask(0o077)
    try:
        target.write([File("v1/index.json", b"{}\n"), File(OBJECT, b"[1]")])
        assert not place.root.exists()
        target.barrier()
    finally:
        os.umask(mask)
    assert target.read("v1/index.json") == b"{}\n"
    assert target.read(OBJECT) == b"[1]"
    assert target.read("v1/none/of/this.json") is None
    for path in [place.root, *place.root.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_changes_of_neither_size_nor_time_arrive(place: Place) -> None:
    """Digests decide: a file of the same size and time is sent, as is an object that was cut short or damaged."""
    target = place.target()
    files = {"v1/a.json": b"one", OBJECT: b"[1, 2, 3]"}
    target.write(File(path, data) for path, data in files.items())
    target.barrier()
    damaged = place.root / OBJECT
    damaged.write_bytes(b"[1, 2, 4]")
    for path in files:
        os.utime(place.root / path, (NOON, NOON))
    target.write([File("v1/a.json", b"two"), File(OBJECT, b"[1, 2, 3]")])
    for path in target._staged:
        os.utime(Path(str(target._staging)) / path, (NOON, NOON))
    target.barrier()
    assert target.read("v1/a.json") == b"two"
    assert damaged.read_bytes() == b"[1, 2, 3]"
    damaged.write_bytes(b"[1,")
    target.write([File(OBJECT, b"[1, 2, 3]")])
    target.barrier()
    assert damaged.read_bytes() == b"[1, 2, 3]"


def test_a_readable_path_is_a_link_to_its_object(place: Place) -> None:
    """The bytes of an object are stored once; a later object at the same path leaves the first one as it was."""
    target = place.target()
    later = OBJECT.replace("ab", "cd")
    target.write([File(OBJECT, b"first"), File(later, b"later")])
    target.barrier()
    for name, data in ((OBJECT, b"first"), (later, b"later")):
        target.write([File("index.html", data, name), File("v1/a.json", data, name)])
        target.barrier()
        for path in ("index.html", "v1/a.json"):
            assert (place.root / path).samefile(place.root / name)
    assert (target.read(OBJECT), target.read(later)) == (b"first", b"later")


def test_modification_times_do_not_go_back_to_those_of_older_objects(place: Place) -> None:
    """Bytes that return are new to whoever compares times."""
    target = place.target()
    target.write([File(OBJECT, b"[1]"), File("v1/a.json", b"[1]", OBJECT)])
    target.barrier()
    os.utime(place.root / OBJECT, (NOON, NOON))
    target.write([File("v1/a.json", b"[2]")])
    target.barrier()
    before = (place.root / "v1/a.json").stat().st_mtime
    target.write([File("v1/a.json", b"[1]", OBJECT)])
    target.barrier()
    assert target.read("v1/a.json") == b"[1]"
    assert (place.root / "v1/a.json").stat().st_mtime >= before


def test_other_bytes_have_another_date(place: Place) -> None:
    """Dates of HTTP are whole seconds: what is written again within one gets the next."""
    target = place.target()
    dates = []
    for data in (b"[1]", b"[2]", b"[3]"):
        target.write([File("v1/a.json", data), File("v1/index.json", data)])
        target.barrier()
        assert target.read("v1/a.json") == data
        dates.append(int((place.root / "v1/a.json").stat().st_mtime))
    assert dates == sorted(set(dates))


def test_an_object_that_is_not_there_comes_with_the_path_that_needs_it(place: Place) -> None:
    """A readable path arrives whole where the place does not hold the object after all."""
    target = place.target()
    target.write([File("v1/a.json", b"data", OBJECT)])
    target.barrier()
    assert (target.read("v1/a.json"), target.read(OBJECT)) == (b"data", b"data")


def test_files_are_deleted_one_by_one(place: Place) -> None:
    """Of what is there only the named files go; one that is not there is no error, nor is a place that is not there."""
    target = place.target()
    target.delete(["v1/a.json"])
    target.barrier()
    target.write(File(path, b"data") for path in ("v1/a.json", "v1/b.json", "v1/c/d.json"))
    target.barrier()
    target.delete(["v1/a.json", "v1/c/d.json", "v1/none.json", "v1/not/there.json"])
    target.barrier()
    assert [path.name for path in place.root.rglob("*") if path.is_file()] == ["b.json"]


def test_the_last_word_on_a_path_counts(place: Place) -> None:
    """Between two barriers, the last write or deletion of a path holds, and none changes an object that it was."""
    target = place.target()
    target.write([File("v1/a.json", b"data"), File("v1/c.json", b"first", OBJECT)])
    target.delete(["v1/a.json", "v1/b.json"])
    target.write([File("v1/b.json", b"data"), File("v1/c.json", b"later")])
    target.barrier()
    assert (target.read("v1/a.json"), target.read("v1/b.json")) == (None, b"data")
    assert (target.read("v1/c.json"), target.read(OBJECT)) == (b"later", b"first")


def test_a_barrier_brings_over_what_came_since_the_last(tmp_path: Path) -> None:
    """A second barrier does not send what the first one brought, and leaves no temporary file."""
    target = RsyncTarget("near", str(tmp_path / "place"))
    target.write([File("v1/a.json", b"data")])
    staging = Path(str(target._staging))
    target.barrier()
    assert not staging.exists()
    (tmp_path / "place/v1/a.json").write_bytes(b"of another publisher")
    target.write([File("v1/b.json", b"data")])
    target.barrier()
    assert target.read("v1/a.json") == b"of another publisher"


def test_what_was_not_brought_over_is_forgotten_on_close(place: Place) -> None:
    """A publication that was given up leaves nothing for the next one, here or there."""
    target = place.target()
    target.write([File("v1/a.json", b"data")])
    staging = Path(str(target._staging))
    assert staging.is_dir()
    target.close()
    target.write([File("v1/b.json", b"data")])
    target.barrier()
    assert not staging.exists()
    assert target.read("v1/a.json") is None


def test_what_lies_there_is_listed(place: Place) -> None:
    """Files of the directories that are asked for, hidden ones left out, and which siblings a file has."""
    target = place.target()
    assert [*target.files(("v1", "assets"))] == []
    assert target.siblings_of(layout.INDEX) == []
    names = ["v1/index.json", "v1/index.json.gz", "v1/index.json.zst", "v1/a b/\u00e9.json", "other/x", "x.json"]
    target.write([File(name, name.encode()) for name in [*names, "v1/.hidden", "v1/.on/its.way"]])
    target.barrier()
    assert sorted(target.files(("v1", "assets"))) == sorted(names[:4])
    assert sorted(target.siblings_of(layout.INDEX)) == ["gz", "zst"]
    target.close()


def test_a_name_in_a_listing_is_one_path(place: Place) -> None:
    """Whoever can write there gives a file no name whose end is the path of another, on this machine even."""
    names = [f"v1/{separator}/etc/passwd" for separator in "\u2028\u2029\u0085"]
    for name in names:
        (place.root / name).parent.mkdir(parents=True)
        (place.root / name).write_bytes(b"")
    assert sorted(place.target().files(("v1",))) == sorted(names)


def test_what_is_refused_is_not_asked_again(daemon: RsyncDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is not there is not there a second later."""
    monkeypatch.setattr("statscache.publish.target.PAUSES", (0.0, 0.0))
    target = RsyncTarget("far", daemon.url("none"))
    with pytest.raises(PublishError, match="ended with 5"):
        target.read(layout.INDEX)
    assert target.requests == 1
    target.close()


# Publishing.


def test_a_tree_is_published_as_to_a_directory(place: Place, site: Site) -> None:
    """All files, links and siblings are as the target `directory` has them, and every reference resolves."""
    _, report = site.report()
    assert report.requests < 15
    files = follow(place.root)
    assert files["v1/plugins/sales/latest.json"]
    assert "v1/index.json.gz" in compressed(place.root)
    assert published_files(place.root) == published_files(site.public)
    assert compressed(place.root) == compressed(site.public)
    assert not (place.root / layout.PENDING).exists()


@pytest.mark.parametrize("place", ["local", "daemon"], indirect=True)
def test_the_next_publication_costs_what_changed(place: Place, site: Site) -> None:
    """Where nothing changed, pointer and status are written; then, also the documents that changed."""
    site.publish()
    _, report = site.report()
    assert (report.objects, report.files, report.deleted) == (0, 2, 0)
    before = inodes(place.root)
    site.feed([line("new", NOON + 100, body={"buyer": "b1"})])
    site.publish()
    after = inodes(place.root)
    follow(place.root)
    changed = {path for path in before if before[path] != after.get(path)}
    assert "v1/plugins/sales/latest.json" in changed
    assert not [path for path in changed if path.startswith(("assets/", "v1/objects/", "v1/schema/"))]


def inodes(root: Path) -> dict[str, int]:
    """Return the number of each file, which changes when the file is replaced."""
    return {path.relative_to(root).as_posix(): path.stat().st_ino for path in root.rglob("*") if path.is_file()}


def test_bytes_travel_once(daemon: RsyncDaemon, tmp_path: Path) -> None:
    """A readable path is linked at the other side; an unchanged tree costs the files outside the snapshot."""
    site = site_for(tmp_path, {"name": "a", "type": "rsync", "destination": daemon.url("open/once")})
    before = len(daemon.arrived())
    try:
        site.publish()
        sent = [path.removeprefix("once/") for path in daemon.arrived()[before:]]
        of_the_snapshot = {path for path in sent if not path.startswith(("v1/objects/", "v1/snapshots/"))}
        outside = {layout.INDEX, layout.STATUS, layout.CHANGES, layout.CHANGES_FEED}
        assert {path.removesuffix(".gz") for path in of_the_snapshot} == {*outside, layout.PENDING}
        assert len(sent) == len(set(sent))
        site.publish()
        again = daemon.arrived()[before + len(sent) :]
        assert {path.removeprefix("once/").removesuffix(".gz") for path in again} <= outside
    finally:
        site.close()


def test_siblings_of_a_form_that_is_configured_no_longer_go(place: Place, tmp_path: Path) -> None:
    """And nothing else does."""
    for forms in (("gz", "zst"), ("gz",)):
        site = site_for(tmp_path, {**place.section, "precompress": forms})
        site.publish()
        site.close()
        assert bool([*place.root.rglob("*.zst")]) is ("zst" in forms)
    assert f"{layout.INDEX}.gz" in compressed(place.root)
    assert follow(place.root)


@pytest.mark.parametrize("damage", ["wiped", "without pointer", "older", "half of it gone"])
def test_a_damaged_place_is_brought_right(damage: str, tmp_path: Path) -> None:
    """A place that was emptied, restored from a backup, or has lost or cut files holds the whole tree again."""
    root = tmp_path / "place"
    site = site_for(tmp_path, {"name": "a", "type": "rsync", "destination": str(root)})
    try:
        site.publish()
        shutil.copytree(root, tmp_path / "backup", symlinks=True)
        site.feed([line("new", NOON + 100, body={"buyer": "b1"})])
        site.publish()
        whole = follow(root)
        if damage == "half of it gone":
            for path in [layout.INDEX, *sorted(whole)[::2]]:
                (root / path).unlink()
            for file in [*root.glob("v1/objects/*/*.json")][::2]:
                file.write_bytes(file.read_bytes()[:-1])
        elif damage == "without pointer":
            (root / layout.INDEX).unlink()
        else:
            shutil.rmtree(root)
            if damage == "older":
                shutil.copytree(tmp_path / "backup", root)
        site.publish()
        assert follow(root) == whole
        assert {path: (root / path).read_bytes() for path in whole} == whole
    finally:
        site.close()


def test_a_key_that_may_only_publish_is_enough(sshd: Sshd, tmp_path: Path) -> None:
    """With `rrsync`, a key writes below one directory and nowhere else."""
    if shutil.which("rrsync") is None:
        pytest.skip("no rrsync is installed (Debian: rsync)")
    (tmp_path / "place").mkdir()
    section = {"name": "a", "type": "rsync", "destination": sshd.destination(Path("/")), "rsh": sshd.rsh}
    site = site_for(tmp_path, section)
    sshd.restrict(f"rrsync {tmp_path / 'place'}")
    try:
        site.publish()
        follow(tmp_path / "place")
        outside = RsyncTarget("b", sshd.destination(tmp_path / "outside"), rsh=sshd.rsh)
        outside.write([File("v1/a.json", b"data")])
        outside.barrier()
        assert not (tmp_path / "outside").exists()
    finally:
        sshd.restrict("")
        site.close()


# What goes wrong.


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second tries come without a pause."""
    monkeypatch.setattr("statscache.publish.target.PAUSES", (0.0,))


class Wrapped:
    """A program that is before rsync on the path.

    Args:
        directory: Where it is put.
        monkeypatch: What puts it on the path.
    """

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._script = directory / "rsync"
        self.log = directory / "log"
        self.log.touch()
        self._rsync = shutil.which("rsync")
        directory.mkdir(exist_ok=True)
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")

    def become(self, *commands: str) -> None:
        """Run these shell commands in place of rsync; `$rsync` is the real one."""
        lines = ["#!/bin/sh", f"rsync={self._rsync}", f"log={self.log}", "echo $$ >>$log", *commands]
        self._script.write_text("\n".join(lines) + "\n")
        self._script.chmod(0o755)
        self.log.write_text("")

    def runs(self) -> list[int]:
        """Return the process ids of the runs since the last change."""
        return [int(number) for number in self.log.read_text().split()]


@pytest.fixture
def wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wrapped:
    """A program before rsync."""
    (tmp_path / "bin").mkdir()
    return Wrapped(tmp_path / "bin", monkeypatch)


@pytest.mark.usefixtures("impatient")
def test_a_publication_may_end_after_every_run(wrapped: Wrapped, tmp_path: Path) -> None:
    """Whichever run of rsync is the last, readers find a whole tree, and a later publication completes it."""
    root = tmp_path / "place"
    site = site_for(tmp_path, {"name": "a", "type": "rsync", "destination": str(root)})
    try:
        site.publish()
        wrapped.become('exec $rsync "$@"')
        site.feed([line("first", NOON + 100, body={"buyer": "b1"})])
        site.publish()
        runs = len(wrapped.runs())
        for number in range(1, runs + 1):
            site.feed([line(f"at {number}", NOON + 100 + number, body={"buyer": "b1"})])
            wrapped.become('$rsync "$@" || exit', f"[ $(wc -l <$log) -lt {number} ] || exit 12")
            with pytest.raises(PublishError, match=r"target a: .* ended with 12"):
                site.publish()
            follow(root)
        wrapped.become('exec $rsync "$@"')
        site.publish()
        files = follow(root)
        assert {path: (root / path).read_bytes() for path in files} == files
    finally:
        site.close()
    assert runs > 5


def test_a_publication_without_news_takes_two_runs(wrapped: Wrapped, tmp_path: Path) -> None:
    """One reads all that is asked first, one writes status and index; readers get a fresh index."""
    root = tmp_path / "place"
    site = site_for(tmp_path, {"name": "a", "type": "rsync", "destination": str(root)})
    try:
        site.publish()
        before = (root / layout.INDEX).read_bytes()
        time.sleep(1.1)
        wrapped.become('exec $rsync "$@"')
        site.publish()
        assert len(wrapped.runs()) == 2
        assert (root / layout.INDEX).read_bytes() != before
        assert not (root / layout.PENDING).exists()
        follow(root)
    finally:
        site.close()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_down_stops_no_other_target(daemon: RsyncDaemon, tmp_path: Path) -> None:
    """The error names target, server and reason; the target beside it is up to date, and this one when it is back."""
    section = {"name": "far", "type": "rsync", "destination": daemon.url("open/down")}
    site = site_for(tmp_path, section, {"name": "near", "path": tmp_path / "public"})
    try:
        daemon.stop()
        told = r"target far: rsync with rsync://127.0.0.1:\d+/open/down .*refused.*see that the daemon runs"
        with pytest.raises(PublishError, match=told):
            site.publish()
        near = follow(tmp_path / "public")
        daemon.start()
        site.publish()
        assert follow(daemon.module("open") / "down") == near
    finally:
        site.close()


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    """A host that takes the connection and says nothing costs the timeout, also where the login hangs on."""
    silent = tmp_path / "silent"
    silent.write_text("sleep 20")
    with socket.create_server(("127.0.0.1", 0)) as server:
        for destination in (f"rsync://127.0.0.1:{server.getsockname()[1]}/module", "host.example:/srv"):
            target = RsyncTarget("far", destination, rsh=f"sh {silent}", timeout=1)
            with pytest.raises(PublishError, match=r"timeout.*see that the host answers"):
                target.read("v1/index.json")


def test_no_secret_is_shown(daemon: RsyncDaemon, tmp_path: Path) -> None:
    """A wrong password, a refused module and a login that fails are told without the secrets that were used."""
    password = tmp_path / "password"
    password.write_text("hunter2")
    password.chmod(0o600)
    told = []
    for target in (
        RsyncTarget("far", daemon.url("locked", "publisher"), password_file=password),
        RsyncTarget("far", daemon.url("none")),
        RsyncTarget("far", "host.example:/srv", rsh="false hunter2"),
        RsyncTarget("far", "host.example:/srv", rsh="/none/sshpass -p hunter2 ssh"),
    ):
        with pytest.raises(PublishError) as caught:
            target.read("v1/index.json")
        told.append(str(caught.value))
    assert "auth failed" in told[0]
    assert "password_file" in told[0]
    assert "Unknown module" in told[1]
    assert "see that `rsh` logs in" in told[2]
    assert not [text for text in told if "hunter2" in text]


def test_a_place_that_may_not_be_written_is_an_error(daemon: RsyncDaemon) -> None:
    """A module that is to be read only is refused with the fix, and what was gathered waits for a second try."""
    target = RsyncTarget("far", daemon.url("source"))
    target.write([File("v1/a.json", b"data")])
    for _ in range(2):
        with pytest.raises(PublishError, match=r"module is read only.*`read only = no`"):
            target.barrier()
    target.close()


def test_without_rsync_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the program gives a clear error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PublishError, match="install the package rsync"):
        RsyncTarget("far", "/srv").read("v1/index.json")


def test_rsync_ends_with_its_publisher(wrapped: Wrapped, tmp_path: Path) -> None:
    """A killed publisher leaves no rsync running, which would race its successor, and no part of a file."""
    root = tmp_path / "place"
    RsyncTarget("near", str(root)).read("v1/index.json")
    wrapped.become('exec $rsync --bwlimit=1000 "$@"')
    code = (
        "import sys, os; from statscache.publish.rsync import RsyncTarget; from statscache.publish.target import File;"
        "target = RsyncTarget('near', sys.argv[1]); target.write([File('v1/a.json', os.urandom(50_000_000))]);"
        "target.barrier()"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code, str(root)], env=environment) as publisher:
        wait_for(lambda: [*root.rglob(".a.json.*")] or publisher.poll() is not None)
        assert publisher.poll() is None
        publisher.kill()
    (rsync_id,) = wrapped.runs()
    wait_for(lambda: has_ended(rsync_id))
    wait_for(lambda: not [path for path in root.rglob("*") if path.is_file()])


def test_a_killed_rsync_is_started_again(wrapped: Wrapped, tmp_path: Path) -> None:
    """Where rsync is killed in the middle of a file, the old one stays; a second try brings the new one."""
    root = tmp_path / "place"
    target = RsyncTarget("near", str(root))
    target.write([File("v1/a.json", b"old")])
    target.barrier()
    wrapped.become('exec $rsync --bwlimit=1000 "$@"')
    data = os.urandom(10_000_000)
    target.write([File("v1/a.json", data)])

    def kill() -> None:
        wait_for(lambda: [*root.rglob(".a.json.*")])
        os.kill(wrapped.runs()[0], signal.SIGKILL)

    between: list[bytes] = []

    class Waits(Halt):
        """Called between the tries."""

        def wait(self, seconds: float) -> None:
            between.append((root / "v1/a.json").read_bytes())
            wrapped.become('exec $rsync "$@"')

    target.halt = Waits()
    killer = threading.Thread(target=kill)
    killer.start()
    target.barrier()
    killer.join()
    assert between == [b"old"]
    assert (root / "v1/a.json").read_bytes() == data
    assert len(wrapped.runs()) == 1
    target.close()


def has_ended(process: int) -> bool:
    """Return whether a process is no more, or only waits for its exit status to be fetched."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition: Callable[[], object]) -> None:
    """Return when the condition holds.

    Raises:
        AssertionError: It does not within half a minute.
    """
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The configuration.


@pytest.mark.parametrize(
    ("destination", "fix"),
    [
        ("rsync://u:hunter2@host/module", "password_file"),
        ("rsync://host", "rsync://host/module/path"),
        ("host:", "host:path"),
        ("host::", "host:path"),
        ("", "must be a path"),
        ("-e/bin/sh:x", "option of rsync"),
    ],
)
def test_a_destination_that_cannot_be_meant_is_refused(destination: str, fix: str, tmp_path: Path) -> None:
    """The error says what a destination looks like, and shows no password."""
    file = tmp_path / "statscache.toml"
    file.write_text(f'[[publish.targets]]\nname = "a"\ntype = "rsync"\ndestination = "{destination}"\n')
    with pytest.raises(ConfigurationError) as caught:
        config.load(file)
    assert fix in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_setting_of_a_target_lists_those_of_its_type(tmp_path: Path) -> None:
    """A setting of another type of target is distinguished from one of this type."""
    file = tmp_path / "statscache.toml"
    file.write_text('[[publish.targets]]\nname = "a"\ntype = "rsync"\ndestination = "/srv"\nbucket = "b"\n')
    with pytest.raises(ConfigurationError, match=r"bucket: is unknown; known here are: destination, .*password_file"):
        config.load(file)


@pytest.mark.parametrize("name", ["with:colon", "with space", "[1"])
def test_a_local_path_stays_one(name: str, tmp_path: Path) -> None:
    """What looks like a host further on in a path is none."""
    target = RsyncTarget("near", str(tmp_path / name))
    target.write([File("v1/a.json", b"data")])
    target.barrier()
    assert (tmp_path / name / "v1/a.json").read_bytes() == b"data"
    assert target.read("v1/a.json") == b"data"

"""The spool: archives that are dropped into a directory are read once, when they are whole, whatever they are named."""

import gzip
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard

from commands import BRAKE, SMALL_BATCH, SMALL_BATCHES, Home, install_plugins, wait_for
from samples import NOON, line
from statscache.config import Config, DatabaseSection, SpoolSection
from statscache.exceptions import ConfigurationError
from statscache.service.spool import spooling
from statscache.sources import spool as spools
from statscache.sources.spool import Spool, Taken
from statscache.store import Database, journal


def archive(first: int, number: int) -> bytes:
    """Return messages a minute apart, the first of them `first` minutes after noon."""
    return b"".join(line(f"{n:x}", NOON + 60 * n, body={"n": n}) + b"\n" for n in range(first, first + number))


class Watched:
    """A spool beside a database."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "spool"
        self.path.mkdir()
        self.config = Config(database=DatabaseSection(url=f"sqlite:///{directory}/statscache.db"))
        self.database = Database(self.config.database.url)
        self.database.prepare()

    @contextmanager
    def service(self) -> Iterator[None]:
        """Read what is dropped, in this context."""
        with spooling(self.config, SpoolSection(path=self.path), threading.Event()):
            yield

    def drop(self, name: str | bytes, content: bytes) -> None:
        """Write a file as a program does that knows of nothing."""
        with open(os.path.join(os.fsencode(self.path), os.fsencode(name)), "wb") as file:
            file.write(content)

    def listing(self, name: str) -> list[str]:
        """Return the names in one of the directories."""
        return sorted(os.listdir(self.path / name))

    def reason(self, name: str) -> str:
        """Return the text of a file that says why another was refused."""
        return (self.path / "failed" / name).read_text(encoding="utf-8")

    def accepted(self) -> int:
        """Return how many messages are in the journal."""
        with self.database.reading() as connection:
            return journal.head(connection).position

    def await_listing(self, name: str, expected: list[str]) -> None:
        """Return when one of the directories holds these names."""
        directory = self.path / name
        wait_for(
            lambda: directory.exists() and self.listing(name) == expected,
            lambda: f"{name} holds {self.listing(name)}",
        )


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A spool, watched by no one yet."""
    made = Watched(tmp_path)
    yield made
    made.database.close()


def test_files_are_read_and_moved_to_done(watched: Watched) -> None:
    """What was there before and what is dropped or moved in afterwards is counted, plain, gzip and zstd, each once."""
    watched.drop("before", archive(0, 10))
    elsewhere = watched.path.with_name("elsewhere")
    elsewhere.write_bytes(zstandard.compress(archive(20, 10)))
    with watched.service():
        watched.drop("closed.gz", gzip.compress(archive(10, 10)))
        elsewhere.rename(watched.path / "moved.zst")
        watched.await_listing("done", ["before", "closed.gz", "moved.zst"])
    assert watched.accepted() == 30
    assert watched.listing("") == ["done", "failed", "taken"]
    assert watched.listing("failed") == watched.listing("taken") == []


def test_a_file_that_cannot_be_read_goes_to_failed_with_the_reason(watched: Watched) -> None:
    """What came before the damage counts; the others go on."""
    # Too much to be buffered before the damage is met.
    watched.drop("cut.gz", gzip.compress(archive(0, 20_000))[:-100])
    with watched.service():
        watched.drop("whole", archive(0, 20_001))
        watched.await_listing("done", ["whole"])
        watched.await_listing("failed", ["cut.gz", "cut.gz.reason"])
    assert watched.reason("cut.gz.reason").startswith("cut.gz is truncated or damaged")
    assert watched.accepted() == 20_001


def test_a_file_that_is_being_written_is_left_alone(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it changes, and until its writer closes it or is quiet, nothing of it is read."""
    spool = Spool(watched.path)
    changed = threading.Event()
    with spool.watching(changed), (watched.path / "growing").open("wb", buffering=0) as file:
        for part in range(3):
            file.write(archive(part, 1))
            assert spool.take() is None
        file.close()
        wait_for(changed.is_set, lambda: "no one saw that it was closed")
        taken = spool.take()
    assert taken is not None
    spool.finish(taken)
    # Without a word of the system's, it must have been quiet for a while.
    (watched.path / "quiet").write_bytes(archive(0, 1))
    assert spool.take() is None
    monkeypatch.setattr(spools, "QUIET", 0.0)
    assert spool.take() is not None


def test_a_closed_file_that_is_replaced_by_an_unfinished_one_is_left_alone(watched: Watched) -> None:
    """That a file of the same name was closed says nothing of another."""
    spool = Spool(watched.path)
    changed = threading.Event()
    with spool.watching(changed):
        watched.drop("same", archive(0, 1))
        wait_for(changed.is_set, lambda: "no one saw that it was closed")
        # Another process has taken it.
        (watched.path / "same").rename(watched.path / "done/same")
        with (watched.path / "same").open("wb"):
            assert spool.take() is None


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline",
        b"\xff\xfe bytes",
        b"--option",
        b"<script>.gz",
        b"\xe2\x80\xaeright-to-left",
        b"x" * 255,
        "ü".encode() * 127,
        b"%s %d",
        b"cut.reason",
    ],
    # A name of bytes would be one for the tests too, and is none that a report can hold.
    ids=["newline", "no text", "option", "markup", "right to left", "long", "long text", "format", "reason"],
)
def test_hostile_names_are_names(watched: Watched, name: bytes) -> None:
    """Whatever a file is called, it is read, or refused with the reason beside it, and nothing else is touched."""
    with watched.service():
        watched.drop(name, archive(0, 1))
        wait_for(lambda: len(watched.listing("done")) == 1, lambda: "not done")
        watched.drop(name, gzip.compress(archive(0, 1))[:-9])
        wait_for(lambda: len(watched.listing("failed")) == 2, lambda: "not failed")
    assert watched.accepted() == 1
    assert len(watched.reason(max(watched.listing("failed"), key=len)).splitlines()) == 1
    assert watched.listing("") == ["done", "failed", "taken"]
    assert name.startswith(os.fsencode(watched.listing("done")[0]))


def test_what_is_no_file_is_refused_and_what_it_points_to_is_not_read(watched: Watched) -> None:
    """Of a link, the reason alone is kept; a pipe and the like go to failed; a directory and a name with a dot stay."""
    secret = watched.path.with_name("secret")
    secret.write_bytes(archive(0, 10))
    (watched.path / "link").symlink_to(secret)
    (watched.path / "dangling").symlink_to("/nowhere")
    os.mkfifo(watched.path / "pipe")
    (watched.path / "directory").mkdir()
    watched.drop(".unfinished", archive(0, 1))
    with watched.service():
        watched.await_listing("failed", ["dangling.reason", "link.reason", "pipe", "pipe.reason"])
    assert f"a symbolic link to '{secret}'" in watched.reason("link.reason")
    assert secret.exists()
    assert watched.accepted() == 0
    assert watched.listing("") == [".unfinished", "directory", "done", "failed", "taken"]


def test_a_reason_is_written_over_nothing(watched: Watched) -> None:
    """Whatever lies where a reason would go, an archive or a link to a file of the service's, stays as it was."""
    secret, absent = watched.path.with_name("secret"), watched.path.with_name("absent")
    secret.write_bytes(b"precious")
    damaged = gzip.compress(archive(0, 1))[:-9]
    with watched.service():
        (watched.path / "link.reason").symlink_to(secret)
        watched.drop("archive.reason", damaged)
        failed = ["archive.reason", "archive.reason.reason", "link.reason.reason"]
        watched.await_listing("failed", failed)
        # As an earlier release has left them.
        (watched.path / "failed/pipe.reason").symlink_to(absent)
        for name in ("link", "pipe"):
            os.mkfifo(watched.path / name)
        watched.drop("archive", damaged)
        failed += ["archive.2", "archive.2.reason", "link", "link.reason", "pipe.2", "pipe.2.reason", "pipe.reason"]
        watched.await_listing("failed", sorted(failed))
    assert (watched.path / "failed/archive.reason").read_bytes() == damaged
    assert secret.read_bytes() == b"precious"
    assert not absent.exists()


def test_where_a_link_points_to_is_reported_in_one_line(watched: Watched) -> None:
    """Neither name nor target can make a reason look as if it said something else."""
    (watched.path / "new\nline").symlink_to("two\nlines \u202e\udcff")
    with watched.service():
        watched.await_listing("failed", ["new\nline.reason"])
    output = r"it is a symbolic link to 'two\nlines \u202e\udcff': put a copy of the archive here"
    assert watched.reason("new\nline.reason") == f"{output}\n"


def test_a_name_that_comes_again_replaces_nothing(watched: Watched) -> None:
    """The second file of a name is kept beside the first."""
    with watched.service():
        for number in range(3):
            watched.drop("same", archive(number, 1))
            wait_for(lambda number=number: len(watched.listing("done")) == number + 1, lambda: "not done")
    assert watched.listing("done") == ["same", "same.2", "same.3"]
    assert watched.accepted() == 3


def test_two_processes_read_each_file_once(watched: Watched) -> None:
    """Of two that watch the same spool, one takes a file, and the other leaves it alone."""
    one, other = Spool(watched.path), Spool(watched.path)
    os.mkfifo(watched.path / "pipe")
    watched.drop("file", archive(0, 1))
    spool_quiet = spools.QUIET
    spools.QUIET = 0.0
    try:
        taken = one.take()
        assert taken is not None
        assert other.take() is None
        one.release(taken)
        again = other.take()
        assert again is not None
        assert again.path == taken.path
        other.finish(again)
        assert one.take() is None
    finally:
        spools.QUIET = spool_quiet


def test_killed_in_the_middle_of_a_file_it_is_carried_on_with(tmp_path: Path) -> None:
    """The current file is resumed at the last commit; nothing is lost or counted twice."""
    home = Home(tmp_path / "home", PYTHONPATH=str(install_plugins(tmp_path / "extra", SMALL_BATCHES + BRAKE)))
    home.configure('[sources.spool]\npath = "spool"\n')
    directory = home.directory / "spool"
    directory.mkdir()
    (directory / "history.gz").write_bytes(gzip.compress(archive(0, 4 * SMALL_BATCH)))
    brake = home.directory / "brake"
    for kill in (signal.SIGKILL, signal.SIGTERM):
        brake.touch()
        with home.start("consume") as service:
            service.await_log(f"transaction begins: {SMALL_BATCH} messages", 2)
            service.send(kill)
            brake.unlink()
            service.end(None)
        assert (directory / "taken/history.gz").exists()
    with home.start("consume") as service:
        wait_for(lambda: (directory / "done/history.gz").exists(), lambda: service.text)
        status, log = service.end()
    assert status == 0, log
    assert log.count(f"transaction has committed: {SMALL_BATCH}") < 5
    assert home.json("status")["journal"]["messages"] == 4 * SMALL_BATCH
    assert home.json("status")["journal"]["known"] == 0


def test_a_directory_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """One that is missing, or is a file, ends the start with a reason."""
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(ConfigurationError, match=rf"\[sources.spool\] path: .*{name} is not a directory"):
            Spool(tmp_path / name)


@pytest.mark.parametrize("name", ["done", "failed", "taken"])
def test_files_go_nowhere_else(watched: Watched, name: str) -> None:
    """Where a link or a file stands for one of the three directories, the start ends with what is to be done."""
    place, elsewhere = watched.path / name, watched.path.with_name("elsewhere")
    elsewhere.mkdir()
    for target, kind in ((elsewhere, "a symbolic link"), ("/nowhere", "a symbolic link"), (None, "no directory")):
        place.touch() if target is None else place.symlink_to(target)
        with pytest.raises(ConfigurationError, match=rf"spool/{name} is {kind}: put a directory in its place"):
            Spool(watched.path)
        place.unlink()
    Spool(watched.path)


def test_directories_on_another_filesystem_are_refused(watched: Watched) -> None:
    """Files cannot be moved there, which is said at the start, not when the first was read."""
    (watched.path / "done").mkdir()
    start = "import pathlib, sys; from statscache.sources.spool import Spool; Spool(pathlib.Path(sys.argv[1]))"
    mount = 'mount -t tmpfs tmpfs "$2/done" || exit 77; exec "$0" -c "$1" "$2"'
    tried = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, sys.executable, start, watched.path],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode == 77 or "unshare" in tried.stderr:
        pytest.skip("nothing can be mounted here")
    assert "spool/done is on another filesystem: replace it with a directory" in tried.stderr


def test_what_could_not_be_moved_is_taken_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is let go of, so that it is moved when it can be, and no file stays open."""
    monkeypatch.setattr(spools, "QUIET", 0.0)
    spool = Spool(watched.path)
    watched.drop("file", archive(0, 1))

    def held() -> set[str]:
        numbers = os.listdir("/proc/self/fd")
        # Other threads open and close files meanwhile.
        paths = {os.path.realpath(f"/proc/self/fd/{number}") for number in numbers}
        return {path for path in paths if path.startswith(f"{watched.path}/")}

    before = held()
    moves: list[tuple[str, Callable[[Taken], None]]] = [
        ("done", spool.finish),
        ("failed", lambda taken: spool.fail(taken, "it is damaged")),
    ]
    for name, move in moves:
        taken = spool.take()
        assert taken is not None
        (watched.path / name).rmdir()
        with pytest.raises(FileNotFoundError, match=f"spool/{name} is missing: create it again"):
            move(taken)
        assert held() == before
        (watched.path / name).mkdir()
    taken = spool.take()
    assert taken is not None
    spool.fail(taken, "it is damaged")
    assert watched.listing("failed") == ["file", "file.reason"]


def test_a_reason_without_its_file_does_not_stay(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file cannot be moved, what was written beside its new place is removed; the next try writes it again."""
    monkeypatch.setattr(spools, "QUIET", 0.0)
    spool = Spool(watched.path)
    watched.drop("file", archive(0, 1))
    taken = spool.take()
    assert taken is not None
    taken.path.rename(watched.path / "file")
    with pytest.raises(FileNotFoundError):
        spool.fail(taken, "it is damaged")
    assert watched.listing("failed") == []


@pytest.mark.parametrize("stands_in", [False, True], ids=["missing", "link"])
def test_the_spool_waits_for_its_directories(
    watched: Watched, caplog: pytest.LogCaptureFixture, stands_in: bool
) -> None:
    """While one is missing, or a link stands for it, nothing is taken, the link neither; then it is carried on with."""
    done, elsewhere = watched.path / "done", watched.path.with_name("elsewhere")
    elsewhere.mkdir()
    with watched.service():
        watched.await_listing("done", [])
        done.rmdir()
        if stands_in:
            done.symlink_to(elsewhere)
        watched.drop("file", archive(0, 1))
        wait_for(lambda: "cannot use the spool" in caplog.text, lambda: caplog.text)
        assert watched.listing("taken") == watched.listing("failed") == os.listdir(elsewhere) == []
        if stands_in:
            done.unlink()
        done.mkdir()
        watched.await_listing("done", ["file"])
    assert watched.accepted() == 1

import os
import select
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from samples import NOON, Buyers, Sales, Site, follow, line
from statscache import layout
from web_servers import RsyncDaemon

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "mirror.sh"

for _program, _package in (("rsync", "rsync"), ("flock", "util-linux")):
    if shutil.which(_program) is None:
        pytest.skip(f"no {_program} is installed (Debian: {_package})", allow_module_level=True)


class Source:
    """A site that is published into the module that mirrors read from."""

    def __init__(self, daemon: RsyncDaemon, directory: Path) -> None:
        self.daemon = daemon
        self.root = daemon.module("source")
        # Only the newest snapshot is kept, so that each publication also deletes a manifest.
        retention = {"snapshots": 1}
        targets = ({"name": "web", "path": self.root},)
        self.site = Site(
            f"sqlite:///{directory}/statscache.db",
            directory,
            [Sales, Buyers],
            publish={"targets": targets, "retention": retention},
        )
        self._count = 0
        self.publish()

    def publish(self) -> None:
        """Publish a snapshot in which documents changed and came."""
        self._count += 1
        self.site.feed([line(f"m{self._count}", NOON + 86_400 * self._count, body={"buyer": f"b{self._count}"})])
        self.site.publish()


class Mirror:
    """A mirror of the source, whose every run of rsync can be interfered with."""

    def __init__(self, source: Source, directory: Path) -> None:
        self.root = directory / "mirror"
        self._source = source
        self._steps, self._answers = directory / "steps", directory / "answers"
        for pipe in (self._steps, self._answers):
            os.mkfifo(pipe)
        programs = directory / "bin"
        programs.mkdir()
        real = shutil.which("rsync")
        asking = f'echo >{self._steps}; read answer <{self._answers}; [ $answer = go ] && exec {real} "$@"; exit 20'
        for name, text in (("rsync", asking), ("sleep", "exit 0")):
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        self._path = f"{programs}:{os.environ['PATH']}"

    def command(self) -> list[str]:
        """Return the command that the documentation gives."""
        return [str(SCRIPT), self._source.daemon.url("source"), str(self.root)]

    def run(self, before: Callable[[int], bool] = lambda _: True) -> tuple[int, str, int]:
        """Bring the mirror up to date.

        Args:
            before: Called with its number, from 1 on, before each run of rsync; where it returns False, the run fails.

        Returns:
            Exit status, what was said on standard error, and how many runs there were.
        """
        count = 0
        with subprocess.Popen(
            self.command(),
            env={**os.environ, "PATH": self._path},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as script:
            # Open for reading and writing, so that neither side waits for the other to come or go.
            steps, answers = os.open(self._steps, os.O_RDWR), os.open(self._answers, os.O_RDWR)
            try:
                while script.poll() is None:
                    if not select.select([steps], [], [], 0.05)[0]:
                        continue
                    os.read(steps, 1)
                    count += 1
                    if (self.root / layout.INDEX).exists():
                        self.check()
                    os.write(answers, b"go\n" if before(count) else b"no\n")
            except BaseException:
                # With it goes the program that waits for an answer.
                os.killpg(script.pid, signal.SIGKILL)
                raise
            finally:
                os.close(steps)
                os.close(answers)
            output = script.stderr.read() if script.stderr else ""
        return script.returncode, output, count

    def check(self) -> None:
        """Follow every reference that a reader of the mirror can."""
        follow(self.root)
        for snapshot in orjson.loads((self.root / layout.CHANGES).read_bytes())["snapshots"]:
            assert (self.root / layout.manifest(snapshot["snapshot"])).exists()
        for path in self.root.glob("v1/plugins/*/series/*/index.json"):
            for period in orjson.loads(path.read_bytes())["periods"]:
                for reference in (period, period["csv"]):
                    assert (self.root / reference["path"]).exists()
                    assert (self.root / "v1/objects" / reference["object"][:2] / reference["object"]).exists()


def tree(root: Path) -> dict[str, bytes]:
    """Return all files that are served, by path."""
    paths = ((path, path.relative_to(root).as_posix()) for path in root.rglob("*") if path.is_file())
    return {name: path.read_bytes() for path, name in paths if not name.startswith(".")}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """A published site behind an rsync daemon."""
    with RsyncDaemon() as daemon:
        made = Source(daemon, tmp_path_factory.mktemp("source"))
        yield made
        made.site.close()


@pytest.fixture(scope="module")
def mirror(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A mirror that was up to date once."""
    made = Mirror(source, tmp_path_factory.mktemp("mirror"))
    assert made.run()[:2] == (0, "")
    return made


def test_a_mirror_has_what_its_source_has(source: Source, mirror: Mirror) -> None:
    """After each run, all files are the same, siblings too, nothing else is there, and a web server may read them."""
    for _ in range(2):
        source.publish()
        assert mirror.run()[0] == 0
        assert tree(mirror.root) == tree(source.root)
    for path in mirror.root.rglob("*"):
        if path.name != ".mirror.lock":
            assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_a_publication_may_come_at_any_moment(source: Source, mirror: Mirror) -> None:
    """Whenever the source changes during a run, all that a reader of the mirror can follow resolves."""

    def publish(step: int) -> bool:
        if step == number:
            source.publish()
        return True

    number = 1
    while True:
        source.publish()
        status, output, steps = mirror.run(publish)
        assert (status, output) == (0, "")
        mirror.check()
        if number > steps:
            break
        number += 1
    assert number > 9
    assert tree(mirror.root) == tree(source.root)


def test_a_run_may_end_at_any_moment(source: Source, mirror: Mirror) -> None:
    """Wherever a run is ended, all that a reader of the mirror can follow resolves, and the next one completes it."""
    for last in range(1, mirror.run()[2] + 1):
        source.publish()
        assert mirror.run(lambda step, last=last: step < last)[0] == 1  # type: ignore[misc]
        mirror.check()
    assert mirror.run()[0] == 0
    assert tree(mirror.root) == tree(source.root)


def test_a_source_that_never_rests_leaves_the_mirror_as_it_was(source: Source, mirror: Mirror) -> None:
    """Where each look at the source finds another generation, the mirror keeps the one that it has, and says so."""
    before = tree(mirror.root)

    def publish(step: int) -> bool:
        if step % 3 == 0:
            source.publish()
        return True

    status, output, _ = mirror.run(publish)
    assert status == 1
    assert "being published to" in output
    assert tree(mirror.root) == before


def test_a_half_published_source_leaves_the_mirror_as_it_was(source: Source, mirror: Mirror) -> None:
    """What a killed publisher left in parts is not taken over."""
    before = tree(mirror.root)
    (source.root / layout.PENDING).write_bytes(b'{"snapshots":[]}')
    # It is a link to an object, which is not to be written through.
    (source.root / "index.html").unlink()
    (source.root / "index.html").write_bytes(b"of the next generation")
    status, output, _ = mirror.run()
    assert status == 1
    assert "left half published" in output
    assert tree(mirror.root) == before
    source.publish()
    assert mirror.run()[0] == 0
    assert tree(mirror.root) == tree(source.root)


def test_files_on_their_way_are_not_taken(source: Source, mirror: Mirror) -> None:
    """What publisher or rsync have not finished at the source stays there."""
    for name in (".statscache/unfinished/1234", "v1/.index.json.Xy12Zz", "v1/objects/ab/.abcd.json.Xy12Zz"):
        path = source.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    assert mirror.run()[0] == 0
    assert not [path for path in mirror.root.rglob("*") if path.is_file() and path.read_bytes() == b"half"]
    for name in ("v1/.index.json.Xy12Zz", "v1/objects/ab/.abcd.json.Xy12Zz"):
        (source.root / name).unlink()


def test_one_run_works_on_a_mirror_at_a_time(mirror: Mirror) -> None:
    """A second run ends at once and says why, and the first one goes on."""

    def run_another(step: int) -> bool:
        if step == 1:
            second = subprocess.run(mirror.command(), capture_output=True, text=True, check=False)
            assert second.returncode == 1
            assert "another run is working" in second.stderr
        return True

    assert mirror.run(run_another)[0] == 0


def test_what_is_no_published_tree_is_reported(mirror: Mirror, source: Source, tmp_path: Path) -> None:
    """A source without an index is an error that says so, and so is a source that cannot be read."""
    (tmp_path / "empty").mkdir()
    for place, problem in (
        (str(tmp_path / "empty"), "is it the root of a published tree"),
        (source.daemon.url("no"), "Unknown"),
    ):
        run = subprocess.run([SCRIPT, place, tmp_path / "other"], capture_output=True, text=True, check=False)
        assert run.returncode == 1
        assert problem in run.stderr
        assert not (tmp_path / "other" / layout.INDEX).exists()

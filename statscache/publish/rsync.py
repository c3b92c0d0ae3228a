"""The target `rsync`: a directory here, on a host behind ssh, or in a module of an rsync daemon.

Files are gathered in a directory of this machine, and each barrier transfers them in one run of the program `rsync`,
which sends only what differs: it compares digests, so that a change of neither size nor time is one. It puts each file
in its place by renaming. Both sides need rsync 3.2.4 or newer.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from statscache import layout
from statscache.exceptions import PublishError, Refused
from statscache.publish import precompressed
from statscache.publish.target import File, Target

_SEND = (
    "--checksum",
    # A readable path goes together with the object of the same bytes: the other side links it, and none are sent.
    "--hard-links",
    "--perms",
    # Without, what is linked to an older object there would have the older time of that object.
    "--times",
    "--omit-dir-times",
    "--chmod=D755,F644",
    "--fsync",
    "--mkpath",
    "--delete-missing-args",
    "--from0",
    "--files-from=-",
)

_OUTSIDE = (
    layout.INDEX,
    layout.PENDING,
    layout.CHANGES,
    *(f"{layout.INDEX}.{form}" for form in precompressed.FORMS),
)
"""The files that each publication reads first, in one run of rsync."""

HOST = re.compile(r"(?P<daemon>rsync://|(\[[^]]*\]|[^:/[])+::)|(\[[^]]*\]|[^:/[])+:")
"""The start of a destination on another host."""

_PARTIAL = 23
_NO_ROOT = re.compile(r"change_dir .* failed: No such file or directory")

_ADVICE = {
    1: "see that both sides have rsync 3.2.4 or newer, and that a module has `read only = no`",
    2: "update rsync on both sides: its security fixes of May 2026 refused deletions until a later fix",
    3: "see that the destination is a directory, and may be written",
    4: "see that both sides have rsync 3.2.4 or newer",
    5: "see that the module exists, and that `password_file` holds its password",
    10: "see that the daemon runs, and that host and port are right",
    11: "see that there is room on the disk, and that the destination may be written",
    12: "see that `rsh` logs in without a question, and that rsync is installed there and may write",
    23: "see that the destination may be written",
    30: "see that the host answers; `timeout` is how long it may be silent",
    35: "see that the host answers; `timeout` is how long it may be silent",
    255: "see that `rsh` logs in without a question",
}
"""The fix, by rsync's exit status."""

_HOPELESS = {1, 2, 3, 4, 5}
"""Exit statuses of errors that a retry cannot fix: options, paths, modules, passwords."""

_LONGEST_REASON = 500

_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_END = 3.0


class _Run(NamedTuple):
    """The result of a run of rsync: exit status, standard error in one line, and standard output."""

    status: int
    error: str
    output: str


class RsyncTarget(Target):
    """A directory that the program `rsync` reaches. Readable paths are hard links to objects.

    Directories that become empty are left: they are nothing to a web server.

    Args:
        name: As the configuration names it.
        destination: A local path, `host:path`, or `rsync://host/module/path`; the last directory is made where missing.
        rsh: The command that logs in to the host of `host:path`; it may ask no question.
        password_file: File with the password of the module, readable by its owner only.
        timeout: Seconds for which the other side may be silent.
        siblings: Compressed forms to lay beside each file.
    """

    links = True
    confirms = True

    def __init__(
        self,
        name: str,
        destination: str,
        *,
        rsh: str = "ssh -o BatchMode=yes",
        password_file: Path | None = None,
        timeout: int = 60,
        siblings: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.siblings = siblings
        self._destination = destination
        self._root = f"{destination.rstrip('/')}/"
        self._options = [f"--timeout={timeout}"]
        if host := HOST.match(destination):
            # With a remote shell, rsync would start a daemon through it instead of asking the one that runs.
            self._options += ["--compress", f"--contimeout={timeout}" if host["daemon"] else f"--rsh={rsh}"]
        if password_file is not None:
            self._options.append(f"--password-file={password_file}")
        self._staging: Path | None = None
        self._staged: set[str] = set()
        self._root_is_missing = False
        self._known: dict[str, bytes | None] = {}
        self._dates: dict[str, int] = {}

    def _read(self, path: str) -> bytes | None:
        if path not in _OUTSIDE:
            return self._read_back(path)
        if path not in self._known:
            self._known |= self._fetch([path] if self._known else _OUTSIDE)
        return self._known[path]

    def _read_back(self, path: str) -> bytes | None:
        return self._fetch([path])[path]

    def _fetch(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Return the bytes of files by path, None of those that are not there, in one run of rsync."""
        above = {f"--include=/{parent}/" for path in paths for parent in PurePosixPath(path).parents[:-1]}
        wanted = [*sorted(above, key=len), *(f"--include=/{path}" for path in paths)]
        with tempfile.TemporaryDirectory(prefix="statscache-rsync-") as directory:
            run = self._rsync("--recursive", *wanted, "--exclude=*", self._root, f"{directory}/")
            if run.status == _PARTIAL and _NO_ROOT.search(run.error):
                self._root_is_missing = True
                return dict.fromkeys(paths)
            self._check(run)
            files = {path: Path(directory) / path for path in paths}
            return {path: file.read_bytes() if file.is_file() else None for path, file in files.items()}

    def _holds(self, path: str, size: int) -> bool:
        """Return False: rsync compares anyway, and sends only missing files."""
        return False

    def _is_intact(self, file: File) -> bool:
        """Return False, for the same reason."""
        return False

    def _siblings_of(self, path: str) -> Sequence[str]:
        if path == layout.INDEX:
            return [form for form in precompressed.FORMS if self._read(f"{path}.{form}") is not None]
        above = [f"--include=/{parent}/" for parent in PurePosixPath(path).parents[:-1]]
        names = {f"{path}.{form}": form for form in precompressed.FORMS}
        found = self._list(*above, *(f"--include=/{name}" for name in names))
        return [names[name] for name in found]

    def _files(self, directories: Sequence[str]) -> Iterator[str]:
        yield from self._list("--exclude=.*", *(f"--include=/{directory}/***" for directory in directories))

    def _write(self, files: Sequence[File]) -> None:
        for file in files:
            path = self._stage(file.path)
            # It may be a link to an object, which is not to be written through.
            path.unlink(missing_ok=True)
            if file.object is None:
                path.write_bytes(file.data)
                continue
            source = self._stage(file.object)
            if not source.exists():
                source.write_bytes(file.data)
            os.link(source, path)

    def _delete(self, paths: Sequence[str]) -> None:
        # What is listed and not in the staging directory is what rsync deletes.
        for path in paths:
            self._stage(path).unlink(missing_ok=True)

    def _barrier(self) -> None:
        if self._staging is None:
            return
        listed = sorted(self._staged)
        if self._root_is_missing:
            # It would get the permissions that the other side's mask leaves.
            listed.insert(0, ".")
        self._date()
        # A barrier that failed can be tried again: until then, all stays where it is.
        self._check(self._rsync(*_SEND, f"{self._staging}/", self._root, listed=listed))
        self._root_is_missing = False
        self._unstage()
        for path in listed:
            self._known.pop(path, None)

    def close(self) -> None:
        """Forget files that were gathered and not transferred, and files that were read."""
        self._unstage()
        self._known.clear()

    def _unstage(self) -> None:
        if self._staging is not None:
            shutil.rmtree(self._staging)
            self._staging = None
        self._staged.clear()

    def _date(self) -> None:
        """Give a file that was transferred within this second a later date, in whole seconds as HTTP has them.

        Readers who compare dates would keep the bytes that it replaces; see `statscache.publish.atomic`.
        """
        assert self._staging is not None
        second = int(time.time())
        self._dates = {name: date for name, date in self._dates.items() if date >= second}
        written = [
            name for name in self._staged if not name.startswith(layout.OBJECTS) and (self._staging / name).exists()
        ]
        for name in written:
            path = self._staging / name
            if name in self._dates:
                # Other names of the same file have the same date, and none goes back.
                date = max(int(path.stat().st_mtime), self._dates[name] + 1)
                os.utime(path, (date, date))
        self._dates |= {name: int((self._staging / name).stat().st_mtime) for name in written}

    def _stage(self, name: str) -> Path:
        """Return the place of a file in the staging directory, and mark it for transfer."""
        if self._staging is None:
            self._staging = Path(tempfile.mkdtemp(prefix="statscache-rsync-"))
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._staged.add(name)
        return path

    def _list(self, *rules: str) -> list[str]:
        """Return the paths of the files that the rules include: those that a transfer to an empty place sends."""
        with tempfile.TemporaryDirectory(prefix="statscache-rsync-") as directory:
            listing = "--dry-run", "--out-format=%n", "--8-bit-output"
            run = self._rsync("--recursive", *listing, *rules, "--exclude=*", self._root, f"{directory}/")
        if run.status == _PARTIAL and _NO_ROOT.search(run.error):
            return []
        self._check(run)
        # rsync writes control characters as numbers, but no other character at which `splitlines` would split.
        return [path for path in run.output.split("\n") if path and not path.endswith("/")]

    def _rsync(self, *arguments: str, listed: Sequence[str] = ()) -> _Run:
        if shutil.which("rsync") is None:
            raise Refused("the program rsync is not there; install the package rsync, here and at the destination")
        self.requests += 1
        # Not pipes: a master connection that ssh leaves behind would hold them open, and we would wait for their end.
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as error, tempfile.TemporaryFile() as output:
            asked.write("\0".join(listed).encode())
            asked.seek(0)
            process = subprocess.Popen(
                [*_bound(), "rsync", *self._options, *arguments],
                stdin=asked,
                stdout=output,
                stderr=error,
                env={**os.environ, "LC_ALL": "C"},
                # Without a terminal, ssh asks no question.
                start_new_session=True,
            )
            status = self._await(process)
            error.seek(0)
            lines = error.read().decode(errors="replace").splitlines()
            output.seek(0)
            paths = output.read().decode(errors="surrogateescape")
        return _Run(status, "; ".join(line.strip() for line in lines if line.strip()), paths)

    def _await(self, process: "subprocess.Popen[bytes]") -> int:
        """Return the exit status of a run, which ends early, and removes unfinished files."""
        try:
            while True:
                try:
                    return process.wait(_SECONDS_BETWEEN_LOOKS)
                except subprocess.TimeoutExpired:
                    self.halt.check()
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    process.wait(_SECONDS_TO_END)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _check(self, run: _Run) -> None:
        if run.status == 0:
            return
        # The command line is not shown: `rsh` may hold a secret.
        reason = run.error[:_LONGEST_REASON] or "no reason given"
        advice = _ADVICE.get(run.status, "see rsync's manual")
        kind = Refused if run.status in _HOPELESS else PublishError
        raise kind(f"rsync with {self._destination} ended with {run.status}: {reason}; {advice}")


def _bound() -> list[str]:
    """Return a command prefix that ends a program with us: an rsync that outlives its publisher races the next one."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []

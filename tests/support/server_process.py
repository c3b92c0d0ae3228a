"""How tests start a server of their own, wait until it answers, and end it."""

import contextlib
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self


class ServerProcess:
    """A server in a process of its own; a context.

    A subclass gives `command` and `answers`.

    Attributes:
        patience: Seconds that it may take to start, or to end.
        ending: The signal that ends it.
        directory: Where its files are, and what it says (`output`).
    """

    patience = 60.0
    ending = signal.SIGTERM
    directory: Path
    _process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make what the server starts from."""

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Return further arguments of `Popen`: environment, user."""
        return {}

    def answers(self) -> bool:
        """Return whether it answers."""
        raise NotImplementedError

    def clean(self) -> None:
        """Remove what it leaves."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.clean()

    def start(self) -> None:
        """Start the server, again if it was stopped, and return when it answers."""
        log = self.directory / "output"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                # A Ctrl-C at the terminal is for pytest, which still needs the server to clean up.
                start_new_session=True,
                **self.options(),
            )
        deadline = time.monotonic() + self.patience
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{type(self).__name__} did not start:\n{text[-4000:]}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals | None = None) -> None:
        """End the server, if it runs: by the signal, else in its own way."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number or self.ending)
        try:
            self._process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

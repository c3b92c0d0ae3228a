"""Servers that files are published through, for the tests: sshd, an rsync daemon, nginx; each on a port of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from loopback import free_ports

PATIENCE = 30.0  # seconds that a server may take to start or to stop


class Server:
    """A server process on the loopback, whose files are in a directory of its own.

    Attributes:
        directory: Where its files are; whoever serves may read it, whoever started the tests.
        port: Its port.
    """

    program = ""
    package = ""

    def __enter__(self) -> Self:
        # Not pytest's tmp_path, which only its owner can enter: nginx serves as another user.
        self.directory = Path(tempfile.mkdtemp(prefix=f"statscache-{self.program}-"))
        self.directory.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @classmethod
    def path(cls) -> str | None:
        """Return where the program is installed; None where it is not."""
        return shutil.which(cls.program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")

    def prepare(self) -> None:
        """Write the files that the server starts from."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return the arguments of the program, which stays in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server, again if it was stopped, and return when it answers."""
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [str(self.path()), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                # A Ctrl-C at the terminal is for pytest, which still needs the server to clean up.
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    text = (self.directory / "output").read_text(errors="replace")
                    raise RuntimeError(f"{self.program} did not start:\n{text}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class Sshd(Server):
    """An OpenSSH server with a host key of its own, which lets in the user who runs the tests with a key of its own."""

    program = "sshd"
    package = "openssh-server"

    @property
    def rsh(self) -> str:
        """The command that logs in."""
        options = {
            "IdentityFile": self.directory / "user-key",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.directory / "known-hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "Port": self.port,
        }
        # No file of the user's is read.
        return "ssh -F none " + " ".join(f"-o {name}={value}" for name, value in options.items())

    def restrict(self, command: str) -> None:
        """Let the key run this command only, from the next login on; an empty one lifts that."""
        key = (self.directory / "user-key.pub").read_text()
        (self.directory / "authorized-keys").write_text(f'restrict,command="{command}" {key}' if command else key)

    def destination(self, path: Path) -> str:
        """Return how the target addresses a directory on this host."""
        return f"{getpass.getuser()}@127.0.0.1:{path}"

    def prepare(self) -> None:
        """Make the keys, and tell each side the other's."""
        for name in ("host-key", "user-key"):
            key = self.directory / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.restrict("")
        host_key = (self.directory / "host-key.pub").read_text()
        (self.directory / "known-hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        if os.geteuid() == 0:
            # As root, sshd wants an empty directory to lock its unprivileged half in; Debian makes it at boot.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def command(self) -> list[str]:
        """Return the arguments of sshd."""
        options = {
            "ListenAddress": "127.0.0.1",
            "Port": self.port,
            "HostKey": self.directory / "host-key",
            "AuthorizedKeysFile": self.directory / "authorized-keys",
            "PidFile": "none",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            # The keys lie below a directory that everyone may write to.
            "StrictModes": "no",
        }
        settings = [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]
        return ["-D", "-e", "-f", "/dev/null", *settings]


class RsyncDaemon(Server):
    """An rsync daemon with three modules: `open`, `locked` (by a password), and `source`, to be read only.

    Attributes:
        password: That of the user `publisher` of the module `locked`.
    """

    program = "rsync"
    package = "rsync"
    password = "correct horse battery staple"

    def url(self, module: str, user: str = "") -> str:
        """Return how the target addresses a module."""
        return f"rsync://{user}{'@' if user else ''}127.0.0.1:{self.port}/{module}"

    def module(self, name: str) -> Path:
        """Return the directory of a module."""
        return self.directory / name

    def arrived(self) -> list[str]:
        """Return the paths, from the module on, of the files whose bytes have arrived so far, in order."""
        lines = (self.directory / "log").read_text().splitlines()
        # What is linked or only looked at has another sign than `>`.
        return [line.partition(" recv >f")[2].split(" ", 1)[1] for line in lines if " recv >f" in line]

    def prepare(self) -> None:
        """Write the configuration and the secrets."""
        secrets = self.directory / "secrets"
        secrets.write_text(f"publisher:{self.password}\n")
        secrets.chmod(0o600)
        for module in ("open", "locked", "source"):
            self.module(module).mkdir()
        user = f"uid = {os.geteuid()}\ngid = {os.getegid()}\n" if os.geteuid() == 0 else ""
        (self.directory / "configuration").write_text(
            f"port = {self.port}\naddress = 127.0.0.1\nuse chroot = no\n{user}"
            f"log file = {self.directory}/log\n"
            "transfer logging = yes\nlog format = %o %i %f\n"
            f"[open]\npath = {self.module('open')}\nread only = no\n"
            f"[locked]\npath = {self.module('locked')}\nread only = no\n"
            f"auth users = publisher\nsecrets file = {secrets}\n"
            f"[source]\npath = {self.module('source')}\n"
        )

    def command(self) -> list[str]:
        """Return the arguments of rsync."""
        return ["--daemon", "--no-detach", f"--config={self.directory}/configuration"]


class Nginx(Server):
    """Nginx with the configuration that the documentation gives, and a root.

    Args:
        configuration: What is in the documentation's block `server`.
    """

    program = "nginx"
    package = "nginx"

    def __init__(self, configuration: Path) -> None:
        self._configuration = configuration

    @property
    def root(self) -> Path:
        """The directory that is served."""
        return self.directory / "site"

    def prepare(self) -> None:
        """Write what is around the block `server`."""
        # As root, it serves as somebody else: what is published must be readable to others.
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        places = " ".join(
            f"{name}_temp_path {self.directory}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.directory / "nginx.conf").write_text(
            f"{user} pid {self.directory}/pid; daemon off; worker_processes 1; events {{}}\n"
            f"http {{ {places} access_log off;\n"
            f"server {{ listen 127.0.0.1:{self.port}; root {self.root}; include {self._configuration}; }} }}\n"
        )

    def command(self) -> list[str]:
        """Return the arguments of nginx."""
        return ["-e", f"{self.directory}/error.log", "-c", f"{self.directory}/nginx.conf"]

"""Servers that files are published through, for the tests: sshd, an rsync daemon, nginx; each on a port of its own."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from loopback import free_ports
from server_process import ServerProcess


class Server(ServerProcess):
    """A server process on the loopback, whose files are in a directory of its own.

    Attributes:
        directory: Where its files are; whoever serves may read it, whoever started the tests.
        port: Its port.
    """

    program = ""
    package = ""

    patience = 30.0

    def prepare(self) -> None:
        """Write the files that the server starts from."""
        # Not pytest's tmp_path, which only its owner can enter: nginx serves as another user.
        self.directory = Path(tempfile.mkdtemp(prefix=f"statscache-{self.program}-"))
        self.directory.chmod(0o755)
        (self.port,) = free_ports(1)

    @classmethod
    def path(cls) -> str | None:
        """Return where the program is installed; None where it is not."""
        return shutil.which(cls.program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""
        return [str(self.path()), *self.arguments()]

    def arguments(self) -> list[str]:
        """Return the arguments of the program, with which it stays in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


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
            # One login for all that a module of tests does: two key exchanges took longer than what they were for.
            "ControlMaster": "auto",
            "ControlPath": self.directory / "login",
            "ControlPersist": "yes",
        }
        # No file of the user's is read.
        return "ssh -F none " + " ".join(f"-o {name}={value}" for name, value in options.items())

    def restrict(self, command: str) -> None:
        """Let the key run this command only; an empty one lifts that."""
        self._log_out()
        key = (self.directory / "user-key.pub").read_text()
        (self.directory / "authorized-keys").write_text(f'restrict,command="{command}" {key}' if command else key)

    def stop(self, number: signal.Signals | None = None) -> None:
        """End the login and the server."""
        self._log_out()
        super().stop(number)

    def _log_out(self) -> None:
        if (self.directory / "login").exists():
            subprocess.run([*self.rsh.split(), "-O", "exit", "127.0.0.1"], check=True, capture_output=True)

    def destination(self, path: Path) -> str:
        """Return how the target addresses a directory on this host."""
        return f"{getpass.getuser()}@127.0.0.1:{path}"

    def prepare(self) -> None:
        """Make the keys, and tell each side the other's."""
        super().prepare()
        for name in ("host-key", "user-key"):
            key = self.directory / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.restrict("")
        host_key = (self.directory / "host-key.pub").read_text()
        (self.directory / "known-hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        if os.geteuid() == 0:
            # As root, sshd wants an empty directory to lock its unprivileged half in; Debian makes it at boot.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def arguments(self) -> list[str]:
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
        super().prepare()
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

    def arguments(self) -> list[str]:
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
        super().prepare()
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

    def arguments(self) -> list[str]:
        """Return the arguments of nginx."""
        return ["-e", f"{self.directory}/error.log", "-c", f"{self.directory}/nginx.conf"]

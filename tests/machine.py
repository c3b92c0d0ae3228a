"""A Debian machine for the tests of the deployment: its own files and processes, systemd first, reached by ssh.

It is made by debootstrap and lives in namespaces of this machine, whose network it shares.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from loopback import free_ports

PACKAGES = (
    "ca-certificates",
    "nginx",
    "openssh-server",
    "postgresql",
    "python3",
    "python3-apt",
    "python3-venv",
    "rsync",
    "sudo",
    "systemd",
    "systemd-sysv",
)
PATIENCE = 60.0  # seconds that it may take to boot

_BOOT = """
set -e
mount --make-rprivate /
# A root that is no mount of its own would keep systemd from making namespaces for its services.
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t cgroup2 cgroup2 sys/fs/cgroup
pivot_root . mnt
export container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec chroot . sh -c 'umount -l /mnt; exec /lib/systemd/systemd'
"""


def missing() -> list[str]:
    """Return what this machine lacks to make another one; nothing if it can."""
    lacking = [name for name in ("debootstrap", "unshare", "ssh", "ssh-keygen") if shutil.which(name) is None]
    return lacking + ([] if os.geteuid() == 0 else ["root's rights"])


class Machine:
    """A Debian machine.

    Args:
        directory: Where its files go.

    Attributes:
        root: Its root directory, as this machine sees it.
        port: Where its ssh daemon listens on the loopback.
        key: The private key that opens it.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.key = directory / "key"
        (self.port,) = free_ports(1)

    def __enter__(self) -> Self:
        included = f"--include={','.join(PACKAGES)}"
        _run(["debootstrap", "--variant=minbase", included, _suite(), str(self.root)])
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)])
        keys = self.root / "root/.ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(f"{self.key}.pub", keys / "authorized_keys")
        (self.root / "etc/ssh/sshd_config.d/port.conf").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\n", encoding="ascii"
        )
        # The network is this machine's, and so are its names.
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        # Of another machine's terminals, none is ours to take.
        for unit in ("getty.target", "console-getty.service", "getty-static.service", "systemd-networkd.service"):
            masked = self.root / "etc/systemd/system" / unit
            masked.unlink(missing_ok=True)
            masked.symlink_to("/dev/null")
        self.boot()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.power_off()
        shutil.rmtree(self.root, ignore_errors=True)

    def boot(self) -> None:
        """Start it, and return when its ssh daemon answers."""
        apart = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork")
        self._process = subprocess.Popen(
            ["env", "-i", "unshare", *apart, "sh", "-c", _BOOT, "sh", str(self.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                raise RuntimeError("the machine went off while it booted")
            time.sleep(0.2)
        raise RuntimeError(f"the machine has no ssh daemon after {PATIENCE} s")

    def power_off(self) -> None:
        """End its first process, and with it all others."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in children.read_text(encoding="ascii").split() if children.exists() else []:
            os.kill(int(pid), signal.SIGKILL)
        self._process.wait()

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there, as root, by ssh."""
        return subprocess.run(
            ["ssh", *self.ssh_options(), "-p", str(self.port), "root@127.0.0.1", *command],
            capture_output=True,
            text=True,
            check=check,
            timeout=300,
        )

    def ssh_options(self) -> list[str]:
        """Return what ssh has to be told: the host's key is new, and nobody else's business."""
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        return ["-i", str(self.key), *(part for option in options for part in ("-o", option))]


def _suite() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line).get("VERSION_CODENAME", "bookworm")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)

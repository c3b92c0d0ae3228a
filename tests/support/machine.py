"""A Debian machine for the tests of the deployment: its own files and processes, systemd first, reached by ssh.

It is made by debootstrap and lives in namespaces of this machine, whose network it shares. Its files are in memory.
So all of it is gone when its first process is, which the kernel ends with whoever started it.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from loopback import free_ports

# What an installed Debian has, and a minimal one lacks.
PACKAGES = "ca-certificates,dbus,openssh-server,python3,python3-apt,systemd,systemd-sysv"
PROGRAMS = ("debootstrap", "setpriv", "unshare", "ssh", "ssh-keygen")
PATIENCE = 900.0  # seconds for what takes a minute on a machine that has nothing else to do

_MAKE = """
set -e
root=$1 seed=$2 suite=$3 packages=$4
mount -t tmpfs -o mode=755 tmpfs "$root"
debootstrap --variant=minbase --include="$packages" "$suite" "$root"
cp -a "$seed/." "$root"
# Of the other machine's terminals and networks, none is its own to take.
for unit in getty.target console-getty.service getty-static.service systemd-networkd.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t cgroup2 cgroup2 sys/fs/cgroup
pivot_root . mnt
export container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec chroot . sh -c 'umount -l /mnt; exec /lib/systemd/systemd' >/dev/null 2>&1
"""


def missing() -> list[str]:
    """Return what this machine lacks to make another one; nothing if it can."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return lacking + ([] if os.geteuid() == 0 else ["root's rights"])


class Machine:
    """A Debian machine, off at first.

    Args:
        directory: Where what it starts from goes, and what was said while it was made.

    Attributes:
        seed: What is laid over its files before it boots.
        port: Where its ssh daemon listens on the loopback.
        key: The private key that opens it.
    """

    def __init__(self, directory: Path) -> None:
        self.key = directory / "key"
        self.seed = directory / "seed"
        self._root = directory / "root"
        self._log = directory / "log"
        (self.port,) = free_ports(1)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self._root.mkdir()
        (self.seed / "root/.ssh").mkdir(mode=0o700, parents=True)
        shutil.copy(f"{self.key}.pub", self.seed / "root/.ssh/authorized_keys")
        daemon = self.seed / "etc/ssh/sshd_config.d/port.conf"
        daemon.parent.mkdir(parents=True)
        daemon.write_text(f"Port {self.port}\nListenAddress 127.0.0.1\n", encoding="ascii")
        # The network is this machine's, and so are its names.
        shutil.copy("/etc/resolv.conf", self.seed / "etc/resolv.conf")

    def __enter__(self) -> Self:
        apart = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--mount-proc", "--fork", "--kill-child")
        made_of = (self._root, self.seed, _suite(), PACKAGES)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *apart, "sh", "-c", _MAKE, "sh", *made_of],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._await_boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the shell there, as root, by ssh."""
        return subprocess.run(
            ["ssh", "-i", self.key, *self.ssh_options(), "-p", str(self.port), "root@127.0.0.1", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=check,
        )

    def ssh_options(self) -> list[str]:
        """Return the options of ssh: the host's key is new, and is not remembered."""
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        return [part for option in options for part in ("-o", option)]

    def _await_boot(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.run("true", check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                output = self._log.read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"the machine did not boot:\n{output[-2000:]}")
            time.sleep(0.5)


def _suite() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line).get("VERSION_CODENAME", "bookworm")

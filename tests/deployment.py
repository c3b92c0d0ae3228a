"""The roles and playbooks of ansible/, applied to a Debian machine that the tests make for themselves.

It takes minutes and root's rights, so it is a target of its own: `make deployment`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import pytest

from loopback import free_ports
from machine import Machine, missing
from samples import NOON, line
from statscache import __version__

ROOT = Path(__file__).resolve().parent.parent
ANSIBLE = ROOT / "ansible"
BIN = Path(sys.executable).parent
NEXT, BROKEN = "9.8.0", "9.9.0"
MESSAGES = 500

pytestmark = pytest.mark.slow


class Play(NamedTuple):
    """What a playbook came to: its exit status, what it says, and how many tasks changed something."""

    status: int
    output: str
    changed: int


class Controller:
    """Where ansible runs, with one machine in its inventory.

    Args:
        machine: The machine.
        directory: For inventory and wheels.
    """

    def __init__(self, machine: Machine, directory: Path) -> None:
        self.machine = machine
        self.wheels = directory / "wheels"
        (self.web_port,) = free_ports(1)
        self._inventory = directory / "inventory.yml"

    def play(self, playbook: str, *arguments: str, release: str = __version__, **variables: Any) -> Play:
        """Run a playbook on the machine."""
        connection = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.machine.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.machine.key),
            "ansible_ssh_common_args": " ".join(self.machine.ssh_options()[2:]),
        }
        settings = {
            "statscache_release": release,
            "statscache_package": str(self.wheels / f"statscache-{release}-py3-none-any.whl"),
            # The wheels are on the machine already: whether an index can be reached is not what is tested.
            "statscache_pip_arguments": "--no-index --find-links /srv/wheels",
            "statscache_config": {
                "sources": {"fedmsg": {"endpoints": ["tcp://127.0.0.1:9"]}},
                "publish": {
                    "interval": 2,
                    "title": 'Quotes " and\\backslashes, ünïcödé',
                    "targets": [{"name": "web", "type": "directory", "path": "/srv/statscache", "precompress": ["gz"]}],
                    "retention": {"snapshots": 50},
                },
            },
            "statscache_environment": {"STATSCACHE_PUBLISH__RETENTION__DAYS": "3"},
            "web_listen": [f"127.0.0.1:{self.web_port}"],
            **variables,
        }
        hosts = {"machine": connection}
        groups = {"statscache": {"hosts": hosts}, "web": {"hosts": hosts}}
        self._inventory.write_text(json.dumps({"all": {"vars": settings, "children": groups}}), encoding="utf-8")
        done = subprocess.run(
            [BIN / "ansible-playbook", "--inventory", self._inventory, playbook, *arguments],
            cwd=ANSIBLE,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(self._inventory.parent), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        recap = re.search(r"^machine .*changed=(\d+)", done.stdout, re.MULTILINE)
        return Play(done.returncode, done.stdout + done.stderr, int(recap[1]) if recap else -1)

    def status(self) -> Any:
        """Return what the installed service says of itself."""
        command = "STATSCACHE_CONFIG=/etc/statscache/statscache.toml statscache status --json"
        return json.loads(self.machine.run(f"runuser -u statscache -- env {command}", check=False).stdout)

    def get(self, path: str) -> tuple[int, Any, bytes]:
        """Return status, headers and body of a published path, as nginx on the machine answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/{path}", timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            return error.code, error.headers, error.read()


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A new Debian machine, with wheels of two releases that work and of one that does not."""
    if lacking := missing():
        pytest.skip(f"no Debian machine can be made here for want of {', '.join(lacking)}")
    directory = tmp_path_factory.mktemp("deployment")
    with Machine(directory) as machine:
        controller = Controller(machine, directory)
        _wheel(f"{ROOT}[postgresql,brotli]", controller.wheels)
        for release in (NEXT, BROKEN):
            source = directory / release
            shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "public", "*.egg-info"))
            init = source / "statscache/__init__.py"
            init.write_text(init.read_text("utf-8").replace(f'"{__version__}"', f'"{release}"'), encoding="utf-8")
            if release == BROKEN:
                (source / "statscache/render/render.py").write_text("raise ImportError('made so')\n", encoding="ascii")
            _wheel(str(source), controller.wheels, "--no-deps")
        shutil.copytree(controller.wheels, machine.root / "srv/wheels")
        yield controller


@pytest.fixture(scope="module")
def deployed(controller: Controller) -> Controller:
    """The machine after the first deployment, with some history."""
    play = controller.play("deploy.yml")
    assert play.status == 0, play.output
    archive = controller.wheels.parent / "history.ndjson"
    archive.write_bytes(b"\n".join(line(f"m{number}", NOON + number) for number in range(MESSAGES)))
    play = controller.play("backfill.yml", "--extra-vars", json.dumps({"backfill_files": [str(archive)]}))
    assert play.status == 0, play.output
    assert f"{MESSAGES} accepted" in play.output
    return controller


def test_dry_run_on_a_blank_machine_changes_nothing(controller: Controller) -> None:
    """`--check` goes through on a machine that has nothing yet, and leaves it so."""
    play = controller.play("deploy.yml", "--check", "--diff")
    assert play.status == 0, play.output
    assert not (controller.machine.root / "opt/statscache").exists()
    assert not (controller.machine.root / "etc/statscache").exists()


def test_second_run_changes_nothing(deployed: Controller) -> None:
    """What is as it should be stays: not one task reports a change."""
    play = deployed.play("deploy.yml")
    assert play.status == 0, play.output
    assert play.changed == 0, play.output
    play = deployed.play("deploy.yml", "--check")
    assert (play.status, play.changed) == (0, 0), play.output


def test_service_is_told_by_systemd_to_be_ready(deployed: Controller) -> None:
    """The service has said that it is ready, and runs as its own account."""
    run = deployed.machine.run
    assert run("systemctl", "is-active", "statscache").stdout.strip() == "active"
    main = run("systemctl show --property=MainPID --value statscache").stdout.strip()
    assert run(f"ps -o user= -p {main}").stdout.strip().startswith("statsc")


def test_units_are_sound_and_tight(deployed: Controller) -> None:
    """Systemd finds no fault with the unit, and few doors open."""
    run = deployed.machine.run
    verified = run("systemd-analyze verify /etc/systemd/system/statscache.service", check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    security = run("systemd-analyze security --no-pager statscache.service", check=False).stdout
    exposure = re.search(r"Overall exposure level for statscache.service: ([0-9.]+)", security)
    assert exposure is not None, security
    assert float(exposure[1]) < 3, security


def test_site_is_served(deployed: Controller) -> None:
    """Nginx answers with the site: two caching rules, CORS, compressed siblings, and 404 where there is nothing."""
    status, headers, body = deployed.get("v1/index.json")
    assert status == 200
    assert headers["Cache-Control"] == "public, max-age=60"
    assert headers["Access-Control-Allow-Origin"] == "*"
    index = json.loads(body)
    objects = index["plugins"][0]["documents"][0]["object"]
    status, headers, _ = deployed.get(f"v1/objects/{objects[:2]}/{objects}")
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert deployed.get("")[0] == 200
    assert "Quotes" in deployed.get("")[2].decode()
    assert deployed.get("v1/nothing.json")[0] == 404


def test_secrets_are_readable_to_the_service_alone(deployed: Controller) -> None:
    """Neither the configuration nor the environment can be read by others."""
    for name in ("statscache.toml", "environment"):
        found = (deployed.machine.root / "etc/statscache" / name).stat()
        assert found.st_mode & 0o7777 == 0o640
        assert found.st_uid == 0


def test_failing_upgrade_goes_back_and_the_next_keeps_all(deployed: Controller) -> None:
    """A release that cannot publish is taken away again; one that can takes over all data."""
    before = deployed.status()["journal"]["messages"]
    play = deployed.play("upgrade.yml", release=BROKEN)
    assert play.status != 0
    assert f"Release {BROKEN} does not work here" in play.output
    assert deployed.machine.run("statscache --version").stdout.split()[-1] == __version__
    assert deployed.machine.run("systemctl is-active statscache").stdout.strip() == "active"
    assert deployed.status()["journal"]["messages"] == before == MESSAGES

    play = deployed.play("upgrade.yml", release=NEXT)
    assert play.status == 0, play.output
    assert deployed.machine.run("statscache --version").stdout.split()[-1] == NEXT
    assert deployed.status()["journal"]["messages"] == MESSAGES
    assert deployed.play("deploy.yml", release=NEXT).changed == 0


def test_snapshot_is_rolled_back_and_resumed(deployed: Controller) -> None:
    """The playbook makes an older snapshot current on the site, and lets publishing go on."""
    newest = json.loads(deployed.get("v1/index.json")[2])
    play = deployed.play("rollback.yml", "--extra-vars", f"rollback_snapshot={newest['parent']}")
    assert play.status == 0, play.output
    assert json.loads(deployed.get("v1/index.json")[2])["snapshot"] == newest["parent"]
    play = deployed.play("rollback.yml", "--extra-vars", "rollback_resume=true")
    assert play.status == 0, play.output
    assert json.loads(deployed.get("v1/index.json")[2])["snapshot"] == newest["snapshot"]


def _wheel(source: str, directory: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--use-pep517", "--wheel-dir", directory, *arguments]
    subprocess.run([*map(str, command), source], check=True, capture_output=True, text=True)

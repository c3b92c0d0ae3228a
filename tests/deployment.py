"""The roles and playbooks of ansible/, applied to a Debian machine that the tests make for themselves.

It takes minutes and root's rights, so it is a target of its own: `make deployment`. The tests are steps of one story.
What hangs is ended by pytest: a command that is starved, on a busy machine, is not one that fails.
"""

import hashlib
import html
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import orjson
import pytest

from broker import RabbitMQ
from loopback import free_ports
from machine import PATIENCE, Machine, missing
from s3_servers import KEY_ID, Moto
from samples import NOON, line
from statscache import __version__
from statscache.store.revision import REVISION

ROOT = Path(__file__).resolve().parent.parent
ANSIBLE = ROOT / "ansible"
BIN = Path(sys.executable).parent
NEXT, BROKEN = "9.8.0", "9.9.0"
MESSAGES = 500
SECRET = "s\"e'c\\r$e tü@:%"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


class Play(NamedTuple):
    """What a playbook came to: its exit status, what it says, and how many tasks changed something."""

    status: int
    output: str
    changed: int


class Controller:
    """Where ansible runs, with one machine in its inventory.

    Args:
        machine: The machine.
        directory: For inventory, vault and wheels.
        broker: The bus.

    Attributes:
        broker: The bus.
        groups: Groups of the inventory that the machine is in.
        variables: Variables of the inventory.
    """

    def __init__(self, machine: Machine, directory: Path, broker: RabbitMQ) -> None:
        self.machine = machine
        self.broker = broker
        self._directory = directory
        self.web_port, self.rsync_port = free_ports(2)
        self._vault = (f"--extra-vars=@{directory}/vault.yml", f"--vault-password-file={directory}/password")
        (directory / "password").write_text("of the vault\n", encoding="ascii")
        (directory / "vault.yml").write_text(json.dumps({"vault_password": SECRET}), encoding="utf-8")
        encrypted = (BIN / "ansible-vault", "encrypt", self._vault[1], directory / "vault.yml")
        subprocess.run(encrypted, check=True, capture_output=True, env=self._environment())
        self.groups = ["statscache", "web"]
        self.variables: dict[str, Any] = {
            # The wheels are on the machine already: whether an index can be reached is not what is tested.
            "statscache_pip_arguments": "--no-index --find-links /srv/wheels",
            "statscache_requirements": str(directory / "requirements.txt"),
            "statscache_amqp_url": broker.url,
            "statscache_config": {
                "publish": {
                    "interval": 10,
                    "title": 'Quotes " and\\backslashes, ünïcödé',
                    "targets": [{"name": "web", "type": "directory", "path": "/srv/statscache", "precompress": ["gz"]}],
                },
            },
            "statscache_environment": {"AWS_SECRET_ACCESS_KEY": "{{ vault_password }}"},
            "web_listen": [f"127.0.0.1:{self.web_port}"],
        }

    def play(self, playbook: str, *arguments: str, release: str = __version__, **extra: Any) -> Play:
        """Run a playbook on the machine."""
        connection = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.machine.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.machine.key),
            "ansible_ssh_common_args": " ".join(self.machine.ssh_options()),
        }
        released = {"statscache_release": release, "statscache_package": str(_wheel(self._directory, release))}
        inventory = {
            "all": {
                "hosts": {"machine": connection},
                "vars": self.variables | released,
                "children": {group: {"hosts": {"machine": {}}} for group in self.groups},
            }
        }
        (self._directory / "inventory.yml").write_text(json.dumps(inventory), encoding="utf-8")
        done = subprocess.run(
            [
                BIN / "ansible-playbook",
                f"--inventory={self._directory}/inventory.yml",
                *self._vault,
                f"--extra-vars={json.dumps(extra)}",
                playbook,
                *arguments,
            ],
            cwd=ANSIBLE,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        recap = re.search(r"^machine .*changed=(\d+)", done.stdout, re.MULTILINE)
        return Play(done.returncode, done.stdout + done.stderr, int(recap[1]) if recap else -1)

    def status(self) -> Any:
        """Return what the installed service says of itself."""
        return json.loads(self.statscache("status --json"))

    def statscache(self, command: str) -> str:
        """Run a command of the installed release as the service would."""
        secrets = "--property=EnvironmentFile=/etc/statscache/environment"
        as_service = f"systemd-run -qPG --wait --uid=statscache {secrets} --working-directory=/var/lib/statscache"
        return self.machine.run(f"{as_service} /usr/local/bin/statscache {command}", check=False).stdout

    def get(self, path: str) -> tuple[int, Any, bytes]:
        """Return status, headers and body of a published path, as nginx on the machine answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            return error.code, error.headers, error.read()

    def index(self) -> Any:
        """Return the index that nginx serves."""
        return json.loads(self.get("v1/index.json")[2])

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(self._directory), "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A new Debian machine, with wheels of two releases that work and of one that does not."""
    if lacking := missing():
        pytest.skip(f"no Debian machine can be made here without {', '.join(lacking)}")
    directory = tmp_path_factory.mktemp("deployment")
    _build(f"{ROOT}[amqp,postgresql,brotli]", directory)
    _lock(directory)
    for release in (NEXT, BROKEN):
        source = directory / release
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "public", "*.egg-info"))
        _replace(source / "statscache/__init__.py", f'"{__version__}"', f'"{release}"')
        _add_migration(source, 1, 'op.create_table("of_next", sa.Column("id", sa.BigInteger(), primary_key=True))')
        if release == BROKEN:
            _add_migration(source, 2, 'op.drop_table("coverage")', 'op.execute("DELETE FROM segment")')
        _build(str(source), directory, "--no-deps")
    machine = Machine(directory)
    shutil.copytree(directory / "wheels", machine.seed / "srv/wheels")
    with RabbitMQ() as broker, machine:
        yield Controller(machine, directory, broker)


@pytest.fixture(scope="module")
def deployed(controller: Controller, tmp_path_factory: pytest.TempPathFactory) -> Controller:
    """The machine after the first deployment, with some history."""
    play = controller.play("deploy.yml")
    assert play.status == 0, play.output
    _backfill(controller, tmp_path_factory.mktemp("history") / "history.ndjson", 0)
    return controller


def test_dry_run_on_a_blank_machine_changes_nothing(controller: Controller) -> None:
    """`--check` goes through on a machine that has nothing yet, and leaves it so."""
    play = controller.play("deploy.yml", "--check", "--diff")
    assert play.status == 0, play.output
    left = controller.machine.run("ls -d /opt/statscache /etc/statscache /etc/nginx /etc/postgresql", check=False)
    assert left.stdout == ""
    play = controller.play("upgrade.yml", release=NEXT)
    assert "Run deploy.yml first" in play.output


def test_second_run_changes_nothing(deployed: Controller) -> None:
    """What is as it should be stays: not one task reports a change."""
    for arguments in ((), ("--check", "--diff")):
        play = deployed.play("deploy.yml", *arguments)
        assert (play.status, play.changed) == (0, 0), play.output


def test_service_has_its_limits(deployed: Controller) -> None:
    """The service has said that it is ready, is its own account's, and can neither gain rights nor write elsewhere."""
    run = deployed.machine.run
    main = _main_process(deployed, "statscache")
    assert run(f"stat --format=%U /proc/{main}").stdout.strip() == "statscache"
    state = dict(row.split(":\t", 1) for row in run(f"cat /proc/{main}/status").stdout.splitlines() if ":\t" in row)
    assert (state["NoNewPrivs"], state["Seccomp"], int(state["CapBnd"], 16)) == ("1", "2", 0)
    for path in ("/usr/x", "/etc/x", "/srv/x", "/var/x"):
        shown = run(f"nsenter --target {main} --mount touch {path}", check=False)
        assert "Read-only file system" in shown.stderr, path
    run(f"touch /tmp/of-others; nsenter --target {main} --mount sh -c '! test -e /tmp/of-others'")
    asked = "MemoryMax,CPUQuotaPerSecUSec,WatchdogUSec,Restart"
    limits = run(f"systemctl show --property={asked} statscache").stdout.split()
    assert set(limits) == {"MemoryMax=1073741824", "CPUQuotaPerSecUSec=2s", "WatchdogUSec=30min", "Restart=always"}


def test_the_bus_is_consumed(deployed: Controller) -> None:
    """The service has made its queue at the broker, and takes what comes: here a copy, which adds nothing."""
    known = deployed.status()["journal"]["known"]
    deployed.broker.publish([orjson.dumps({**orjson.loads(line("m0", NOON)), "headers": {}})])
    deadline = time.monotonic() + PATIENCE
    while (state := deployed.status())["journal"]["known"] != known + 1:
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    (consumer,) = state["consumers"]
    assert (consumer["name"], consumer["unconnected"]) == ("fedora-messaging", [])
    assert deployed.broker.length() == 0


def test_units_are_sound_and_tight(deployed: Controller) -> None:
    """Systemd finds no fault with the unit, and few doors open."""
    _verify_units(deployed, "statscache.service")
    security = deployed.machine.run("systemd-analyze security --no-pager statscache.service", check=False).stdout
    exposure = re.search(r"Overall exposure level for statscache.service: ([0-9.]+)", security)
    assert exposure is not None, security
    assert float(exposure[1]) < 2, security


def test_site_is_served(deployed: Controller) -> None:
    """Nginx answers with the site, by the configuration that tests/publish/test_nginx.py holds to the word."""
    status, headers, body = deployed.get("v1/index.json")
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=60")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "nginx"
    name = json.loads(body)["plugins"][0]["documents"][0]["object"]
    status, headers, _ = deployed.get(f"v1/objects/{name[:2]}/{name}")
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert 'Quotes " and\\backslashes, ünïcödé' in html.unescape(deployed.get("")[2].decode())
    compressed = deployed.machine.run(
        "python3 -c 'import urllib.request as r; print(r.urlopen(r.Request("
        f'"http://127.0.0.1:{deployed.web_port}/v1/index.json", headers={{"Accept-Encoding": "gzip"}}'
        ')).headers["Content-Encoding"])\''
    )
    assert compressed.stdout == "gzip\n"
    status, headers, body = deployed.get("v1/nothing.json")
    assert (status, headers["Content-Type"]) == (404, "application/json; charset=utf-8")
    assert json.loads(body)["status"] == 404


def test_requirements_are_those_of_the_lock_file(deployed: Controller) -> None:
    """What a locked version would not be is not installed: a digest that is another one stops the play."""
    lock = Path(deployed.variables["statscache_requirements"])
    sound = lock.read_text("ascii")
    frozen = deployed.machine.run(f"/opt/statscache/{__version__}/bin/pip freeze --all").stdout
    assert {_same_name(row.split()[0]) for row in sound.splitlines()} <= {*map(_same_name, frozen.splitlines())}
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", sound), encoding="ascii")
    play = deployed.play("upgrade.yml", release=NEXT)
    lock.write_text(sound, encoding="ascii")
    assert "DO NOT MATCH THE HASHES" in play.output
    assert deployed.statscache("--version").split()[-1] == __version__
    assert deployed.play("deploy.yml").status == 0


def test_site_is_served_by_tls(deployed: Controller) -> None:
    """With a certificate, nginx speaks TLS and says that it always will, on whatever it answers."""
    before = {name: deployed.variables[name] for name in deployed.variables if name.startswith("web_")}
    subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    key, certificate = "/etc/ssl/private/site.key", "/etc/ssl/certs/site.pem"
    deployed.machine.run(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} {subject}")
    deployed.variables |= {
        "web_listen": [f"127.0.0.1:{deployed.web_port} ssl"],
        "web_certificate": certificate,
        "web_certificate_key": key,
    }
    assert deployed.play("deploy.yml").status == 0
    trusted = ssl.create_default_context(cadata=deployed.machine.run(f"cat {certificate}").stdout)
    for path in ("v1/index.json", "index.html"):
        url = f"https://localhost:{deployed.web_port}/{path}"
        with urllib.request.urlopen(url, context=trusted, timeout=PATIENCE) as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for name in ("web_certificate", "web_certificate_key"):
        del deployed.variables[name]
    deployed.variables |= before
    assert deployed.play("deploy.yml").status == 0
    assert deployed.get("v1/index.json")[0] == 200


def test_secrets_are_known_to_the_service_alone(deployed: Controller) -> None:
    """The service gets what is in the vault, whatever its characters; no other account can read it."""
    run = deployed.machine.run
    process = _main_process(deployed, "statscache")
    variables = run(f"cat /proc/{process}/environ").stdout.split("\0")
    assert f"AWS_SECRET_ACCESS_KEY={SECRET}" in variables
    modes = run("stat --format='%U %G %a' /etc/statscache/statscache.toml /etc/statscache/environment").stdout
    assert modes == "root statscache 640\n" * 2


def test_release_is_not_changed_by_the_way(deployed: Controller) -> None:
    """`deploy.yml` refuses to put another release in place: that is for the playbook that can go back."""
    play = deployed.play("deploy.yml", release=NEXT)
    assert play.status != 0
    assert "Change it by upgrade.yml" in play.output


def test_failing_upgrade_goes_back_and_the_next_keeps_all(deployed: Controller) -> None:
    """What a broken release did to database and configuration is undone; a sound one takes over all data.

    The database is reached with a password, as one on another machine.
    """
    sql = f"ALTER ROLE statscache PASSWORD $secret${SECRET}$secret$"
    deployed.machine.run(f"cd / && runuser -u postgres -- psql -c {shlex.quote(sql)}")
    deployed.variables["statscache_environment"]["PGPASSWORD"] = "{{ vault_password }}"
    url = "postgresql+psycopg://statscache@127.0.0.1:5432/statscache"
    deployed.variables["statscache_config"]["database"] = {"url": url}
    assert deployed.play("deploy.yml").status == 0
    _goes_back_from(deployed, BROKEN, __version__)

    before = deployed.statscache("journal export")
    play = deployed.play("upgrade.yml", release=NEXT)
    assert play.status == 0, play.output
    assert deployed.statscache("--version").split()[-1] == NEXT
    assert deployed.statscache("journal export") == before
    assert len(before.splitlines()) == MESSAGES
    assert deployed.machine.run("ls /opt/statscache").stdout.split() == [__version__, NEXT]
    assert deployed.machine.run("ls /var/lib/statscache").stdout == ""
    assert deployed.play("deploy.yml", release=NEXT).changed == 0


def test_snapshot_is_rolled_back_and_resumed(deployed: Controller) -> None:
    """The playbook makes an older snapshot current on the site, and lets publishing go on."""
    newest = deployed.index()
    play = deployed.play("rollback.yml", release=NEXT, rollback_snapshot=newest["parent"])
    assert play.status == 0, play.output
    assert deployed.index()["snapshot"] == newest["parent"]
    play = deployed.play("publish.yml", release=NEXT)
    assert play.status == 0, play.output
    assert deployed.index()["snapshot"] == newest["parent"]
    play = deployed.play("rollback.yml", release=NEXT, rollback_resume="true")
    assert play.status == 0, play.output
    assert deployed.index()["snapshot"] == newest["snapshot"]
    assert "Give either" in deployed.play("rollback.yml", release=NEXT).output


def test_two_services_on_sqlite(deployed: Controller, tmp_path: Path) -> None:
    """A consumer and a timer that publishes take the place of the one service; an upgrade that fails goes back, too."""
    del deployed.variables["statscache_config"]["database"]
    deployed.variables |= {"statscache_mode": "split", "statscache_publish_every": 1, "statscache_postgresql": False}
    play = deployed.play("deploy.yml", release=NEXT)
    assert play.status == 0, play.output
    run = deployed.machine.run
    # A new database is another installation, which must not publish over the old one's site by itself. The timer's
    # publications come between.
    deadline = time.monotonic() + PATIENCE
    while "generation" not in deployed.statscache("publish --take-over"):
        assert time.monotonic() < deadline
    run("systemctl start statscache-publish.service")
    assert deployed.play("deploy.yml", release=NEXT).changed == 0
    assert run("systemctl is-active statscache", check=False).stdout.strip() == "inactive"
    _verify_units(deployed, "statscache-consume.service", "statscache-publish.service", "statscache-publish.timer")
    _backfill(deployed, tmp_path / "history.ndjson", 1, release=NEXT)
    deadline = time.monotonic() + PATIENCE
    while (through := deployed.index()["through"]) != NOON + MESSAGES:
        assert time.monotonic() < deadline, through
        time.sleep(0.5)
    _goes_back_from(deployed, BROKEN, NEXT)
    assert run("systemctl is-active statscache-consume statscache-publish.timer").stdout == "active\nactive\n"


def test_mirror_fetches_and_serves(deployed: Controller) -> None:
    """A mirror pulls what is published, and serves it; its second deployment changes nothing."""
    module = "[stats]\\npath = /srv/statscache\\nuse chroot = no\\nexclude = .*\\n"
    daemon = f"rsync --daemon --no-detach --address=127.0.0.1 --port={deployed.rsync_port} --config=/etc/source.conf"
    deployed.machine.run(f"printf '{module}' >/etc/source.conf && systemd-run {daemon}")
    published = deployed.index()
    deployed.groups = ["mirror"]
    deployed.variables |= {
        "mirror_source": f"rsync://127.0.0.1:{deployed.rsync_port}/stats",
        "mirror_root": "/srv/mirror",
    }
    play = deployed.play("deploy.yml")
    assert play.status == 0, play.output
    _verify_units(deployed, "statscache-mirror.service", "statscache-mirror.timer")
    assert deployed.play("deploy.yml").changed == 0
    assert deployed.machine.run("systemctl is-active statscache-mirror.timer").stdout == "active\n"
    deployed.machine.run("systemctl start statscache-mirror.service")
    assert deployed.index()["snapshot"] == published["snapshot"]


def test_cdn_is_made_once(tmp_path: Path) -> None:
    """The role `cdn` makes its stack, and finds it as it should be the second time.

    Moto takes the stack without making all that is in it: that all of it can be made, tests/test_ansible.py looks up.
    """
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "aws"], check=True)
    subprocess.run([tmp_path / "aws/bin/python", "-m", "pip", "install", "--quiet", "awscli"], check=True)
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        json.dumps({"cdn": {"hosts": {"localhost": {"cdn_bucket": "statscache.example.org"}}}}), encoding="utf-8"
    )
    with Moto() as moto:
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}/aws/bin:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": moto.endpoint,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": "none",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(tmp_path),
            "LANG": "C.UTF-8",
        }
        for arguments, changed in ((["--check"], 0), ([], 1), ([], 0), (["--check"], 0)):
            command = [str(BIN / "ansible-playbook"), f"--inventory={inventory}", "deploy.yml", *arguments]
            done = subprocess.run(command, cwd=ANSIBLE, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"changed={changed} " in done.stdout, done.stdout
        assert "statscache.example.org" in [bucket["Name"] for bucket in moto.client.list_buckets()["Buckets"]]


def _goes_back_from(controller: Controller, release: str, before: str) -> None:
    """Upgrade to a release that does not work, and see that nothing has changed."""
    run = controller.machine.run
    files = "find /etc/statscache /etc/systemd/system/statscache* -type f | sort | xargs tail -n +1"
    was = (controller.statscache("journal export"), controller.index()["snapshot"], run(files).stdout)
    config = controller.variables["statscache_config"]
    controller.variables["statscache_config"] = config | {"publish": config["publish"] | {"interval": 3}}
    play = controller.play("upgrade.yml", release=release)
    controller.variables["statscache_config"] = config
    assert play.status != 0
    assert f"Release {release} does not work here" in play.output
    assert "non-zero return code" not in play.output[play.output.index("does not work here") :]
    assert controller.statscache("--version").split()[-1] == before
    assert (controller.statscache("journal export"), controller.index()["snapshot"], run(files).stdout) == was
    assert controller.statscache("db check") == "all invariants hold, and all digests are right\n"
    # Nothing is left to restart, and nothing that the copies knew.
    assert controller.play("deploy.yml", release=before).changed == 0
    assert run("ls -d /var/lib/statscache/before-upgrade /opt/statscache/before-upgrade", check=False).stdout == ""


def _backfill(controller: Controller, archive: Path, offset: int, release: str = __version__) -> None:
    """Take in an archive of messages, one a second."""
    archive.write_bytes(b"\n".join(line(f"m{number}", NOON + offset + number) for number in range(MESSAGES)))
    play = controller.play("backfill.yml", release=release, backfill_files=[str(archive)])
    assert play.status == 0, play.output
    assert f"{MESSAGES} accepted" in play.output
    play = controller.play("publish.yml", release=release)
    assert play.status == 0, play.output
    assert controller.status()["journal"]["messages"] == MESSAGES


def _verify_units(controller: Controller, *units: str) -> None:
    paths = " ".join(f"/etc/systemd/system/{unit}" for unit in units)
    verified = controller.machine.run(f"systemd-analyze verify {paths}", check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    for unit in units:
        assert controller.machine.run(f"systemctl is-failed {unit}", check=False).stdout.strip() != "failed"


def _main_process(controller: Controller, unit: str) -> int:
    run = controller.machine.run
    assert run(f"systemctl is-active {unit}").stdout == "active\n"
    return int(run(f"systemctl show --property=MainPID --value {unit}").stdout)


def _build(source: str, directory: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--use-pep517", *arguments]
    subprocess.run([*command, f"--wheel-dir={directory}/wheels", source], check=True, capture_output=True, text=True)


def _lock(directory: Path) -> None:
    """Write the requirements of what was built, but for statscache itself, with the digests of the wheels."""
    lines = []
    for wheel in sorted((directory / "wheels").glob("*.whl")):
        name, release, _ = wheel.name.split("-", 2)
        if name != "statscache":
            lines.append(f"{name}=={release} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    (directory / "requirements.txt").write_text("".join(lines), encoding="ascii")


def _same_name(requirement: str) -> str:
    """Return a requirement with the name of its distribution as indexes compare it (PEP 503)."""
    name, _, release = requirement.partition("==")
    return f"{re.sub('[-_.]+', '-', name).lower()}=={release}"


def _wheel(directory: Path, release: str) -> Path:
    return directory / "wheels" / f"statscache-{release}-py3-none-any.whl"


def _add_migration(source: Path, further: int, *statements: str) -> None:
    """Let a release have one more migration than this tree."""
    before, revision = (f"{int(REVISION) + number:04}" for number in (further - 1, further))
    _replace(source / "statscache/store/revision.py", f'REVISION = "{before}"', f'REVISION = "{revision}"')
    lines = [
        "import sqlalchemy as sa",
        "from alembic import op",
        f'revision = "{revision}"',
        f'down_revision = "{before}"',
        "def upgrade():",
        *(f"    {statement}" for statement in statements),
    ]
    migration = source / f"statscache/store/migrations/versions/{revision}_further.py"
    migration.write_text("\n".join(lines) + "\n", encoding="ascii")


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")

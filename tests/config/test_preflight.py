"""What this machine cannot do is found by `config check`, and before `run` consumes or publishes anything."""

import os
import shutil
import socket
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from commands import PATIENCE, Home, wait_for
from loopback import free_endpoint
from statscache.config import Config, load
from statscache.service import preflight, reachable

SPOOL = '[sources.spool]\npath = "spool"\n'
TARGET = '[[publish.targets]]\nname = "web"\n'
NOBODY = 65534


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a spool, which is a live source that needs no server."""
    made = Home(tmp_path / "home")
    (made.directory / "spool").mkdir()
    return made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[database]\nurl = "sqlite:///missing/statscache.db"\n', "[database] url: there is no directory "),
        ('[database]\nurl = "sqlite:///statscache.toml"\n', "file is not a database"),
        ('[plugins]\nhang_note = "missing/note"\n', "[plugins] hang_note: there is no directory "),
        ('[metrics]\ntextfile = "file/statscache.prom"\n', "[metrics] textfile: "),
        ('[sources.fedora-messaging]\nconfig = "missing.toml"\n', "there is no file missing.toml"),
        ('[sources.fedora-messaging]\nconfig = "open.toml"\n', "open.toml holds a password and is world-readable"),
        ('[sources.fedora-messaging]\nconfig = "tls.toml"\n', "[tls] certfile: there is no file missing.pem"),
        ('[publish]\nsigning_keys = ["missing.pem"]\n', "cannot read the private key missing.pem"),
        (
            '[publish]\nsigning_keys = ["open.pem"]\n',
            "signing_keys: the private key open.pem is open to",
        ),
        (f'{TARGET}path = "file/below"\n', "target web: path: "),
        (f'{TARGET}type = "rsync"\ndestination = "file/below"\n', "target web: destination: "),
        (
            f'{TARGET}type = "rsync"\ndestination = "host:site"\nrsh = "no-such-shell -q"\n',
            "target web: rsh: there is no program no-such-shell",
        ),
        (
            f'{TARGET}type = "rsync"\ndestination = "rsync://host/module/x"\npassword_file = "missing"\n',
            "target web: password_file: cannot read missing: No such file",
        ),
        (
            f'{TARGET}type = "rsync"\ndestination = "rsync://host/module/x"\npassword_file = "open.pem"\n',
            "target web: password_file: open.pem holds a password and is world-readable",
        ),
        (f'{TARGET}type = "s3"\nbucket = "b"\n', "target web: there are no credentials where boto3 looks for them"),
    ],
)
def test_what_this_machine_cannot_do_is_reported(
    home: Home, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    """Each problem is reported with its setting, and no secret with it."""
    monkeypatch.chdir(home.directory)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(home.directory))
    for name in ("open.pem", "file"):
        Path(name).write_text("x")
        Path(name).chmod(0o644)
    Path("open.toml").write_text('amqp_url = "amqp://me:secret@127.0.0.1"\n')
    Path("open.toml").chmod(0o644)
    Path("tls.toml").write_text(
        'amqp_url = "amqps://127.0.0.1"\n[tls]\ncertfile = "missing.pem"\nkeyfile = "missing.key"\n'
    )
    home.configure(text)
    config = load()
    looked_at = preflight.database(config), preflight.sources(config), preflight.targets(config.publish)
    (told,) = chain(*looked_at, preflight.schema(config))
    assert reason in told
    assert "secret" not in told


def test_check_and_run_refuse_the_same_and_all_at_once(home: Home) -> None:
    """The exit status is 2, and nothing was made: no database, no site."""
    home.configure(
        f"""
        [sources.spool]
        path = "spool"
        [sources.fedmsg]
        endpoints = ["tcp://localhost:9940"]
        [plugins]
        hang_note = "x/y"
        {TARGET}path = "statscache.toml"
        """
    )
    for command in (("config", "check"), ("run",)):
        done = home.run(*command, status=2)
        for setting in ("ZeroMQ takes no localhost", "[plugins] hang_note: ", "target web: path: "):
            assert setting in done.stderr
        assert done.stdout == ""
    assert sorted(path.name for path in home.directory.iterdir()) == ["spool", "statscache.toml"]
    assert [*(home.directory / "spool").iterdir()] == []


def test_signatures_that_cannot_be_checked_are_refused(home: Home) -> None:
    """Without the authority's certificate, or the libraries, every message would be left out."""
    home.configure('[sources.fedmsg]\nendpoints = ["tcp://127.0.0.1:9940"]\nvalidate_signatures = true\n')
    (home.directory / "fedmsg.d").mkdir()
    (home.directory / "fedmsg.d/bus.py").write_text('config = {"endpoints": {}, "ca_cert_location": "missing.crt"}\n')
    refusal = home.run("config", "check", status=2).stderr
    assert "missing.crt cannot be read: No such file or directory. Name a PEM file in fedmsg.d" in refusal
    # As where the extra is not installed.
    (home.directory / "OpenSSL.py").touch()
    home.environment["PYTHONPATH"] = str(home.directory)
    done = home.start_and_wait("config", "check", timeout=PATIENCE)
    assert done.returncode == 2
    assert "without the extra statscache[signatures]" in done.stderr


def test_consume_and_publish_look_at_what_they_use(home: Home) -> None:
    """A target that cannot be written is no reason not to consume, nor a missing spool not to publish."""
    home.configure(f'[sources.spool]\npath = "nowhere"\n{TARGET}path = "public"\n')
    home.run("publish")
    assert "[sources.spool] path: " in home.run("consume", status=2).stderr
    home.configure(f'{SPOOL}{TARGET}path = "statscache.toml"\n')
    with home.start("consume") as service:
        wait_for((home.directory / "spool" / "taken").exists, lambda: service.text)
        assert service.end()[0] == 0
    assert "target web: path: " in home.run("publish", status=2).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_what_another_user_may_not_write_is_found(tmp_path: Path) -> None:
    """Directories and files that belong to somebody else are named, with what to change."""
    place = tmp_path / "of-root"
    place.mkdir(mode=0o755)
    database = place / "statscache.db"
    database.write_bytes(b"")
    # Its interpreter may be root's own, so the process changes users when everything is imported.
    program = (
        "import os; from statscache.config import Config; from statscache.service import preflight;"
        f"os.setuid({NOBODY}); c = Config();"
        "print(*preflight.database(c), *preflight.targets(c.publish), sep='\\n')"
    )
    # Test directories are for their owner only.
    for above in [tmp_path, *tmp_path.parents][:-2]:
        above.chmod(above.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=True)
    assert f"[database] url: {place}/ cannot be written by this user; change its owner or its mode" in done.stdout
    assert f"target public: path: {place}/ cannot be written by this user" in done.stdout


def test_servers_that_do_not_answer_are_warnings(home: Home) -> None:
    """Each is named with its setting; the configuration is in order anyway."""
    free = free_endpoint().removeprefix("tcp://")
    (home.directory / "bus.toml").write_text(f'amqp_url = "amqp://{free}"\n')
    home.configure(
        f"""
        [database]
        url = "postgresql+psycopg://{free}/x"
        [sources.fedora-messaging]
        config = "bus.toml"
        [sources.fedmsg]
        endpoints = ["tcp://{free}"]
        [sources.datagrepper]
        url = "http://{free}/search"
        [[publish.targets]]
        name = "mirror"
        type = "rsync"
        destination = "rsync://{free}/module/site"
        [[publish.targets]]
        name = "bucket"
        type = "s3"
        bucket = "b"
        endpoint_url = "http://{free}"
        attempts = 1
        """
    )
    home.environment |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "hush"}
    done = home.run("config", "check")
    assert done.stdout == "statscache.toml is in order\n"
    for setting in (
        "[database] url: ",
        f"[sources.fedora-messaging]: the broker at {free}: ",
        f"[sources.fedmsg] endpoints: tcp://{free}: ",
        "[sources.datagrepper] url: ",
        "target mirror: ",
        "target bucket: ",
    ):
        assert f"warning: {setting}" in done.stderr
    assert "hush" not in done.stderr


def test_a_server_that_accepts_and_never_answers_is_not_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 has limits of its own, for long transfers; a check ends before them."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        text = f'{TARGET}type = "s3"\nbucket = "b"\nendpoint_url = "{endpoint}"\nread_timeout = 600\n'
        file = home.directory / "statscache.toml"
        file.write_text(text)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setattr(reachable, "MOST_SECONDS", 0.5)
        assert [*reachable.warnings(load(file))] == ["target web: no answer within 0.5 s"]


def test_a_server_that_answers_is_not_warned_of(home: Home) -> None:
    """A port that somebody listens on says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        home.configure(f'[sources.fedmsg]\nendpoints = ["tcp://127.0.0.1:{port}"]\n')
        assert home.run("config", "check").stderr == ""


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine may have no rsync."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    section = {"name": "web", "type": "rsync", "destination": "site"}
    config = Config.model_validate({"publish": {"targets": [section]}})
    assert [*preflight.targets(config.publish)] == ["target web: there is no program rsync: install it, 3.2.4 or newer"]

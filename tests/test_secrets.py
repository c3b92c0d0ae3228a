"""A password in any setting that may hold one is in no output, no log of any level, no published file, no database."""

import gzip
import json
import signal
from pathlib import Path

import pytest
import zstandard

from commands import Home, install_plugins, wait_for
from conftest import PostgreSQLDatabases
from history_server import Answer, HistoryServer, Query
from loopback import free_ports
from samples import NOON, line
from servers import PostgreSQL

SECRET = "hunter2"

PLUGIN = """
from statscache.plugins import Counter, Text

class Asks(Counter):
    \"\"\"Is given a secret.\"\"\"

    name = "asks"
    title = "Asks"
    unit = "messages"
    dimensions = ("topic",)
    declared_settings = {"api_token": Text(""), "shared_secret": Text("", shared=True)}

    def observe(self, message):
        yield (message.topic,)

PLUGINS = [Asks]
"""

CONFIGURATION = """
[database]
url = "{database}"

[sources.fedora-messaging]
config = "bus.toml"

[sources.datagrepper]
url = "{history}"
password_file = "password"
timeout = 1
start = 2015-08-08

[[publish.targets]]
name = "public"
path = "public"

[[publish.targets]]
name = "store"
type = "s3"
bucket = "bucket"
region = "somewhere"
endpoint_url = "http://127.0.0.1:{closed}"
connect_timeout = 1
attempts = 1

[[publish.targets]]
name = "module"
type = "rsync"
destination = "rsync://me@127.0.0.1:{closed}/module"
password_file = "password"
timeout = 1

[[publish.targets]]
name = "host"
type = "rsync"
destination = "nowhere.invalid:/srv"
rsh = "false -p hunter2 ssh"

[metrics]
textfile = "metrics.prom"

[plugins.settings.asks]
api_token = "hunter2"

[plugins.shared]
shared_secret = "hunter2"
"""

BY_RSYNC = '[[publish.targets]]\nname = "a"\ntype = "rsync"\ndestination = "host:/srv"\n'

COMMANDS: list[tuple[int, tuple[str, ...]]] = [
    (0, ("config", "show")),
    (0, ("config", "show", "--json")),
    (0, ("config", "check")),
    (0, ("backfill", "archive")),
    (1, ("backfill",)),
    (1, ("publish",)),
    (1, ("publish", "--dry-run")),
    (3, ("status",)),
    (3, ("status", "--json")),
    (2, ("status", "--max-age", "1")),
    (0, ("metrics",)),
    (0, ("places",)),
    (0, ("snapshots", "--json")),
    (0, ("plugins", "--json")),
    (0, ("db", "check")),
    (0, ("db", "copy", "sqlite:///copy.db")),
    (0, ("journal", "export", "journal.zst")),
    (0, ("verify", "public")),
]
"""Commands that read settings, in an order in which each has something to say; with the exit status."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a secret in its environment, and a plugin that has one."""
    proxy = f"http://me:{SECRET}@127.0.0.1:{free_ports(1)[0]}"
    made = Home(
        tmp_path / "home",
        PYTHONPATH=str(install_plugins(tmp_path / "extra", PLUGIN)),
        AWS_ACCESS_KEY_ID="AKIDOFTHETESTS",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_SESSION_TOKEN=SECRET,
        AWS_EC2_METADATA_DISABLED="true",
        RSYNC_PASSWORD=SECRET,
        PGPASSWORD=SECRET,
        **{f"{scheme}_proxy": proxy for scheme in ("http", "https", "HTTP", "HTTPS")},
        no_proxy="",
    )
    (made.directory / "archive").write_bytes(line("a", NOON) + b"\nno message\n")
    private(made, "password", f"me:{SECRET}\n")
    private(made, "bus.toml", f'amqp_url = "amqp://me:{SECRET}@127.0.0.1:{free_ports(1)[0]}/%2F"\n')
    return made


def private(home: Home, name: str, text: str) -> None:
    """Write a file that is not for everybody."""
    (home.directory / name).touch(0o600)
    (home.directory / name).write_text(text, encoding="utf-8")


def written(home: Home) -> dict[str, bytes]:
    """Return all files of the home but those that were given the secret, unpacked."""
    given = {"statscache.toml", "bus.toml", "password"}
    files = (path for path in home.directory.rglob("*") if path.is_file() and path.name not in given)
    return {str(path): unpacked(path) for path in files}


def unpacked(path: Path) -> bytes:
    """Return the bytes of a file as they were before they were compressed."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return gzip.decompress(data) if path.suffix == ".gz" else data


def refused(_query: Query, answer: Answer) -> None:
    """Refuse whatever is asked."""
    answer.status = 403


def test_a_password_in_any_setting_appears_nowhere(home: Home, postgresql: PostgreSQL) -> None:
    """Neither where all is well, nor where a server does not answer, with all details in the log."""
    databases = PostgreSQLDatabases(postgresql)
    url = databases.create()
    user, _, rest = url.partition("@")
    told: dict[tuple[str, ...], str] = {}
    with HistoryServer([], refused) as history:
        places = {"database": f"{user}:{SECRET}@{rest}", "history": history.url, "closed": free_ports(1)[0]}
        private(home, "statscache.toml", CONFIGURATION.format(**places))
        for status, command in COMMANDS:
            done = home.run("-v", *command, status=None)
            assert done.returncode == status, (command, done)
            told[command] = done.stdout + done.stderr
        with home.start("--log-json", "run") as service:
            service.await_log("retrying in")
            for name in ("store", "module", "host"):
                service.await_log(f"target {name}: ")
            wait_for((home.directory / "metrics.prom").exists, lambda: service.text)
            told["run",] = service.end(signal.SIGTERM)[1]
    assert {*history.credentials} != {None}
    assert "me:***@" not in told["config", "show"]
    assert ":***@" in told["config", "show"]
    assert 'rsh = "false ***"' in told["config", "show"]
    assert json.loads(told["config", "show", "--json"])["plugins"]["settings"] == {"asks": {"api_token": "***"}}
    assert [command for command, text in told.items() if SECRET in text] == []
    files = written(home)
    names = {Path(name).name for name in files}
    assert names >= {"index.json", "status.json", "copy.db", "journal.zst", "metrics.prom"}
    assert [name for name, data in files.items() if SECRET.encode() in data] == []
    databases.drop(url)


@pytest.mark.parametrize(
    "settings",
    [
        f'[database]\nurl = "postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x"',
        f'[database]\nurl = ["postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x"]',
        f'[database]\nurl = "mysql://me:{SECRET}@127.0.0.1:1/x"',
        f'{BY_RSYNC}rsh = ["sshpass", "-p{SECRET}"]',
        f'{BY_RSYNC}rsh = "SSHPASS={SECRET} sshpass -e"',
        f'{BY_RSYNC}rsh = "sshpass -p \'{SECRET}"',
        f'[[publish.targets]]\nname = "a"\ntype = "s3"\nbucket = "b"\nsecret_access_key = "{SECRET}"',
        f'[sources.fedora-messaging]\namqp_url = "amqp://me:{SECRET}@127.0.0.1/"',
        f'[plugins.settings.asks]\napi_token = ["{SECRET}"]',
        f'[sources.datagrepper]\nurl = "http://127.0.0.1/"\npassword = "{SECRET}"',
    ],
)
def test_a_password_is_in_no_error(home: Home, settings: str) -> None:
    """Where the database does not answer, and where the configuration is wrong, also with all details in the log."""
    private(home, "statscache.toml", settings + "\n")
    for command in ("status", "publish", "config check", "plugins"):
        done = home.run("-v", *command.split(), status=None)
        assert SECRET not in done.stdout + done.stderr
    assert done.returncode in (1, 2), done


@pytest.mark.parametrize(
    ("rsh", "shown"),
    [
        ("ssh -o BatchMode=yes -i /etc/key -p 2222", "ssh -o BatchMode=yes -i /etc/key -p 2222"),
        ("/usr/bin/ssh -4", "/usr/bin/ssh -4"),
        (f"ssh -o 'ProxyCommand=sshpass -p {SECRET} ssh hop'", "ssh ***"),
        (f"/usr/bin/sshpass -p{SECRET} ssh", "/usr/bin/sshpass ***"),
        ("dbclient", "dbclient"),
    ],
)
def test_a_command_that_logs_in_is_shown_as_far_as_it_holds_no_password(tmp_path: Path, rsh: str, shown: str) -> None:
    """The options of ssh hold none, but for a command."""
    home = Home(tmp_path / "home")
    home.configure(f"{BY_RSYNC}rsh = {json.dumps(rsh)}\n")
    assert f"rsh = {json.dumps(shown)}  #" in home.run("config", "show").stdout
    assert home.json("config", "show")["publish"]["targets"][0]["rsh"] == shown

"""The command line: what it prints and where, how it ends, and what it says of every mistake."""

import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import IO, NamedTuple

import orjson
import pytest

from commands import BRAKE, PATIENCE, SMALL_BATCH, SMALL_BATCHES, Home, install_plugins
from first_plugins import Volume
from forks import Forked
from samples import NOON, Sales, line
from statscache import cli, layout
from statscache.config import load
from statscache.installation import Installation
from statscache.plugins.registry import Registry
from statscache.simulator import demo, past
from statscache.store import quarantine
from statscache.timeline import iso


class Called(NamedTuple):
    """The result of a command: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


Call = Callable[..., Called]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in an empty directory, within this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STATSCACHE_CONFIG", raising=False)

    def run(*arguments: str | os.PathLike[str]) -> Called:
        monkeypatch.setattr(sys, "argv", ["statscache", *(os.fspath(argument) for argument in arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Called(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of 20 messages, one of another environment, and a line that is not a message."""
    path = tmp_path / "archive.ndjson"
    messages = [line(f"{number:x}", NOON + number, users=["ralph"]) for number in range(20)]
    foreign = line("foreign", NOON, "org.fedoraproject.stg.shop.sale")
    path.write_bytes(b"\n".join([*messages, foreign, b"no message"]) + b"\n")
    return path


def test_backfill_tells_what_became_of_every_line(call: Call, archive: Path) -> None:
    """Read, accepted, known, foreign, held and quarantined add up, in words and as JSON, once and again."""
    assert call("backfill", archive) == Called(
        0,
        "22 read, 20 accepted, 0 known, 1 foreign, 0 held, 1 quarantined\n"
        "foreign: of other environments than prod ([bus] environments)\n"
        "quarantined lines and reasons: `statscache quarantine list`\n",
        "",
    )
    again = json.loads(call("backfill", archive, archive, "--json").out)
    assert (again["read"], again["accepted"], again["known"], again["foreign"]) == (44, 0, 40, 2)


@pytest.mark.parametrize(
    "command",
    [
        ("plugins",),
        ("status",),
        ("quarantine", "list"),
        ("publish",),
        ("publish", "--dry-run"),
        ("verify", "--journal"),
        ("snapshots",),
        ("config", "show"),
    ],
)
def test_json_is_json_and_nothing_else(call: Call, archive: Path, command: tuple[str, ...]) -> None:
    """With `--json`, standard output is one JSON document, and standard error is empty."""
    call("backfill", archive)
    done = call(*command, "--json")
    assert done.status == 0
    assert json.loads(done.out) is not None
    assert done.err == ""


def test_all_errors_of_a_configuration_are_reported_at_once(call: Call) -> None:
    """Each comes with its section and key, what was expected, and, for an unknown key, those that are known."""
    Path("statscache.toml").write_text(
        '[database]\nurl = "oracle:///x"\n[publish]\ninterval = 0\nspeed = 3\n'
        '[nonsense]\n[plugins]\ntime_budget = "long"\n'
    )
    for command in (("config", "check"), ("status",), ("run",)):
        done = call(*command)
        assert done.status == 2
        assert "statscache.toml has 5 errors:" in done.err
        for where in (
            "[database] url: ",
            "[publish] interval: ",
            "[publish] speed: is unknown; known here are: ",
            "[nonsense]: is unknown; known here are: bus, database, journal, metrics, ",
            "[plugins] time_budget: ",
        ):
            assert where in done.err
        assert "expected sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME" in done.err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('enabled = ["volum"]', "[plugins] enabled: 'volum' fits no installed plugin; installed are: "),
        ("settings.volum = {}", "[plugins.settings.volum]: there is no such plugin; installed are: "),
        ("settings.volume-by-category.limt = 3", "[plugins.settings.volume-by-category] limt: is unknown; known here"),
    ],
)
def test_a_configuration_that_does_not_fit_the_plugins_is_refused(call: Call, text: str, reason: str) -> None:
    """A misspelt name takes down no site, and no statistic is counted again."""
    assert call("publish").status == 0
    published = Path("public/v1/index.json").read_bytes()
    Path("statscache.toml").write_text(f"[plugins]\n{text}\n")
    for command in (("config", "check"), ("publish",)):
        done = call(*command)
        assert (done.status, done.out) == (2, "")
        assert reason in done.err
    assert Path("public/v1/index.json").read_bytes() == published


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.toml", None, "cannot read the configuration missing.toml: No such file or directory"),
        (".", None, "cannot read the configuration .: Is a directory"),
        ("binary.toml", b"\xff\xfe", "binary.toml is not TOML"),
        ("broken.toml", b"[publish\n", "broken.toml is not TOML"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(
    call: Call, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, reason: str
) -> None:
    """If `--config` or STATSCACHE_CONFIG names it, the error says which file, and why."""
    if content is not None:
        Path(name).write_bytes(content)
    named = call("--config", name, "status")
    monkeypatch.setenv("STATSCACHE_CONFIG", name)
    for done in (named, call("status")):
        assert (done.status, done.out) == (2, "")
        assert reason in done.err


def test_the_environment_overrides_the_file(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`STATSCACHE_SECTION__KEY` wins over the file; what is wrong with it is reported like an error of the file."""
    Path("statscache.toml").write_text("[publish]\ninterval = 5\ntitle = 'Mine'\n")
    monkeypatch.setenv("STATSCACHE_PUBLISH__INTERVAL", "7")
    publish = json.loads(call("config", "show", "--json").out)["publish"]
    assert (publish["interval"], publish["title"]) == (7, "Mine")
    lines = call("config", "show").out.splitlines()
    for line_ in (
        "interval = 7  # STATSCACHE_PUBLISH__INTERVAL",
        'title = "Mine"  # statscache.toml',
        "slow_interval = 600  # default",
        "# base_url is not set  # default",
    ):
        assert line_ in lines
    monkeypatch.setenv("STATSCACHE_PUBLISH__INTERVAL", "soon")
    done = call("config", "check")
    assert done.status == 2
    assert "[publish] interval: " in done.err
    monkeypatch.delenv("STATSCACHE_PUBLISH__INTERVAL")
    monkeypatch.setenv("STATSCACHE_PUBLISH", "{half")
    done = call("config", "check")
    assert done.status == 2
    assert "the environment cannot be used: STATSCACHE_PUBLISH is not JSON" in done.err


def test_tables_fit_on_a_terminal(call: Call, archive: Path) -> None:
    """Of 80 columns, with names and numbers as large as they become."""
    call("backfill", archive)
    call("publish")
    assert json.loads(call("plugins", "--json").out)["plugins"]
    for command in (("status",), ("snapshots",)):
        table = call(*command).out.rpartition("\n\n")[2].splitlines()
        assert len(table) > 1
        assert max(map(len, table)) <= 80, command


def test_the_configuration_that_is_shown_is_one(call: Call) -> None:
    """What `config show` prints can be used as the file: it means the same."""
    Path("statscache.toml").write_text(
        '[publish]\ntitle = "a \\"b\\" é"\n[[publish.targets]]\nname = "a"\npath = "x"\n'
        '[[publish.targets]]\nname = "b"\ntype = "s3"\nbucket = "y"\n[plugins.settings.builds]\n[sources.fedmsg]\n'
    )
    before = call("config", "show", "--json").out
    shown = call("config", "show").out
    Path("statscache.toml").write_text(shown)
    assert call("config", "show", "--json").out == before
    assert 'bucket = "y"  # statscache.toml' in shown


def test_a_password_is_not_shown(call: Call) -> None:
    """`config show` leaves out the password of the database."""
    file = Path("statscache.toml")
    file.write_text('[database]\nurl = "postgresql+psycopg://me:secret@127.0.0.1:1/x"\n')
    file.chmod(0o640)
    done = call("config", "show")
    assert done.status == 0
    assert "me:***@" in done.out
    assert "secret" not in done.out + call("status").err


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ('[database]\nurl = "postgresql+psycopg:///x?password=hush"', "write USER:PASSWORD@HOST"),
        ('[database]\nurl = "postgresql+psycopg:///x?sslpassword=hush"', "write USER:PASSWORD@HOST"),
        ('[database]\nurl = "postgresql+psycopg://me:hush/x@127.0.0.1:1/x"', "in a password, write / as %2F"),
        ('[sources.fedmsg]\nendpoints = ["tcp://me:hush@127.0.0.1:1"]', "write tcp://HOST:PORT"),
        ('[publish.announce]\nrelay = "tcp://me:hush@127.0.0.1:1"', "write tcp://HOST:PORT"),
        ('[sources.datagrepper]\nurl = "https://me:hush@127.0.0.1:1/x"', "password_file"),
        ('[publish]\nbase_url = "https://me:hush@127.0.0.1:1/x"', "readers of the site"),
        (
            '[[publish.targets]]\nname = "x"\ntype = "s3"\nbucket = "y"\nendpoint_url = "https://me:hush@127.0.0.1:1"',
            "where boto3 looks",
        ),
        (
            '[[publish.targets]]\nname = "x"\ntype = "rsync"\ndestination = "rsync://me:hush@127.0.0.1/y"',
            "password_file",
        ),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(call: Call, text: str, fix: str) -> None:
    """In any setting, by every command: they show and log addresses."""
    file = Path("statscache.toml")
    file.write_text(f"{text}\n")
    file.chmod(0o640)
    for command in (("config", "check"), ("config", "show"), ("config", "show", "--json"), ("status", "--json")):
        done = call(*command)
        assert done.status == 2
        assert fix in done.err
        assert "hush" not in done.out + done.err


def test_a_password_that_everybody_may_read_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text has the fix and not the password; in the environment, the file need not be closed."""
    url = "postgresql+psycopg://me:hush@127.0.0.1:1/x"
    file = Path("statscache.toml")
    file.write_text(f'[database]\nurl = "{url}"\n')
    file.chmod(0o644)
    done = call("config", "check")
    assert done.status == 2
    assert "statscache.toml holds a password and is world-readable: run `chmod o= " in done.err
    assert "hush" not in done.err
    file.chmod(0o640)
    assert call("config", "check").status == 0
    file.write_text("")
    file.chmod(0o644)
    monkeypatch.setenv("STATSCACHE_DATABASE__URL", url)
    assert call("config", "check").status == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("backfill",), "add a section [sources.datagrepper]"),
        (("backfill", "--complete", "x", "y", "archive.ndjson"), "expected 2015-08-08"),
        (("backfill", "--complete", "10", "10", "archive.ndjson"), "the start must be before the end"),
        (("rebuild", "nobody"), "no active plugin is named 'nobody'; active are: "),
        (("plugins", "--resume", "nobody"), "no active plugin is named 'nobody'"),
        (("try", "nobody", "archive.ndjson"), "no active plugin is named 'nobody'"),
        (("publish", "--target", "nobody"), "no target is named nobody; there are: public"),
        (("publish", "--every", "0"), "Invalid value for '--every'"),
        (("quarantine", "drop"), "Missing argument"),
        (("quarantine", "drop", "99"), "there is no quarantined item 99"),
        (("quarantine", "retry", "99", "98"), "there is no quarantined item 98, 99"),
        (("rollback", "abc"), "no retained snapshot has an id that begins with 'abc'"),
        (("verify",), "--journal"),
        (("run",), "[sources.fedmsg]"),
        (("serve",), "run `statscache publish` first"),
    ],
)
def test_wrong_usage_ends_with_status_2_and_says_what_is_right(
    call: Call, archive: Path, arguments: tuple[str, ...], reason: str
) -> None:
    """Nothing is printed as a result, and no site is made."""
    done = call(*arguments)
    assert (done.status, done.out) == (2, "")
    assert reason in done.err
    assert not Path("public").exists()


def test_files_that_cannot_be_read_do_not_stop_the_others(call: Call, archive: Path) -> None:
    """Each is named with its reason, the rest is taken, `--complete` is not recorded, and the status is 1."""
    Path("broken.gz").write_bytes(b"\x1f\x8b\x08\x00")
    done = call("backfill", "missing", archive, ".", "broken.gz", "--complete", "1", "2")
    assert done.status == 1
    assert done.out.startswith("22 read, 20 accepted")
    for reason in (
        "missing: No such file or directory",
        ". is a directory; name the files in it",
        "broken.gz is truncated or damaged",
        "3 of 4 files could not be read to the end; --complete was not recorded",
    ):
        assert reason in done.err


def test_what_is_said_of_a_damaged_archive_is_true(call: Call, archive: Path) -> None:
    """A backfill has taken what came before the damage; `try` has taken nothing."""
    Path("cut.gz").write_bytes(gzip.compress(archive.read_bytes())[:-8])
    done = call("backfill", "cut.gz")
    assert (done.status, done.out[:22]) == (1, "22 read, 20 accepted, ")
    assert done.err.endswith("; the readable part was accepted. Fetch it again and run the same command\n")
    done = call("try", "volume", "cut.gz")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("statscache: cut.gz is truncated or damaged: ")
    assert "taken" not in done.err


@pytest.mark.parametrize("disabled", [[], ["builds*"]])
def test_the_table_of_plugins_fits_80_columns(call: Call, disabled: list[str]) -> None:
    """Whatever their dimensions are; what is off is named with the setting."""
    Path("statscache.toml").write_text(f"[plugins]\ndisabled = {json.dumps(disabled)}\n")
    header, *rows = call("plugins").out.splitlines()
    assert header.split() == ["name", "kind", "state", "dimensions"]
    assert max(map(len, rows)) <= 80
    assert any(row.startswith("release-dashboard") and row.endswith("…") for row in rows)
    assert ("off by [plugins] disabled: builds, builds-by-package" in rows) == bool(disabled)


def test_what_is_wanting_ends_with_status_3(call: Call, archive: Path) -> None:
    """`status --max-age`, and a retry that fails."""
    assert call("status").status == 0
    done = call("status", "--max-age", "5")
    assert done.status == 2
    assert done.out.startswith("STATSCACHE CRITICAL: no live source was ever consumed; 5 s are allowed | ")
    assert "concern: no live source was ever consumed; 5 s are allowed" in done.out
    call("backfill", archive)
    item = json.loads(call("quarantine", "list", "--json").out)[0]
    assert call("quarantine", "retry") == Called(3, "0 of 1 are settled; 1 stay in quarantine\n", "")
    assert call("quarantine", "drop", str(item["id"])) == Called(0, "dropped 1\n", "")
    assert call("quarantine", "list").out == "the quarantine is empty\n"


def test_what_is_quarantined_is_shown(call: Call) -> None:
    """Malformed lines and messages of the journal: topic, size, reason, content; no terminal is harmed."""
    lines = [
        orjson.dumps({"topic": "org.fedoraproject.prod.a.b", "msg_id": "1", "timestamp": NOON, "msg": {"n": "\x9b1m"}}),
        b'{"topic": "org.fedoraproject.prod.no.json", "msg": NaN}',
        b"\xff\x1b[31m",
    ]
    Path("odd.ndjson").write_bytes(b"\n".join(lines))
    call("backfill", "odd.ndjson")
    installation = Installation(load())
    with installation.database.writing() as connection:
        quarantine.add_messages(connection, "volume", [(1, "ValueError: odd", 99)], "odd.ndjson")
    installation.close()
    rows = json.loads(call("quarantine", "list", "--json").out)
    assert [row["topic"] for row in rows] == ["org.fedoraproject.prod.no.json", "", "org.fedoraproject.prod.a.b"]
    listed = call("quarantine", "list").out.splitlines()
    assert "org.fedoraproject.prod.no.json" in listed[0]
    assert len(listed) == 6
    assert max(map(len, listed)) <= 80
    assert listed[1].startswith("    not JSON: ")
    ids = [str(row["id"]) for row in rows]
    shown = call("quarantine", "show", ids[2]).out
    assert shown.startswith("topic   org.fedoraproject.prod.a.b\nsize    99 bytes\nfor     volume\n")
    assert "reason  ValueError: odd\n" in shown
    assert '"n": "\\x9b1m"' in shown
    assert "\\xff\\x1b[31m" in call("quarantine", "show", ids[1]).out
    assert json.loads(call("quarantine", "show", ids[0], "--json").out)["message"] == lines[1].decode()
    assert "there is no quarantined item 99" in call("quarantine", "show", "99").err


def test_a_database_that_cannot_be_used_alarms_monitoring(call: Call) -> None:
    """With `--max-age`, the line for monitoring says so, as CRITICAL; else standard error, with status 1."""
    Path("statscache.db").write_bytes(b"no database, and longer than the header of one" * 10)
    done = call("status", "--max-age", "60")
    assert (done.status, done.err, done.out.count("\n")) == (2, "", 1)
    assert done.out.startswith("STATSCACHE CRITICAL: cannot open the database sqlite:///statscache.db: ")
    (concern,) = json.loads(call("status", "--max-age", "60", "--json").out)["concerns"]
    assert concern in done.out
    assert call("status").status == 1
    Path("statscache.db").unlink()
    call("status")
    with sqlite3.connect("statscache.db") as connection:
        connection.execute("DROP TABLE target")
    connection.close()
    done = call("status", "--max-age", "60")
    assert (done.status, done.err, done.out.count("\n")) == (2, "", 1)
    assert done.out.startswith("STATSCACHE CRITICAL: the database failed: ")


def test_monitoring_is_told_that_nothing_is_known(call: Call) -> None:
    """Where the configuration is wrong, the check is UNKNOWN, with the status that Nagios takes for it."""
    Path("statscache.toml").write_text("[publish]\ninterval = 0\n")
    done = call("status", "--max-age", "60")
    assert (done.status, done.out.count("\n")) == (3, 1)
    assert done.out.startswith("STATSCACHE UNKNOWN: ")
    assert "[publish] interval" in done.out


def test_each_silent_source_has_its_own_hint(call: Call) -> None:
    """Each bus has an address or a queue that may be wrong; a spool has neither, and it is not known what it took."""
    Path("box").mkdir()
    Path("statscache.toml").write_text('[sources.fedmsg]\n[sources.fedora-messaging]\n[sources.spool]\npath = "box"\n')
    call("db", "upgrade")
    now = int(time.time())
    with sqlite3.connect("statscache.db") as connection:
        for name in ("fedmsg", "fedora-messaging", "spool"):
            connection.execute(f"INSERT INTO consumer VALUES ('{name}', {now}, 0, 0, 0, 0, '')")
    connection.close()
    shown = [line for line in call("status").out.splitlines() if line.startswith("consumer ")]
    assert shown == [
        "consumer    fedmsg: active, but nothing was ever received; is the address right?",
        "consumer    fedora-messaging: active, but nothing was ever received;"
        " are the queue and the routing keys of its bindings right?",
        f"consumer    spool: active at {iso(now)}, takes archives from box",
    ]


def test_monitoring_is_warned(call: Call, archive: Path) -> None:
    """What is wrong and costs readers nothing yet is a WARNING; a target that was left out is."""
    Path("statscache.toml").write_text("[sources.fedmsg]\n")
    call("backfill", archive)
    with sqlite3.connect("statscache.db") as connection:
        connection.execute(f"INSERT INTO consumer VALUES ('fedmsg', {int(time.time())}, 0, 0, 0, 1, '')")
    connection.close()
    call("publish")
    ok = call("status", "--max-age", "600")
    assert (ok.status, ok.out.partition(":")[0]) == (0, "STATSCACHE OK")
    assert "consumer    fedmsg: active, but nothing was ever received; is the address right?" in ok.out
    Path("statscache.toml").write_text('[sources.fedmsg]\n[[publish.targets]]\nname = "other"\npath = "other"\n')
    done = call("status", "--max-age", "600")
    assert done.status == 1
    assert done.out.startswith("STATSCACHE WARNING: target other: nothing was ever published there; no attempt yet | ")


def test_verify_journal_and_db_check_find_what_was_tampered_with(call: Call, archive: Path) -> None:
    """A count that is not what the journal gives is found by both, with status 3."""
    call("backfill", archive)
    assert call("verify", "--journal").status == 0
    assert call("db", "check") == Called(0, "all invariants hold, and all digests are right\n", "")
    with sqlite3.connect("statscache.db") as connection:
        connection.execute("UPDATE key SET total = total + 1")
    connection.close()
    done = call("verify", "--journal")
    assert done.status == 3
    assert "volume: differs" in done.out
    done = call("db", "check")
    assert done.status == 3
    assert "the days of a key do not add up to its total" in done.out


def test_verify_journal_says_what_it_does_not_compare(
    call: Call, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that a plugin keeps by rules of its own are named, so that no one takes them for checked."""
    monkeypatch.setattr("statscache.installation.load", lambda *_, **__: Registry([Volume(), Sales()]))
    call("backfill", archive)
    done = call("verify", "--journal")
    assert done.status == 0
    assert "hourly-volume: not compared: it keeps rows by rules of its own" in done.out
    assert "sales: agrees, " in done.out
    found = json.loads(call("verify", "--journal", "--json").out)
    assert [plugin["name"] for plugin in found["plugins"]] == ["sales"]
    assert [plugin["name"] for plugin in found["skipped"]] == ["hourly-volume"]


def test_rebuild_and_try_agree_with_what_was_folded(call: Call, archive: Path) -> None:
    """A rebuilt plugin publishes the same snapshot, and `try` makes the document that is published."""
    call("backfill", archive)
    before = json.loads(call("publish", "--json").out)["id"]
    assert call("rebuild", "volume", "volume-by-user").out == "rebuilt volume, volume-by-user\n"
    assert json.loads(call("publish", "--json").out)["id"] == before
    published = json.loads(Path("public/v1/plugins/volume-by-user/latest.json").read_bytes())
    assert json.loads(call("try", "volume-by-user", archive).out)["latest.json"] == published


def test_a_name_that_is_not_utf8_is_a_file_like_any_other(tmp_path: Path, archive: Path) -> None:
    """Its messages count, and an error about it is printed."""
    home = Home(tmp_path / "home")
    name = os.fsencode(home.directory) + b"/\xff\xfe.ndjson"
    os.link(archive, name)
    assert home.run("backfill", name).stdout.startswith("22 read, 20 accepted")
    os.unlink(name)
    done = home.run("backfill", name, status=1)
    assert "No such file or directory" in done.stderr


def test_a_reader_who_has_seen_enough_is_no_error_to_talk_about(tmp_path: Path) -> None:
    """Output into a closed pipe ends the command quietly."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        command = [sys.executable, "-m", "statscache", "plugins"]
        done = subprocess.run(command, cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "command", [("--help",), ("status",), ("plugins",), ("config", "show"), ("metrics",), ("journal", "export")]
)
def test_output_that_cannot_be_written_is_reported_in_one_line(
    tmp_path: Path, archive: Path, command: tuple[str, ...]
) -> None:
    """Where the disk behind standard output is full, a command says so, and its status is 1."""
    home = Home(tmp_path / "home")
    if command[0] == "journal":
        home.run("backfill", archive)
    with (
        open("/dev/full", "wb") as full,
        Forked(
            command, cwd=home.directory, env=home.environment, stdout=full.fileno(), stderr=subprocess.PIPE
        ) as process,
    ):
        _, errors = process.communicate(PATIENCE)
    assert errors == "statscache: cannot write to standard output: No space left on device\n"
    assert process.returncode == 1


def test_a_killed_backfill_carries_on_and_counts_everything_once(tmp_path: Path) -> None:
    """Killed in its second transaction, the next run reads only the rest, and the sums are right."""
    home = Home(tmp_path / "home", PYTHONPATH=str(install_plugins(tmp_path / "extra", SMALL_BATCHES + BRAKE)))
    archive = home.directory / "archive"
    archive.write_bytes(b"".join(line(f"{number:x}", NOON + number) + b"\n" for number in range(5_000)))
    brake = home.directory / "brake"
    brake.touch()
    with home.start("backfill", "archive") as first:
        first.await_log("transaction begins", 2)
        first.end(signal.SIGKILL)
    brake.unlink()
    done = home.json("backfill", "archive")
    assert done["read"] == 5_000 - SMALL_BATCH
    assert home.json("status")["journal"]["messages"] == 5_000
    home.run("verify", "--journal")


@pytest.fixture
def _demo_forks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The demo forks the commands that it would start: see `forks`."""
    with ExitStack() as stack:

        def fork(command: list[str], *, stdin: int, stdout: IO[bytes], stderr: IO[bytes]) -> Forked:
            assert (command[:3], stdin) == ([sys.executable, "-m", "statscache"], subprocess.DEVNULL)
            out, error = stdout.fileno(), stderr.fileno()
            return stack.enter_context(Forked(command[3:], cwd=Path.cwd(), env=os.environ, stdout=out, stderr=error))

        monkeypatch.setattr(demo, "subprocess", SimpleNamespace(Popen=fork, DEVNULL=subprocess.DEVNULL))
        yield


@pytest.mark.usefixtures("_demo_forks")
def test_the_demo_ends_by_itself_and_can_be_run_again(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says the same each time, and how to look at it; a second run replaces the first, and a foreign site stays."""
    # A quiet month will do here.
    monkeypatch.setattr(past, "MONTHS", 1)
    monkeypatch.setattr(past, "PER_DAY", 40)
    monkeypatch.setattr(demo, "SECONDS", 0.1)
    done = call("demo")
    assert done.status == 0, done.err
    assert re.search(r"(?m)^\d+ of .* went over a fedmsg bus on loopback\.$", done.out)
    index = json.loads(Path("public/v1/index.json").read_bytes())
    assert {row["state"] for row in index["plugins"]} == {"ok"}
    # Nothing of the 30 days is unknown, neither in the history nor where the day follows.
    volume = next(row for row in index["plugins"] if row["name"] == "volume")
    assert volume["since"] == index["through"] // 86400 * 86400 - 31 * 86400
    assert not volume["gaps"]
    for address in re.findall("http://localhost:8080/(.*)", done.out):
        path, _, name = address.partition("?")
        assert Path("public", path or "index.html").is_file()
        assert not name or list(Path("public/v1/plugins").glob(f"*/by/{layout.key_name([name])}.json")), name
    again = call("demo")
    assert again.status == 0, again.err
    assert again.out == done.out
    assert json.loads(Path("public/v1/index.json").read_bytes())["generation"] > index["generation"]
    Path("statscache-demo.db").unlink()
    done = call("demo")
    assert done.status == 1
    assert "holds a site that is not the demo's" in done.err


@pytest.mark.parametrize("name", ["sample.ndjson", "sample.ndjson.gz", "sample.ndjson.zst"])
def test_a_sample_is_an_archive_of_whole_days(call: Call, name: str) -> None:
    """All its lines are messages of the days that it names; no database is made; what is not an archive stays."""
    done = call("sample", "--days", "1", name)
    assert done.status == 0
    assert not Path("statscache.db").exists()
    outcome = json.loads(call("backfill", "--json", name).out)
    assert outcome["accepted"] == outcome["read"] > 2_000
    end = int(time.time()) // 86400 * 86400
    assert done.out == f"{outcome['read']:,} messages of {iso(end - 86400)} to {iso(end)} in {name}\n"
    written = Path(name).read_bytes()
    assert call("sample", "--days", "1", name).status == 0
    assert Path(name).read_bytes() == written
    assert call("sample", "statscache.db").status == 3


def test_status_tells_of_targets_that_are_configured(call: Call) -> None:
    """What fails is named once; a target that was taken out of the configuration alarms no one."""
    one = '[[publish.targets]]\nname = "one"\npath = "one"\n'
    two = '[[publish.targets]]\nname = "two"\ntype = "rsync"\ndestination = "rsync://127.0.0.1:1/x/"\n'
    Path("statscache.toml").write_text(one + two)
    assert call("publish").status == 1
    done = call("status")
    assert done.status == 3
    assert "target      one: generation 1 at" in done.out
    assert "journal     0 messages in 0 segments" in done.out
    (wanting,) = (text for text in done.out.splitlines() if text.startswith("concern:"))
    assert wanting.count("target two: ") == 1
    state = json.loads(Path("one/v1/status.json").read_bytes())
    assert state["targets"] == [
        {"name": "one", "generation": None, "ok": False},
        {"name": "two", "generation": None, "ok": False},
    ]
    Path("statscache.toml").write_text(one)
    done = call("status")
    assert (done.status, "two" in done.out) == (0, False)


def test_one_file_that_cannot_be_read_is_said_in_one_line(call: Call) -> None:
    """Of several, a last line tells how many; of one, there is nothing to add."""
    done = call("backfill", "missing")
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "missing: No such file or directory" in done.err


def test_status_tells_of_large_documents_and_is_content(call: Call, tmp_path: Path) -> None:
    """A broken budget is a warning: what is published is right, and only dear to fetch."""
    messages = (line(f"{n}", NOON + n, f"org.fedoraproject.prod.{n:04}{'x' * 60}.sale") for n in range(900))
    (tmp_path / "many").write_bytes(b"\n".join(messages))
    call("backfill", "many")
    call("publish")
    done = call("status")
    assert done.status == 0
    assert "oversize    v1/plugins/volume-by-category/latest.json: " in done.out


def test_numbers_and_their_words_agree(call: Call, archive: Path) -> None:
    """One thing is said in the singular."""
    call("backfill", archive)
    call("publish")
    assert "20 messages in 1 segment (" in call("status").out
    assert "1 retained snapshot: no faults" in call("verify", "public").out
    assert " 1 requests" not in call("publish").out
    Path("statscache.db").unlink()
    Path("one").write_bytes(line("one", NOON))
    call("backfill", "one")
    assert "volume: agrees, 4 rows of 1 message\n" in call("verify", "--journal").out


@pytest.mark.parametrize("option", ["--force", "--resume"])
def test_dry_run_goes_with_nothing_that_changes_what_is_published(call: Call, option: str) -> None:
    """It would end the hold of a rollback, or let pass what the gate holds back."""
    done = call("publish", "--dry-run", option)
    assert done.status == 2
    assert "--dry-run" in done.err


def test_one_plugin_can_be_switched_off(call: Call, archive: Path) -> None:
    """Its documents go, it is listed with the setting, and it catches up when it is enabled again."""
    call("backfill", archive)
    call("publish")
    before = Path("public/v1/plugins/volume/latest.json").read_bytes()
    Path("statscache.toml").write_text('[plugins]\nenabled = ["v*"]\ndisabled = ["volume"]\n')
    assert call("publish").status == 0
    assert not Path("public/v1/plugins/volume").exists()
    states = {row["name"]: row["state"] for row in json.loads(call("plugins", "--json").out)["plugins"]}
    assert states["volume"] == "off ([plugins] disabled)"
    assert states["composes"] == "off ([plugins] enabled)"
    assert states["volume-by-category"] == "ok"
    Path("statscache.toml").unlink()
    call("publish")
    assert Path("public/v1/plugins/volume/latest.json").read_bytes() == before


def test_a_pattern_of_disabled_that_fits_nothing_is_refused(call: Call) -> None:
    """A misspelt name would leave on what should be off."""
    Path("statscache.toml").write_text('[plugins]\ndisabled = ["volum"]\n')
    assert "[plugins] disabled: 'volum' fits no installed plugin; installed are: " in call("config", "check").err

"""What reads the database by its driver alone finds what SQLAlchemy finds, and changes nothing."""

from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError, ProgrammingError

from commands import Home, install_plugins
from samples import line
from statscache.config import load
from statscache.exceptions import ConfigurationError, SchemaError
from statscache.store import Database, plain, schema, state
from statscache.store.rows import TargetRow

BROKEN = '''
from statscache.plugins import Counter


class Good(Counter):
    """Things."""

    name = "good"
    title = "Good"
    unit = "things"

    def observe(self, message):
        yield ()


class Bad(Good):
    """Other things."""

    name = "bad"

    def __init__(self, settings=None):
        raise ValueError("no")


PLUGINS = [Good, Bad]
'''


def test_both_ways_find_the_same(database_url: str) -> None:
    """On either database, also flags and bytes; a failure is the error that SQLAlchemy raises."""
    database = Database(database_url)
    with plain.reading(database_url) as query:
        assert query is None
    database.prepare()
    row = TargetRow("a", 3, "b" * 64, 7, 1, 2, 3, True, None, 8, 9, "100 % wrong")
    with database.writing() as connection:
        connection.execute(insert(schema.target), [row._asdict()])
        connection.execute(insert(schema.held), [{"digest": 1, "due": 2, "source": "s", "data": b"\0x"}])
    with database.reading() as connection, plain.reading(database_url) as query:
        assert query is not None
        assert state.targets(query, ["a", "b"]) == state.targets(plain.over(connection), ["a", "b"])
        assert state.targets(query, ["a"]) == [row]
        assert query("SELECT data FROM held") == [(b"\0x",)]
        assert state.journal(query) == state.journal(plain.over(connection))
        with pytest.raises((OperationalError, ProgrammingError)):
            query("SELECT missing FROM journal")
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="install the release that made it"), plain.reading(database_url):
        pass
    database.close()


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    """As by `Database.check`."""
    url = "postgresql+psycopg://me:secret@127.0.0.1:1/x"
    with pytest.raises(SchemaError, match=r"cannot open the database postgresql\+psycopg://me:\*\*\*@") as raised:
        plain.reading(url).__enter__()
    assert "secret" not in str(raised.value)


def test_status_writes_nothing(tmp_path: Path) -> None:
    """So that whoever watches needs the right to read only, and disturbs no one who writes."""
    home = Home(tmp_path / "home")
    (home.directory / "messages").write_bytes(line("a", 1_438_000_000))
    home.run("backfill", "messages")
    file = home.directory / "statscache.db"
    before = file.read_bytes()
    database = Database(f"sqlite:///{file}")
    with database.writing():
        assert home.json("status")["journal"]["messages"] == 1
    database.close()
    assert file.read_bytes() == before


def test_status_tells_of_the_plugins_that_run(tmp_path: Path) -> None:
    """What was active when the database was last opened to work with it, and what could not be loaded then."""
    home = Home(tmp_path / "home")
    home.environment["PYTHONPATH"] = str(install_plugins(tmp_path / "extra", BROKEN))
    home.configure('[plugins]\nenabled = ["good", "bad"]\n')
    home.run("publish")
    told = home.json("status", status=3)
    assert [row["name"] for row in told["plugins"]] == ["good"]
    assert [row["name"] for row in told["problems"]] == ["bad"]
    assert "ValueError: no" in told["problems"][0]["reason"]
    home.configure('[plugins]\nenabled = ["good"]\n')
    assert home.json("status", status=3)["problems"] == told["problems"]
    home.run("publish")
    told = home.json("status")
    assert ([row["name"] for row in told["plugins"]], told["problems"]) == (["good"], [])


def test_variables_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Text is text, lists and tables are JSON; a section and its keys are merged with the file's."""
    file = tmp_path / "statscache.toml"
    file.write_text(
        '[publish]\ntitle = "a"\ninterval = 5\n[sources.fedora-messaging]\nprefetch = 9\n'
        "[plugins.settings.one]\nx = 1\n"
    )
    for name, value in {
        "STATSCACHE_PUBLISH": '{"title": "b", "slow_interval": 7}',
        "STATSCACHE_PUBLISH__TITLE": "[c",
        "STATSCACHE_BUS__ENVIRONMENTS": '["stg"]',
        "STATSCACHE_SOURCES__FEDORA_MESSAGING__CONFIG": "fm.toml",
        "STATSCACHE_PLUGINS__SETTINGS__ONE__Y": "2",
        "STATSCACHE_PLUGINS__SETTINGS__TWO": '{"z": true}',
        "statscache_journal__keep": "3",
    }.items():
        monkeypatch.setenv(name, value)
    config = load(file)
    assert (config.publish.title, config.publish.interval, config.publish.slow_interval) == ("[c", 5, 7)
    assert (config.bus.environments, config.journal.keep) == (("stg",), 3)
    assert config.sources.fedora_messaging is not None
    assert (config.sources.fedora_messaging.prefetch, config.sources.fedora_messaging.config) == (9, Path("fm.toml"))
    assert config.plugins.settings == {"one": {"x": 1, "y": 2}, "two": {"z": True}}
    monkeypatch.setenv("STATSCACHE_BUS__ENVIRONMENTS", "stg")
    with pytest.raises(ConfigurationError, match="STATSCACHE_BUS__ENVIRONMENTS is not JSON"):
        load(file)

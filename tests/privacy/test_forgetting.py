"""Forgetting: afterwards no row, no file and no published byte holds the name, and no replay brings it back."""

import gzip
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
import sqlalchemy as sa
import zstandard

from commands import Home
from kills import STRIDE, Killed, Steps, target_operations, writes
from samples import ALL, NOON, Site, fresh_site, line
from statscache.exceptions import NameRefused
from statscache.ingest import Delivery, catchup
from statscache.plugins import BaseModel, Log, Message, Plugin, Table
from statscache.privacy.forget import Forgotten, checked, forget
from statscache.privacy.matcher import NameMatcher
from statscache.scrubbing import forms, scrub_bytes
from statscache.service.export import export as export_journal
from statscache.store import Database, journal, plain, positions, state, suppression
from statscache.verify.recount import recount

NAME = "zaphod"
THEN = datetime(2015, 8, 8, 12)  # noqa: DTZ001 - the column has no zone
FUTURE = 32503680000 - 1
HATS = "org.fedoraproject.prod.shop.sale"
ZSTANDARD = re.compile(re.escape(b"\x28\xb5\x2f\xfd"))
"""How zstandard's frames begin."""


class Quotes(Log):
    """What was said last, and who is in it."""

    name = "quotes"
    title = "Quotes"
    dimensions = ("thing",)
    topics = ("shop.#",)
    entries = 5

    def observe(self, message: Message) -> Iterator[Any]:
        """Quote all of the message."""
        yield (message.body.get("thing"),), {"said": message.subtitle, "raw": message.body}


class Fan(BaseModel):
    """How often a person was named."""

    __tablename__ = "data_fans"
    username = sa.Column(sa.UnicodeText, nullable=False)


class Fans(Table):
    """One row for each person in each message."""

    name = "fans"
    title = "Fans"
    model: ClassVar[Any] = Fan
    people = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.names: list[str] = []

    def process(self, message: dict[str, Any]) -> None:
        """Remember who is named."""
        self.names += message["meta"]["usernames"]

    def update(self, session: Any) -> None:
        """Store who was."""
        session.add_all(self.model(timestamp=THEN, username=name) for name in self.names)
        self.names = []

    def forget(self, session: Any, name: str) -> None:
        """Remove the person's rows."""
        session.query(self.model).filter(self.model.username == name).delete()


class Sign(BaseModel):
    """What stood in a message."""

    __tablename__ = "data_signs"
    text = sa.Column(sa.UnicodeText, nullable=False)


class Signs(Table):
    """One row for each note, whoever is in it."""

    name = "signs"
    title = "Signs"
    model: ClassVar[Any] = Sign

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.notes: list[str] = []

    def process(self, message: dict[str, Any]) -> None:
        """Remember the note."""
        self.notes.append(str(message["msg"].get("note")))

    def update(self, session: Any) -> None:
        """Store the notes."""
        session.add_all(self.model(timestamp=THEN, text=note) for note in self.notes)
        self.notes = []


PLUGINS: tuple[type[Plugin], ...] = (*ALL, Quotes)


def sale(number: int, buyer: str = NAME, **body: Any) -> bytes:
    """Return a message about somebody, on one of several days."""
    said = {"buyer": buyer, "thing": f"t{number % 3}", "amount": number % 5 + 1, "note": f"for {buyer}@example", **body}
    return line(f"m{number}", NOON + 40_000 * number, HATS, said, users=[buyer], packages=["kernel"])


def history() -> list[bytes]:
    """Return messages of a few people, in whose bodies the person is in many ways."""
    lines = [sale(number, ("trillian", NAME, "marvin")[number % 3]) for number in range(12)]
    lines.append(
        sale(20, "trillian", note="a word from <b>Zaphod</b>, zaphod_2 and zaphod-2", zaphod={"by": ["ZAPHOD"]})
    )
    lines.append(b'{"id": "x", "topic": 7, "msg": {"user": "\\u007aaphod", "zaphod": 1}}')
    lines.append(b"{cut: zaphod said \\nzaphod")
    lines.append(line("future", FUTURE, HATS, {"buyer": NAME}, users=[NAME]))
    return lines


def words(data: bytes) -> list[bytes]:
    """Return the spellings of the name as a whole word in bytes, in any case, also in the paths of documents."""
    # Most bytes do not hold it, and the expression takes ten times as long to say so.
    if b"aphod" not in data.lower():
        return []
    return re.findall(rb"(?i)(?<![\w-])zaphod(?![\w-])|_5aaphod(?![\w-])|zaphod-\d{4}\.svg", data)


def unpacked(data: bytes) -> Iterator[bytes]:
    """Yield bytes, and whatever in them looks like something compressed, decompressed."""
    yield data
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    for match in ZSTANDARD.finditer(data):
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[match.start() :])
        except zstandard.ZstdError:
            continue


def dump(database: Database) -> Iterator[tuple[str, bytes]]:
    """Yield every value of every table, with where it is."""
    with database.reading() as connection:
        for table in sa.inspect(connection).get_table_names():
            for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')):
                for column, value in row._mapping.items():
                    data = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    yield f"{table}.{column}", data


def traces(site: Site, *directories: Path) -> list[tuple[str, bytes]]:
    """Return where the name is found: in rows, in raw files of the database, in files below directories."""
    found = [(where, part) for where, data in dump(site.database) for part in unpacked(data) if words(part)]
    paths = [path for directory in (site.public, *directories) for path in directory.rglob("*") if path.is_file()]
    if site.database.is_sqlite:
        paths += Path(str(site.database.engine.url.database)).parent.glob("statscache.db*")
    for path in paths:
        found += [(str(path), part[:80]) for part in unpacked(path.read_bytes()) if words(part)]
        found += [(str(path), b"")] if words(path.name.encode()) else []
    return found


def forgotten(site: Site, name: str = NAME, **options: Any) -> Forgotten:
    """Forget a person."""
    return forget(site.installation, name, lambda *_: None, **options)


def is_recounted(site: Site) -> bool:
    """Return whether the state is what the journal gives; of each plugin."""
    found = [*recount(site.installation, lambda *_: None)]
    assert {one.name for one in found} == {plugin.name for plugin in site.installation.registry}
    return not [one for one in found if one.differences]


def test_after_a_person_was_forgotten_nothing_holds_the_name(database_url: str, tmp_path: Path) -> None:
    """Neither rows nor raw files nor targets do; the state and the tree are those of the journal as it is now."""
    mirror = tmp_path / "mirror"
    targets = (
        {"name": "public", "path": tmp_path / "public", "precompress": ("gz", "zst")},
        {"name": "mirror", "type": "rsync", "destination": str(mirror)},
    )
    site = Site(database_url, tmp_path, PLUGINS, publish={"targets": targets})
    for number, one in enumerate(history()):
        site.feed([one])
        if number % 5 == 0:
            site.publish()
    site.publish()
    assert {where for where, _ in traces(site)} >= {"segment.data", "held.data", "quarantine.data", "key.dimensions"}
    assert traces(site, mirror)
    done = forgotten(site)
    assert (done.messages, done.held, done.quarantined, done.unfinished, done.left) == (5, 1, 2, [], [])
    assert done.snapshots >= 3
    assert {"volume-by-user", "acts", "buyers", "quotes"} <= {*done.taken_out, *done.folded_again}
    assert traces(site, mirror) == []
    assert is_recounted(site)
    assert site.document("v1/plugins/volume/latest.json")["rows"][0]["total"] == 13
    # All history again, in another form too, brings nothing back.
    again = [*history(), *(one.replace(b"zaphod", b"Zaphod") for one in history())]
    outcome = site.feed(again)
    assert outcome.accepted == 0
    site.feed([sale(30), sale(31, "ZAPHOD")])
    site.publish()
    tree = site.tree()
    assert traces(site, mirror) == []
    assert is_recounted(site)
    assert site.document("v1/plugins/volume/latest.json")["rows"][0]["total"] == 15
    site.publish(force=True)
    assert site.tree() == tree
    # Somebody who is fed the journal comes to the same.
    with (tmp_path / "journal").open("wb") as out:
        export_journal(site.installation, out, lambda *_: None)
    other = Site(f"sqlite:///{tmp_path}/other.db", tmp_path / "other", PLUGINS)
    other.feed((tmp_path / "journal").read_bytes().splitlines())
    other.publish()
    assert {path: data for path, data in other.tree().items() if path.startswith("v1/")} == {
        path: data for path, data in tree.items() if path.startswith("v1/")
    }
    other.close()
    assert forgotten(site) == Forgotten()
    site.close()


def test_who_worked_before_does_not_bring_the_name_back(database_url: str, tmp_path: Path) -> None:
    """A process that had prepared a batch, or read from the journal, notices that somebody was forgotten meanwhile."""
    site = Site(database_url, tmp_path, PLUGINS)
    site.feed(history())
    late = Site(database_url, tmp_path / "late", PLUGINS)
    delivery = Delivery("late", [sale(40), b"no message of zaphod"])
    batch = late.ingest._preparer.prepare(delivery)
    plugin = late.installation.registry.get("acts")
    late.ingest.plugins.rebuild(["acts"])
    chunk = catchup.next_chunk(late.database, plugin)
    assert chunk is not None
    looked = catchup.look(plugin, chunk, late.installation.watchdog)
    forgotten(site)
    late.ingest.plugins.rebuild(["acts"])
    assert catchup.commit(late.database, plugin, chunk, looked, 30.0, late.installation.watchdog)
    assert late.ingest.take(delivery, batch).accepted == 1
    assert late.ingest.take(Delivery("late", [sale(41), b"nor one of zaphod"])).accepted == 1
    late.catch_up()
    late.publish()
    assert traces(site, late.public) == []
    assert is_recounted(late)
    late.close()
    site.close()


def test_rows_of_an_author_are_forgotten_by_the_author_or_folded_again(database_url: str, tmp_path: Path) -> None:
    """A table about people is asked to forget; another with the name is made again; a foreign one is reported."""
    site = Site(database_url, tmp_path, (Fans, Signs))
    site.feed(history())
    site.publish()
    done = forgotten(site)
    assert (done.taken_out, done.folded_again) == (["fans"], ["signs"])
    assert traces(site) == []
    rows = site.document("v1/plugins/fans/latest.json")["rows"]
    assert sorted(row["username"] for row in rows) == ["marvin"] * 4 + ["trillian"] * 5
    with site.database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE data_gone (username TEXT)"))
        connection.execute(sa.text("INSERT INTO data_gone VALUES ('zaphod')"))
    assert forgotten(site).unfinished == ["table data_gone holds the name, and no active plugin has it: drop it"]
    with site.database.writing() as connection:
        connection.execute(sa.text("DROP TABLE data_gone"))
    site.close()


def test_plugins_that_do_not_run_lose_what_they_hold(database_url: str, tmp_path: Path) -> None:
    """A suspended plugin stays so, without state and documents of the person; one that is not installed, too."""
    site = Site(database_url, tmp_path, PLUGINS)
    site.feed(history())
    site.publish()
    site = site.reopened([plugin for plugin in PLUGINS if plugin.name != "acts"])
    site.ingest.suspend("quotes", "it hung")
    forgotten(site)
    assert traces(site) == []
    with site.database.reading() as connection:
        row = positions.load(connection)["quotes"]
        assert (row.suspended, row.position) == ("it hung", 0)
    assert site.document("v1/plugins/volume/latest.json")["rows"][0]["total"] == 13
    site = site.reopened(PLUGINS)
    site.ingest.resume("quotes")
    site.catch_up()
    site.publish()
    assert traces(site) == []
    assert is_recounted(site)
    site.close()


def test_what_the_journal_has_lost_is_taken_out_of_the_state(database_url: str, tmp_path: Path) -> None:
    """Where old messages were removed, the person's own numbers go, and those of others stay."""
    site = Site(database_url, tmp_path, PLUGINS, journal={"keep": 1})
    site.feed([sale(0), sale(1, "trillian")])
    site.feed([sale(40, "marvin")])
    site.catch_up()
    with site.database.reading() as connection:
        assert journal.removed(connection).messages == 2
    forgotten(site)
    assert traces(site) == []
    rows = site.document("v1/plugins/volume-by-user/latest.json")["rows"]
    assert [row["user"] for row in rows] == ["marvin", "trillian"]
    site.close()


def test_the_spool_is_cleaned(tmp_path: Path) -> None:
    """Files that were read, that could not be, and that wait lose the name, in the compression that they have."""
    spool = tmp_path / "spool"
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, PLUGINS, sources={"spool": {"path": spool}})
    for name in ("done", "failed", "taken"):
        (spool / name).mkdir(parents=True)
    content = b"\n".join([*history(), b""])
    (spool / "done/a.ndjson").write_bytes(content)
    (spool / "done/a.ndjson").chmod(0o640)
    (spool / "done/b.gz").write_bytes(gzip.compress(content))
    (spool / "taken/c.zst").write_bytes(zstandard.ZstdCompressor().compress(content))
    (spool / "failed/d.gz").write_bytes(gzip.compress(content * 50)[:-20])
    (spool / "failed/d.gz.reason").write_text("it says zaphod\n")
    (spool / "wait.ndjson").write_bytes(content)
    (spool / "other.ndjson").write_bytes(sale(1, "marvin") + b"\n")
    for path in (spool / "wait.ndjson", spool / "other.ndjson"):
        os.utime(path, (0, 0))
    assert forgotten(site).files == 6
    assert traces(site, spool) == []
    assert len((spool / "done/a.ndjson").read_bytes().splitlines()) == len(history())
    assert (spool / "done/a.ndjson").stat().st_mode & 0o777 == 0o640
    assert gzip.decompress((spool / "done/b.gz").read_bytes()).count(b"trillian") == content.count(b"trillian")
    assert (spool / "other.ndjson").stat().st_mtime == 0
    assert not list(spool.rglob(".*"))
    site.close()


def test_a_target_that_is_away_is_cleaned_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has is listed as unfinished; the others are clean at once; the next publication removes it."""
    monkeypatch.setattr("statscache.publish.target.PAUSES", ())
    away = tmp_path / "away"
    targets = ({"name": "public", "path": tmp_path / "public"}, {"name": "away", "path": away})
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, PLUGINS, publish={"targets": targets})
    site.feed(history())
    site.publish()
    away.rename(tmp_path / "elsewhere")
    away.write_text("no directory")
    done = forgotten(site)
    assert ["target away" in what for what in done.unfinished] == [True]
    assert traces(site) == []
    with site.database.reading() as connection:
        assert state.owed(plain.over(connection)) == done.objects > 0
    home = Home(tmp_path / "home")
    home.configure(f'[database]\nurl = "sqlite:///{tmp_path}/statscache.db"\n')
    assert "of forgotten people may still be at a target" in home.run("status", status=3).stdout
    away.unlink()
    (tmp_path / "elsewhere").rename(away)
    assert traces(site, away)
    site.publish()
    assert traces(site, away) == []
    with site.database.reading() as connection:
        assert state.owed(plain.over(connection)) == 0
    site.close()


@pytest.mark.parametrize("operations", ["database", "target"])
def test_who_is_killed_runs_the_same_again(operations: str, tmp_path: Path) -> None:
    """Killed before operations all along, the state is that of the journal; run again, nothing holds the name."""
    plugins: tuple[type[Plugin], ...] = (*(cls for cls in ALL if cls.name in ("acts", "volume", "customers")), Quotes)
    start = tmp_path / "start"
    start.mkdir()
    site = fresh_site(f"sqlite:///{start}/statscache.db", start, plugins)
    site.feed(history())
    site.publish()
    site.feed([sale(25)])
    site.publish()
    site.database.wipe()
    site.close()
    # Each takes seconds, so not every one of the hundreds is killed before.
    at = killed = 0
    while True:
        work = tmp_path / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(start, work)
        site = Site(f"sqlite:///{work}/statscache.db", work, plugins)
        steps = Steps(at)
        try:
            with writes(site.database, steps) if operations == "database" else target_operations(steps):
                forgotten(site)
        except Killed:
            site.database.engine.dispose()
            killed += 1
            site = site.reopened()
            forgotten(site)
            assert traces(site) == [], f"killed before operation {at}"
            assert is_recounted(site)
            site.close()
            at += 18 * STRIDE
            continue
        assert traces(site) == []
        site.close()
        break
    assert killed > 3, "hardly anything was interrupted"


@pytest.mark.parametrize(
    "name",
    ["", "  ", "_", "a", "42", "user", "Topic", "prod", "nobody", "me@example.org", "10.0.0.1", "a\nb", "x" * 201],
)
def test_names_that_are_none_are_refused(name: str) -> None:
    """They would be in every message, or in none."""
    with pytest.raises(NameRefused):
        checked(name, ["prod"])


def test_a_name_that_is_a_word_is_forgotten_where_such_a_person_is_involved(tmp_path: Path) -> None:
    """A package or topic of that name refuses it, and nothing changes; elsewhere the word may be left alone."""
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, PLUGINS)
    site.feed([sale(1, "kernel"), sale(2, "marvin")])
    before = site.publish().id
    for name in ("kernel", "shop"):
        with pytest.raises(NameRefused, match="--where-involved"):
            forgotten(site, name)
    assert site.publish().id == before
    done = forgotten(site, "kernel", where_involved=True)
    assert done.messages == 1
    assert is_recounted(site)
    people = site.document("v1/plugins/volume-by-user/latest.json")["rows"]
    packages = site.document("v1/plugins/volume-by-package/latest.json")["rows"]
    assert [row["user"] for row in people] == ["marvin"]
    assert [(row["package"], row["total"]) for row in packages] == [("kernel", 1)]
    site.close()


def test_a_package_that_no_word_of_a_message_names_is_one_too(tmp_path: Path) -> None:
    """It would be derived from the message again, so its name is refused; nothing is changed."""
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, PLUGINS)
    site.feed([line("a", NOON, "org.fedoraproject.prod.kerneltest.release.edit", {"release": {"releasenum": 20}})])
    before = site.publish().id
    with pytest.raises(NameRefused, match="1 are about a package of that name"):
        forgotten(site, "kernel")
    assert site.publish().id == before
    assert is_recounted(site)
    site.close()


def test_names_compare_in_any_case_and_form(database_url: str, tmp_path: Path) -> None:
    """Small and capital letters, and an accent that is a character of its own, make no other person."""
    site = Site(database_url, tmp_path, PLUGINS)
    spellings = ["jürgen", "JÜRGEN", "ju\u0308rgen"]
    site.feed(sale(number, name) for number, name in enumerate(spellings))
    assert forgotten(site, "Jürgen").messages == 3
    site.feed(sale(10 + number, name) for number, name in enumerate(spellings))
    site.publish()
    assert site.document("v1/plugins/volume-by-user/latest.json")["rows"] == []
    traced = NameMatcher("jürgen")
    assert not [path for path, data in site.tree().items() if traced(data) or traced(path.encode())]
    site.close()


def test_the_list_does_not_tell_who_is_on_it(database_url: str, tmp_path: Path) -> None:
    """The same name has another digest in another database."""
    digests: set[bytes] = set()
    for url in (database_url, f"sqlite:///{tmp_path}/other.db"):
        database = Database(url)
        database.prepare()
        with database.writing() as connection:
            assert suppression.add(connection, NAME)
            assert not suppression.add(connection, NAME.upper())
            listed = suppression.load(connection)
        assert NAME in listed
        assert "marvin" not in listed
        digests |= listed.digests
        database.close()
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b"zaphod, zaphod-2", b"_, zaphod-2"),
        (b'{"a": "\\u007aaphod"}', b'{"a": "_"}'),
        (b'{"zaphod": 1, "zaphod": 2}', b'{"_": 2}'),
        (b'{"id": "zaphod", "topic": "zaphod", "user": "zaphod"', b'{"id": "_", "topic": "_", "user": "_"'),
        (
            b'{"id": "zaphod", "n": 123456789012345678901234567890}',
            b'{"id": "zaphod", "n": 123456789012345678901234567890}',
        ),
        (b"\xff\xfe zaphod \x00", b"\xff\xfe _ \x00"),
        (b'["\\ud800 zaphod"]', b'["\\ud800 _"]'),
        (b"[" * 2000 + b"zaphod", b"[" * 2000 + b"_"),
    ],
    ids=range(8),
)
def test_bytes_that_are_no_message_are_scrubbed(raw: bytes, left: bytes) -> None:
    """Be they JSON or not, as far as they can be read."""
    assert scrub_bytes(raw, forms(NAME)) == left


def test_fedoras_removal_procedure(tmp_path: Path) -> None:
    """The name is taken from the environment; it is in no output; again does no harm, and none is refused."""
    home = Home(tmp_path, GDPR_DELETE_USERNAME=NAME)
    (tmp_path / "history.ndjson").write_bytes(b"\n".join(history()))
    home.run("backfill", "history.ndjson")
    home.run("publish")
    told = orjson.loads(home.run("export-person", NAME).stdout)
    assert [len(told[part]) for part in ("messages", "held", "quarantined")] == [5, 1, 2]
    assert told["state"]["volume-by-user"]
    assert "v1/plugins/volume-by-user/by/zaphod.json" in told["published"]
    done = home.run("forget", "--from-environment")
    assert "5 messages changed" in done.stdout
    assert not words((done.stdout + done.stderr).encode())
    assert home.json("forget", "--from-environment")["messages"] == 0
    again = home.run("-v", "backfill", "history.ndjson")
    assert not words((again.stdout + again.stderr).encode())
    home.run("-v", "publish")
    left = orjson.loads(home.run("export-person", NAME).stdout)
    assert left == {"messages": [], "held": [], "quarantined": [], "state": {}, "published": []}
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "history.ndjson":
            assert not [part for part in unpacked(path.read_bytes()) if words(part)], path
    del home.environment["GDPR_DELETE_USERNAME"]
    assert "the name is empty" in home.run("forget", "--from-environment", status=3).stderr
    home.run("forget", status=2)
    home.run("forget", NAME, "--from-environment", status=2)
    home.run("verify", "public")
    home.run("db", "check")


def test_places_that_left_the_configuration_are_named(tmp_path: Path) -> None:
    """A target that was removed, or points elsewhere now, may hold the name; who deleted the files there says so."""
    home = Home(tmp_path / "home")
    (home.directory / "history.ndjson").write_bytes(b"\n".join(history()))

    def publish_to(*paths: str) -> None:
        tables = [f'[[publish.targets]]\nname = "t{at}"\npath = "{path}"\n' for at, path in enumerate(paths)]
        home.configure("".join(tables))

    publish_to("public", "old")
    home.run("backfill", "history.ndjson")
    home.run("publish")
    publish_to("new")
    home.run("publish")
    listed = home.json("places")
    assert [(row["target"], row["configured"]) for row in listed] == [("t0", True), ("t1", False), ("t0", False)]
    lost = [str(home.directory / name) for name in ("old", "public")]
    assert home.json("forget", NAME, status=3)["unreachable"] == [f"{lost[0]} (target t1)", f"{lost[1]} (target t0)"]
    done = home.run("forget", NAME, status=3)
    assert f"statscache places --drop '{lost[0]}'" in done.stdout
    assert "is configured" in home.run("places", "--drop", str(home.directory / "new"), status=2).stderr
    assert "was never published to" in home.run("places", "--drop", "elsewhere", status=2).stderr
    home.run("places", "--drop", lost[0])
    publish_to("new", "public")
    assert home.json("forget", NAME)["unreachable"] == []
    assert not [path for path in (home.directory / "public").rglob("*") if path.is_file() and words(path.read_bytes())]

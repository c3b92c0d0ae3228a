"""Bad input: each kind gets its clear outcome on both databases, and the rest goes through."""

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
import zstandard
from sqlalchemy import event, func, select, text, update

from samples import KINDS, NOON, TOPIC, Line, Sales, Site, id_digest, line
from statscache import canonical
from statscache.exceptions import HistoryGone, SourceError
from statscache.ingest import Outcome, judge
from statscache.ingest.postpone import postpone
from statscache.kinds.keys import stored
from statscache.plugins import Counter, Latest, Log, Message, Plugin
from statscache.service.backfill import backfill
from statscache.sources import archive
from statscache.store import coverage, foreign, journal, plain, positions, quarantine, schema, state
from statscache.store.quarantine import Quarantined
from statscache.timeline import DAY
from statscache.verify.database import check
from statscache_plugins.volume import Volume


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site with a plugin of each kind."""
    made = Site(database_url, tmp_path, (*KINDS, Volume))
    yield made
    made.close()


def other(tmp_path: Path, lines: list[Line]) -> Site:
    """Return another site, to which nothing else came than these."""
    made = Site(f"sqlite:///{tmp_path}/other.db", tmp_path / "other", (*KINDS, Volume))
    made.feed(lines)
    return made


def sale(number: int, later: int = 0) -> Line:
    """Return a message that all plugins count, so many seconds after noon and `later`."""
    return line(f"s{number}", NOON + number + later, body={"buyer": "ralph", "thing": "hat"})


def quarantined(site: Site) -> list[Quarantined]:
    """Return what is in quarantine."""
    with site.database.reading() as connection:
        return quarantine.listed(connection)


def total(site: Site, name: str = "volume") -> int:
    """Return how many a counter has counted in all."""
    return sum(row[2] for row in site.state()[name] if row[0] == "key")


def read(site: Site, path: Path) -> Outcome:
    """Read an archive."""
    whole = Outcome()
    for _, outcome in backfill(site.installation, path):
        whole += outcome
    return whole


# Archives.


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_a_truncated_archive_is_named_and_what_came_before_counts(site: Site, tmp_path: Path, form: str) -> None:
    """The error names the file; whole lines before the end count; the whole file, read again, completes them."""
    lines = [
        line(f"s{number}", NOON + number, body={"noise": canonical.digest(b"%d" % number)}) for number in range(3_000)
    ]
    data = b"\n".join(lines) + b"\n"
    packed = gzip.compress(data, 1) if form == "gzip" else zstandard.ZstdCompressor().compress(data)
    path = tmp_path / "archive"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(SourceError, match=r"archive is truncated or damaged"):
        read(site, path)
    assert 1_000 <= total(site) < 3_000
    path.write_bytes(packed)
    read(site, path)
    assert total(site) == 3_000


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_what_precedes_an_early_end_of_an_archive_counts(site: Site, tmp_path: Path, form: str) -> None:
    """Also where less than one batch precedes it."""
    data = b"\n".join(sale(number) for number in range(100)) + b"\n"
    if form == "gzip":
        packed = gzip.compress(data)[:-8]
    else:
        compressor = zstandard.ZstdCompressor().compressobj()
        packed = compressor.compress(data) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    path = tmp_path / "archive"
    path.write_bytes(packed)
    with pytest.raises(SourceError, match="truncated or damaged"):
        read(site, path)
    assert total(site) == 100


def test_a_damaged_gzip_archive_is_named(site: Site, tmp_path: Path) -> None:
    """Bytes that were changed on the way are an error of the source, and no traceback of a library."""
    data = bytearray(gzip.compress(b"\n".join(sale(number) for number in range(2000))))
    data[len(data) // 2] ^= 0xFF
    data[len(data) // 2 + 1] ^= 0xFF
    path = tmp_path / "archive.gz"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"archive\.gz is truncated or damaged"):
        read(site, path)


def test_a_binary_file_is_quarantined_line_by_line(site: Site, tmp_path: Path) -> None:
    """What is not text at all is quarantined, and the message in its midst counts."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(range(256)) * 20 + b"\n" + sale(1) + b"\n\xff\xfe\n")
    outcome = read(site, path)
    assert outcome.accepted == 1
    assert outcome.quarantined >= 2
    assert all(item.reason.startswith("not JSON") for item in quarantined(site))


def test_a_directory_is_refused_with_the_fix(site: Site, tmp_path: Path) -> None:
    """A directory is not an archive."""
    with pytest.raises(SourceError, match="is a directory; name the files in it"):
        read(site, tmp_path)


def test_a_pipe_is_refused_with_the_fix(site: Site, tmp_path: Path) -> None:
    """Whoever writes to it is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("-")):
        with pytest.raises(SourceError, match=f"^{path}: a pipe cannot be read, .*; write it to a file"):
            read(site, path)


def test_a_missing_file_is_named(site: Site, tmp_path: Path) -> None:
    """A file that is not there is an error that names it."""
    with pytest.raises(SourceError, match=r"gone\.ndjson: No such file"):
        read(site, tmp_path / "gone.ndjson")


def test_an_empty_file_holds_nothing(site: Site, tmp_path: Path) -> None:
    """An empty archive is read to its end."""
    (tmp_path / "empty").write_bytes(b"")
    assert read(site, tmp_path / "empty") == Outcome()


def test_a_line_of_50_megabytes_is_quarantined_by_its_beginning(site: Site, tmp_path: Path) -> None:
    """A line beyond the limit is not taken into memory; what is before and after it counts."""
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.write(sale(1) + b"\n")
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + sale(2))
    outcome = read(site, path)
    assert (outcome.accepted, outcome.quarantined) == (2, 1)
    (item,) = quarantined(site)
    assert "50000001 bytes; at most 1048576" in item.reason
    assert item.reason.endswith("and the first 65536 are kept here")
    assert item.size == 65_536


def test_very_many_long_lines_take_no_more_memory_than_a_batch(tmp_path: Path) -> None:
    """What is kept of them counts as bytes of the batch, however many lines one may have."""
    path = tmp_path / "long"
    path.write_bytes((b"x" * 200_000 + b"\n") * 100)
    chunks = [*archive.read(path, offset=0, max_line=100_000, max_lines=1_000, max_bytes=1_000_000)]
    assert sum(len(chunk.oversize) for chunk in chunks) == 100
    assert max(sum(len(kept) for kept, _ in chunk.oversize) for chunk in chunks) < 1_100_000


def test_a_line_that_is_too_long_is_refused_whichever_source_hands_it_over(site: Site) -> None:
    """The bound holds where all sources meet, so a live bus has it too; of the line, the beginning is kept."""
    text = orjson.dumps({"id": "long", "topic": TOPIC, "timestamp": NOON, "body": {"buyer": "x" * (1 << 20)}})
    whole = sale(1) + b" " * ((1 << 20) - len(sale(1)))
    for feed in (site.feed, site.feed_prepared):
        feed([text, whole + b"\n", sale(2)], "fedmsg")
        (item,) = quarantined(site)
        assert f"it has {len(text)} bytes; at most 1048576 are taken ([bus] max_line)" in item.reason
        assert item.size == 65_536
    assert total(site) == 2


def _packed_of(kind: str) -> bytes:
    """Return a small zstd file that asks for much memory."""
    if kind == "window":
        parameters = zstandard.ZstdCompressionParameters(window_log=27)
        stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return stream.compress(sale(1) + b"\n") + stream.flush()
    return zstandard.ZstdCompressor().compress(b" " * (400 << 20) + b"\n" + sale(1) + b"\n")


READ = r"""
import re, sys
from pathlib import Path
from statscache.exceptions import SourceError
from statscache.sources import archive
from statscache.scrubbing import scrub_bytes
path, work = Path(sys.argv[1]), sys.argv[2]
def most():
    # A process begins with the ru_maxrss of the one that started it.
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
before = most()
try:
    if work == "read":
        for chunk in archive.read(path, offset=0, max_line=1 << 20, max_lines=1000, max_bytes=1 << 22):
            print(len([*chunk.lines]), len(chunk.oversize))
    else:
        print(archive.rewrite(path, lambda line: scrub_bytes(line, frozenset({"ralph"})), 1 << 20))
except SourceError as error:
    print(error)
print(most() - before)
"""


def reading(path: Path, work: str) -> tuple[list[str], int]:
    """Return what reading an archive in a process of its own says, and by how many MB that grew."""
    done = subprocess.run([sys.executable, "-c", READ, path, work], capture_output=True, text=True, check=True)
    *said, grown = done.stdout.splitlines()
    return said, int(grown) // 1024


def test_a_small_archive_takes_no_large_memory(tmp_path: Path) -> None:
    """Neither what a few bytes of zstd stand for, nor the window that they ask for."""
    path = tmp_path / "a.zst"
    path.write_bytes(_packed_of("content"))
    assert path.stat().st_size < 50_000
    said, grown = reading(path, "read")
    assert said == ["1 1"]
    assert grown < 60
    path.write_bytes(_packed_of("window"))
    said, grown = reading(path, "read")
    assert "needs more than 32 MiB of memory to decompress" in said[0]
    assert "zstd -dc --long=31 a.zst | zstd > NEW.zst" in said[0]
    assert grown < 60


def test_a_huge_line_is_rewritten_in_pieces(tmp_path: Path) -> None:
    """A name within a line of ten megabytes is removed with flat memory, wherever it stands, and the rest stays."""
    path = tmp_path / "a.gz"
    words = b'"hat","ralphina","ralph",' * 400_000
    path.write_bytes(gzip.compress(sale(1) + b'\n{"huge":[' + words + b"1]}\n" + sale(2) + b"\n", 1))
    said, grown = reading(path, "rewrite")
    assert int(said[0]) > 2
    assert grown < 25
    first, huge, last = gzip.decompress(path.read_bytes()).splitlines()
    assert huge == b'{"huge":[' + words.replace(b'"ralph"', b'"_"') + b"1]}"
    assert b"ralph" not in first + last


# Messages.

DEEP = b'{"id":"x","topic":"a.b.prod.c","timestamp":1439035200,"body":' + b"[" * 101 + b"]" * 101 + b"}"
MALFORMED = {
    "NaN": (b'{"id":"x","topic":"a.b.prod.c","timestamp":NaN,"body":{}}', "not JSON"),
    "infinity": (b'{"id":"x","topic":"a.b.prod.c","timestamp":1e999,"body":{}}', ""),
    "NaN inside": (b'{"id":"x","topic":"a.b.prod.c","timestamp":1,"body":{"a":NaN}}', "not JSON"),
    "NUL": (rb'{"id":"x","topic":"a.b.prod.c","timestamp":1,"body":{"a":"\u0000"}}', "NUL"),
    "NUL in a key": (rb'{"id":"x","topic":"a.b.prod.c","timestamp":1,"body":{"\u0000":1}}', "NUL"),
    "lone surrogate": (rb'{"id":"x","topic":"a.b.prod.c","timestamp":1,"body":{"a":"\ud800"}}', "surrogate"),
    "depth": (DEEP, "nested more than 100 deep"),
    "2^70": (b'{"id":"x","topic":"a.b.prod.c","timestamp":1,"body":{"n":1180591620717411303424}}', "beyond 64 bits"),
    "no object": (b"[1]", "JSON, but an array"),
    "no topic": (b'{"id":"x","timestamp":1,"body":{}}', "no topic"),
    "topic is a number": (b'{"id":"x","topic":5,"timestamp":1,"body":{}}', "topic is 5"),
    "no time": (b'{"id":"x","topic":"a.b.prod.c","body":{}}', "no timestamp"),
    "time before 1970": (b'{"id":"x","topic":"a.b.prod.c","timestamp":-1,"body":{}}', "timestamp is -1"),
    "no UTF-8": (b'{"id":"x","topic":"a.b.prod.\xff","timestamp":1,"body":{}}', "not JSON"),
}


def test_what_is_no_message_is_quarantined_with_its_reason_and_bytes(site: Site) -> None:
    """Each malformed line is kept once with its reason; its neighbours in the batch count."""
    raws = [raw for raw, _ in MALFORMED.values()]
    outcome = site.feed([sale(1), *raws, sale(2), *raws])
    assert (outcome.accepted, outcome.quarantined) == (2, 2 * len(raws))
    items = quarantined(site)
    assert len(items) == len(raws)
    with site.database.reading() as connection:
        for item, (name, (raw, reason)) in zip(items, MALFORMED.items(), strict=True):
            assert quarantine.load(connection, item) == raw
            assert reason in item.reason, name
            assert item.plugin is None
    assert not any(site.ingest.retry(item) for item in items)
    assert len(quarantined(site)) == len(raws)
    assert total(site) == 2


@pytest.mark.parametrize("number", [2**63 - 1, 2**64 - 1, -(2**63), 0.1, 1e300])
def test_numbers_of_64_bits_and_floats_survive_the_journal(site: Site, number: float) -> None:
    """A number that JSON parsers agree on comes out of the journal as it went in."""
    site.feed([line("n", body={"number": number})])
    with site.database.reading() as connection:
        record = journal.record(connection, 1)
    assert record is not None
    assert Message.from_record(record).body == {"number": number}


def test_a_key_of_10000_characters_is_counted_under_other(site: Site) -> None:
    """Who may send a message cannot make keys of any length: what is too long counts, under a name for all such."""
    site.feed([line("long", body={"buyer": "ü" * 10_000, "thing": None})])
    site.publish()
    assert [(row["buyer"], row["total"]) for row in site.document("v1/plugins/buyers/latest.json")["rows"]] == [
        ("(other)", 1)
    ]


def test_a_key_of_200_characters_has_a_row_and_a_document(site: Site) -> None:
    """A long key is a key, whose path is shortened."""
    name = "ü" * 200
    site.feed([line("long", body={"buyer": name, "thing": None})])
    site.publish()
    assert site.document("v1/plugins/buyers/latest.json")["rows"][0]["buyer"] == name
    (path,) = (site.public / "v1/plugins/buyers/by").glob("*.json")
    assert orjson.loads(path.read_bytes())["key"] == [name]
    assert len(path.stem) == 80 + 1 + 32


def test_a_message_of_the_year_3000_is_held_until_its_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither counts nor moves the clock of what is published, until the clock has passed it."""
    future = 32503680000
    site.feed([sale(1)])
    outcome = site.feed([line("future", future), line("future", future), line("soon", int(time.time()) + 250)])
    assert (outcome.accepted, outcome.held) == (1, 2)
    assert site.ingest.admit_due().accepted == 0
    with site.database.reading() as connection:
        assert state.number_held(plain.over(connection)) == 1
        through = journal.head(connection).through
    assert through is not None
    assert through < future
    monkeypatch.setattr(time, "time", lambda: future - 300.0)
    outcome = site.ingest.admit_due()
    assert (outcome.accepted, outcome.known) == (1, 0)
    assert total(site) == 3
    with site.database.reading() as connection:
        assert journal.head(connection).through == future
        assert state.number_held(plain.over(connection)) == 0


def test_messages_of_the_future_are_taken_back_when_the_clock_is_right_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a clock that was ahead let in leaves no trace, waits for its time, and is then counted once."""
    future = int(time.time()) + 30 * DAY
    ours, theirs = [sale(number) for number in range(4)], [sale(number, later=future - NOON) for number in range(4, 7)]
    site.feed(ours)
    before = site.state()
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: future + 60.0)
        # One segment has both, and holes are in its middle.
        site.feed([theirs[0], sale(7), theirs[1], sale(8), theirs[2]])
        with site.database.writing() as connection:
            coverage.record(connection, future - DAY, future, complete=False)
    assert site.state() != before
    site.feed([sale(9)])
    done = postpone(site.database, site.installation.registry)
    assert (done.messages, done.folded_again) == (3, sorted(plugin.name for plugin in site.installation.registry))
    while site.ingest.catch_up():
        pass
    assert [*check(site.database, site.installation.registry, quick=False)] == []
    untroubled = other(tmp_path, [*ours, sale(7), sale(8), sale(9)])
    assert site.state() == untroubled.state()
    with site.database.reading() as connection:
        head = journal.head(connection)
        assert head.through == NOON + 9
        assert head.position - journal.removed(connection).messages == 7
        assert state.number_held(plain.over(connection)) == 3
        assert coverage.gaps(connection) == []
    assert postpone(site.database, site.installation.registry).messages == 0
    monkeypatch.setattr(time, "time", lambda: future + 60.0)
    assert site.ingest.admit_due().accepted == 3
    assert site.feed(theirs).known == 3
    untroubled.feed(theirs)
    assert site.state() == untroubled.state()
    untroubled.close()


def test_history_that_the_journal_has_no_longer_is_not_lost_by_mistake(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postponing would fold the journal again: the command refuses, and changes nothing, unless it is asked to."""
    future = int(time.time()) + 30 * DAY
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: future + 60.0)
        site.feed([sale(1), sale(2, later=future - NOON)])
    with site.database.writing() as connection:
        connection.execute(update(schema.journal).values(removed=5, removed_until=NOON // DAY * DAY))
    before = site.state()
    with pytest.raises(HistoryGone, match=r"restore a backup .* or repeat this with --lose-history"):
        postpone(site.database, site.installation.registry)
    assert site.state() == before
    assert postpone(site.database, site.installation.registry, lose_history=True).messages == 1


def test_a_message_of_the_future_for_which_there_is_no_room_is_not_lost_by_trying_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is quarantined again, until there is room or its time has come."""
    future = int(time.time()) + 30 * DAY
    first, second = line("first", future), line("other", future)
    monkeypatch.setattr(site.ingest, "_max_kept", len(first) + 1)
    site.feed([first, second])
    (item,) = quarantined(site)
    assert site.ingest.retry(item) is False
    (item,) = quarantined(site)
    monkeypatch.setattr(site.ingest, "_max_kept", 10_000)
    assert site.ingest.retry(item) is True
    with site.database.reading() as connection:
        assert state.number_held(plain.over(connection)) == 2
    assert quarantined(site) == []


def test_of_two_contents_with_one_id_the_first_stands(site: Site) -> None:
    """The second is a copy that differs: a conflict is counted, and nothing else changes."""
    site.feed([line("same", body={"buyer": "a", "thing": "hat", "amount": 1})])
    before = site.state()
    outcome = site.feed([line("same", body={"buyer": "b", "thing": "hat", "amount": 2})])
    assert (outcome.accepted, outcome.known, outcome.conflicts) == (0, 1, 1)
    assert site.state() == before
    with site.database.reading() as connection:
        assert state.journal(plain.over(connection)).conflicts == 1


def test_an_id_that_was_made_to_collide_is_another_message(site: Site) -> None:
    """The second id has the xxh3_64 of the first, which takes milliseconds to find: what is compared is keyed."""
    genuine, made = "2019-21b8c26b-c023-43ab-95da-cb8f8c773fe6", '\x18r32\u071bo"'
    outcome = site.feed([line(made), line(genuine)])
    assert (outcome.accepted, outcome.known) == (2, 0)


def test_no_two_databases_digest_ids_alike(tmp_path: Path) -> None:
    """What collides in one installation, which no one can see, would not in another; a restart changes nothing."""
    sites = [Site(f"sqlite:///{tmp_path / name}", tmp_path, (Sales,)) for name in ("a.db", "b.db")]
    assert id_digest(sites[0], "x") != id_digest(sites[1], "x")
    sites[0].feed([line("x")])
    again = sites[0].reopened()
    assert again.feed([line("x")]).known == 1
    for site in (again, sites[1]):
        site.close()


def test_foreign_messages_are_counted_once_as_long_as_they_are_known(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digests of the newest are kept, by whole days: what does not cease to come needs no more room."""
    monkeypatch.setattr(foreign, "KEPT", 3)
    days = [[line(f"{day}-{n}", NOON + day * DAY, "a.b.stg.c") for n in range(2)] for day in range(5)]
    for lines in (*days, days[4], days[3], days[0]):
        site.feed(lines)
    with site.database.reading() as connection:
        assert state.journal(plain.over(connection)).foreign == 12
        assert connection.scalar(select(func.count()).select_from(schema.foreign_message)) == 4


def test_one_id_three_days_apart_is_two_messages(site: Site) -> None:
    """A copy is looked for in the message's day and both neighbours, and no further."""
    outcome = site.feed([line("same", NOON), line("same", NOON + 86400), line("same", NOON + 3 * 86400)])
    assert (outcome.accepted, outcome.known) == (2, 1)


def test_foreign_environments_short_topics_and_our_own(site: Site) -> None:
    """Foreign messages and our own are counted as such; topics without an environment are accepted."""
    others = [line(f"f{n}", topic=topic) for n, topic in enumerate(("a.b.stg.c", "a.b.dev.c.d", "a.b.stg"))]
    own = [
        line(f"o{n}", topic=topic)
        for n, topic in enumerate(("a.b.prod.statscache.snapshot.new", "VirtualTopic.eng.statscache.x"))
    ]
    accepted = [
        line(f"a{n}", topic=topic)
        for n, topic in enumerate(
            (TOPIC, "io.pagure.prod.pagure.x", "short", "two.parts", "VirtualTopic.eng.brew.x", "a.b.prod")
        )
    ]
    outcome = site.feed([*others, *own, *accepted])
    assert (outcome.foreign, outcome.accepted) == (5, 6)
    with site.database.reading() as connection:
        assert state.journal(plain.over(connection)).foreign == 5
    # What is delivered again, or reads otherwise and has the same id, is the same message.
    again = site.feed([*others, line("f0", topic="a.b.stg.other"), line("f9", topic="a.b.stg"), *accepted])
    assert (again.foreign, again.known) == (5, 6)
    with site.database.reading() as connection:
        assert state.journal(plain.over(connection)).foreign == 6
        assert journal.head(connection).position == 6


def test_what_the_database_refuses_is_bisected_to_the_poison(site: Site) -> None:
    """Of a batch with one message that the database refuses, the rest is accepted and the one is quarantined."""
    refuse(site, "message_id", f"NEW.digest = {id_digest(site, 's5')}")
    outcome = site.feed([sale(number) for number in range(9)])
    assert (outcome.read, outcome.accepted, outcome.quarantined) == (9, 8, 1)
    assert total(site) == 8
    (item,) = quarantined(site)
    assert "the database refused it" in item.reason
    with site.database.writing() as connection:
        connection.execute(text("DROP TRIGGER poison" + ("" if site.database.is_sqlite else " ON message_id")))
    assert site.ingest.retry(item)
    assert total(site) == 9


def test_a_held_message_that_the_database_refuses_blocks_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """When they are due, the poison is quarantined and the others count; nothing is held any more."""
    future = 32503680000
    site.feed([line(f"f{number}", future + number, body={"buyer": "ralph", "thing": "hat"}) for number in range(9)])
    refuse(site, "message_id", f"NEW.digest = {id_digest(site, 'f4')}")
    monkeypatch.setattr(time, "time", lambda: future + 100.0)
    outcome = site.ingest.admit_due()
    assert (outcome.read, outcome.accepted, outcome.quarantined) == (9, 8, 1)
    assert total(site) == 8
    assert "the database refused it" in quarantined(site)[0].reason
    assert site.ingest.admit_due() == Outcome()
    with site.database.reading() as connection:
        assert state.number_held(plain.over(connection)) == 0
    assert not site.ingest.retry(quarantined(site)[0])


def test_the_oldest_of_what_is_no_message_goes_when_there_is_no_room_and_is_counted(
    database_url: str, tmp_path: Path
) -> None:
    """What stays is the newest, within the bound; the messages of a plugin stay whatever their number."""
    site = Site(database_url, tmp_path, (Picky, Volume), bus={"max_kept": 1000})
    site.feed([line(f"m{number}", body={"bad": True}) for number in range(20)])
    site.feed([b"%03d" % number + b"x" * 97 for number in range(15)])
    site.feed([b"%03d" % number + b"x" * 97 for number in range(15, 18)])
    kept = [item for item in quarantined(site) if item.plugin is None]
    with site.database.reading() as connection:
        first = quarantine.load(connection, kept[0])
        assert state.journal(plain.over(connection)).discarded == 8
    assert (len(kept), first) == (10, b"008" + b"x" * 97)
    assert len(quarantined(site)) == 30
    site.close()


def test_messages_of_the_future_that_find_no_room_are_quarantined(database_url: str, tmp_path: Path) -> None:
    """What is held stays; the rest goes where it can be retried."""
    future = [line(f"f{number}", 32503680000) for number in range(10)]
    site = Site(database_url, tmp_path, (Volume,), bus={"max_kept": 1024})
    room = 1024 // len(future[0])
    outcome = site.feed([*future, sale(1)])
    assert (outcome.accepted, outcome.held, outcome.quarantined) == (1, room, 10 - room)
    assert all("1024 bytes are held already" in item.reason for item in quarantined(site))
    site.close()


def refuse(site: Site, table: str, condition: str) -> None:
    """Let the database refuse rows of a table."""
    with site.database.writing() as connection:
        if site.database.is_sqlite:
            body = f"BEGIN SELECT RAISE(ABORT, 'poison') WHERE {condition}; END"
            connection.exec_driver_sql(f"CREATE TRIGGER poison BEFORE INSERT ON {table} {body}")
            return
        body = f"BEGIN IF {condition} THEN RAISE EXCEPTION 'poison' USING ERRCODE = '23514'; END IF; RETURN NEW; END"
        connection.exec_driver_sql(f"CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
        each = f"BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION poison()"
        connection.exec_driver_sql(f"CREATE TRIGGER poison {each}")


# Plugins.


def test_a_merge_that_the_database_refuses_is_bisected_for_that_plugin_only(site: Site) -> None:
    """The poison is quarantined for the plugin; its other messages and the other plugins count."""
    encoded = stored(("poison", "hat")).hex()
    literal = f"x'{encoded}'" if site.database.is_sqlite else f"'\\x{encoded}'::bytea"
    refuse(site, "key", f"NEW.dimensions = {literal}")
    bad = line("bad", body={"buyer": "poison", "thing": "hat"})
    savepoints = []
    event.listen(site.database.engine, "savepoint", lambda _connection, name: savepoints.append(name))
    site.feed([sale(5), sale(6)])
    # They cost a copy of each page that changes, so only what failed is tried again with them.
    assert not savepoints
    outcome = site.feed([sale(1), sale(2), bad, sale(3), sale(4)])
    assert savepoints
    # Two kinds keep what they count under this key.
    assert (outcome.accepted, outcome.failures) == (5, 2)
    assert (total(site, "sales"), total(site)) == (6, 7)
    assert sorted((item.plugin, item.position) for item in quarantined(site)) == [("deliveries", 5), ("sales", 5)]


class Picky(Sales):
    """Raises on some messages, until it is fixed."""

    name = "picky"
    topics: ClassVar[tuple[str, ...]] = ()
    broken = True

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield before it raises: the yields of one message count together or not at all."""
        yield ("a", "b")
        if type(self).broken and message.body["bad"]:
            raise KeyError("no such thing")
        yield ("a", "c")


def test_a_plugin_that_raises_loses_nothing_and_disturbs_no_other(database_url: str, tmp_path: Path) -> None:
    """Its message is quarantined for it alone; when it is fixed, a retry makes it count, once."""
    site = Site(database_url, tmp_path, (Picky, Volume))
    outcome = site.feed([line(f"m{number}", body={"bad": number % 3 == 0}) for number in range(9)])
    assert (outcome.accepted, outcome.failures) == (9, 3)
    assert (total(site, "picky"), total(site)) == (12, 9)
    items = quarantined(site)
    assert [(item.plugin, item.position) for item in items] == [("picky", 1), ("picky", 4), ("picky", 7)]
    assert "KeyError: 'no such thing'" in items[0].reason
    assert not site.ingest.retry(items[0])
    site.feed([line("m0", body={"bad": True})])
    assert len(quarantined(site)) == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Picky, "broken", False)
        assert all(site.ingest.retry(item) for item in items)
        assert total(site, "picky") == 18
        undisturbed = site.state()["picky"]
        site.ingest.plugins.rebuild(["picky"])
        site.catch_up()
        assert site.state()["picky"] == undisturbed
    assert quarantined(site) == []
    site.close()


def test_a_plugin_is_not_suspended_for_messages_that_it_cannot_take(database_url: str, tmp_path: Path) -> None:
    """However many in a row: it still takes what it counted before, so they are quarantined, and it goes on."""
    site = Site(database_url, tmp_path, (Picky, Volume))
    site.feed([line("good", body={"bad": False})])
    bad = [line(f"m{number}", body={"bad": True}) for number in range(2_500)]
    site.feed(bad[:1_500])
    for at in range(1_500, 2_500, 250):
        site.feed(bad[at : at + 250])
    site.feed([line("better", body={"bad": False})])
    with site.database.reading() as connection:
        assert positions.load(connection)["picky"].suspended is None
    assert total(site, "picky") == 4
    assert len(quarantined(site)) == 2_500
    site.close()


@pytest.mark.parametrize("how", ["rebuilt", "lost", "new"])
def test_a_plugin_is_not_suspended_just_after_a_rebuild(how: str, database_url: str, tmp_path: Path) -> None:
    """Hostile messages that come first find a witness anyway: the old one, or another in the journal."""
    plugins = (Volume,) if how == "new" else (Picky, Volume)
    site = Site(database_url, tmp_path, plugins)
    bad = [line(f"m{number}", body={"bad": True}) for number in range(1_500)]
    good = [line(f"g{number}", NOON + number, body={"bad": False}) for number in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        # As if they had come one by one.
        patch.setattr(judge, "MAX_FAILURES", 1_000_000)
        site.feed(bad)
        site.feed(good)
    if how == "new":
        site.close()
        site = Site(database_url, tmp_path, (Picky, Volume))
    else:
        site.ingest.plugins.rebuild(["picky"])
    with site.database.writing() as connection:
        row = positions.load(connection)["picky"]
        assert (row.witness is not None) == (how != "new")
        if how == "lost":
            row.witness = 1_000_000
            positions.save(connection, [row])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("statscache.ingest.catchup.STEP", 1_200)
        site.catch_up()
    with site.database.reading() as connection:
        assert positions.load(connection)["picky"].suspended is None
    assert total(site, "picky") == 6
    site.close()


def test_a_plugin_that_raises_1000_times_in_a_row_is_suspended(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops folding and the others go on; resumed, it catches up with what it missed."""
    site = Site(database_url, tmp_path, (Picky, Volume))
    with monkeypatch.context() as patch:
        # What it counted before, it cannot take either.
        patch.setattr(judge, "_seconds", lambda *_: None)
        _break_and_resume(site)


def _break_and_resume(site: Site) -> None:
    bad = [line(f"m{number}", body={"bad": True}) for number in range(1100)]
    good = [line(f"g{number}", body={"bad": False}) for number in range(5)]
    site.feed(bad[:500])
    site.feed(good[:1])
    site.feed(bad[500:1000])
    with site.database.reading() as connection:
        assert positions.load(connection)["picky"].suspended is None
    site.feed(bad[1000:])
    for tenth in range(10):
        site.feed([line(f"again-{tenth}-{number}", body={"bad": True}) for number in range(90)])
    with site.database.reading() as connection:
        assert "messages in a row" in str(positions.load(connection)["picky"].suspended)
    site.feed(good[1:])
    assert total(site, "picky") == 2
    site.build()
    site.ingest.resume("picky")
    site.catch_up()
    assert total(site, "picky") == 10
    assert total(site) == 2005
    before = site.build()
    assert site.build(force=True).id == before.id
    site.close()


def test_a_retry_says_nothing_of_how_a_plugin_fares(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures in a row stay what they are; one that is suspended or of another release tries nothing again."""
    site = Site(database_url, tmp_path, (Picky, Volume))
    site.feed([line(f"m{number}", body={"bad": True}) for number in range(5)])
    monkeypatch.setattr(Picky, "broken", False)
    first, second, *_ = quarantined(site)
    assert site.ingest.retry(first)
    with site.database.reading() as connection:
        assert positions.load(connection)["picky"].failures == 5
    site.ingest.suspend("picky", "it was tired")
    assert not site.ingest.retry(second)
    site.ingest.resume("picky")
    with monkeypatch.context() as patch:
        patch.setattr(site.ingest.registry.get("picky"), "state_version", "2 -")
        assert not site.ingest.retry(second)
    assert site.ingest.retry(second)
    assert total(site, "picky") == 4
    site.close()


def test_what_was_seen_to_meanwhile_is_settled_and_counts_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lists first and retries later folds nothing that was retried, dropped or folded again in between."""
    site = Site(database_url, tmp_path, (Picky,))
    site.feed([line("retried", body={"bad": True}), line("dropped", body={"bad": True}), b"[]"])
    no_message, retried, dropped = quarantined(site)
    with site.database.writing() as connection:
        assert quarantine.drop(connection, (dropped.id, no_message.id)) == 2
    monkeypatch.setattr(Picky, "broken", False)
    assert [site.ingest.retry(item) for item in (retried, retried, dropped, no_message)] == [True] * 4
    assert total(site, "picky") == 2
    monkeypatch.setattr(Picky, "broken", True)
    site.ingest.plugins.rebuild(["picky"])
    site.catch_up()
    stale, _ = quarantined(site)
    monkeypatch.setattr(Picky, "broken", False)
    site.ingest.plugins.rebuild(["picky"])
    assert site.ingest.retry(stale)
    site.catch_up()
    assert site.ingest.retry(stale)
    assert total(site, "picky") == 4
    # Numbers may be given again, and what has one now may be another message.
    monkeypatch.setattr(Picky, "broken", True)
    site.feed([line("another", body={"bad": True})])
    (another,) = quarantined(site)
    monkeypatch.setattr(Picky, "broken", False)
    assert site.ingest.retry(replace(stale, id=another.id))
    assert quarantined(site) == [another]
    assert total(site, "picky") == 4
    site.close()


def test_a_sum_beyond_64_bits_is_refused_and_numbers_stay_whole(database_url: str, tmp_path: Path) -> None:
    """The message that would carry a key too far is quarantined for its plugin; other keys and plugins go on."""
    site = Site(database_url, tmp_path, (Sales, Volume))
    most = 2**53 - 1
    bodies = [{"buyer": "rich", "thing": "isle", "amount": most}] * 1025 + [{"buyer": "ralph", "thing": "hat"}]
    site.feed([line(f"m{number}", body=body) for number, body in enumerate(bodies[:1024])])
    site.feed([line(f"m{number}", body=body) for number, body in enumerate(bodies)])
    rows = {row[1][0]: row[2] for row in site.state()["sales"] if row[0] == "key"}
    assert rows == {"rich": 1024 * most, "ralph": 1}
    assert all(type(value) is int for value in rows.values())
    (item,) = quarantined(site)
    assert (item.plugin, item.position) == ("sales", 1025)
    assert total(site) == 1026
    site.publish()
    assert site.document("v1/plugins/sales/latest.json")["rows"][1]["total"] == 1024 * most
    site.close()


class Untellable(Exception):
    """An error that cannot even be said."""

    def __str__(self) -> str:
        """Raise in its turn."""
        raise RuntimeError


@pytest.mark.parametrize("error", [SystemExit(1), Untellable()])
def test_whatever_a_plugin_raises_stays_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A library that exits, or an error whose text raises, quarantines the message and stops no one."""

    def observe(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(Picky, "observe", observe)
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Picky, Volume))
    outcome = site.feed([line("a"), line("b")])
    assert (outcome.accepted, outcome.failures) == (2, 2)
    assert total(site) == 2
    site.close()


def test_copies_of_what_a_plugin_raised_on_say_nothing_new_against_it(database_url: str, tmp_path: Path) -> None:
    """A replay suspends no one, however often it comes."""
    site = Site(database_url, tmp_path, (Picky, Volume))
    bad = [line(f"m{number}", body={"bad": True}) for number in range(300)]
    for _ in range(5):
        site.feed(bad)
    with site.database.reading() as connection:
        row = positions.load(connection)["picky"]
    assert (row.suspended, row.failures) == (None, 300)
    site.close()


def test_the_page_of_a_suspended_plugin_says_so_and_no_longer_when_it_is_resumed(
    database_url: str, tmp_path: Path
) -> None:
    """Suspending and resuming change pages, though no document changes; a full render has nothing to add."""
    site = Site(database_url, tmp_path, (Sales, Volume))
    site.feed([sale(1)])
    healthy = site.build()
    site.ingest.suspend("sales", "it was tired")
    suspended = site.build()
    assert suspended.id != healthy.id
    assert b"failed" in site.tree()["plugins/sales/index.html"]
    assert site.build(force=True).id == suspended.id
    site.ingest.resume("sales")
    assert site.build().id == healthy.id
    site.close()


class Anything(Counter):
    """Yields what it is given."""

    name = "anything"
    title = "Anything"
    dimensions = ("name",)
    item: Any = None

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield the class's item."""
        yield type(self).item


class AnyValue(Latest):
    """Yields what it is given."""

    name = "any-value"
    title = "Any value"
    dimensions = ("name",)
    item: Any = None

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield the class's item."""
        yield type(self).item


class AnyEntry(Log):
    """Yields what it is given."""

    name = "any-entry"
    title = "Any entry"
    dimensions = ("name",)
    item: Any = None

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield the class's item."""
        yield type(self).item


class Silent(Anything):
    """Returns what cannot be iterated over."""

    name = "silent"

    def observe(self, message: Message) -> Any:
        """Return a number."""
        return 5


RUBBISH: list[tuple[type[Any], Any, str]] = [
    (Anything, "copr", "a key is a tuple"),
    (Anything, ["copr"], "a key is a tuple"),
    (Anything, (), "has 0 parts"),
    (Anything, ("a", "b"), "has 2 parts"),
    (Anything, (5,), "must be a string or None"),
    (Anything, (b"a",), "must be a string or None"),
    (Anything, ("a\0b",), "holds a NUL"),
    (Anything, ("\ud800",), "lone surrogate"),
    (Anything, (("a",), 1.5), "must be a whole number"),
    (Anything, (("a",), True), "must be a whole number"),
    (Anything, (("a",), None), "must be a whole number"),
    (Anything, (("a",), 2**53), "below 2^53"),
    (Anything, (("a",), 2**70), "below 2^53"),
    (Anything, ({}, 1), "has 2 parts"),
    (AnyValue, ("a",), "a key and a value"),
    (AnyValue, (("a",), 5), "must be a dict of fields"),
    (AnyValue, (("a",), {"name": 1}), "which the record has already"),
    (AnyValue, (("a",), {"timestamp": 1}), "which the record has already"),
    (AnyValue, (("a",), {"x": object()}), "is not JSON"),
    (AnyValue, (("a",), {"x": 2**70}), "is not JSON"),
    (AnyValue, (("a",), {"x": "\ud800"}), "is not JSON"),
    (AnyValue, (("a",), {5: 1}), "is not JSON"),
    (AnyValue, (("a",), dict.fromkeys(map(str, range(1_000)))), "at most 4096"),
    (Silent, None, "TypeError"),
]


def test_each_wrong_yield_is_quarantined_with_a_clear_reason(database_url: str, tmp_path: Path) -> None:
    """What a kind cannot count is a reason to quarantine the message, and never one for the batch to fail."""
    site = Site(database_url, tmp_path, (Anything, AnyValue, Silent, Volume))
    for number, (cls, item, reason) in enumerate(RUBBISH):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Anything, "item", ("fine",))
            patch.setattr(AnyValue, "item", (("fine",), {}))
            patch.setattr(cls, "item", item)
            site.feed([line(f"m{number}")])
        items = [one for one in quarantined(site) if one.plugin == cls.name]
        assert items[-1].position == number + 1, (cls.name, item)
        assert reason in items[-1].reason, (item, items[-1].reason)
    assert total(site) == len(RUBBISH)
    site.build()
    site.close()


def test_a_plugin_of_which_publishing_fails_keeps_its_last_documents(database_url: str, tmp_path: Path) -> None:
    """The others are published; the one is `stale`, and comes back when it is fixed."""

    class Fragile(Sales):
        """Cannot be published now and then."""

        name = "fragile"
        broken = False

        def documents(self, state: Any) -> Iterator[tuple[str, dict[str, Any]]]:
            """Raise while it is broken."""
            if type(self).broken:
                raise RuntimeError("no")
            yield from super().documents(state)

    plugins: tuple[type[Plugin], ...] = (Fragile, Volume)
    site = Site(database_url, tmp_path, plugins)
    site.feed([sale(1)])
    site.build()
    kept = {path: data for path, data in site.tree().items() if path.startswith("v1/plugins/fragile/")}
    Fragile.broken = True
    site.feed([sale(2)])
    snapshot = site.build()
    tree = site.tree()
    assert {path: data for path, data in tree.items() if path.startswith("v1/plugins/fragile/")} == kept
    assert orjson.loads(tree["v1/plugins/volume/latest.json"])["rows"][0]["total"] == 2
    assert {entry["name"]: entry["state"] for entry in snapshot.summary["plugins"]} == {
        "fragile": "stale",
        "volume": "ok",
    }
    Fragile.broken = False
    site.build()
    assert orjson.loads(site.tree()["v1/plugins/fragile/latest.json"])["rows"][0]["total"] == 2
    site.close()

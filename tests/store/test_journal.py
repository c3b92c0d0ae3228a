"""The journal: every accepted message once, in order of acceptance, whatever becomes of its segments."""

from pathlib import Path

from samples import NOON, Sales, Site, line
from statscache.message import Message
from statscache.store import journal


def ids(site: Site, after: int = 0, until: int = 10**9) -> list[tuple[int, str]]:
    """Return position and id of the messages in the journal."""
    with site.database.reading() as connection:
        return [
            (position, Message.from_record(record).id) for position, record in journal.read(connection, after, until)
        ]


def test_a_record_holds_what_identifies_a_message(database_url: str, tmp_path: Path) -> None:
    """Topic, whole seconds, body and the sender's people and packages come out as they went in."""
    site = Site(database_url, tmp_path, (Sales,))
    site.feed(
        [line("é", NOON + 0.9, body={"deep": [1, None, {"ü": "\U0001d538"}]}, users=["ralph"], packages=["kernel"])]
    )
    with site.database.reading() as connection:
        record = journal.record(connection, 1)
    assert record is not None
    message = Message.from_record(record)
    assert (message.id, message.timestamp, message.body) == ("é", NOON, {"deep": [1, None, {"ü": "\U0001d538"}]})
    assert (message.usernames, message.packages) == (("ralph",), ("kernel",))
    site.close()


def test_a_copy_is_known_over_midnight_and_over_years(database_url: str, tmp_path: Path) -> None:
    """A copy counts once also where history and bus disagree on the second, and so on the day; and years later."""
    site = Site(database_url, tmp_path, (Sales,))
    midnight = NOON + 12 * 3600
    site.feed([line("a", midnight - 1), line("b", NOON)])
    site.feed([line(f"later{number}", NOON + 400 * 86400) for number in range(50)])
    outcome = site.feed([line("a", midnight), line("b", NOON), line("c", NOON)])
    assert (outcome.accepted, outcome.known, outcome.conflicts) == (1, 2, 1)
    site.close()


def test_the_head_tells_number_and_newest_time(database_url: str, tmp_path: Path) -> None:
    """Old messages and copies do not move the clock; foreign ones neither."""
    site = Site(database_url, tmp_path, (Sales,))
    site.feed([line("a", NOON)])
    site.feed([line("b", NOON - 5), line("a", NOON), line("c", NOON + 9, topic="a.b.stg.c")])
    with site.database.reading() as connection:
        assert journal.head(connection) == journal.Head(2, NOON)
    site.close()

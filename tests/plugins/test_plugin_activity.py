from pathlib import Path

from statscache import testing
from statscache.parsing import parse
from statscache_plugins.activity import RecentActivity


def test_the_newest_hundred_are_kept_newest_first() -> None:
    """Whatever the order of arrival, the newest stay; of two at one time the greater id is first."""
    topic = "org.fedoraproject.prod.wiki.article.edit"
    messages = [
        testing.message(topic, {"user": "ralph", "title": f"P{n}"}, timestamp=testing.NOON + n // 2, id=f"m{n:03}")
        for n in range(150)
    ]
    rows = testing.run(RecentActivity, [*messages[75:], *messages[:75]])["latest.json"]["rows"]
    assert [row["subtitle"] for row in rows] == [f"ralph edited P{number}" for number in range(149, 49, -1)]


def test_an_entry_says_what_happened_and_where_to_read_more() -> None:
    """Hostile text stays text, and a link that is not an http URL is none."""
    topic = "org.fedoraproject.prod.wiki.article.edit"
    title = "</script><b>=1+1"
    wall = [
        testing.message(topic, {"user": "Ralph", "title": title, "url": "https://example.org/?a=1"}),
        testing.message(topic, {"user": "Ralph", "title": title, "url": "javascript:alert(1)"}, timestamp=1),
    ]
    first, second = testing.run(RecentActivity, wall)["latest.json"]["rows"]
    assert first == {
        "timestamp": testing.NOON,
        "topic": topic,
        "category": "wiki",
        "agent": "ralph",
        "package": None,
        "subtitle": f"ralph edited {title}",
        "link": "https://example.org/?a=1",
    }
    assert second["link"] is None


def test_real_messages_fill_the_wall(messages_path: Path) -> None:
    """The newest hundred of the real messages each have a line of their own."""
    messages = {message.id: message for message in map(parse, messages_path.read_bytes().splitlines())}
    newest = sorted(messages.values(), key=lambda message: (message.timestamp, message.id.encode()))[:-101:-1]
    rows = testing.run(RecentActivity, messages.values())["latest.json"]["rows"]
    assert [row["subtitle"] for row in rows] == [message.subtitle for message in newest]
    assert all(row["subtitle"] for row in rows)

from pathlib import Path
from typing import Any

import pytest

from statscache import testing
from statscache.config import load
from statscache.installation import Installation
from statscache.message import Message
from statscache.parsing import parse
from statscache_plugins.agents import BOTS
from statscache_plugins.volume import VolumeByBot, VolumeByKindOfAgent, VolumeByRelease

TAG = "org.fedoraproject.prod.buildsys.tag"


def tagged(user: str | None, tag: str = "f45-updates", number: int = 0) -> Message:
    """Return the message of a build that somebody tagged, with its owner, who did not act."""
    body = {"user": user, "owner": "toshio", "name": "bash", "tag": tag}
    return testing.message(TAG, body, timestamp=testing.NOON + number)


def totals(documents: dict[str, Any], dimension: str) -> dict[str | None, int]:
    """Return the total of each row of `latest`."""
    return {row[dimension]: row["total"] for row in documents["latest.json"]["rows"]}


def test_messages_count_for_the_release_that_they_name() -> None:
    """A message that names no release does not count."""
    messages = [tagged("ralph", tag, number) for number, tag in enumerate(["f45", "f45-updates", "epel9", "trash"])]
    assert totals(testing.run(VolumeByRelease, messages), "release") == {"epel9": 1, "f45": 2}


def test_messages_count_for_the_bot_that_acted() -> None:
    """What people do does not count, nor what a bot is merely concerned by."""
    messages = [tagged("ralph"), tagged("bodhi"), tagged("bodhi", number=1), tagged("koschei"), tagged(None)]
    assert totals(testing.run(VolumeByBot, messages), "bot") == {"bodhi": 2, "koschei": 1}


def test_messages_count_as_a_persons_a_bots_or_unknown() -> None:
    """The three add up to all messages."""
    messages = [tagged("ralph"), tagged("bodhi"), tagged("toshio"), tagged(None), tagged("orphan")]
    assert totals(testing.run(VolumeByKindOfAgent, messages), "kind") == {None: 2, "bot": 1, "person": 2}


def test_the_list_of_bots_is_a_setting() -> None:
    """A list that is given takes the place of the one that comes with statscache."""
    messages = [tagged("ralph"), tagged("bodhi")]
    documents = testing.run(VolumeByKindOfAgent({"bots": ["ralph"]}), messages)
    assert totals(documents, "kind") == {"bot": 1, "person": 1}
    assert "bodhi" in BOTS
    assert VolumeByBot({"bots": ["b", "a", "a"]}).settings == VolumeByBot({"bots": ["a", "b"]}).settings


@pytest.mark.parametrize("wrong", ["bodhi", {"bodhi": True}, ["bodhi", 5], None])
def test_a_wrong_list_of_bots_is_refused(wrong: Any) -> None:
    """The error says what is expected."""
    with pytest.raises(ValueError, match="give a list of names, such as"):
        VolumeByKindOfAgent({"bots": wrong})


def test_the_list_of_bots_is_configured_in_one_place(tmp_path: Path) -> None:
    """`[plugins.shared]` reaches all plugins that tell bots from people, and a plugin's own table goes first."""
    path = tmp_path / "statscache.toml"
    path.write_text(
        f"""
        [database]
        url = "sqlite:///{tmp_path}/statscache.db"
        [plugins]
        enabled = ["volume*"]
        [plugins.shared]
        bots = ["koschei"]
        [plugins.settings.volume-by-bot]
        bots = []
        """
    )
    installation = Installation(load(path))
    settings = {plugin.name: plugin.settings for plugin in installation.registry}
    installation.close()
    assert settings["volume-by-kind-of-agent"] == {"bots": {"koschei"}}
    assert settings["volume-by-bot"] == {"bots": set()}
    assert settings["volume"] == {}


def test_real_messages_are_those_of_people_and_bots(messages_path: Path) -> None:
    """Of what was really sent the most is people's, and each message counts once."""
    messages = [parse(line) for line in messages_path.read_bytes().splitlines()]
    found = totals(testing.run(VolumeByKindOfAgent, messages), "kind")
    assert sum(found.values()) == len({message.id for message in messages})
    assert found["person"] > 100
    assert found["bot"] >= 5

"""Compares the derivation with the schema classes of Fedora's applications; `tests/support/senders.py` records them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from statscache.derivation.table import RULES
from statscache.derivation.values import person
from statscache.message import Message
from statscache.parsing import parse

RECORDED = Path(sys.prefix, "schemas", "messages.ndjson")
PREFIXES = {"packages": "rpm", "containers": "container", "modules": "module", "flatpaks": "flatpak"}

# Classes that name no topic, or not the one that is sent.
TOPICS = {
    "bugzilla2fedmsg.*": "org.fedoraproject.prod.bugzilla.bug.update",
    "copr.unused.build.start": "VirtualTopic.eng.copr.build.start",
    "copr.unused.build.end": "VirtualTopic.eng.copr.build.end",
    "webhook_to_fedora_messaging.forgejo.*": "org.fedoraproject.prod.forgejo.push",
    "webhook_to_fedora_messaging.github.*": "org.fedoraproject.prod.github.push",
    "webhook_to_fedora_messaging.gitlab.*": "org.fedoraproject.prod.gitlab.push",
    "webhook_to_fedora_messaging.pretix.*": "org.fedoraproject.prod.pretix.order.placed",
}

UNDECLARED = "the class declares no agent, and the body says who acted"
# Topic, what differs, and why ours is right. An entry that is not needed fails the test.
DIFFERENCES = [
    ("anitya.project.flag", "packages", "the body lists the packages in Fedora, which the class does not read"),
    ("anitya.project.version.update", "packages", "the body lists the packages in Fedora, as that of version 2 does"),
    ("ansible.playbook.start", "agent", UNDECLARED),
    ("buildsys.rpm.sign", "packages", "the sample names the package twice; koji writes the same name"),
    ("fedocal.*", "agent", UNDECLARED),
    ("fedora_elections.*", "agent", UNDECLARED),
    ("git.receive", "agent", UNDECLARED),
    ("git.receive", "usernames", "the sample's commit has two accounts, agent and username; both are the pusher"),
    ("git.receive", "packages", "the class of the playbooks' package does not read the repository"),
    ("hotness.update.drop", "packages", "the body lists the packages in Fedora, which the class does not read"),
    ("kerneltest.*", "packages", "what is tested is the package `kernel`"),
    ("mdapi.repo.update", "packages", "the body lists the packages that changed, which the class does not read"),
    ("nuancier.new", "agent", UNDECLARED),
]


def recorded() -> list[dict[str, Any]]:
    """The lines that `senders.py` wrote."""
    if not RECORDED.is_file():
        pytest.skip("the schema packages of Fedora's applications are not installed (.ci/schemas)")
    return [json.loads(line) for line in RECORDED.read_bytes().splitlines()]


def envelope(output: dict[str, Any], with_headers: bool) -> bytes:
    """The message as fedora-messaging sends it, or as it was sent before headers named people."""
    topics = [topic for schema, topic in TOPICS.items() if fnmatchcase(output["schema"], schema)]
    topic = topics[0] if topics else output["topic"]
    if not topic.startswith(("org.", "VirtualTopic.")):
        topic = f"org.fedoraproject.prod.{topic}"
    headers = {f"fedora_messaging_user_{who}": True for who in output["usernames"]}
    for kind, names in output["packages"].items():
        headers |= {f"fedora_messaging_{PREFIXES[kind]}_{name}": True for name in names}
    message = {"topic": topic, "timestamp": 1, "id": "one", "body": output["body"]}
    return json.dumps(message | ({"headers": headers} if with_headers else {})).encode()


def differences(output: dict[str, Any], message: Message) -> Iterator[tuple[str, Any, Any]]:
    """Which of the answers differ: what, theirs and ours."""
    # Addresses and OpenIDs are shown as the accounts that they stand for, or as no one.
    agent = person(output["agent_name"] or "")
    named = {who for text in output["usernames"] if (who := person(text))} | {agent, message.agent} - {None}
    concerned = {name for names in output["packages"].values() for name in names}
    answers = (
        ("agent", agent, message.agent),
        ("usernames", named - {None}, set(message.usernames)),
        ("packages", concerned, set(message.packages)),
    )
    yield from (answer for answer in answers if answer[1] != answer[2])


@pytest.mark.parametrize("with_headers", [False, True], ids=["body", "headers"])
def test_agrees_with_the_senders_classes(with_headers: bool, record_property: Callable[[str, object], None]) -> None:
    """For each message we name whom and what the sender's class names, but for a list of differences with reasons."""
    needed, unexpected, without_rule = set(), [], set()
    for output in recorded():
        message = parse(envelope(output, with_headers))
        if RULES[message.name] is None:
            without_rule.add(message.name)
        for field, theirs, ours in differences(output, message):
            allowed = {entry for entry in DIFFERENCES if fnmatchcase(message.name, entry[0]) and entry[1] == field}
            needed |= allowed
            if not allowed:
                unexpected.append(f"{message.name} ({output['origin']}): {field} is {ours}, the class says {theirs}")
    # A new package of schemas shows here what to add.
    record_property("shown", f"no rule for: {', '.join(sorted(without_rule))}")
    assert not unexpected, "\n".join(unexpected)
    assert with_headers or needed == set(DIFFERENCES), "no longer needed"


def test_few_answers_differ_from_the_senders_classes(record_property: Callable[[str, object], None]) -> None:
    """Of the messages of the senders' own tests, with headers and without; an address is no one."""
    answers = [
        (output["agent_name"], parse(envelope(output, with_headers)).agent)
        for output in recorded()
        if output["origin"] == "tests"
        for with_headers in (False, True)
    ]
    too_many = sum(ours is not None and theirs is None for theirs, ours in answers)
    missing = sum(ours is None and theirs is not None and "@" not in theirs for theirs, ours in answers)
    record_property("shown", f"{too_many} of {len(answers)} answers name who acted where the class names no one")
    record_property("shown", f"{missing} of {len(answers)} answers name no one where the class names somebody")
    assert too_many <= 34
    assert missing <= 2


def test_a_module_of_tests_that_cannot_be_collected_is_noticed(tmp_path: Path) -> None:
    """Its messages would be missing, silently; one that is known to need what its archive leaves out is not."""
    packages = RECORDED.parent / "packages"
    if not packages.is_dir():
        pytest.skip("the schema packages of Fedora's applications are not installed (.ci/schemas)")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_good.py").write_text("def test_nothing():\n    pass\n")
    paths = Path(__file__).parents[1] / "support" / "senders.py", tmp_path / "out.ndjson", tests
    command = [sys.executable, "-W", "ignore", *map(str, paths)]
    # One of them is as good as all, and quicker.
    few = tmp_path / "packages"
    few.mkdir()
    for path in packages.glob("noggin_messages*"):
        (few / path.name).symlink_to(path)
    environment = {**os.environ, "PYTHONPATH": str(few)}

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)

    assert run().returncode == 0
    (tests / "test_bad.py").write_text("from . import FIXTURES\n")
    ended = run()
    assert ended.returncode == 1
    assert f"cannot be collected: {tests / 'test_bad.py'}" in ended.stdout
    assert (tmp_path / "out.ndjson").read_bytes()
    (tests / "test_bad.py").unlink()
    (tests / "conftest.py").write_text("import not_there\n")
    assert run().returncode == 1


def test_headers_change_no_agent() -> None:
    """Who acted is the same with headers and without, whoever they name."""
    for output in recorded():
        crowded = output | {"usernames": [*output["usernames"], "bystander"]}
        assert parse(envelope(crowded, True)).agent == parse(envelope(output, False)).agent, output["topic"]


def test_most_topics_have_messages_of_the_senders_tests() -> None:
    """What is compared is what applications send, not only what was made up after their schemas."""
    lines = recorded()
    assert sum(output["origin"] == "tests" for output in lines) > 250
    assert len({output["schema"] for output in lines}) > 150

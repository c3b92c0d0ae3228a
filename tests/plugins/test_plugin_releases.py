from pathlib import Path
from typing import Any

import pytest

from statscache import testing
from statscache.parsing import parse
from statscache.timeline import parse_time
from statscache_plugins.releases import TOPICS, built_for, current, named, release, released

PREFIX = "org.fedoraproject.prod."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f45", "f45"),
        ("f9", "f9"),
        ("F45", "f45"),
        ("f45-updates-candidate", "f45"),
        ("f29-modular-updates-testing", "f29"),
        ("dist-f17", "f17"),
        ("F29M", "f29"),
        ("F42F", "f42"),
        ("F38C", "f38"),
        ("fedora-20-x86_64", "f20"),
        ("Fedora-24-20151208.n.7", "f24"),
        ("Fedora-Rawhide-20260323.n.0", "rawhide"),
        ("Fedora-ELN-20260323.n.0", "eln"),
        ("Fedora-Cloud-27-20180101.0", "f27"),
        ("fedora-rawhide-i386", "rawhide"),
        ("rawhide", "rawhide"),
        ("eln-build", "eln"),
        ("epel7", "epel7"),
        ("epel8-next-testing", "epel8"),
        ("epel10.1", "epel10"),
        ("EPEL-10.1", "epel10"),
        ("EPEL-8N", "epel8"),
        ("epel-7-x86_64", "epel7"),
        ("el6", "epel6"),
        ("EL-6", "epel6"),
        ("dist-6E-epel-testing", "epel6"),
        ("epel9-testing", "epel9"),
        ("master", None),
        ("main", None),
        ("f", None),
        ("f0", None),
        ("f1234", None),
        ("fedora-docs", None),
        ("feature-45", None),
        ("fix-4", None),
        ("centos-stream-9-x86_64", None),
        ("epel-testing", None),
        ("branched", None),
        ("bikeshed", None),
        ("", None),
        ("f45" + "-x" * 200, None),
        (None, None),
    ],
)
def test_a_name_tells_its_release(text: str | None, expected: str | None) -> None:
    """Tags, targets, branches, chroots, composes and Bodhi's names of a release are all that release."""
    assert named(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.fc45", "f45"),
        ("2.el6_5", "epel6"),
        ("1.el10_1", "epel10"),
        ("bash-5.2-1.fc39.src.rpm", "f39"),
        ("0.11.3-836.g218c61a.el7.centos", "epel7"),
        ("1.fc4567", None),
        ("fc45", None),
        ("2.el6", "epel6"),
        ("1", None),
        (None, None),
    ],
)
def test_a_dist_tag_tells_the_release(text: str | None, expected: str | None) -> None:
    """The dist tag in the release of a package is that of the branch that it was built for."""
    assert built_for(text) == expected


@pytest.mark.parametrize(
    ("topic", "body", "expected"),
    [
        ("copr.build.end", {"chroot": "fedora-45-x86_64"}, "f45"),
        ("copr.build.start", {"chroot": 45}, None),
        ("buildsys.tag", {"tag": "f45-updates", "release": "1.fc44"}, "f45"),
        ("buildsys.untag", {"tag": "epel9-pending"}, "epel9"),
        ("buildsys.build.state.change", {"request": ["git+https://x", "rawhide", {}], "release": "1.fc46"}, "rawhide"),
        ("buildsys.build.state.change", {"request": None, "release": "1.fc46"}, "f46"),
        ("buildsys.build.state.change", {"request": ["git+https://x", ["rawhide"]]}, None),
        (
            "buildsys.task.state.change",
            {"info": {"request": ["x", "f45-candidate"]}, "srpm": "a-1-1.fc9.src.rpm"},
            "f45",
        ),
        ("buildsys.task.state.change", {"info": [], "srpm": "a-1-1.fc9.src.rpm"}, "f9"),
        ("buildsys.rpm.sign", {"info": {"release": "1.fc19"}}, "f19"),
        ("buildsys.rpm.sign", {"rpm": {"release": "1.fc45"}, "build": {"release": "1.fc45"}}, "f45"),
        ("buildsys.rpm.sign", {"build": {"release": "1.el9"}}, "epel9"),
        ("bodhi.buildroot_override.tag", {"override": {"nvr": "hello-2.12-1.fc45"}}, "f45"),
        ("bodhi.buildroot_override.untag", {"override": {"build": "hello-2.12-1.fc45"}}, "f45"),
        ("bodhi.errata.publish", {"update": {"release": {"name": "F45"}}}, "f45"),
        ("koschei.package.state.change", {"collection": "f45", "repo": "f44"}, "f45"),
        ("koschei.package.state.change", {"repo": "f45"}, "f45"),
        ("koschei.collection.state.change", {"collection": "epel10"}, "epel10"),
        ("bodhi.update.comment", {"comment": {"update": {"release": {"name": "EPEL-9"}}}}, "epel9"),
        ("bodhi.update.comment", {"comment": {"update_title": "sqlite-3.8.6-2.fc20"}}, "f20"),
        ("bodhi.update.edit", {"update": {"release": "F19", "title": "tzdata-2014i-1.fc19"}}, "f19"),
        ("bodhi.update.status.testing.koji-build-group.build.complete", {"artifact": {"release": "f43"}}, "f43"),
        ("fedora_image_uploader.published.v1.aws.x86_64", {"compose_id": "Fedora-Cloud-41-20240912.0"}, "f41"),
        ("bodhi.updates.fedora.sync", {"release": "20", "repo": "updates"}, "f20"),
        ("bodhi.updates.epel.sync", {"release": "6", "repo": "epel-testing"}, "epel6"),
        ("bodhi.updates.epel.sync", {}, None),
        ("git.receive", {"commit": {"branch": "f45", "namespace": "rpms"}}, "f45"),
        ("git.receive", {"commit": {"branch": "master"}}, "rawhide"),
        ("git.receive", {"commit": {"branch": "master", "namespace": "modules"}}, None),
        ("git.receive", {"commit": "master"}, None),
        ("compose.23.atomic-lorax.done", {}, "f23"),
        ("compose.rawhide.complete", {}, "rawhide"),
        ("compose.branched.complete", {}, None),
        ("compose", {}, None),
        ("openqa.job.done", {"BUILD": "Fedora-Rawhide-20160323.n.0"}, "rawhide"),
        ("pungi.compose.status.change", {"compose_id": "Fedora-24-20151208.n.7"}, "f24"),
        ("wiki.article.edit", {"tag": "f45"}, None),
    ],
)
def test_a_message_tells_its_release(topic: str, body: dict[str, Any], expected: str | None) -> None:
    """What the message names goes first, then the dist tag; where neither is, there is none."""
    assert release(testing.message(PREFIX + topic, body)) == expected


def test_real_messages_tell_their_release(messages_path: Path) -> None:
    """What was really sent is read: each of these topics has a message that tells its release."""
    found: dict[str, set[str]] = {}
    for line in messages_path.read_bytes().splitlines():
        message = parse(line)
        if output := release(message):
            found.setdefault(message.name, set()).add(output)
    assert found["copr.build.end"] == {"f20", "f22", "rawhide"}
    assert found["buildsys.build.state.change"] == {"f19", "f22", "f23"}
    assert found["buildsys.tag"] == {"f18"}
    assert found["bodhi.updates.fedora.sync"] == {"f20", "f29"}
    assert found["bodhi.update.request.testing"] == {"f20"}
    assert found["bodhi.compose.sync.done"] == {"epel6"}
    assert found["pungi.compose.status.change"] == {"f24"}
    assert found["compose.rawhide.complete"] == {"rawhide"}


def test_every_topic_is_a_pattern_for_its_messages() -> None:
    """What a plugin declares as its topics are all those whose messages are read."""
    assert "copr.#" in TOPICS
    assert len(set(TOPICS)) == len(TOPICS)
    assert all(topic.endswith(".#") for topic in TOPICS)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2010-01-01", "f16"),
        ("2011-11-08", "f16"),
        ("2012-05-28T23:59:59", "f16"),
        ("2012-05-29", "f17"),
        ("2015-08-08", "f22"),
        ("2025-10-27", "f42"),
        ("2025-10-28", "f43"),
        ("2026-04-20T23:59:59", "f43"),
        ("2026-04-21", "f44"),
        ("2026-10-21", "f45"),
        ("2027-01-01", "f45"),
        ("2036-11-01", "f65"),
    ],
)
def test_a_time_tells_the_current_release(moment: str, expected: str) -> None:
    """The table has the days of release; after it two releases a year are taken for granted."""
    assert current(parse_time(moment)) == expected


@pytest.mark.parametrize("number", [16, 17, 22, 43, 44, 45, 46, 65, 99])
def test_a_release_is_current_from_the_day_it_came_out(number: int) -> None:
    """By the table, and by the schedule after it."""
    day = released(f"f{number}")
    assert current(day) == f"f{number}"
    assert day % 86400 == 0
    assert number == 16 or current(day - 1) == f"f{number - 1}"

"""What publications, rollbacks and forgetting cost: in proportion to what changed, counted in steps of the database."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from samples import NOON, Buyers, Site, follow, line, steps_of
from statscache.privacy.forget import forget
from statscache.verify import verify
from statscache.verify.places import Directory

FEW, MORE, MOST = NUMBERS = 500, 1_000, 2_000
"""Documents of keys that change at a time."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of many buyers."""
    made = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Buyers,))
    buy(made, 0, MOST)
    made.publish()
    yield made
    made.close()


def buy(site: Site, turn: int, number: int) -> None:
    """Have so many buyers buy something, once in each turn."""
    site.feed(
        line(f"{turn}-{at}", NOON + 10 * turn, body={"buyer": f"buyer-{at}", "thing": "hat"}) for at in range(number)
    )


def test_publications_and_rollbacks_cost_in_proportion(site: Site) -> None:
    """Twice as many documents that change cost twice as many steps of the database and operations of the target."""
    steps: list[int] = []
    rollbacks: list[int] = []
    files: list[int] = []
    for turn, number in enumerate(NUMBERS, start=1):
        before = site.document("v1/index.json")["snapshot"]
        buy(site, turn, number)
        steps.append(steps_of(site.database, lambda: files.append(site.report()[1].files)))
        rollbacks.append(steps_of(site.database, partial(site.publishing.rollback, before)))
        site.publishing.publish(resume=True)
    assert in_proportion(steps), steps
    assert in_proportion(rollbacks), rollbacks
    assert files[2] < 2 * files[1] < 4 * files[0]
    assert files[0] < FEW + 400, "a document of a key is one file, and its manifests are few"
    assert follow(site.public) == site.aliases() == site.tree()


def test_forgetting_and_verifying_cost_in_proportion(tmp_path: Path) -> None:
    """Twice as many documents cost twice as many steps."""
    steps = []
    for number in NUMBERS:
        directory = tmp_path / str(number)
        directory.mkdir()
        made = Site(f"sqlite:///{directory}/x.db", directory, (Buyers,))
        buy(made, 0, number)
        made.publish()
        before = {path: path.stat().st_ino for path in made.public.glob("v1/plugins/buyers/by/*")}
        steps.append(steps_of(made.database, partial(forget, made.installation, "buyer-7", lambda *_: None)))
        after = {path: path.stat().st_ino for path in made.public.glob("v1/plugins/buyers/by/*")}
        assert before.keys() - after.keys() == {made.public / "v1/plugins/buyers/by/buyer-7.json"}
        written = {path.name for path, inode in after.items() if before.get(path) != inode}
        assert written == {"_5f.json"}, "nobody's document but that of those who were forgotten was written"
        report = verify(Directory(made.public))
        assert report.faults == []
        assert report.files > number
        made.close()
    assert in_proportion(steps), steps


def in_proportion(counts: list[int]) -> bool:
    """Return whether no count is over two and a half times the one before."""
    return all(count < 2.5 * before for before, count in pairwise(counts))

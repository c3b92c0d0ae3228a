"""`statscache serve --watch`: a change shows in the open page, and so does what is wrong with it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser import Visit
from commands import Home, install_plugins
from samples import line
from small_site import WHOLE_SITE
from statscache.service.livereload import Watcher

PLUGIN = '''
from statscache.plugins import Counter


class Sold(Counter):
    """Things sold."""

    name = "sold"
    title = "Things sold"

    def observe(self, message):
        yield ()


PLUGINS = (Sold,)
'''


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with one plugin of its own and a message."""
    install_plugins(tmp_path / "extra", PLUGIN)
    home = Home(tmp_path / "home", PYTHONPATH=str(tmp_path / "extra"), **{WHOLE_SITE: "1"})
    home.configure('[plugins]\nenabled = ["sold"]\n')
    (home.directory / "messages.ndjson").write_bytes(line("1") + b"\n")
    home.run("backfill", "messages.ndjson")
    return home


def test_a_change_of_a_plugin_shows_in_the_open_page(home: Home, chromium: Browser) -> None:
    """The page reloads by itself; an error is shown in it and in the terminal until it is fixed."""
    source = home.directory.parent / "extra" / "extra_plugins.py"
    with home.start("serve", "--watch", "--port", "0") as process:
        process.await_log("serving")
        found = re.search(r"http://localhost:\d+/", process.text)
        assert found is not None
        with Visit(chromium, [found[0]]) as visit:
            visit.page.goto(f"{found[0]}plugins/sold/index.html")
            expect(visit.page.locator("h1")).to_have_text("Things sold")
            source.write_text(PLUGIN.replace("Things sold", "Things that were sold"))
            expect(visit.page.locator("h1")).to_have_text("Things that were sold")
            source.write_text(PLUGIN.replace("yield ()", "yield ("))
            expect(visit.page.locator("#watch-error")).to_contain_text("SyntaxError")
            expect(visit.page.locator("h1")).to_have_text("Things that were sold")
            process.await_log("SyntaxError")
            source.write_text(PLUGIN)
            expect(visit.page.locator("h1")).to_have_text("Things sold")
            expect(visit.page.locator("#watch-error")).to_have_count(0)
            assert not visit.problems
        assert process.end()[0] == 0


def test_what_is_raised_is_reported_and_the_watch_goes_on(tmp_path: Path) -> None:
    """An attempt that fails is counted with its error, and the next change is acted on anyway."""
    wrong = [True]
    told: list[str] = []

    def publish() -> None:
        if wrong:
            raise ValueError("no such filter")

    with Watcher(publish, [tmp_path], told.append) as watcher:
        (tmp_path / "index.html").write_text("1")
        assert watcher.attempts.wait(0, 30)
        assert "no such filter" in watcher.attempts.error
        wrong.clear()
        (tmp_path / "index.html").write_text("2")
        assert watcher.attempts.wait(watcher.attempts.number, 30)
        assert watcher.attempts.error == ""
    assert told[0].startswith("index.html changed: ")
    assert told[-1] == "index.html changed: published"


def test_watching_goes_with_the_configured_directory_only(home: Home) -> None:
    """--watch publishes as configured: naming another directory is refused."""
    assert "--directory" in home.run("serve", "--watch", "--directory", "elsewhere", status=2).stderr

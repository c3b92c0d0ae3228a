"""`statscache.js` in Node: its tests are in tests/javascript, and this serves them a site that is really published."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from conftest import ROOT
from keypairs import write_key
from loopback import serving
from npm import NODE_MODULES, require_npm
from published import EDIT, PublishedSite, line
from statscache import __version__, layout, testing
from statscache.service import preview

HERE = ROOT / "tests" / "javascript"
KEYS: list[list[str | None]] = [
    ["ralph"],
    ["Ralph"],
    ["python3.11"],
    ["rawhide", "x86_64"],
    [None],
    [""],
    ["é", None, "😀"],
    ["../%2e/"],
    ["x" * 120],
    ["x" * 121],
    ["日本" * 50, "b"],
]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a served site, which publishes once more whenever its /publish is asked for."""
    key = write_key(tmp_path / "key.pem", Ed25519PrivateKey.generate())
    site = PublishedSite(tmp_path, signing_keys=(key,))
    site.start(owners=1_100)
    later = 90_100

    def publish() -> None:
        nonlocal later
        later += 1
        site.take(line(EDIT, {"title": "Main"}, later))
        site.publish()
        # The index may change again within a second, and would have the same time.
        os.utime(site.root / "v1/index.json", (testing.NOON + later, testing.NOON + later))

    publish()
    server = preview.server(site.root, 0)
    base: Any = server.RequestHandlerClass

    class Publishing(base.func):  # type: ignore[misc]
        def do_GET(self) -> None:  # noqa: N802 - the library names it
            """Publish, where that is asked for."""
            if self.path == "/publish":
                publish()
            super().do_GET()

    server.RequestHandlerClass = partial(Publishing, directory=str(site.root))
    with serving(server) as url:
        yield url
    site.close()


def test_the_client_in_node(url: str, tmp_path: Path) -> None:
    """Every test in client.test.js passes."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node is installed (Debian: nodejs)")
    environment = {
        **os.environ,
        "STATSCACHE_URL": url,
        "STATSCACHE_PUBLIC_KEY": (tmp_path / "key.pub").read_text(),
        "STATSCACHE_PUBLISH": f"{url}publish",
        "STATSCACHE_KEYS": json.dumps([(key, layout.key_name(tuple(key))) for key in KEYS]),
    }
    done = subprocess.run(
        [node, "--test", "--test-timeout=30000", "--test-reporter=tap", str(HERE / "client.test.js")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout
    assert "\n# pass 22\n" in done.stdout, done.stdout


def test_javascript_in_the_docs_runs(url: str, tmp_path: Path) -> None:
    """The JavaScript blocks of a page, one after the other, are a program that runs in Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node is installed (Debian: nodejs)")
    source = (ROOT / "docs" / "widgets.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"^```js\n(.*?)^```$", source, re.MULTILINE | re.DOTALL))
    # Node imports from files only.
    module = (ROOT / "site" / "statscache.js").as_uri()
    program = program.replace("https://stats.example.org/assets/statscache.js", module)
    (tmp_path / "program.mjs").write_text(program.replace("https://stats.example.org/", url))
    done = subprocess.run([node, tmp_path / "program.mjs"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["=Main 1", "Main 3"]


def test_the_package_for_npm_works(url: str, tmp_path: Path) -> None:
    """It has the version of the project and all that its modules import, and a program imports it by its name."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no npm is installed (Debian: nodejs, npm)")
    command = [npm, "pack", "--silent", "--pack-destination", str(tmp_path), str(ROOT / "site")]
    packed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout.strip() == f"statscache-{__version__}.tgz"
    modules = tmp_path / "node_modules"
    modules.mkdir()
    subprocess.run(["tar", "-xzf", tmp_path / packed.stdout.strip(), "-C", modules], check=True)
    (modules / "package").rename(modules / "statscache")
    for script in (modules / "statscache").glob("*.js"):
        for name in re.findall(r'from "\./([a-z]+\.js)"', script.read_text("utf-8")):
            assert (script.parent / name).is_file(), f"{script.name} imports {name}"
    program = f'import {{ Client }} from "statscache"; console.log((await new Client("{url}").latest("edits")).plugin);'
    (tmp_path / "program.mjs").write_text(program)
    done = subprocess.run([node, tmp_path / "program.mjs"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("edits\n", "")


def test_the_types_are_those_of_a_program() -> None:
    """A TypeScript program that uses the client compiles, and its mistakes do not."""
    require_npm()
    options = ["--noEmit", "--strict", "--module", "esnext", "--moduleResolution", "bundler", "--target", "esnext"]
    done = subprocess.run(
        [NODE_MODULES / ".bin" / "tsc", *options, HERE / "consumer.ts"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

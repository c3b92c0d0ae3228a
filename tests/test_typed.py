"""Whoever types the commands of the tutorial as they stand sees them succeed; README has three."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker import PROGRAM, RabbitMQ
from commands import Home
from loopback import free_ports

ROOT = Path(__file__).resolve().parent.parent
INSTALLING = (
    "make demo",
    ".venv/bin/statscache serve",
    "make test",
    "pip install '.[amqp]'",
    "python3 -m venv .venv",
    ".venv/bin/pip install --use-pep517 '.[amqp]'",
    ". .venv/bin/activate",
)
"""What test_packaging.py and test_cli.py do, in a virtual environment and a clone of their own."""


def typed(source: str) -> Iterator[tuple[str, str]]:
    """Yield what a page has to type: `type` and a command, or `write` and a configuration."""
    for block in re.finditer(r"^```(\w*)\n([^`]*)^```$|^    (\S[^\n]*)$", source, re.MULTILINE):
        language, fenced, line = block.groups()
        if language == "toml":
            yield "write", fenced
        elif line:
            yield "type", line.partition("  #")[0].strip()


def test_blocks_are_found() -> None:
    """In the order of the page, each line of an indented block and each configuration."""
    page = "a\n\n    one\n    two\n\n```toml\n[x]\n```\n\n```json\n    {}\n```\n"
    assert [*typed(page)] == [("type", "one"), ("type", "two"), ("write", "[x]\n")]


def test_the_readme_has_three_commands() -> None:
    """test_packaging.py tries the first two, and this is the third."""
    assert [*typed((ROOT / "README.md").read_text(encoding="utf-8"))] == [("type", line) for line in INSTALLING[:3]]


@pytest.mark.slow
def test_every_command_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    """The page is typed from its beginning to its end; what serves or runs stays until the next of its kind or the end.

    Only ports and the directory differ, as others may use them.
    """
    port = free_ports(1)[0]
    home = Home(tmp_path / "site", PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    done: list[str] = []
    with ExitStack() as stack:
        for what, text in typed((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")):
            if what == "write":
                if "fedora-messaging" in text:
                    if not PROGRAM.exists():
                        pytest.skip("no RabbitMQ is installed (Debian: rabbitmq-server)")
                    broker = stack.enter_context(RabbitMQ())
                    home.environment["FEDORA_MESSAGING_CONF"] = str(home.directory / "fedora-messaging.toml")
                    (home.directory / "fedora-messaging.toml").write_text(f'amqp_url = "{broker.url}"\n')
                    home.configure(text)
            elif text in ("statscache serve", "statscache run"):
                arguments = ["--port", str(port)] if text.endswith("serve") else []
                service = stack.enter_context(home.start(*text.split()[1:], *arguments))
                service.await_log("serving" if arguments else "published generation")
            elif text not in INSTALLING:
                line = text.replace("localhost:8080", f"localhost:{port}").replace("/tmp/site", str(home.directory))
                program, *arguments = shlex.split(line)
                if program == "statscache" and "$" not in line:
                    # Nothing for a shell to do: the command need not be started.
                    assert home.run(*arguments).stdout, text
                    done.append(text)
                    continue
                ended = subprocess.run(
                    ["bash", "-ec", line.replace("curl -s", "curl -fsS")],
                    cwd=home.directory,
                    env=home.environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert ended.returncode == 0, (text, ended)
                assert ended.stdout or text.startswith("mkdir"), text
            done.append(text)
    assert "statscache publish" in done

"""The check of words in `make lint`."""

import subprocess
import sys
from pathlib import Path

CHECK = Path(__file__).parent.parent / ".ci" / "plain_words.py"


def check(path: Path) -> subprocess.CompletedProcess[str]:
    """Return how the check of one file ended."""
    return subprocess.run([sys.executable, CHECK, path], capture_output=True, text=True, check=False)


def test_the_check_names_the_line_and_the_replacement(tmp_path: Path) -> None:
    """Real names are fine; each word to replace is reported with what to write."""
    page = tmp_path / "page.md"
    page.write_text('A user "nobody" is fine.\nWhat is no message is set aside.\n')
    found = check(page)
    assert found.returncode == 1
    assert found.stdout == (
        f"{page}:2: 'set aside': write quarantined, the word of the command\n"
        f"{page}:2: 'is no message': write is not a\n"
    )


def test_plain_words_pass(tmp_path: Path) -> None:
    """A page without such words prints nothing."""
    page = tmp_path / "page.md"
    page.write_text("Malformed lines are quarantined. There is no journal.\n")
    assert check(page).returncode == 0

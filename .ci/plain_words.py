"""Refuse words that this project does not use, in code, tests, documentation and templates.

Each line printed names the file, the line, the words found, and what to write instead. Exit status 1 if there are any.
Without arguments, all files of the repository are read; otherwise the given ones.
"""

import re
import subprocess
import sys
from pathlib import Path

SUFFIXES = {"", ".conf", ".css", ".html", ".js", ".md", ".py", ".sh", ".spec", ".sql", ".svg", ".toml", ".ts", ".xml"}
SUFFIXES |= {".yaml", ".yml"}

# These show the words themselves.
OWN = {"plain_words.py", "test_plain_words.py"}

# Real names, data and fixed phrases: these are fine.
ALLOWED = re.compile(r"""["'`]nobody["'`]|named nobody\b|\bnobody(?:[@.]\w| nogroup)""")

WORDS = (
    (r"\banew\b", "again, from scratch"),
    (r"\b[Mm]end(s|ed|ing)?\b", "fix"),
    (r"\b[Nn]obody\b", "no one; or name what is unknown or unused"),
    (r"\b[Ss]et(s|ting)?( \w+){0,2} aside\b", "quarantined, the word of the command"),
    (r"\b[Tt](ake|akes|aken|ook) note\b", "record"),
    (r"\bbe had\b", "be fetched, be available"),
    (r"\b[Ww]hat (came|comes|became|becomes) (of|to)\b", "the result"),
    (r"\bfor want of\b", "because there is no, without"),
    (r"\bof the net\b|\baddress(es)? of mail\b", "e-mail address, IP address"),
    (r"\b[Ee]verybody may\b", "world-readable, or who may"),
    (r"\b(broken|breaks) off\b", "interrupted, incomplete"),
    (r"\bfor ever\b", "forever"),
    (r"\bany longer\b", "no longer, before the verb"),
    (r"\bat work\b", "running, working"),
    (r"\ball the same\b", "anyway"),
    (r"\b[Ii]s told\b", "called with, receives"),
    (r"\bstands? (in|at|on|there|beside|behind|below|above|apart|before|after|between)\b", "is, appears"),
    (
        r"(?<![Tt]here )\b(is|are|was|were) no (?!longer|more|fewer|less|other|one\b|way\b|need|reason)[a-z]+",
        "is not a",
    ),
    (r'"""Whether ', "True if"),
    (r"^ +\w+: Whether ", "True if"),
    (r"^ +\w+: Of (?!these)", "a noun: Name of the plugin"),
)
PATTERNS = [(re.compile(pattern), instead) for pattern, instead in WORDS]


def faults(path: Path) -> list[str]:
    """Return a line for each word in a text file that must be replaced."""
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        return []
    return [
        f"{path}:{number}: {found.group().strip()!r}: write {instead}"
        for number, line in enumerate(lines, start=1)
        for pattern, instead in PATTERNS
        if (found := pattern.search(ALLOWED.sub("", line)))
    ]


def main(arguments: list[str]) -> int:
    """Print all faults; return 1 if there are any."""
    names = arguments or subprocess.check_output(["git", "ls-files", "-z"], text=True).rstrip("\0").split("\0")
    paths = [path for path in map(Path, names) if path.suffix in SUFFIXES and path.name not in OWN]
    found = [line for path in paths if path.is_file() for line in faults(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

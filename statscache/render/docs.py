"""The documentation as pages: made of the Markdown that the project's tests hold to the code.

A page `format.md` becomes `docs/format/`. Links among the pages lead to pages, those to other files of the directory to
copies, and those that leave it to the project's repository. Each heading links to itself: that is its address.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

REPOSITORY = "https://github.com/fedora-infra/statscache/blob/main/"

_SECTIONS = (
    ("Use the statistics", ("start", "statistics", "release-engineering", "widgets", "client", "verify")),
    ("The published format", ("format", "format-statistics", "format-site", "format-snapshots")),
    ("Write a plugin", ("plugins", "plugin-class", "plugin-kinds", "plugin-documents")),
    (
        "Operate",
        ("tutorial", "install", "configure", "run", "history", "publish", "monitor", "repair", "backup", "upgrade"),
    ),
    ("Operate: reference", ("commands", "settings", "runbook", "mirrors", "s3", "security", "privacy", "capacity")),
    ("How it works", ("architecture", "recipes", "state", "benchmarks")),
)
_FOR_READERS = 2
"""The first sections are for those who use a site, whose address their examples show."""

_DECISIONS = "Decisions"


@dataclass(frozen=True)
class Page:
    """One page: its path without extension below `docs/`, its title, its first paragraph, its HTML, its sections."""

    name: str
    title: str
    summary: str
    html: str
    headings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """Pages that belong together."""

    title: str
    pages: tuple[Page, ...]
    for_readers: bool = False


class Docs:
    """The documentation of one directory.

    Attributes:
        sections: The pages, in the order in which they are to be read.
        files: Path below `docs/` and bytes of what the pages link to besides.
    """

    def __init__(self, directory: Path) -> None:
        """Read and render every page."""
        sources = {
            path.relative_to(directory).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(directory.rglob("*.md"))
        }
        titles = tuple((name, source.partition("\n")[0].removeprefix("# ")) for name, source in sources.items())
        pages = {name: _page(name, source, titles) for name, source in sources.items()}
        grouped = [(title, [pages.pop(name) for name in names if name in pages]) for title, names in _SECTIONS]
        decisions = [pages.pop(name) for name in sorted(pages) if "/" in name]
        # A page that no section names yet is not lost.
        grouped[-1][1].extend(pages.values())
        grouped.append((_DECISIONS, decisions))
        self.sections = tuple(
            Section(title, tuple(found), number < _FOR_READERS)
            for number, (title, found) in enumerate(grouped)
            if found
        )
        self.files = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file() and path.suffix in (".conf", ".sh", ".sql", ".toml")
        }

    def __iter__(self) -> Iterator[Page]:
        """Yield every page."""
        for section in self.sections:
            yield from section.pages

    def in_order(self) -> Iterator[tuple[Section, Page | None, Page, Page | None]]:
        """Yield each page with its section and its neighbours: the one before it, itself, and the one after."""
        pages = [*self]
        sections = (section for section in self.sections for _ in section.pages)
        yield from zip(sections, [None, *pages], pages, [*pages[1:], None], strict=False)


def anchor(heading: str) -> str:
    """Return the fragment under which a heading is found, as code hosting sites make it of the same text."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class _Renderer(RendererHTML):
    """HTML whose wide parts scroll by themselves, and can be scrolled by keyboard."""

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        number = env["tables"] = env.get("tables", 0) + 1
        return f'<div class="scroll" tabindex="0" role="region" aria-label="Table {number}"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return _code(super().fence(tokens, index, options, env))

    def code_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return _code(super().code_block(tokens, index, options, env))


def _code(html: str) -> str:
    """Return a block of code that can be scrolled by keyboard, in a box in which a script puts a button to copy it."""
    html = html.replace("<pre><code", '<pre tabindex="0"><code data-example', 1).rstrip("\n")
    return f'<div class="sample">{html}</div>\n'


# `serve --watch` renders again after each change, of which few are of these pages.
@lru_cache(maxsize=128)
def _page(name: str, source: str, titles: tuple[tuple[str, str], ...]) -> Page:
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    tokens = markdown.parse(source)
    for token in tokens:
        for link, text in pairwise(token.children or ()):
            if link.type == "link_open":
                text.content = _link_text(name, str(link.attrGet("href")), text.content, dict(titles))
    title, summary, headings = name, "", []
    for at, (token, inline) in enumerate(pairwise(tokens)):
        if token.type == "th_open" and inline.content:
            token.attrSet("scope", "col")
        elif token.type == "th_open":
            # A head without text would be announced as one without a name.
            token.tag = tokens[at + 2].tag = "td"
        if token.type == "heading_open":
            fragment = anchor(inline.content)
            token.attrSet("id", fragment)
            if token.tag == "h1":
                title = _plain(inline)
            elif token.tag == "h2":
                headings.append((fragment, _plain(inline)))
        elif token.type == "paragraph_open" and not summary:
            summary = _plain(inline)
        for child in inline.children or ():
            if child.type == "link_open":
                child.attrSet("href", _target(name, str(child.attrGet("href"))))
        if token.type == "heading_open" and token.tag != "h1" and inline.children:
            link = Token("link_open", "a", 1, attrs={"href": f"#{token.attrGet('id')}"})
            inline.children = [link, *inline.children, Token("link_close", "a", -1)]
    return Page(name, title, summary, markdown.renderer.render(tokens, markdown.options, {}), tuple(headings))


def _plain(inline: Token) -> str:
    return "".join(" " if child.type == "softbreak" else child.content for child in inline.children or ())


def _link_text(name: str, link: str, text: str, titles: Mapping[str, str]) -> str:
    """Return the text of a link: the title of the page that it leads to, in place of the name of its file."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), urlsplit(link).path))
    return titles.get(path.removesuffix(".md"), text) if text == posixpath.basename(path) else text


def _target(name: str, link: str) -> str:
    """Return where a link of the Markdown leads in the site."""
    parts = urlsplit(link)
    if parts.scheme or not parts.path:
        return link
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), parts.path))
    # The page lies in a directory of its own name.
    up = "../" * (name.count("/") + 1)
    if path.startswith("../"):
        return f"{REPOSITORY}{path.removeprefix('../')}{fragment}"
    if path == "adr":
        return f"{up}index.html#{anchor(_DECISIONS)}"
    return f"{up}{path.removesuffix('.md')}/index.html{fragment}" if path.endswith(".md") else f"{up}{path}{fragment}"

import gzip
import http.client
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from samples import KINDS, NOON, Site, line
from statscache import layout
from statscache.publish.headers import cache_control, content_type
from web_servers import Nginx

CONFIGURATION = Path(__file__).resolve().parents[2] / "docs" / "nginx.conf"

POLICY = (
    "default-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'self'",
)
SECURITY = {
    "X-Content-Type-Options": ["nosniff"],
    "Referrer-Policy": ["strict-origin-when-cross-origin"],
    "Content-Security-Policy": ["; ".join(POLICY)],
}


class Answer(NamedTuple):
    """What the server said."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Web:
    """A published tree, and the server that it is read from."""

    def __init__(self, server: Nginx, site: Site) -> None:
        self.root = server.root
        self.site = site
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path, which is relative to the root of the site."""
        return self.ask("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send any request."""
        self._connection.request(method, f"/{path}", body, headers or {})
        response = self._connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def close(self) -> None:
        """Close connection and database."""
        self._connection.close()
        self.site.close()

    def paths(self) -> list[str]:
        """Return the paths of all that is published, without siblings."""
        found = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        return sorted(path for path in found if not path.startswith(".") and not path.endswith(".gz"))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Published sales of many people, served as the documentation says."""
    if Nginx.path() is None:
        pytest.skip(f"no nginx is installed (Debian: {Nginx.package})")
    directory = tmp_path_factory.mktemp("nginx")
    with Nginx(CONFIGURATION) as server:
        publish = {"targets": ({"name": "web", "path": server.root},)}
        site = Site(f"sqlite:///{directory}/statscache.db", directory, KINDS, publish=publish)
        site.feed(line(f"m{number}", NOON + number, body={"buyer": f"b{number}"}) for number in range(40))
        # A service's mask often hides what it writes from others.
        mask = os.umask(0o077)
        try:
            site.publish()
        finally:
            os.umask(mask)
        web = Web(server, site)
        yield web
        web.close()


def test_every_file_comes_with_its_headers(web: Web) -> None:
    """Each file has its content type with the charset and the caching rule of its place; any site may read it."""
    paths = web.paths()
    assert {path.rpartition(".")[2] for path in paths} >= {"json", "csv", "html", "svg", "css"}
    for path in paths:
        answer = web.get(path)
        assert (answer.status, answer.body) == (200, (web.root / path).read_bytes()), path
        assert answer.headers["Content-Type"] == content_type(path), path
        assert answer.headers.get_all("Cache-Control") == [cache_control(path)], path
        assert answer.headers.get_all("Access-Control-Allow-Origin") == ["*"], path
        assert {name: answer.headers.get_all(name) for name in SECURITY} == SECURITY, path
        assert answer.headers["Content-Encoding"] is None, path


def test_siblings_are_sent_exactly_once_compressed(web: Web) -> None:
    """Who takes gzip gets the bytes of the sibling and the type of the file; uncompressed once, they are the file."""
    compressed = [path for path in web.paths() if (web.root / f"{path}.gz").exists()]
    assert "v1/index.json" in compressed
    assert any(path.startswith("v1/objects/") for path in compressed)
    for path in compressed:
        answer = web.get(path, Accept_Encoding="gzip, br")
        assert answer.headers.get_all("Content-Encoding") == ["gzip"], path
        assert answer.headers["Vary"] == "Accept-Encoding", path
        assert answer.headers["Content-Type"] == content_type(path), path
        assert answer.headers.get_all("Cache-Control") == [cache_control(path)], path
        assert answer.body == (web.root / f"{path}.gz").read_bytes(), path
        assert gzip.decompress(answer.body) == (web.root / path).read_bytes(), path


def test_a_file_without_a_sibling_is_sent_plain_to_everyone(web: Web) -> None:
    """What is too small to have a sibling is not compressed on the way."""
    small = [path for path in web.paths() if not (web.root / f"{path}.gz").exists()]
    assert small
    for path in small:
        answer = web.get(path, Accept_Encoding="gzip")
        assert (answer.headers["Content-Encoding"], answer.body) == (None, (web.root / path).read_bytes()), path


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_an_unchanged_index_is_not_sent_again(web: Web, coding: str) -> None:
    """A poller that knows the index gets 304 until the next publication, and then the new one."""
    first = web.get("v1/index.json", Accept_Encoding=coding)
    same = web.get("v1/index.json", Accept_Encoding=coding, If_None_Match=first.headers["ETag"])
    assert (same.status, same.body) == (304, b"")
    assert same.headers["Access-Control-Allow-Origin"] == "*"
    assert same.headers["Cache-Control"] == cache_control("v1/index.json")
    # So that the time stamp differs as that of a later publication does: the server's tags know seconds only.
    for name in ("v1/index.json", "v1/index.json.gz"):
        os.utime(web.root / name, (0, 0))
    later = web.get("v1/index.json", Accept_Encoding=coding)
    web.site.publish()
    changed = web.get("v1/index.json", Accept_Encoding=coding, If_None_Match=later.headers["ETag"])
    assert changed.status == 200
    assert changed.headers["ETag"] != later.headers["ETag"]


def test_what_is_missing_is_404_and_not_cached_for_ever(web: Web) -> None:
    """A file that is not there is 404 as JSON, which any site may see, and which no cache takes for an object."""
    for path in (
        "v1/none.json",
        "v1/objects/ab/abcd.json",
        "v1/plugins/none/latest.csv",
        "none.svg",
        "v1/",
        "v1/none.html",
    ):
        answer = web.get(path)
        assert (answer.status, json.loads(answer.body)["status"]) == (404, 404), path
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8", path
        assert {name: answer.headers.get_all(name) for name in SECURITY} == SECURITY, path
        assert answer.headers["Access-Control-Allow-Origin"] == "*", path
        assert answer.headers["Cache-Control"] is None, path


def test_a_page_that_is_missing_is_a_page(web: Web) -> None:
    """Whoever follows an old link is shown the way, with the status and the headers of what is missing."""
    page = (web.root / layout.NOT_FOUND_PAGE).read_bytes()
    for path in ("none", "people/none", "none.html", "none/", "plugins/none/index.html"):
        answer = web.get(path)
        assert (answer.status, answer.body) == (404, page), path
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8", path
        assert {name: answer.headers.get_all(name) for name in SECURITY} == SECURITY, path
        assert answer.headers["Cache-Control"] is None, path


def test_files_on_their_way_are_not_served(web: Web) -> None:
    """What publisher or rsync have not finished is 404."""
    for path in (".statscache/unfinished/1234", "v1/.index.json.Xy12Zz", "v1/objects/ab/.abcd.json.Xy12Zz"):
        file = web.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o755)
        file.write_bytes(b"half")
        assert web.get(path).status == 404, path
        for trick in (
            f"/{path}",
            f"./{path}",
            f"v1/../{path}",
            path.replace(".", "%2e"),
            path.replace("/", "%2f"),
            f"{path}?x=1",
        ):
            assert web.get(trick).status == 404, trick
        file.unlink()
    shutil.rmtree(web.root / ".statscache")


def test_only_what_lies_in_the_root_is_served(web: Web) -> None:
    """Neither a link nor a path leads out of the published tree."""
    outside = web.root.parent / "outside.json"
    outside.write_bytes(b"{}")
    (web.root / "v1/link.json").symlink_to(outside)
    (web.root / "v1/away").symlink_to(web.root.parent)
    for path in ("v1/link.json", "v1/away/outside.json", "../outside.json", "v1/..%2f..%2foutside.json", "v1%00"):
        assert web.get(path).status in (400, 404), path
    (web.root / "v1/link.json").unlink()
    (web.root / "v1/away").unlink()


def test_what_asks_for_more_than_a_file_is_refused(web: Web) -> None:
    """Only `GET` and `HEAD` are answered, and no body is taken."""
    assert [web.ask(method, "v1/index.json").status for method in ("POST", "PUT", "DELETE", "TRACE")] == [405] * 4
    assert web.ask("POST", "v1/index.json", b"x" * 2000).status == 413
    assert web.ask("HEAD", "v1/index.json").status == 200


def test_directories_have_their_pages(web: Web) -> None:
    """The site's root and a plugin's directory are pages, and a slash that was left out is added on the same host."""
    assert web.get("").body == (web.root / "index.html").read_bytes()
    page = web.get("plugins/sales/")
    assert page.body == (web.root / "plugins/sales/index.html").read_bytes()
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    moved = web.get("plugins/sales")
    assert (moved.status, moved.headers["Location"]) == (301, "/plugins/sales/")

"""`statscache serve` gives a published tree as a web server is to give it, and nothing else."""

import gzip
import hashlib
import http.client
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Home
from loopback import serving
from samples import Site, line
from statscache import layout
from statscache.publish import headers
from statscache.service import preview
from statscache_plugins.volume import Volume

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published tree, with a secret beside it."""
    directory = tmp_path_factory.mktemp("preview")
    (directory / "secret").write_text("secret")
    site = Site(f"sqlite:///{directory}/statscache.db", directory, (Volume,))
    site.feed([line("1")])
    site.publish()
    site.close()
    return site.public


@pytest.fixture(scope="module")
def port(public: Path) -> Iterator[int]:
    """The port of a preview of the tree."""
    server = preview.server(public, 0)
    with serving(server):
        yield server.server_port


def get(port: int, path: str, method: str = "GET") -> Answer:
    """Ask for a path as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_a_file_has_a_tag_by_the_digest_of_its_bytes(port: int, public: Path) -> None:
    """Who has these bytes gets that answer; a date decides nothing where the tag differs."""
    path = "/v1/plugins/volume/badge.json"
    tag = get(port, path)[1]["etag"]
    assert tag == f'"{hashlib.sha256((public / path[1:]).read_bytes()).hexdigest()}"'
    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    for header, status in (tag, 304), ('"other", ' + tag, 304), ('"other"', 200):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path, headers={"If-None-Match": header, "If-Modified-Since": later})
        response = connection.getresponse()
        assert (response.status, response.getheader("ETag")) == (status, tag)
        connection.close()
    assert "etag" not in get(port, "/nothing")[1]


@pytest.mark.parametrize("path", ["/", "/index.html", "/v1/plugins/volume/latest.csv"])
def test_who_takes_it_gets_what_is_compressed_beside_a_file(public: Path, path: str) -> None:
    """As nginx does: the type is that of the file, the tag is of the bytes that are sent, caches keep both forms."""
    file = public / ("index.html" if path == "/" else path[1:])
    sibling = file.with_name(f"{file.name}.gz")
    made = not sibling.exists()
    if made:
        sibling.write_bytes(gzip.compress(file.read_bytes()))
    answers = {}
    server = preview.server(public, 0)
    with serving(server):
        for coding in ("gzip, deflate", "br;q=1, gzip;q=0.5", "identity", "gzip;q=0", ""):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
            connection.request("GET", path, headers={"Accept-Encoding": coding})
            response = connection.getresponse()
            assert response.getheader("Vary") == "Accept-Encoding"
            assert response.getheader("Content-Type") == headers.content_type(file.name)
            answers[coding] = response.getheader("Content-Encoding"), response.read(), response.getheader("ETag")
            connection.close()
    if made:
        sibling.unlink()
    assert [coding for coding, (sent, *_) in answers.items() if sent] == ["gzip, deflate", "br;q=1, gzip;q=0.5"]
    for sent, data, tag in answers.values():
        assert (gzip.decompress(data) if sent else data) == file.read_bytes()
        assert tag == f'"{hashlib.sha256(data).hexdigest()}"'


def an_object(public: Path) -> str:
    """Return the path of some object."""
    return f"/{next((public / 'v1/objects').glob('*/*.json')).relative_to(public).as_posix()}"


def test_objects_never_change_and_everything_else_may(port: int, public: Path) -> None:
    """Objects are immutable for a year, everything else is good for a minute; a missing object may yet come."""
    path = an_object(public)
    assert get(port, path)[1]["cache-control"] == "public, max-age=31536000, immutable"
    for other in ("/", "/v1/index.json", "/v1/status.json", "/v1/plugins/volume/latest.json"):
        assert get(port, other)[1]["cache-control"] == "public, max-age=60", other
    status, headers, _ = get(port, "/v1/objects/00/00.json")
    assert (status, headers["cache-control"]) == (404, "public, max-age=60")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/v1/index.json", "application/json; charset=utf-8"),
        ("/v1/plugins/volume/latest.csv", "text/csv; charset=utf-8"),
        ("/v1/plugins/volume/chart.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_every_site_may_fetch_and_content_types_are_explicit(port: int, path: str, kind: str) -> None:
    """CORS is open for every file, and its type is said with its charset and not to be guessed."""
    status, headers, body = get(port, path)
    assert status == 200
    assert body
    assert headers["content-type"] == kind
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/v1/../../secret",
        "//secret",
        "/..%2fsecret",
        "/v1/%2e%2e/%2e%2e/secret",
        "/\\..\\secret",
        "/v1/index.json/",
        "/nothing",
        "/%00",
    ],
)
def test_what_is_not_published_is_not_found(port: int, path: str) -> None:
    """No path leads out of the tree, and one that names nothing is answered with 404, as a file or as a page."""
    status, headers, body = get(port, path)
    kind = "text/html" if layout.is_page(path) else "application/json"
    assert (status, headers["content-type"]) == (404, f"{kind}; charset=utf-8")
    assert b"secret" not in body
    assert layout.is_page(path) or body == b'{"error":"there is no such file","status":404}\n'


@pytest.mark.parametrize("path", ["/nothing", "/people/ralph", "/nothing/", "/plugins/nothing/index.html?x=1"])
def test_a_page_that_is_missing_is_a_page(port: int, public: Path, path: str) -> None:
    """Whoever follows an old link is shown the way."""
    status, headers, body = get(port, path)
    assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert body == (public / "404.html").read_bytes()


@pytest.mark.parametrize("path", ["/v1/", "/v1/objects/", "/v1/plugins/volume/series/"])
def test_directories_are_not_listed(port: int, path: str) -> None:
    """A directory without a page is answered with 404."""
    assert get(port, path)[0] == 404


def test_no_link_leads_out_of_the_tree(port: int, public: Path) -> None:
    """A link to a file or a directory elsewhere is answered as what is not there; one within the tree is followed."""
    links = {"out": public.parent / "secret", "up": public.parent, "in": public / "v1/index.json"}
    (public / "sub").mkdir()
    links["sub/index.html"] = public.parent / "secret"
    for name, place in links.items():
        (public / name).symlink_to(place)
    try:
        assert get(port, "/out")[0] == get(port, "/up/secret")[0] == get(port, "/sub/")[0] == 404
        assert get(port, "/in")[0] == 200
    finally:
        for name in links:
            (public / name).unlink()
        (public / "sub").rmdir()


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:1", 200), ("127.0.0.1", 200), ("evil.example", 421), ("[", 421)]
)
def test_only_names_of_this_machine_are_answered(port: int, host: str, status: int) -> None:
    """A foreign name that was made to point here reads nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/v1/index.json", headers={"Host": host})
    assert connection.getresponse().status == status
    connection.close()


def test_a_connection_that_breaks_is_no_error(port: int, public: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A browser that leaves in the middle of an answer makes no traceback."""
    (public / "large.json").write_bytes(b" " * 50_000_000)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /large.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(10)
    (public / "large.json").unlink()
    assert get(port, "/")[0] == 200
    time.sleep(0.5)
    assert capfd.readouterr().err == ""


def test_nothing_can_be_written(port: int, public: Path) -> None:
    """Methods that would change something are not known."""
    for method in ("PUT", "POST", "DELETE"):
        assert get(port, "/v1/index.json", method)[0] == 501
    assert get(port, "/v1/index.json", "HEAD")[0] == 200
    assert (public / "v1/index.json").exists()


def test_serve_says_where_and_ends_with_status_0(public: Path, tmp_path: Path) -> None:
    """`serve --port 0` takes a free port, and SIGTERM and SIGINT end it with status 0."""
    home = Home(tmp_path)
    for number in (signal.SIGTERM, signal.SIGINT):
        with home.start("serve", "--port", "0", "--directory", str(public)) as process:
            process.await_log("serving")
            assert process.end(number)[0] == 0


def test_serve_refuses_what_cannot_be_served(tmp_path: Path, port: int, public: Path) -> None:
    """Where nothing was published, or the port is taken, the error says what to do."""
    home = Home(tmp_path)
    done = home.run("serve", status=2)
    assert "run `statscache publish` first" in done.stderr
    done = home.run("serve", "--port", str(port), "--directory", str(public), status=2)
    assert "choose another with --port" in done.stderr

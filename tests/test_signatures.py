"""Signatures of pointers: made with keys in files, checked here and with a public tool, and never by a key too open."""

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from conftest import ROOT
from keypairs import write_key
from samples import Sales, Site, line
from statscache import canonical, schemas, signatures
from statscache.exceptions import ConfigurationError
from statscache.publish import pointer, signing
from statscache.signatures import BadSignature
from statscache.snapshot.snapshot import Snapshot
from statscache.verify import Directory, Weight, verify

SNAPSHOT = Snapshot(
    generation=7,
    id="ab" * 32,
    parent=None,
    through=1439035200,
    created_at=1439035200,
    current_until=1439035200,
    manifest=f"{'ab' * 32}.json",
    origin=7,
    size=0,
    announced=False,
    summary={"plugins": [], "changes": {}, "slow_through": 1},
)


@pytest.fixture
def keys(tmp_path: Path) -> list[Path]:
    """The files of two private keys, with their public keys beside them."""
    return [write_key(tmp_path / f"{name}.pem", Ed25519PrivateKey.generate()) for name in ("old", "new")]


def index(paths: list[Path]) -> dict[str, Any]:
    """Return a pointer that is signed by keys."""
    private = signing.load_keys(paths)
    data = pointer.index(SNAPSHOT, "0" * 32, 1_700_000_000, 60, lambda signed: signing.sign(private, signed))
    assert schemas.problem("index", data) is None
    signed: dict[str, Any] = orjson.loads(data)
    return signed


def test_what_is_signed_is_what_the_format_says(keys: list[Path]) -> None:
    """The signed bytes are a name and the digest of the index as it would be published without signatures."""
    names: dict[str, Any] = {"text": 'é "\\ \x7f\n\u2028 😀', "A": [None, True, -1, {}], "b": {"z": 0, "a": 2**53}}
    document = index(keys) | names
    bare = {name: value for name, value in document.items() if name != "signatures"}
    assert (
        signatures.signed_bytes(document) == b"statscache/v2\n%b\n" % canonical.digest(canonical.dumps(bare)).encode()
    )


def test_one_trusted_key_is_enough(keys: list[Path]) -> None:
    """While one key takes over from another, a reader that has either is served."""
    signed = index(keys)
    public = [path.with_suffix(".pub") for path in keys]
    names = [signature["key"] for signature in signed["signatures"]]
    assert signatures.check(signed, signatures.load_public_keys(public)) == names
    for path, name in zip(public, names, strict=True):
        assert signatures.check(signed, signatures.load_public_keys([path])) == [name]


def test_signing_twice_gives_the_same_bytes(keys: list[Path]) -> None:
    """Ed25519 has no chance in it: the same pointer has the same signatures."""
    assert index(keys) == index(keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda signed: signed.update(generation=8),
        lambda signed: signed.update(snapshot="cd" * 32),
        lambda signed: signed.update(generated_at=1_700_000_001),
        lambda signed: signed.update(expires_at=1_800_000_000),
        lambda signed: signed.update(through=signed["through"] + 1),
        lambda signed: signed.update(slow_through=None),
        lambda signed: signed.update(interval=61),
        lambda signed: signed.update(plugins=[{}]),
        lambda signed: signed.pop("parent"),
        lambda signed: signed.update(more="\udc00"),
        lambda signed: signed["signatures"][0].update(signature=base64.b64encode(bytes(64)).decode()),
        lambda signed: signed["signatures"][0].update(signature="no base64"),
        lambda signed: signed["signatures"][0].update(algorithm="none"),
        lambda signed: signed["signatures"][0].update(key="0" * 16),
        lambda signed: signed.update(signatures=[]),
        lambda signed: signed.update(signatures=["text", {}]),
    ],
)
def test_whatever_is_altered_is_refused(keys: list[Path], change: Callable[[Any], object]) -> None:
    """No part of what is signed, and none of the signature, can be changed."""
    public = signatures.load_public_keys([keys[0].with_suffix(".pub")])
    signed = index(keys[:1])
    assert signatures.check(signed, public)
    change(signed)
    with pytest.raises(BadSignature):
        signatures.check(signed, public)


def test_another_key_is_not_trusted(keys: list[Path]) -> None:
    """A signature by a key that no one trusts counts for nothing."""
    with pytest.raises(BadSignature, match="no signature is by a trusted key"):
        signatures.check(index(keys[:1]), signatures.load_public_keys([keys[1].with_suffix(".pub")]))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """A private key that its group or the world has any right to is refused, with the fix."""
    path = write_key(tmp_path / "key.pem", Ed25519PrivateKey.generate(), mode=mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        signing.load_key(path)
    path.chmod(0o400)
    signing.load_key(path)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    """A file that is missing, no PEM, of another kind, or has a passphrase, is refused, and the error names it."""
    text = tmp_path / "text.pem"
    text.write_text("no key")
    text.chmod(0o600)
    other = write_key(tmp_path / "other.pem", generate_private_key(SECP256R1()))
    secret = write_key(tmp_path / "secret.pem", Ed25519PrivateKey.generate(), BestAvailableEncryption(b"word"))
    public = write_key(tmp_path / "key.pem", Ed25519PrivateKey.generate()).with_suffix(".pub")
    public.chmod(0o600)
    for path in (tmp_path / "absent.pem", text, other, secret, public):
        with pytest.raises(ConfigurationError, match=path.name):
            signing.load_key(path)
    for path in (tmp_path / "absent.pem", text, other.with_suffix(".pub"), tmp_path / "key.pem"):
        with pytest.raises(ConfigurationError, match=path.name):
            signatures.load_public_key(path)


def test_an_unsigned_tree_is_not_trusted(tmp_path: Path, keys: list[Path]) -> None:
    """A verification with a key finds a pointer without signature, and a signed one without fault of that kind."""
    public = signatures.load_public_keys([keys[0].with_suffix(".pub")])
    (tmp_path / "public/v1").mkdir(parents=True)
    file = tmp_path / "public/v1/index.json"
    for signed, unsigned in ((index([]), True), (index(keys[:1]), False), (index(keys[1:]), True)):
        file.write_bytes(canonical.dumps(signed))
        report = verify(Directory(tmp_path / "public"), public)
        found = [finding.weight for finding in report.faults if "trusted key" in finding.problem]
        assert found == [Weight.BROKEN] * unsigned
        assert bool(report.signed_by) is not unsigned


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (Debian: openssl)")
def test_the_commands_of_the_docs_check_a_signature(tmp_path: Path) -> None:
    """The commands in docs/verify.md make a key, and check a signature of a pointer that is signed with it."""
    blocks = (ROOT / "docs/verify.md").read_text(encoding="utf-8").split("```sh\n")[1:]
    making, checking = [block.partition("```")[0] for block in blocks if "openssl" in block]
    run(making, tmp_path)
    (tmp_path / "index.json").write_bytes(canonical.dumps(index([tmp_path / "signing.pem"])))
    fetch, *commands = checking.splitlines()
    assert fetch.startswith("curl ")
    checking = "\n".join(commands)
    assert "Signature Verified Successfully" in run(checking, tmp_path)
    altered = index([tmp_path / "signing.pem"]) | {"generation": 8}
    (tmp_path / "index.json").write_bytes(canonical.dumps(altered))
    with pytest.raises(subprocess.CalledProcessError):
        run(checking, tmp_path)


def run(commands: str, directory: Path) -> str:
    """Run shell commands in a directory, and return what they print."""
    return subprocess.run(
        ["bash", "-euc", commands], cwd=directory, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_published_pointer_is_signed_by_every_key(tmp_path: Path, keys: list[Path]) -> None:
    """With `signing_keys`, the pointer carries a signature of each key, made again at each publication."""
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Sales,), publish={"signing_keys": tuple(keys)})
    site.feed([line("a")])
    public = [key.public_key() for key in signing.load_keys(keys)]
    for _ in range(2):
        site.publish()
        assert len(signatures.check(site.document("v1/index.json"), public)) == 2
    site.close()
